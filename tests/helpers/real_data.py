"""Real data and weights, which scripts/fetch-data downloads into the cache folder; tests without them are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from passus.datasets import cache_folder

USERS_CACHE = cache_folder()
"""The cache folder of the user; during the tests PASSUS_CACHE names a temporary one."""


def real(pattern: str, option: str = "") -> Path:
    """The first file that matches a pattern; ``option``: the argument of the script that downloads it."""
    found = sorted(USERS_CACHE.glob(pattern))
    if not found:
        pytest.skip(f"there is no {pattern} in {USERS_CACHE}; run {f'scripts/fetch-data {option}'.strip()}")
    return found[0]

"""Real data and weights, which scripts/fetch-data puts into the cache folder; tests that lack them are skipped and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from passus.datasets import cache_folder

USERS_CACHE = cache_folder()
"""Where they lie; each test has another cache folder of its own."""


def real(pattern: str, option: str = "") -> Path:
    """The file whose name fits the pattern; ``option``: what the script must be told to fetch it."""
    found = sorted(USERS_CACHE.glob(pattern))
    if not found:
        pytest.skip(f"there is no {pattern} in {USERS_CACHE}; run {f'scripts/fetch-data {option}'.strip()}")
    return found[0]

"""Real data and weights, which scripts/fetch-data puts into the cache folder; tests that lack them are skipped and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from passus.datasets import cache_folder

USERS_CACHE = cache_folder()
"""Where they lie; each test has another cache folder of its own."""


def real(pattern: str) -> Path:
    """The file whose name fits the pattern."""
    found = sorted(USERS_CACHE.glob(pattern))
    if not found:
        pytest.skip(f"there is no {pattern} in {USERS_CACHE}; run scripts/fetch-data")
    return found[0]

"""What holds for every test: no random number is left to chance, nothing is written but into temporary folders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

import passus.random

# The same examples in every run; a failure anywhere is a failure everywhere.
settings.register_profile("passus", derandomize=True, deadline=None, database=None)
settings.load_profile("passus")


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with passus.random.using_rng(0):
        yield


@pytest.fixture(autouse=True)
def _cached_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep downloads and drawings of tests out of the user's home."""
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("MPLBACKEND", "agg")

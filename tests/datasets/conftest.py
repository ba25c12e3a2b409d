"""A local server for the files of downloaded datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.served import Served, serving


@pytest.fixture(scope="module")
def _server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def served(_server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "cache"))
    _server.files, _server.cut = {}, set()
    _server.requests.clear()
    return _server

"""Fixtures of the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from passus.kernels import get_num_threads, set_num_threads


@pytest.fixture(params=[1, 2, 5])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Kernels run on this number of threads."""
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)

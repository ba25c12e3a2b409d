"""Fixtures of the tests of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.dispatch import Kernel


@pytest.fixture(params=[1, 2, 5])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Kernels run on this number of threads."""
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of kernels whose compiled functions are called from now on, in order."""
    calls: list[str] = []
    compiled = Kernel.compiled

    def recorded(kernel: Kernel[..., Any]) -> Any:
        calls.append(kernel.reference.__name__)
        return compiled(kernel)

    monkeypatch.setattr(Kernel, "compiled", recorded)
    return calls

"""The networks on images in passus without Numba."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
from benchmarks import with_passus
from benchmarks.problems import Images

Step = Callable[[], passus.Variable | np.ndarray]


def network(problem: Images) -> Step:
    with passus.using_config("native", False):
        step = with_passus.network(problem)

    def plain() -> passus.Variable | np.ndarray:
        with passus.using_config("native", False):
            return step()

    return plain

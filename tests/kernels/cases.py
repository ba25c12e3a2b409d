"""Drawn images, and results with and without kernels, for several tests of kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from passus import using_config
from tests.helpers.drawing import generators


@st.composite
def images(draw: Any, count: int = 2) -> list[np.ndarray]:
    """Arrays (N, C, ...) of one shape, with the channels last in memory as kernels take them."""
    rng = draw(generators())
    shape = draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    arrays = [rng.standard_normal((shape[0], *shape[2:], shape[1]), np.float32) * 3 + 5 for _ in range(count)]
    if draw(st.booleans()):
        for array in arrays:
            array.flags.writeable = False
    return [np.moveaxis(array, -1, 1) for array in arrays]


def with_and_without_kernels(compute: Callable[[], list[np.ndarray]]) -> list[list[np.ndarray]]:
    """The results of ``compute()``, first with kernels and then without."""
    results = []
    for on in (True, False):
        with using_config("native", on):
            results.append(compute())
    return results

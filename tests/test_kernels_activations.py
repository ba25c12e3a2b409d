"""Compiled kernels of single elements: elementary functions beside float64, activations beside their references."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from scipy import special

from passus.kernels.native import mathematics
from passus.kernels.native.compiling import FLAT, READ

# Elementary functions.

EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.1754942e-38, 1e-8, -1e-8, 1.0, -1.0, 3.4e38, -3.4e38]

EXACT = {
    "erf": (special.erf, (-4.5, 4.5), 1.5),
    "exp": (np.exp, (-105, 90), 1.5),
    "expm1": (np.expm1, (-30, 90), 2),
    "log": (np.log, (0, 4), 1.5),
    "log1p": (np.log1p, (-1, 4), 2),
    "sigmoid": (special.expit, (-105, 30), 2.5),
    "tanh": (np.tanh, (-10, 10), 1.5),
}
"""The function, where it is neither flat nor straight, and how many units in the last place may be wrong."""


def in_a_loop(name: str) -> Any:
    function = getattr(mathematics, name)

    def loop(x: Any, y: Any) -> None:
        for i in range(len(x)):
            y[i] = function(x[i])

    return numba.njit(numba.void(READ, FLAT), error_model="numpy")(loop)


@pytest.mark.parametrize("name", mathematics.__all__)
def test_elementary_functions(name: str) -> None:
    function, curved, ulps = EXACT[name]
    every_magnitude = np.arange(0, 1 << 32, 10007, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([every_magnitude, np.linspace(*curved, 400_001, dtype=np.float32), np.float32(EDGES)])
    y = np.empty_like(x)
    in_a_loop(name)(x, y)
    with np.errstate(all="ignore"):  # Of -1, the logarithm is NaN; of 1e5, the exponential overflows.
        exact = function(x.astype(np.float64))
        expected = exact.astype(np.float32)
        off = abs(y - exact) / np.spacing(abs(expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(y[~finite], expected[~finite])
    assert off[finite].max() <= ulps
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(expected[zero]))

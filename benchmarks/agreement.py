"""A check before timing: all frameworks compute the same results."""

from __future__ import annotations

import numpy as np


def check(results: dict[str, list[list[float]]], rtol: float = 1e-4) -> None:
    """Raise `AssertionError` unless all results agree in each of the first steps, within ``rtol`` of the largest."""
    for name, steps in results.items():
        for n, (result, expected) in enumerate(zip(steps, results["passus"], strict=True)):
            np.testing.assert_allclose(
                result,
                expected,
                rtol=0,
                atol=rtol * np.abs(expected).max(),
                err_msg=f"step {n}: {name} disagrees with passus",
            )

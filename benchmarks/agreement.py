"""Before anything is timed: do all frameworks compute the same?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def check(steps: dict[str, Callable[[], object]], count: int = 20, rtol: float = 1e-4) -> None:
    """Raise `AssertionError` unless the losses of all agree after each of the first steps."""
    for n in range(count):
        losses = {name: float(step()) for name, step in steps.items()}
        expected = losses["passus"]
        for name, loss in losses.items():
            np.testing.assert_allclose(loss, expected, rtol=rtol, err_msg=f"step {n}: {name} computes something else")

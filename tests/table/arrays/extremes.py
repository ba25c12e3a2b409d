import numpy as np
from scipy import special

from tests.table import ONE_OPERAND, Row, bad, normal
from tests.table.arrays.reductions import axes_cases, axes_raise


def distinct(*shape: int) -> np.ndarray:
    """Numbers in random order with distances of at least 0.3, away from the kinks at ties."""
    order = normal(*shape).ravel().argsort()
    return (0.3 * (order - order.size // 2) + 0.05).reshape(shape)


EMPTY = ((0, 3), 1)  # A reduction over the non-empty axis of an empty array is defined.

ROWS = [
    *[
        Row(
            name,
            reference,
            axes_cases(distinct, EMPTY),
            (*axes_raise(name), bad(ValueError, rf"{name}\(float64\[0, 3\]\): zero-size", np.ones((0, 3)), axis=0)),
            ONE_OPERAND,
        )
        for name, reference in (("max", np.max), ("min", np.min))
    ],
    Row("logsumexp", special.logsumexp, axes_cases(empty=EMPTY), axes_raise("logsumexp"), ONE_OPERAND),
]

import numpy as np

from tests.table import away_from, binary, unary, uniform


def dividend(*shape: int) -> np.ndarray:
    """Numbers whose quotient by `divisor` is not near an integer."""
    return np.asarray(uniform(-0.45, -0.1, *shape) + 3 * np.round(uniform(-2, 2, *shape)))


def divisor(*shape: int) -> np.ndarray:
    return np.asarray(uniform(0.98, 1.02, *shape) * 3)


ROWS = [
    binary("floor_divide", np.floor_divide, dividend, divisor),
    binary("mod", np.mod, dividend, divisor),
    binary(
        "fmod",
        np.fmod,
        dividend,
        divisor,
        non_finite_exempt=dict.fromkeys(
            ("plain", "0-d, with an array"), "a divisor that is NaN leaves NaN, even where a number is less than it"
        ),
    ),
    unary("reciprocal", lambda x: 1 / x, lambda *shape: away_from((0.0,), *shape, by=0.3)),
]

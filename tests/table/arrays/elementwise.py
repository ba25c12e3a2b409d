import numpy as np

from tests.table import BY_NUMPY, away_from, unary, uniform


def positive(*shape: int) -> np.ndarray:
    return uniform(0.5, 2.0, *shape)


def not_zero(*shape: int) -> np.ndarray:
    return away_from((0.0,), *shape)


ROWS = [
    unary("square", np.square),
    unary("sqrt", np.sqrt, positive, integers=BY_NUMPY),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), positive, integers=(1, 120)),
    unary("cbrt", np.cbrt, not_zero, integers=BY_NUMPY),
    unary("exp", np.exp, integers=BY_NUMPY),
    unary("expm1", np.expm1, integers=BY_NUMPY),
    unary("log", np.log, positive, integers=BY_NUMPY),
    unary("log1p", np.log1p, lambda *shape: uniform(-0.5, 2.0, *shape), integers=BY_NUMPY),
    unary("abs", np.abs, not_zero),
]

import numpy as np

from tests.table import away_from, unary, uniform


def positive(*shape: int) -> np.ndarray:
    return uniform(0.5, 2.0, *shape)


def not_zero(*shape: int) -> np.ndarray:
    return away_from((0.0,), *shape)


ROWS = [
    unary("square", np.square),
    unary("sqrt", np.sqrt, positive),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), positive),
    unary("cbrt", np.cbrt, not_zero),
    unary("exp", np.exp),
    unary("expm1", np.expm1),
    unary("log", np.log, positive),
    unary("log1p", np.log1p, lambda *shape: uniform(-0.5, 2.0, *shape)),
    unary("abs", np.abs, not_zero),
]

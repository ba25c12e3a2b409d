import numpy as np

from tests.table import unary, uniform


def in_domain(*shape: int) -> np.ndarray:
    return uniform(-0.8, 0.8, *shape)


ROWS = [
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("tan", np.tan, in_domain),
    unary("arcsin", np.arcsin, in_domain),
    unary("arccos", np.arccos, in_domain),
    unary("arctan", np.arctan),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("tanh", np.tanh),
]

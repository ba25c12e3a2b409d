import numpy as np

from tests.table import BY_NUMPY, unary, uniform


def in_domain(*shape: int) -> np.ndarray:
    return uniform(-0.8, 0.8, *shape)


ROWS = [
    unary("sin", np.sin, integers=BY_NUMPY),
    unary("cos", np.cos, integers=BY_NUMPY),
    unary("tan", np.tan, in_domain, integers=BY_NUMPY),
    unary("arcsin", np.arcsin, in_domain, integers=BY_NUMPY),
    unary("arccos", np.arccos, in_domain, integers=BY_NUMPY),
    unary("arctan", np.arctan, integers=BY_NUMPY),
    unary("sinh", np.sinh, integers=BY_NUMPY),
    unary("cosh", np.cosh, integers=BY_NUMPY),
    unary("tanh", np.tanh, integers=BY_NUMPY),
]

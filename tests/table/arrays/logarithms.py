import numpy as np

from tests.table import BY_NUMPY, binary, normal, unary, uniform


def positive(*shape: int) -> np.ndarray:
    return uniform(0.5, 2.0, *shape)


ROWS = [
    unary("exp2", np.exp2, integers=BY_NUMPY),
    unary("log2", np.log2, positive, integers=BY_NUMPY),
    unary("log10", np.log10, positive, integers=BY_NUMPY),
    binary("logaddexp", np.logaddexp, normal, integers=BY_NUMPY),
    binary("logaddexp2", np.logaddexp2, normal, integers=BY_NUMPY),
]

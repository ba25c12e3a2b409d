import numpy as np

from tests.table import BY_NUMPY, binary, normal, unary, uniform


def positive(*shape: int) -> np.ndarray:
    return uniform(0.5, 2.0, *shape)


ROWS = [
    unary("neg", np.negative),
    binary("add", np.add),
    binary("sub", np.subtract),
    binary("rsub", lambda x0, x1: x1 - x0, public_name="sub"),
    binary("mul", np.multiply),
    binary("div", np.divide, normal, positive),
    binary("rdiv", lambda x0, x1: x1 / x0, positive, normal, public_name="div"),
    binary("pow", np.power, positive, normal, integers=BY_NUMPY),
    binary("rpow", lambda x0, x1: np.power(x1, x0), normal, positive, public_name="pow", integers=BY_NUMPY),
]

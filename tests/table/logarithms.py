import numpy as np

from tests.table import binary, normal, unary, uniform


def positive(*shape: int) -> np.ndarray:
    return uniform(0.5, 2.0, *shape)


ROWS = [
    unary("exp2", np.exp2),
    unary("log2", np.log2, positive),
    unary("log10", np.log10, positive),
    binary("logaddexp", np.logaddexp, normal),
    binary("logaddexp2", np.logaddexp2, normal),
]

import numpy as np

from tests.table import unary, uniform

ROWS = [
    unary("square", np.square),
    unary("exp", np.exp),
    unary("log", np.log, lambda *shape: uniform(0.5, 2.0, *shape)),
    unary("sin", np.sin),
    unary("cos", np.cos),
]

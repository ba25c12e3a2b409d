import numpy as np

from tests.table import BY_NUMPY, away_from, binary, unary, uniform

ROWS = [
    unary("arcsinh", np.arcsinh, integers=BY_NUMPY),
    unary("arccosh", np.arccosh, lambda *shape: uniform(1.2, 3.0, *shape), integers=BY_NUMPY),
    unary("arctanh", np.arctanh, lambda *shape: uniform(-0.8, 0.8, *shape), integers=BY_NUMPY),
    binary("arctan2", np.arctan2, lambda *shape: away_from((0.0,), *shape), integers=BY_NUMPY),
    binary("hypot", np.hypot, lambda *shape: away_from((0.0,), *shape), integers=BY_NUMPY),
    unary("sinc", np.sinc),
    unary("deg2rad", np.deg2rad),
    unary("rad2deg", np.rad2deg),
]

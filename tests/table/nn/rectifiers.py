import numpy as np

from tests.table import NO_AXIS, Row, away_from, bad, case, unary


def with_kinks(*points: float):
    return lambda *shape: away_from(points, *shape)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


ROWS = [
    unary("relu", lambda x: np.maximum(x, 0), with_kinks(0), ulps=3),
    unary("relu6", lambda x: np.clip(x, 0, 6), with_kinks(0, 6), ulps=3),
    unary("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x), with_kinks(0), ulps=3),
    unary("elu", elu, with_kinks(0), ulps=3),
    unary("selu", lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772), with_kinks(0), ulps=3),
    unary("celu", elu, with_kinks(0), ulps=3),
    unary("hard_sigmoid", hard_sigmoid, with_kinks(-3, 3)),
    unary("hard_swish", lambda x: x * hard_sigmoid(x), with_kinks(-3, 3), ulps=3),
    Row(
        "prelu",
        lambda x, slope: np.where(x > 0, x, x * (slope[:, None] if x.ndim == 3 and slope.size > 1 else slope)),
        {
            "plain": case(away_from((0,), 4, 3), np.array([0.1, -0.5, 2.0])),
            "broadcast, one slope": case(away_from((0,), 4, 3), np.array(0.3)),
            "broadcast, a slope for each channel": case(away_from((0,), 2, 3, 5), np.array([0.1, -0.5, 2.0])),
            "empty": case(np.zeros((0, 3)), np.ones(3)),
            "0-d": case(np.array(-1.5), np.array(0.3)),
        },
        (
            bad(ValueError, r"prelu: slope \(2,\).*channel.*\(4, 3\)", np.ones((4, 3)), np.ones(2)),
            bad(TypeError, "prelu.*not supported", [1.0], np.ones(1)),
        ),
        NO_AXIS,
    ),
]

import numpy as np
from scipy import special

from tests.table import ONE_OPERAND, Row, away_from, bad, case, normal, unary


def glu(x, axis=-1):
    value, gate = np.split(x, 2, axis)
    return value * special.expit(gate)


def swiglu(x, axis=-1):
    gate, value = np.split(x, 2, axis)
    return gate * special.expit(gate) * value


ROWS = [
    unary("sigmoid", special.expit, ulps=3),
    unary("softplus", lambda x: np.logaddexp(x, 0), ulps=3),
    unary("softsign", lambda x: x / (1 + abs(x)), lambda *shape: away_from((0,), *shape), ulps=3),
    unary("silu", lambda x: x * special.expit(x), ulps=3),
    unary("mish", lambda x: x * np.tanh(np.logaddexp(x, 0)), ulps=3),
    unary("gelu", lambda x: x * special.ndtr(x)),
    Row(
        "glu",
        glu,
        {
            "plain": case(normal(3, 4)),
            "plain, first axis": case(normal(2, 3), 0),
            "negative axis": case(normal(2, 4, 3), -2),
            "empty": case(normal(0, 4)),
            "empty, no features": case(normal(3, 0)),
        },
        (
            bad(ValueError, r"glu: axis -1 of x \(2, 3\).*even", np.ones((2, 3))),
            bad(ValueError, r"glu: axis 2 of x \(2, 4\).*exist", np.ones((2, 4)), 2),
        ),
        {**ONE_OPERAND, "0-d": "it has no axis to be cut"},
    ),
    Row(
        "swiglu",
        swiglu,
        {
            "plain": case(normal(3, 4)),
            "plain, first axis": case(normal(2, 3), 0),
            "negative axis": case(normal(2, 4, 3), -2),
            "empty": case(normal(0, 4)),
            "empty, no features": case(normal(3, 0)),
        },
        (
            bad(ValueError, r"swiglu: axis -1 of x \(2, 3\).*even", np.ones((2, 3))),
            bad(ValueError, r"swiglu: axis 2 of x \(2, 4\).*exist", np.ones((2, 4)), 2),
        ),
        {**ONE_OPERAND, "0-d": "it has no axis to be cut"},
    ),
]

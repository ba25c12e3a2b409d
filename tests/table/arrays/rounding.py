import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, away_from, bad, case, unary, uniform

HALVES = tuple(np.arange(-10, 10.5, 0.5))


def between_halves(*shape: int) -> np.ndarray:
    return away_from(HALVES, *shape)


ROWS = [
    unary("floor", np.floor, between_halves),
    unary("ceil", np.ceil, between_halves),
    unary("trunc", np.trunc, between_halves),
    unary("sign", np.sign, between_halves),
    Row(
        "round",
        np.round,
        {
            "plain": case(between_halves(3, 4)),
            "plain, one decimal": case(np.array([0.12, 0.38, -1.23]), 1),
            "empty": case(np.zeros((0, 2))),
            "0-d": case(uniform(0.1, 0.4)),
        },
        (bad(TypeError, "round: .*not supported", np.array(["a"])),),
        {**NO_AXIS, **ONE_OPERAND},
    ),
]

import numpy as np

from tests.table import NO_AXIS, Row, bad, case, normal

MASK = np.array([[True, False, True], [False, False, True]])

ROWS = [
    Row(
        "where",
        np.where,
        {
            "plain": case(MASK, normal(2, 3), normal(2, 3)),
            "plain, with a number": case(MASK, normal(2, 3), 0.0),
            "broadcast": case(MASK, normal(2, 1), normal(3)),
            "empty": case(MASK[:0], normal(0, 3), normal(0, 3)),
            "0-d": case(np.array(True), normal(), normal()),
        },
        (
            bad(TypeError, "where: .*boolean", np.ones(3), normal(3), normal(3)),
            bad(ValueError, r"where\(.*3.*4", np.ones(3, bool), normal(3), normal(4)),
        ),
        NO_AXIS,
    ),
]

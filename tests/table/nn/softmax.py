import numpy as np
from scipy import special

from tests.table import ONE_OPERAND, Row, bad, case, normal


def row(name, reference):
    return Row(
        name,
        lambda x, axis=1: reference(x, axis) if x.size else x,
        {
            "plain": case(normal(3, 4)),
            "plain, images": case(normal(2, 3, 2, 2)),
            "plain, one axis": case(normal(5), 0),
            "negative axis": case(normal(2, 3, 4), -2),
            "empty": case(np.zeros((0, 3))),
            "empty, no classes": case(np.zeros((3, 0))),
        },
        (
            bad(ValueError, rf"{name}\(.*axis 1 is out of bounds", np.ones(3)),
            bad(TypeError, f"{name}: .*not supported", [[1.0, 2.0]]),
        ),
        {**ONE_OPERAND, "0-d": "it has no axis of classes"},
    )


ROWS = [row("softmax", special.softmax), row("log_softmax", special.log_softmax)]

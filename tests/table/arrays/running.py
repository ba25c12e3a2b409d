import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal


def axis_raises(name: str):
    return (
        bad(ValueError, rf"{name}: axis 1 is not one of x \(3,\)", np.ones(3), axis=1),
        bad(TypeError, f"{name}: list is not supported", [1.0]),
    )


ROWS = [
    Row(
        "cumprod",
        np.cumprod,
        {
            "plain": case(normal(5)),
            "plain, with zeros": case(np.array([2.0, 0.0, 3.0, 0.0, 0.5, 4.0])),
            "plain, in a row": case(normal(2, 3)),
            "plain, one axis": case(normal(2, 3, 4), axis=1),
            "negative axis": case(normal(2, 5), axis=-1),
            "empty": case(normal(0, 3), axis=0),
            "0-d": case(normal()),
        },
        axis_raises("cumprod"),
        ONE_OPERAND,
        non_finite_exempt={"plain, with zeros": "products have factors that are 0, as the running product itself"},
    ),
    Row(
        "diff",
        np.diff,
        {
            "plain": case(normal(5)),
            "plain, twice": case(normal(2, 5), 2),
            "plain, not at all": case(normal(2, 5), 0),
            "plain, more often than there are elements": case(normal(2), 3),
            "plain, one axis": case(normal(3, 2, 4), axis=0),
            "negative axis": case(normal(2, 4, 3), axis=-2),
            "empty": case(normal(0, 3), axis=0),
        },
        (*axis_raises("diff"), bad(ValueError, "diff: n is -1", np.ones(3), -1)),
        {**ONE_OPERAND, "0-d": "it has no neighbours"},
    ),
]

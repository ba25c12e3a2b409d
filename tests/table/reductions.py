import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal

ROWS = [
    Row(
        "sum_to",
        lambda x, shape: x.sum(axis=tuple(range(x.ndim - len(shape)))),
        {
            "plain": case(normal(2, 3), (3,)),
            "empty": case(normal(2, 0), (0,)),
            "0-d": case(normal(), ()),
        },
        (bad(ValueError, r"sum_to: .*3.*4", np.ones((2, 3)), (4,)),),
        {**ONE_OPERAND, "negative axis": "it takes a shape"},
    ),
    Row(
        "sum",
        np.sum,
        {
            "plain": case(normal(2, 3)),
            "plain, two axes": case(normal(2, 3, 4), axis=(0, 2)),
            "plain, axes kept": case(normal(2, 3), axis=1, keepdims=True),
            "negative axis": case(normal(2, 3), axis=-1),
            "empty": case(normal(0, 3), axis=0),
            "0-d": case(normal()),
        },
        (bad(ValueError, "sum.*axis", np.ones(3), axis=1),),
        ONE_OPERAND,
    ),
]

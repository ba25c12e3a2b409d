import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal

ROWS = [
    Row(
        "reshape",
        np.reshape,
        {
            "plain": case(normal(2, 6), (3, 4)),
            "plain, one length computed": case(normal(2, 6), (3, -1)),
            "plain, one axis": case(normal(2, 6), -1),
            "empty": case(normal(0, 3), (3, 0)),
            "0-d": case(normal(), (1, 1)),
        },
        (bad(ValueError, r"reshape\(.*3\].*4", np.ones(3), (4,)),),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "broadcast_to",
        np.broadcast_to,
        {
            "plain": case(normal(3), (2, 3)),
            "plain, axes of length 1": case(normal(2, 1, 3), (2, 2, 4, 3)),
            "empty": case(normal(1), (0,)),
            "0-d": case(normal(), (2, 3)),
        },
        (bad(ValueError, r"broadcast_to\(.*3\].*4", np.ones(3), (4,)),),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "astype",
        lambda x, dtype: x.astype(dtype),
        {
            "plain": case(np.arange(3), np.int32),
            "empty": case(np.zeros(0, bool), np.int64),
            "0-d": case(np.array(1), np.int8),
        },
        (bad(TypeError, "astype: complex128 is not supported", np.ones(3), complex),),
        {**NO_AXIS, **ONE_OPERAND},
        order=0,
    ),
]

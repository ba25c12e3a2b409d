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
        "ravel",
        np.ravel,
        {"plain": case(normal(2, 3)), "empty": case(normal(0, 3)), "0-d": case(normal())},
        (bad(TypeError, "not supported", "abc"),),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "flatten",
        lambda x: x.reshape(x.shape[0], int(np.prod(x.shape[1:]))),
        {
            "plain": case(normal(2, 3, 4)),
            "plain, one axis": case(normal(3)),
            "empty": case(normal(0, 3, 2)),
            "empty, with a batch": case(normal(2, 0, 3)),
        },
        (bad(ValueError, r"flatten: x \(\) has no axes", np.array(1.0)),),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no batch axis"},
    ),
    Row(
        "expand_dims",
        np.expand_dims,
        {
            "plain": case(normal(2, 3), 1),
            "plain, two axes": case(normal(2, 3), (0, -1)),
            "negative axis": case(normal(2, 3), -1),
            "negative axis, in the middle": case(normal(2, 3), -2),
            "empty": case(normal(0, 3), 1),
            "0-d": case(normal(), 0),
        },
        (bad(ValueError, r"expand_dims\(.*2, 3\].*axis 3", np.ones((2, 3)), 3),),
        ONE_OPERAND,
    ),
    Row(
        "squeeze",
        np.squeeze,
        {
            "plain": case(normal(1, 3, 1)),
            "plain, one axis": case(normal(1, 3, 1), 0),
            "plain, two axes": case(normal(1, 3, 1), (0, 2)),
            "negative axis": case(normal(1, 3, 1), -1),
            "empty": case(normal(1, 0)),
            "0-d": case(normal()),
        },
        (
            bad(ValueError, r"squeeze\(.*2, 3\].*size not equal to one", np.ones((2, 3)), 0),
            bad(ValueError, r"squeeze\(.*2, 3\].*axis 2", np.ones((2, 3)), 2),
        ),
        ONE_OPERAND,
    ),
    Row(
        "transpose",
        np.transpose,
        {
            "plain": case(normal(2, 3, 4)),
            "plain, given axes": case(normal(2, 3, 4), (1, 2, 0)),
            "negative axis": case(normal(2, 3, 4), (-2, 0, -1)),
            "empty": case(normal(0, 3), (1, 0)),
            "0-d": case(normal()),
        },
        (
            bad(ValueError, r"transpose\(.*2, 3\].*axes", np.ones((2, 3)), (0, 1, 2)),
            bad(ValueError, r"transpose\(.*2, 3\].*axes", np.ones((2, 3)), 0),
            bad(ValueError, r"transpose\(.*2, 3\].*repeated axis", np.ones((2, 3)), (0, 0)),
        ),
        ONE_OPERAND,
    ),
    Row(
        "swapaxes",
        np.swapaxes,
        {
            "plain": case(normal(2, 3, 4), 0, 1),
            "negative axis": case(normal(2, 3, 4), 0, -1),
            "empty": case(normal(0, 3), 0, 1),
        },
        (bad(ValueError, r"swapaxes\(.*2, 3\].*axis.* 2", np.ones((2, 3)), 0, 2),),
        {**ONE_OPERAND, "0-d": "it has no axes to exchange"},
    ),
    Row(
        "moveaxis",
        np.moveaxis,
        {
            "plain": case(normal(2, 3, 4), 0, 2),
            "plain, two axes": case(normal(2, 3, 4), (0, 1), (2, 0)),
            "negative axis": case(normal(2, 3, 4), -1, 0),
            "empty": case(normal(0, 3), 0, 1),
        },
        (bad(ValueError, r"moveaxis\(.*2, 3\].*axis 2", np.ones((2, 3)), 2, 0),),
        {**ONE_OPERAND, "0-d": "it has no axes to move"},
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

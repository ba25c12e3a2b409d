from dataclasses import replace

import numpy as np
from scipy import special

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal, unary
from tests.table.nn.convolution import BORDER, FIXED, convolution
from tests.table.nn.pools import IMAGES, largest

LABELS = np.array([2, 0, 1, 2])

ROWS = [
    Row(
        "sigmoid_simple",
        special.expit,
        unary("sigmoid_simple", special.expit).cases,
        (bad(TypeError, "not supported", [1.0]),),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "softmax_simple",
        lambda x, axis=1: special.softmax(x, axis),
        {
            "plain": case(normal(4, 3)),
            "negative axis": case(normal(2, 3, 4), -2),
        },
        (bad(ValueError, "axis", normal(3), 1),),
        {**ONE_OPERAND, "0-d": "it has no axis of classes", "empty": "softmax is the one for all cases"},
    ),
    Row(
        "mean_squared_error_simple",
        lambda x, t: ((x - t) ** 2).mean(),
        {
            "plain": case(normal(4, 3), normal(4, 3)),
            "0-d": case(normal(), normal()),
        },
        (
            bad(ValueError, "mean_squared_error_simple.*last layer", normal(3), normal(4)),
            bad(ValueError, r"t.reshape\(\(4, 1\)\)", normal(4, 1), normal(4)),
        ),
        {**NO_AXIS, "empty": "mean_squared_error is the one for all cases", "broadcast": "unequal shapes raise"},
    ),
    Row(
        "softmax_cross_entropy_simple",
        lambda x, t: -special.log_softmax(x, axis=1)[np.arange(len(t)), t].mean(),
        {"plain": case(normal(4, 3), LABELS)},
        (bad(IndexError, "label 3 is out of range", normal(4, 3), LABELS + 1),),
        {
            **NO_AXIS,
            "broadcast": "mismatched shapes raise",
            "0-d": "it needs an axis of classes",
            "empty": "softmax_cross_entropy is the one for all cases",
        },
    ),
    Row(
        "conv2d_simple",
        convolution,
        {
            "plain": case(normal(2, 3, 5, 4), normal(2, 3, 3, 2), normal(2)),
            "plain, stride and padding": case(normal(1, 2, 5, 6), normal(3, 2, 3, 3), None, (2, 1), (0, 1)),
            "empty": case(normal(0, 3, 5, 4), normal(2, 3, 3, 2), normal(2), 2, 1),
        },
        (
            bad(ValueError, r"conv2d_simple: x \(3, 5, 5\) needs the axes", np.ones((3, 5, 5)), np.ones((2, 3, 3, 3))),
            bad(ValueError, "does not fit into 2", np.ones((1, 3, 2, 2)), np.ones((2, 3, 3, 3))),
            bad(ValueError, r"conv2d_simple\(.*27\].*\[18, 2\]", np.ones((1, 3, 5, 5)), np.ones((2, 2, 3, 3))),
        ),
        FIXED,
        non_finite_exempt=BORDER,
    ),
    Row(
        "pooling_simple",
        largest,
        {
            "plain": case(normal(2, 3, 5, 4), 2),
            "plain, stride and padding": case(normal(1, 2, 5, 6), (3, 2), (2, 1), (1, 0)),
            "empty": case(normal(0, 3, 5, 4), 2),
        },
        (
            bad(ValueError, r"pooling_simple: x \(3, 5\) needs the axes \(N, C, H, W\);", np.ones((3, 5)), 2),
            bad(ValueError, "does not fit into 2", np.ones((1, 3, 2, 2)), 3),
            bad(TypeError, "pooling_simple: 2.0 is neither", np.ones((1, 3, 2, 2)), 2.0),
        ),
        IMAGES,
    ),
]
# Composed of functions that round to float16 each.
ROWS = [replace(row, rtol16=2**-8, atol16=2**-8) for row in ROWS]

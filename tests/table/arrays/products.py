from dataclasses import replace

import numpy as np

from tests.table import NO_AXIS, Row, bad, case, normal

NO_LIST = "list is not supported"


def pairs(prefix: str, *shapes: tuple[tuple[int, ...], tuple[int, ...]]):
    """A case for each pair of shapes."""
    return {f"{prefix}, {s0} {s1}": case(normal(*s0), normal(*s1)) for s0, s1 in shapes}


VECTORS = pairs("plain", ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)))
MATRICES = pairs("plain", ((2, 3), (3, 4)), ((1, 1), (1, 1)))
BATCHES = pairs("plain", ((5, 2, 3), (3, 4)), ((5, 2, 3), (3,)), ((2, 5, 2, 3), (3, 4)))
EMPTY = pairs("empty", ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 0, 3), (3, 4)), ((0,), (0,)))
BROADCAST = pairs(
    "broadcast",
    ((5, 2, 3), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((5, 0, 2, 3), (1, 3, 4)),
)


def linear_by_numpy(x, W, b=None):
    y = x @ W
    return y if b is None else y + b


def linear_cases():
    W, b = normal(3, 4), normal(4)
    return {
        "plain": case(normal(5, 3), W, b),
        "plain, without b": case(normal(5, 3), W),
        "plain, a vector": case(normal(3), W, b),
        "plain, more axes": case(normal(2, 5, 3), W, b),
        "plain, more axes, without b": case(normal(2, 5, 3), W),
        "empty": case(normal(0, 3), W, b),
        "empty, no inputs": case(normal(2, 0), normal(0, 4), b),
        "empty, more axes": case(normal(2, 0, 3), W, b),
    }


NO_NUMBER = {"0-d": "it takes matrices and vectors"}

ROWS = [
    Row(
        "matmul",
        np.matmul,
        {**VECTORS, **MATRICES, **BATCHES, **EMPTY, **BROADCAST},
        (
            bad(
                ValueError, r"matmul\(float64\[2, 3\], float64\[4, 3\]\): .*swapaxes", np.ones((2, 3)), np.ones((4, 3))
            ),
            bad(ValueError, r"matmul\(.*\[2, 3, 4\], .*\[5, 4, 3\]", np.ones((2, 3, 4)), np.ones((5, 4, 3))),
            bad(ValueError, r"matmul\(.*\[2, 3, 4\], .*\[3, 3\]", np.ones((2, 3, 4)), np.ones((3, 3))),
            bad(ValueError, r"matmul\(float64\[3\], float64\[\]\)", np.ones(3), 2.0),
            bad(TypeError, f"matmul: {NO_LIST}", [1.0], np.ones(1)),
        ),
        {**NO_AXIS, **NO_NUMBER},
    ),
    *[
        Row(
            name,
            linear_by_numpy,
            linear_cases(),
            (
                bad(ValueError, rf"{name}\(float64\[2, 3\], float64\[4, 3\]", np.ones((2, 3)), np.ones((4, 3))),
                bad(ValueError, f"{name}.*3.*4", np.ones((2, 3)), np.ones((3, 4)), np.ones(3)),
                bad(ValueError, rf"{name}\(float64\[\]", np.array(1.0), np.ones((1, 4))),
                bad(TypeError, f"{name}: {NO_LIST}", [1.0], np.ones((1, 4))),
            ),
            {**NO_AXIS, **NO_NUMBER, "broadcast": "axes in front of x are a plain case"},
        )
        for name in ("linear", "linear_simple")
    ],
    Row(
        "dot",
        np.dot,
        {
            **VECTORS,
            **MATRICES,
            **BATCHES,
            **EMPTY,
            **pairs("plain", ((2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((2, 5, 3), (4, 3, 2))),
            **pairs("0-d", ((), ()), ((), (2, 3)), ((2,), ())),
        },
        (
            bad(ValueError, r"dot\(float64\[2\], float64\[3\]", np.ones(2), np.ones(3)),
            bad(ValueError, r"dot: x0 \(2,\) and x1 \(2, 3, 2\)", np.ones(2), np.ones((2, 3, 2))),
            bad(TypeError, f"dot: {NO_LIST}", [1.0], np.ones(1)),
        ),
        {**NO_AXIS, "broadcast": "it does not broadcast"},
    ),
    Row(
        "outer",
        np.outer,
        {
            "plain": case(normal(2), normal(3)),
            "plain, more axes": case(normal(2, 2), normal(3, 1)),
            "empty": case(normal(0), normal(3)),
            "0-d": case(normal(), normal(3)),
        },
        (bad(TypeError, NO_LIST, np.ones(1), [1.0]),),
        {**NO_AXIS, "broadcast": "it does not broadcast"},
    ),
]
# Composed of functions that round to float16 each.
COMPOSED = ("linear_simple", "dot", "outer")
ROWS = [replace(row, atol16=2**-8) if row.name in COMPOSED else row for row in ROWS]

import numpy as np

from passus.errors import ArgumentError
from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal


def triangle(name: str) -> Row:
    return Row(
        name,
        getattr(np, name),
        {
            "plain": case(normal(3, 4)),
            "plain, above the main diagonal": case(normal(3, 3), 1),
            "plain, below the main diagonal, of several matrices": case(normal(2, 3, 3), -1),
            "empty": case(normal(0, 3)),
        },
        (bad(ValueError, rf"{name}: x \(3,\) must have two axes", np.ones(3)),),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it takes matrices"},
    )


NUMPYS_NAMES = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}

ROWS = [
    triangle("tril"),
    triangle("triu"),
    Row(
        "flip",
        np.flip,
        {
            "plain": case(normal(2, 3)),
            "plain, one axis": case(normal(2, 3), 0),
            "negative axis": case(normal(2, 3), -1),
            "negative axis, and another": case(normal(2, 3, 4), (-1, 0)),
            "empty": case(normal(0, 3)),
            "0-d": case(normal()),
        },
        (bad(ValueError, r"flip\(float64\[3\]\).*axis 1", np.ones(3), 1),),
        ONE_OPERAND,
    ),
    Row(
        "roll",
        np.roll,
        {
            "plain": case(normal(2, 3), 2),
            "plain, backwards along an axis": case(normal(2, 3), -1, 1),
            "negative axis": case(normal(2, 3), 1, -1),
            "negative axis, and another": case(normal(2, 3), [1, -2], (0, -1)),
            "empty": case(normal(0, 3), 1, 0),
            "0-d": case(normal(), 1),
        },
        (bad(ValueError, r"roll\(float64\[3\]\).*axis 1", np.ones(3), 1, 1),),
        ONE_OPERAND,
    ),
    Row(
        "tile",
        np.tile,
        {
            "plain": case(normal(2, 3), (2, 3)),
            "plain, one number": case(normal(2, 3), np.int64(2)),
            "plain, fewer than axes": case(normal(2, 3, 2), (3, 1)),
            "plain, more than axes": case(normal(2), (2, 3, 2)),
            "plain, no copies": case(normal(2, 3), (0, 2)),
            "empty": case(normal(0, 3), (2, 2)),
            "0-d": case(normal(), 3),
        },
        (
            bad(ArgumentError, "tile: reps is -1; it must not be negative", np.ones(3), -1),
            bad(TypeError, "tile: reps must be integers", np.ones(3), 1.5),
        ),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "repeat",
        np.repeat,
        {
            "plain": case(normal(2, 3), 2),
            "plain, along an axis": case(normal(2, 3), np.int64(3), 0),
            "plain, not at all": case(normal(2, 3), 0, 1),
            "plain, each its own number": case(normal(2, 3), [2, 0, 1], 1),
            "negative axis": case(normal(2, 3, 2), 2, -2),
            "negative axis, each its own number": case(normal(2, 3), [2, 0, 1], -1),
            "empty": case(normal(0, 3), 2, 0),
            "0-d": case(normal(), 3),
        },
        (
            bad(ArgumentError, "repeat: repeats is -1; it must not be negative", np.ones(3), -1),
            bad(ArgumentError, "repeat: repeats is .2, -1.; it must not", np.ones(2), [2, -1], 0),
            bad(TypeError, "repeat: axis is a float", np.ones(2), [2, 1], 0.5),
            bad(ValueError, r"repeat\(float64\[3\]\).*axis 1", np.ones(3), 2, 1),
            bad(TypeError, r"repeat: repeats must be integers, not 1.5", np.ones(3), 1.5),
            bad(ValueError, r"repeat: repeats \[1, 2\] must be one number.*\(3,\) along axis 0", np.ones(3), [1, 2], 0),
        ),
        ONE_OPERAND,
    ),
    Row(
        "pad",
        lambda x, widths, mode="constant", **o: np.pad(x, widths, NUMPYS_NAMES.get(mode, mode), **o),
        {
            "plain": case(normal(2, 3), ((1, 2), (0, 1))),
            "plain, one number": case(normal(2, 3), 1, constant_values=2.5),
            "plain, one pair": case(normal(2, 3), (2, 1)),
            "plain, edge": case(normal(2, 3), 2, mode="edge"),
            "plain, reflect": case(normal(3, 4), ((1, 2), (0, 3)), mode="reflect"),
            "plain, reflect more than once": case(normal(3), 5, mode="reflect"),
            "plain, symmetric": case(normal(2, 3), ((1, 2), (3, 0)), mode="symmetric"),
            "plain, wrap": case(normal(2, 3), 2, mode="wrap"),
            "plain, zeros": case(normal(2, 3), 2, mode="zeros"),
            "plain, replicate": case(normal(2, 3), 2, mode="replicate"),
            "plain, circular": case(normal(2, 3), ((1, 2), (7, 0)), mode="circular"),
            "empty": case(normal(0, 3), 1),
            "empty, other axes reflected": case(normal(0, 3), ((0, 0), (1, 1)), mode="reflect"),
        },
        (
            bad(ValueError, "pad: mode must be constant, edge.* not 'mean'", np.ones(3), 1, mode="mean"),
            bad(ValueError, "pad: mode must be constant, edge.* not ", np.ones(3), 1, mode=["edge"]),
            bad(
                ValueError,
                "pad: with mode 'zeros', constant_values is 0",
                np.ones(3),
                1,
                mode="zeros",
                constant_values=1,
            ),
            bad(ValueError, "pad: pad_width -1 must not be negative", np.ones(3), -1),
            bad(TypeError, "pad: pad_width must be integers, not 0.5", np.ones(3), 0.5),
            bad(ValueError, r"pad: pad_width \(1, 2, 3\) does not fit .*\(3,\)", np.ones(3), (1, 2, 3)),
            bad(ValueError, r"pad: x \(\) has no axes", np.array(1.0), 1),
            bad(ValueError, r"pad: axis 0 of x \(0,\) is empty", np.ones(0), 1, mode="edge"),
        ),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no axes to pad"},
    ),
]

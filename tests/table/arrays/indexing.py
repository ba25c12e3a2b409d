import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, integers, normal

MASK = np.array([[True, False, True], [False, False, True]])

ROWS = [
    Row(
        "get_item",
        lambda x, index: x[index],
        {
            "plain": case(normal(2, 3), 1),
            "plain, one element": case(normal(2, 3), (1, -1)),
            "plain, slices": case(normal(4, 5), (slice(None, None, -2), slice(1, 4))),
            "plain, new axes and the rest": case(normal(2, 3), (None, Ellipsis, 0)),
            "plain, repeated indices": case(normal(3, 2), np.array([0, 0, 2, 0])),
            "plain, a list": case(normal(3, 2), [2, -1, 2]),
            "plain, an empty list": case(normal(3, 2), []),
            "plain, two arrays that broadcast": case(normal(3, 4), (np.array([[0], [2]]), np.array([1, 1, 3]))),
            "plain, an array between slices": case(normal(2, 3, 4), (slice(None), np.array([2, 2]), slice(1, 3))),
            "plain, a mask": case(normal(2, 3), MASK),
            "plain, a mask of one axis": case(normal(2, 3), (slice(None), np.array([True, False, True]))),
            "plain, a mask beside integers": case(normal(2, 3), (np.array([True, True]), np.array([0, 0]))),
            "empty": case(normal(0, 3), (slice(None), 1)),
            "empty, nothing taken": case(normal(3), slice(0, 0)),
            "0-d": case(normal(), ()),
            "0-d, everything": case(normal(), Ellipsis),
        },
        (
            bad(IndexError, r"get_item\(float64\[3\]\): index 3 is out of bounds", np.ones(3), 3),
            bad(IndexError, r"get_item\(float64\[3\]\): too many indices", np.ones(3), (0, 0)),
            bad(IndexError, "get_item.*boolean index did not match", np.ones(3), np.ones(2, bool)),
            bad(IndexError, "get_item.*only integers", np.ones(3), 1.0),
        ),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "take_along_axis",
        np.take_along_axis,
        {
            "plain": case(normal(3, 4), integers(3, 2, 4), 0),
            "plain, last axis": case(normal(3, 4), integers(4, 3, 6)),
            "plain, all in a row": case(normal(3, 4), integers(12, 5), None),
            "plain, negative indices": case(normal(3, 4), -1 - integers(4, 3, 2)),
            "negative axis": case(normal(2, 3, 4), integers(3, 2, 2, 4), -2),
            "broadcast": case(normal(3, 4), integers(4, 1, 2), -1),
            "empty": case(normal(0, 3), integers(3, 0, 2), 1),
        },
        (
            bad(TypeError, "take_along_axis: indices must be integers, not float64", np.ones((2, 3)), np.ones((2, 1))),
            bad(ValueError, r"take_along_axis: x \(2, 3\) and indices \(2,\)", np.ones((2, 3)), np.array([0, 1])),
            bad(ValueError, r"take_along_axis: .* axis 2", np.ones((2, 3)), np.zeros((2, 1), int), 2),
            bad(IndexError, "index 3 is out of bounds", np.ones((2, 3)), np.full((2, 1), 3)),
        ),
        {"0-d": "it has no axis to take along"},
    ),
]

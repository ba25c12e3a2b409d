from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from tests.table import Row, bad, case, integers, normal, uniform

EXEMPT = {"broadcast": "unequal shapes raise", "negative axis": "it has no axis"}


def probabilities(*shape):
    return uniform(0.1, 0.9, *shape)


def reduced(losses, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def row(name, loss, draw_x=normal, draw_t=normal, *extra, binary=False, **more_cases):
    """The row of a loss of two arrays of equal shape; ``extra`` are further calls that must raise.

    ``binary``: shapes may differ by axes of length 1: the book's programs give (N,) for (N, 1).
    """
    one = np.ones(3)
    other = np.ones((3, 3)) if binary else one[:, None]
    flat = {
        "plain, a target without the axis": case(draw_x(3, 1), draw_t(3)),
        "plain, a target with one more": case(draw_x(3), draw_t(3, 1), reduction="none"),
        "plain, weights without the axis": case(draw_x(3, 1), draw_t(3, 1), weight=np.array([0.5, 1.0, 2.0])),
    }
    return Row(
        name,
        lambda x, t, reduction="mean", **options: reduced(loss(x, t.reshape(x.shape), **options), reduction),
        {
            "plain": case(draw_x(3, 4), draw_t(3, 4)),
            "plain, sum": case(draw_x(5), draw_t(5), reduction="sum"),
            "plain, of each element": case(draw_x(2, 1, 3), draw_t(2, 1, 3), reduction="none"),
            **{f"plain, {kind}": case(draw_x(3, 4), draw_t(3, 4), **options) for kind, options in more_cases.items()},
            "plain, one number": case(draw_x(1, 1), draw_t(1)),
            **(flat if binary else {}),
            "empty": case(draw_x(0, 3), draw_t(0, 3), reduction="sum"),
            "empty, of each element": case(draw_x(0, 3), draw_t(0, 3), reduction="none"),
            "0-d": case(np.asarray(draw_x()), np.asarray(draw_t())),
            "0-d, of each element": case(np.asarray(draw_x()), np.asarray(draw_t()), reduction="none"),
        },
        (
            bad(
                ValueError,
                rf"{name}: x \(3,\) and t \(3, [13]\) must have the same shape, because broadcasting",
                one,
                other,
            ),
            bad(ValueError, f"{name}: reduction must be.*not 'average'", one, one, reduction="average"),
            bad(ValueError, f"{name}: the mean over an empty batch", one[:0], one[:0]),
            bad(TypeError, f"{name}: list is not supported", one, [1.0, 1.0, 1.0]),
            *extra,
        ),
        EXEMPT,
    )


def huber(x, t, delta=1.0):
    return special.huber(delta, x - t)


def far_apart(*shape):
    """Targets whose differences from normal numbers avoid the kinks of the losses."""
    return integers(2, *shape) * 40.0 - 20.0


def near(*shape):
    return uniform(0.3, 0.4, *shape)


def signs(*shape):
    return integers(2, *shape) * 2 - 1


def in_shape(weight, x):
    """Weights in the shape of x."""
    return np.reshape(weight, x.shape) if np.size(weight) == x.size else weight


def sigmoid_cross_entropy(x, t, weight=1.0, pos_weight=1.0):
    weight = in_shape(weight, x)
    return -weight * (pos_weight * t * special.log_expit(x) + (1 - t) * special.log_expit(-x))


def binary_cross_entropy(p, t, weight=1.0):
    weight = in_shape(weight, p)
    return -weight * (special.xlogy(t, p) + special.xlog1py(1 - t, -p))


ROWS = [
    row("mean_squared_error", lambda x, t: (x - t) ** 2),
    row("l1_loss", lambda x, t: abs(x - t), normal, far_apart),
    row(
        "huber",
        huber,
        near,
        lambda *shape: near(*shape) + 0.5 * signs(*shape),
        bad(ValueError, "huber: delta is 0.0; it must be 0 < delta", np.ones(1), np.ones(1), 0.0),
        linear={"delta": 0.25},
    ),
    row(
        "hinge",
        lambda x, t: np.maximum(0, 1 - x * t),
        lambda *shape: 0.9 * near(*shape) + signs(*shape),
        signs,
        bad(IndexError, "hinge: t must be 1 or -1", np.ones(2), np.array([0, 1])),
    ),
    row(
        "sigmoid_cross_entropy",
        sigmoid_cross_entropy,
        normal,
        probabilities,
        binary=True,
        weights={"weight": np.array([0.5, 1.0, 2.0, 3.0])},
        no_weight={"weight": np.array([0.5, 0.0, 2.0, 3.0]), "pos_weight": 2.0},
        positive={"pos_weight": np.array([0.5, 1.0, 2.0, 3.0])},
        both={"weight": 0.5, "pos_weight": 3.0, "reduction": "sum"},
    ),
    row(
        "binary_cross_entropy",
        binary_cross_entropy,
        probabilities,
        probabilities,
        bad(ValueError, "binary_cross_entropy: p must lie between 0 and 1", np.array([1.5]), np.ones(1)),
        binary=True,
        weights={"weight": np.array([0.5, 1.0, 2.0, 3.0]), "reduction": "none"},
        no_weight={"weight": np.array([0.5, 0.0, 2.0, 3.0])},
    ),
]
OF_INTEGERS: dict[str, dict[str, Any]] = {
    "binary_cross_entropy": {"integers": (0, 1)},
    "sigmoid_cross_entropy": {"integer_arguments": (0,)},  # Targets of integers are 0 or 1.
}
ROWS = [replace(row, **OF_INTEGERS.get(row.name, {})) for row in ROWS]

import numpy as np

from tests.table import Row, bad, case, normal
from tests.table.nn.losses import reduced

T = np.array([1, -1, 1, -1])
BEYOND = "every finite number lies beyond the kink, but NaN does not"
# Where t is -1, the cosines are -0.8 and 0.5: on either side of the kinks at 0 and 0.2.
VECTORS = np.random.default_rng(1).standard_normal((2, 4, 3))


def cosine(x0, x1, axis=1):
    lengths = np.linalg.norm(x0, axis=axis) * np.linalg.norm(x1, axis=axis)
    return (x0 * x1).sum(axis=axis) / lengths


def cosine_embedding_loss(x0, x1, t, margin=0.0, reduction="mean"):
    c = cosine(x0, x1)
    return reduced(np.where(t == 1, 1 - c, np.maximum(0, c - margin)), reduction)


def triplet_loss(a, p, n, margin=1.0, reduction="mean"):
    distances = [np.linalg.norm(a - x + 1e-6, axis=-1) for x in (p, n)]
    return reduced(np.maximum(distances[0] - distances[1] + margin, 0), reduction)


ROWS = [
    Row(
        "cosine_similarity",
        cosine,
        {
            "plain": case(normal(3, 4), normal(3, 4)),
            "negative axis": case(normal(3, 4, 2), normal(3, 4, 2), -2),
            "broadcast": case(normal(3, 1, 4), normal(1, 2, 4), -1),
            "broadcast, fewer axes": case(normal(4), normal(2, 4), -1),
            "empty": case(np.zeros((0, 4)), np.zeros((0, 4))),
        },
        (
            bad(ValueError, r"cosine_similarity: x0 \(3, 4\).*\(3, 5\)", np.ones((3, 4)), np.ones((3, 5))),
            bad(ValueError, "cosine_similarity: .*no axis 1", np.ones(3), np.ones(3)),
        ),
        {"0-d": "it compares vectors"},
    ),
    Row(
        "cosine_embedding_loss",
        cosine_embedding_loss,
        {
            "plain": case(*VECTORS, T),
            "plain, margin": case(*VECTORS, T, 0.2, reduction="none"),
            "empty": case(np.zeros((0, 3)), np.zeros((0, 3)), T[:0], reduction="sum"),
        },
        (
            bad(ValueError, r"x0 \(4, 3\) and t \(3,\) must be", np.ones((4, 3)), np.ones((4, 3)), T[:3]),
            bad(IndexError, "cosine_embedding_loss: t must be 1 or -1", np.ones((4, 3)), np.ones((4, 3)), 0 * T),
            bad(ValueError, "the mean over an empty batch", np.ones((0, 3)), np.ones((0, 3)), T[:0]),
        ),
        {"0-d": "it compares vectors", "broadcast": "unequal shapes raise", "negative axis": "it has no axis"},
        non_finite_exempt={"plain, margin": BEYOND},
    ),
    Row(
        "triplet_loss",
        triplet_loss,
        {
            "plain": case(normal(4, 3), normal(4, 3), normal(4, 3)),
            "plain, a sequence": case(normal(2, 4, 3), normal(2, 4, 3), normal(2, 4, 3), 0.3, reduction="none"),
            "empty": case(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum"),
        },
        (
            bad(ValueError, r"triplet_loss: .*\(4, 3\).*\(4, 2\)", np.ones((4, 3)), np.ones((4, 3)), np.ones((4, 2))),
            bad(ValueError, "triplet_loss: .*not scalars", np.array(1.0), np.array(1.0), np.array(1.0)),
            bad(ValueError, "triplet_loss: the mean over an empty batch", *[np.ones((0, 3))] * 3),
        ),
        {"0-d": "it compares vectors", "broadcast": "unequal shapes raise", "negative axis": "it has no axis"},
        non_finite_exempt={"plain": BEYOND},
    ),
]

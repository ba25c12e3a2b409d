import numpy as np
from scipy import special

from tests.table import Row, bad, case, integers, normal, uniform
from tests.table.nn.losses import reduced

EXEMPT = {
    "broadcast": "mismatched shapes raise",
    "0-d": "it needs an axis of classes",
}
ON_AXIS_1 = {"negative axis": "classes are on axis 1"}
LABELS = np.array([2, 0, 1, 2, 1])
WEIGHT = np.array([0.5, 1.0, 3.0])


def distribution(*shape):
    return special.softmax(uniform(-1, 1, *shape), axis=1)


def nll(log_p, t, weight=None, ignore_index=None, reduction="mean", axis=1):
    """The loss by a loop over all labels."""
    log_p = np.moveaxis(log_p, axis, 1)
    weight = np.ones(log_p.shape[1]) if weight is None else weight
    losses, weights = np.zeros(t.shape), np.zeros(t.shape)
    for i in np.ndindex(t.shape):
        if t[i] != ignore_index:
            weights[i] = weight[t[i]]
            losses[i] = -weights[i] * log_p[(i[0], t[i], *i[1:])]
    return losses.sum() / weights.sum() if reduction == "mean" else reduced(losses, reduction)


def softmax_cross_entropy(x, t, label_smoothing=0.0, weight=None, reduction="mean", axis=1, **options):
    x, t = np.moveaxis(x, axis, 1), np.moveaxis(t, axis, 1) if t.dtype.kind == "f" else t
    log_p = special.log_softmax(x, axis=1) if x.size else x
    if t.dtype.kind == "f":
        t = (1 - label_smoothing) * t + label_smoothing / x.shape[1]
        by_class = 1.0 if weight is None else weight.reshape(-1, *[1] * (x.ndim - 2))
        return reduced(-(by_class * t * log_p).sum(axis=1), reduction)
    if not label_smoothing:
        return nll(log_p, t, weight=weight, reduction=reduction, **options)
    # The smoothed loss averages that of the label and those of all classes, each with the weight of its class.
    counted = np.ones(t.shape) if "ignore_index" not in options else t != options["ignore_index"]
    ones = np.ones(x.shape[1]) if weight is None else weight
    spread = sum(-ones[c] * log_p[:, c] for c in range(x.shape[1])) / x.shape[1] * counted
    losses = (1 - label_smoothing) * nll(log_p, t, weight, reduction="none", **options) + label_smoothing * spread
    total = (ones[np.where(counted, t, 0)] * counted).sum()
    return losses.sum() / total if reduction == "mean" else reduced(losses, reduction)


def with_labels(draw):
    """Cases that `nll_loss` and `softmax_cross_entropy` share."""
    return {
        "plain": case(draw(5, 3), LABELS),
        "plain, sum": case(draw(5, 3), LABELS, reduction="sum"),
        "plain, of each example": case(draw(5, 3), LABELS, reduction="none"),
        "plain, images": case(draw(2, 3, 2, 4), integers(3, 2, 2, 4)),
        "plain, weights": case(draw(5, 3), LABELS, weight=WEIGHT),
        "plain, weights, none reduced": case(draw(5, 3), LABELS, weight=WEIGHT, reduction="none"),
        "plain, a class without weight": case(draw(5, 3), LABELS, weight=WEIGHT * (0, 1, 1)),
        "plain, an ignored label": case(draw(5, 3), np.array([2, -100, 1, 2, 1]), ignore_index=-100),
        "plain, an ignored class, with weights": case(
            draw(2, 3, 2), integers(3, 2, 2), weight=WEIGHT, ignore_index=1, reduction="sum"
        ),
        "negative axis": case(draw(2, 4, 3), integers(3, 2, 4), axis=-1),
        "negative axis, with options": case(
            draw(2, 4, 3), integers(3, 2, 4), axis=-1, weight=WEIGHT, ignore_index=1, reduction="none"
        ),
        "empty, classes last": case(np.zeros((2, 0, 3)), np.zeros((2, 0), int), reduction="sum", axis=2),
        "empty": case(np.zeros((0, 3)), np.zeros(0, int), reduction="sum"),
        "empty, of each example": case(np.zeros((0, 3)), np.zeros(0, int), reduction="none"),
    }


def wrong_labels(name):
    x = np.ones((5, 3))
    return (
        bad(IndexError, f"{name}: label 3 is out of range: the 3 classes are 0 to 2", x, LABELS + 1),
        bad(ValueError, f"{name}: label -1 is out of range", x, LABELS - 1),
        bad(ValueError, rf"{name}: labels \(5, 1\) do not match x \(5, 3\)", x, LABELS[:, None]),
        bad(ValueError, rf"{name}: x \(3,\) needs the axes \(N, C", x[0], LABELS[:1]),
        bad(ValueError, f"{name}: the mean over an empty batch", x[:0], LABELS[:0]),
        bad(ValueError, f"{name}: the mean over an empty batch", x, 0 * LABELS, ignore_index=0),
        bad(ValueError, f"{name}: reduction must be", x, LABELS, reduction="batchmean"),
        bad(
            ValueError,
            rf"{name}: labels \(1,\) do not match x \(2, 4, 3\).*on axis -1; their shape must be \(2, 4\)",
            np.ones((2, 4, 3)),
            LABELS[:1],
            axis=-1,
        ),
        bad(ValueError, rf"{name}: axis 3 of x \(5, 3\) holds no classes", x, LABELS, axis=3),
        bad(ValueError, rf"{name}: axis 0 of x \(5, 3\) holds no classes", x, LABELS, axis=0),
        bad(TypeError, rf"{name}: axis is a float", x, LABELS, axis=1.0),
        bad(ValueError, rf"{name}: weight \(2,\) must hold one number for each class", x, LABELS, weight=np.ones(2)),
    )


ROWS = [
    Row("nll_loss", nll, with_labels(normal), wrong_labels("nll_loss"), EXEMPT),
    Row(
        "softmax_cross_entropy",
        softmax_cross_entropy,
        {
            **with_labels(normal),
            "plain, smoothed": case(normal(5, 3), LABELS, label_smoothing=0.1),
            "plain, smoothed, none reduced": case(normal(5, 3), LABELS, label_smoothing=0.1, reduction="none"),
            "plain, smoothed, an ignored label": case(normal(5, 3), LABELS, label_smoothing=0.1, ignore_index=2),
            "plain, smoothed, with all options": case(
                normal(5, 3), LABELS, label_smoothing=0.1, weight=WEIGHT, ignore_index=1
            ),
            "negative axis, smoothed": case(normal(2, 4, 3), integers(3, 2, 4), axis=-1, label_smoothing=0.1),
            "negative axis, smoothed, an ignored label": case(
                normal(2, 4, 3), integers(3, 2, 4), axis=-1, label_smoothing=0.1, ignore_index=2
            ),
            "negative axis, probabilities": case(
                normal(2, 4, 3), np.moveaxis(distribution(2, 3, 4), 1, -1), axis=-1, reduction="none"
            ),
            "plain, probabilities": case(normal(5, 3), distribution(5, 3)),
            "plain, probabilities, with all options": case(
                normal(2, 3, 4), distribution(2, 3, 4), label_smoothing=0.1, weight=WEIGHT, reduction="sum"
            ),
        },
        (
            *wrong_labels("softmax_cross_entropy"),
            bad(TypeError, "softmax_cross_entropy: label values must be integers", np.ones((5, 3)), np.ones(5)),
            bad(ValueError, r"softmax_cross_entropy: x \(5, 3\) and t \(5, 2\)", np.ones((5, 3)), np.ones((5, 2))),
            bad(ValueError, "ignore_index=0 is for labels", np.ones((5, 3)), np.ones((5, 3)), ignore_index=0),
            bad(
                ValueError, "label_smoothing is 1.5; it must lie between", np.ones((5, 3)), LABELS, label_smoothing=1.5
            ),
        ),
        EXEMPT,
        integer_arguments=(0,),
    ),
    Row(
        "kl_divergence",
        lambda log_q, p, reduction="mean": reduced(special.rel_entr(p, np.exp(log_q)).sum(axis=1), reduction),
        {
            "plain": case(np.log(distribution(5, 3)), distribution(5, 3)),
            "plain, sum": case(np.log(distribution(2, 3, 4)), distribution(2, 3, 4), reduction="sum"),
            "plain, of each example": case(np.log(distribution(5, 3)), distribution(5, 3), reduction="none"),
            "empty": case(np.zeros((0, 3)), np.zeros((0, 3)), reduction="none"),
        },
        (
            bad(ValueError, r"kl_divergence: log_q \(5, 3\) and p \(3,\)", np.ones((5, 3)), np.ones(3)),
            bad(ValueError, r"kl_divergence: p \(3,\) needs the axes \(N, C", np.ones(3), np.ones(3)),
            bad(ValueError, "kl_divergence: the mean over an empty batch", np.ones((0, 3)), np.ones((0, 3))),
            bad(ValueError, "kl_divergence: p holds -0.5.*not negative", np.ones((1, 2)), np.array([[-0.5, 1.5]])),
        ),
        EXEMPT | ON_AXIS_1,
        integers=(0, 120),
    ),
]

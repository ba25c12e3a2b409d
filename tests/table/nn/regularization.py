import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal


def dropout(x, dropout_ratio=0.5, rng=0):
    retained = np.random.default_rng(rng).random(x.shape, dtype=np.float32) >= dropout_ratio
    return np.asarray(np.where(retained, x, 0) / (1 - dropout_ratio)) if dropout_ratio < 1 else 0 * x


def dropout2d(x, dropout_ratio=0.5, rng=0):
    retained = np.random.default_rng(rng).random(x.shape[:2], dtype=np.float32) >= dropout_ratio
    return (x.T * retained.T).T / (1 - dropout_ratio) if dropout_ratio < 1 else 0 * x


def stochastic_depth(x, dropout_ratio=0.5, rng=0):
    retained = np.random.default_rng(rng).random(len(x), dtype=np.float32) >= dropout_ratio
    return (x.T * retained).T / (1 - dropout_ratio) if dropout_ratio < 1 else 0 * x


ROWS = [
    Row(
        "dropout",
        dropout,
        {
            "plain": case(normal(3, 4), rng=0),
            "plain, rarely": case(normal(2, 3, 4), 0.1, rng=1),
            "plain, never": case(normal(3), 0.0, rng=0),
            "plain, always": case(normal(3), 1.0, rng=0),
            "empty": case(normal(0, 3), rng=0),
            "0-d": case(normal(), rng=3),
        },
        (
            bad(ValueError, "dropout: dropout_ratio is 1.5; it must lie between 0 and 1", np.ones(3), 1.5),
            bad(ValueError, "dropout: dropout_ratio is nan; it must lie between 0 and 1", np.ones(3), float("nan")),
            bad(ValueError, "dropout: dropout_ratio is -0.1; it must lie between 0 and 1", np.ones(3), -0.1),
            bad(TypeError, "dropout: list is not supported", [1.0]),
        ),
        {**NO_AXIS, **ONE_OPERAND},
    ),
    Row(
        "dropout2d",
        dropout2d,
        {
            "plain": case(normal(2, 3, 4, 2), rng=0),
            "plain, signals": case(normal(3, 5, 4), 0.2, rng=1),
            "plain, never": case(normal(2, 3, 1), 0.0, rng=0),
            "plain, always": case(normal(2, 3, 1), 1.0, rng=0),
            "empty": case(normal(0, 3, 2, 2), rng=0),
        },
        (
            bad(ValueError, r"dropout2d: x \(2, 3\) needs .* use dropout", np.ones((2, 3))),
            bad(ValueError, "dropout2d: dropout_ratio is 1.5; it must lie between 0 and 1", np.ones((2, 3, 4)), 1.5),
            bad(TypeError, "dropout2d: dropout_ratio is a str", np.ones((2, 3, 4)), "half"),
            bad(TypeError, "dropout2d: list is not supported", [1.0]),
        ),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no channels"},
    ),
    Row(
        "stochastic_depth",
        stochastic_depth,
        {
            "plain": case(normal(5, 3, 2), rng=0),
            "plain, rows": case(normal(6, 4), 0.2, rng=1),
            "plain, vector": case(normal(4), rng=1),
            "plain, never": case(normal(2, 3), 0.0, rng=0),
            "plain, always": case(normal(2, 3), 1.0, rng=0),
            "empty": case(normal(0, 3), rng=0),
        },
        (
            bad(ValueError, r"stochastic_depth: x \(\) needs an axis of examples", np.array(1.0)),
            bad(
                ValueError, "stochastic_depth: dropout_ratio is 1.5; it must lie between 0 and 1", np.ones((2, 3)), 1.5
            ),
            bad(TypeError, "stochastic_depth: dropout_ratio is a str", np.ones((2, 3)), "half"),
            bad(TypeError, "stochastic_depth: list is not supported", [1.0]),
        ),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no examples"},
    ),
]

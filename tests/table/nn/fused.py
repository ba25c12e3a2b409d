import numpy as np

from tests.table import Row, away_from, bad, binary, case, normal, uniform

SIGMOID = {"activation": "sigmoid"}


def bias_activation(x, b, activation, axis=-1):
    z = x if b is None else x + b.reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    return {"relu": lambda: np.maximum(z, 0), "sigmoid": lambda: 1 / (1 + np.exp(-z)), "tanh": lambda: np.tanh(z)}[
        activation
    ]()


def far_from_zero(*shape):
    return 10 * away_from((0,), *shape)


ROWS = [
    binary(
        "add_relu",
        lambda x0, x1: np.maximum(x0 + x1, 0),
        far_from_zero,
        lambda *shape: uniform(-0.1, 0.1, *shape),
    ),
    Row(
        "bias_activation",
        bias_activation,
        {
            "plain": case(normal(4, 3), normal(3), **SIGMOID),
            "plain, relu": case(away_from((0,), 4, 3), np.zeros(3), activation="relu"),
            "plain, images": case(normal(2, 3, 2, 4), normal(3), activation="tanh", axis=1),
            "plain, without b": case(normal(2, 3), None, **SIGMOID),
            "negative axis": case(normal(2, 3, 4), normal(3), **SIGMOID, axis=-2),
            "empty": case(normal(0, 3), normal(3), **SIGMOID),
        },
        (
            bad(ValueError, r"bias_activation: b \(2,\) must hold.*\(4, 3\)", np.ones((4, 3)), np.ones(2), **SIGMOID),
            bad(
                ValueError, r"bias_activation: b .*axis 5 of x \(4, 3\)", np.ones((4, 3)), np.ones(3), **SIGMOID, axis=5
            ),
            bad(
                ValueError,
                "activation must be one of celu, elu.*not 'sine'",
                np.ones((4, 3)),
                np.ones(3),
                activation="sine",
            ),
            bad(TypeError, "bias_activation: list is not supported", [1.0], np.ones(1), **SIGMOID),
        ),
        {"broadcast": "b must fit", "0-d": "it has no channels"},
    ),
]

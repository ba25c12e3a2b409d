"""For each function with long sums: cases derived from an array (COUNT, 2) of equal numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.table import Case, case

COUNT = 250_000  # Sequential summation in float32 has an error of 0.3 percent.
SIDE = 500


def along(**options: object) -> Callable[[np.ndarray], list[Case]]:
    """Cases of a function with an ``axis``: columns, rows, several axes, and all axes."""
    return lambda x: [
        case(x, axis=0, **options),
        case(x.T, axis=1, **options),
        case(x.T, axis=0, **options),
        case(x.reshape(2, SIDE, SIDE), axis=(0, 1), **options),
        case(x.reshape(SIDE, SIDE, 2).transpose(0, 2, 1), axis=(0, 2), **options),
        case(x.T, axis=None, **options),
    ]


def alternating(x: np.ndarray) -> np.ndarray:
    """Scale every other pair of numbers by 3, because the variance of equal numbers has gradient 0."""
    return x * np.where(np.arange(x.size) % 4 < 2, 1, 3).reshape(x.shape)


def of_spread(of: Callable[[np.ndarray], list[Case]]) -> Callable[[np.ndarray], list[Case]]:
    return lambda x: of(alternating(x))


def pair(**options: object) -> Callable[[np.ndarray], list[Case]]:
    return lambda x: [case(x, 3 * x, **options), case(x.T, 3 * x.T, **options)]


def labels(**options: object) -> Callable[[np.ndarray], list[Case]]:
    return lambda x: [case(x, np.arange(len(x)) % 2, **options), case(x.T, np.array([3, COUNT - 1]), **options)]


def features(x: np.ndarray, *vectors: float) -> list[np.ndarray]:
    return [x, *[np.full(x.shape[-1], v) for v in vectors]]


def channels(x: np.ndarray, *vectors: float) -> list[np.ndarray]:
    return [x, *[np.full(x.shape[1], v) for v in vectors]]


def images(x: np.ndarray, c: int) -> np.ndarray:
    """Images of 100 x 100 pixels with channels last in memory."""
    return x[: len(x) // 10000 * 10000].reshape(-1, 100, 100, c).transpose(0, 3, 1, 2)


LONG: dict[str, Callable[[np.ndarray], list[Case]]] = {
    "sum": along(),
    "mean": along(),
    "average": along(),
    "sum_to": lambda x: [case(x, (2,)), case(x.T, (2, 1)), case(x.reshape(SIDE, SIDE, 2), (1, 2))],
    "cumsum": lambda x: [case(x, axis=0), case(x.T, axis=1)],
    "var": of_spread(along()),
    "std": of_spread(along()),
    "norm": lambda x: [*along()(x), case(x, 3, axis=0), case(x, 1, axis=0)],
    "logsumexp": along(),
    "softmax": lambda x: [case(x, axis=0), case(x.T, axis=1)],
    "log_softmax": lambda x: [case(x, axis=0), case(x.T, axis=1)],
    "softmax_simple": lambda x: [case(x, axis=0)],
    "mean_squared_error": pair(),
    "l1_loss": pair(),
    "huber": pair(),
    "hinge": lambda x: [case(x, np.where(x > 0, 1, -1))],
    "sigmoid_cross_entropy": pair(),
    "binary_cross_entropy": pair(),
    "softmax_cross_entropy": lambda x: [*labels()(x), *labels(weight=np.array([0.1, 0.3]))(x)[:1]],
    "nll_loss": labels(),
    "kl_divergence": lambda x: [case(-x, x), case(-x.T, x.T)],
    "cosine_similarity": lambda x: [case(x, 2 * x, axis=0)],
    "cosine_embedding_loss": lambda x: [case(x.T, alternating(x).T, np.array([1, -1]))],
    "triplet_loss": lambda x: [case(x.T, 2 * x.T, 3 * x.T)],
    "layer_norm": lambda x: [case(*features(x.T, 0.1, 0.1)), case(*features(alternating(x).T, 0.1, 0.1)), case(*features(x, 1, 1))],
    "rms_norm": lambda x: [case(*features(x.T, 0.1)), case(*features(x, 0.1))],
    "batch_norm": lambda x: [
        case(*channels(v, 0.1, 0.1), None, None) for v in (alternating(x), images(alternating(x), 2), np.ascontiguousarray(images(x, 2)), SIDE * x)
    ],
    "fixed_batch_norm": lambda x: [case(*channels(alternating(x), 0.1, 0.1), mean=np.zeros(2), var=np.ones(2))],
    "group_norm": lambda x: [case(*channels(images(alternating(x.T.reshape(-1, 4)), 4)[:1], 0.1, 0.1), 2)],
    "instance_norm": lambda x: [case(*channels(alternating(x).T.reshape(1, 2, SIDE, SIDE), 0.1, 0.1))],
    "linear": lambda x: [case(x, np.full((2, 3), 0.1), np.full(3, 0.1)), case(x.T, x, np.full(2, 0.1))],
    "linear_simple": lambda x: [case(x, np.full((2, 3), 0.1), np.full(3, 0.1))],
    "matmul": lambda x: [case(x.T, x), case(x[:, 0], x[:, 1])],
    "dot": lambda x: [case(x[:, 0], x[:, 1])],
    "einsum": lambda x: [
        case("ij->j", x), case("ij->i", x.T), case("ij->", x.T), case("ij,ij->j", x, x), case("ij,ij,ij->j", x, x, x), case("ij,ik->jk", x, x),
    ],
    "bias_activation": lambda x: [case(x, np.full(2, 0.1), activation=name) for name in ("tanh", "relu")],
    "conv2d": lambda x: [
        case(images(x, 2), np.full((3, 2, k, k), 0.1), np.full(3, 0.1), groups=1) for k in (1, 3)
    ] + [case(images(x, 2), np.full((2, 1, 3, 3), 0.1), np.full(2, 0.1), groups=2)],
    "deconv2d": lambda x: [case(images(x, 2), np.full((2, 3, 3, 3), 0.1), np.full(3, 0.1))],
    "prelu": lambda x: [case(-x, np.full(2, 0.1)), case(-images(x, 2), np.full(2, 0.1)), case(-x, np.array(0.1))],
    "embed_id": lambda x: [case(np.zeros(COUNT, int), x[:3]), case(np.arange(COUNT) % 3, x[:3])],
    "get_item": lambda x: [
        case(x[:3], np.arange(COUNT) % 2), case(x, slice(None, None, 3)), case(x[:3], (slice(None), np.arange(COUNT) % 2)),
        case(x[:3], (np.arange(COUNT) % 3, np.arange(COUNT) % 2)),
    ],
    "take_along_axis": lambda x: [case(x[:3], np.zeros((COUNT, 2), int), axis=0)],
    "pad": lambda x: [case(x[:2], ((COUNT, 0), (0, 0)), mode="edge")],
    "average_pooling": lambda x: [case(x.T.reshape(1, 2, SIDE, SIDE), SIDE)],
    "add": lambda x: [case(x, x[0]), case(x.T, x.T[:, :1])],
    "mul": lambda x: [case(x, x[0]), case(x.T, x.T[:, :1])],
    "add_relu": lambda x: [case(x, x[0])],
    "tile": lambda x: [case(x[:1], (COUNT, 1))],
    "repeat": lambda x: [case(x[:1], COUNT, axis=0)],
    "broadcast_to": lambda x: [case(x[0], (COUNT, 2))],
    "global_average_pooling": lambda x: [case(images(x, 2)), case(x.T.reshape(1, 2, SIDE, SIDE))],
    "adaptive_average_pooling": lambda x: [case(x.T.reshape(1, 2, SIDE, SIDE), 1)],
}  # fmt: skip

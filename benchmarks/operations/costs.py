"""The operations that are measured alone: shapes, and the least arithmetic or memory traffic of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

FLOPS, BYTES = "GFLOP/s", "GB/s"
NUMBER = 4
"""Bytes of a float32."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """A function of arrays of these shapes; ``work``: 10**9 operations or bytes in each direction."""

    kind: str
    shapes: tuple[Shape, ...]
    unit: str
    work: dict[str, float]
    options: dict[str, int] = field(default_factory=dict)

    @property
    def what(self) -> str:
        return ", ".join(" x ".join(map(str, shape)) for shape in self.shapes if len(shape) > 1)

    def arrays(self) -> list[np.ndarray]:
        """Return normal numbers; images have channels last in memory."""
        rng = np.random.default_rng(0)
        return [channels_last(rng.standard_normal(shape, np.float32)) for shape in self.shapes]


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if x.ndim == 4 else x


def convolution(N: int, C: int, side: int, out: int, size: int, groups: int = 1) -> Operation:
    """A convolution with stride 1 and "same" padding. Backward has two products of the same size, for x and for W."""
    W = (out, C // groups, size, size)
    count = 2e-9 * N * side * side * prod(W)
    options = {"pad": size // 2, "groups": groups}
    return Operation("conv2d", ((N, C, side, side), W), FLOPS, {"forward": count, "backward": 2 * count}, options)


def product(n: int, k: int, m: int) -> Operation:
    count = 2e-9 * n * k * m
    return Operation("matmul", ((n, k), (k, m)), FLOPS, {"forward": count, "backward": 2 * count})


def passes(kind: str, shapes: tuple[Shape, ...], **times: float) -> Operation:
    """An operation that must read or write its first array this many times in each direction."""
    size = 1e-9 * NUMBER * prod(shapes[0])
    return Operation(kind, shapes, BYTES, {direction: count * size for direction, count in times.items()})


IMAGES: Shape = (64, 64, 32, 32)
TOKENS: Shape = (4096, 1024)
C, D = (IMAGES[1],), (TOKENS[1],)

OPERATIONS = {
    "conv3x3-16": convolution(64, 16, 32, 16, 3),
    "conv3x3-32": convolution(64, 32, 16, 32, 3),
    "conv3x3-64": convolution(64, 64, 16, 64, 3),
    "conv3x3-128": convolution(16, 128, 16, 128, 3),
    "conv3x3-256": convolution(16, 256, 8, 256, 3),
    "conv1x1-24-144": convolution(32, 24, 16, 144, 1),
    "conv1x1-256": convolution(16, 256, 16, 256, 1),
    "depthwise3x3-144": convolution(32, 144, 16, 144, 3, 144),
    "matmul-128": product(128, 1024, 1024),
    "matmul-1024": product(1024, 1024, 1024),
    "max-pooling": passes("max_pooling", (IMAGES,), forward=1.25, backward=1.25),
    "batch-norm": passes("batch_norm", (IMAGES, C, C), forward=3, backward=5),
    "relu": passes("relu", (IMAGES,), forward=2, backward=3),
    "gelu": passes("gelu", (TOKENS,), forward=2, backward=3),
    "layer-norm": passes("layer_norm", (TOKENS, D, D), forward=2, backward=3),
    "softmax-cross-entropy": passes("softmax_cross_entropy", (TOKENS,), forward=1, backward=2),
    "adam": passes("adam", (TOKENS,), update=7),
}
"""Batch norm needs the statistics before it normalizes, so it reads its input twice; a row of a layer norm stays in the
cache. Adam reads the parameter, its gradient and two slots, and writes all but the gradient."""

DIRECTIONS = tuple(f"{direction}:{name}" for name, operation in OPERATIONS.items() for direction in operation.work)
"""The timed problems, such as "forward:relu"."""


def operation_of(problem: str) -> tuple[str, Operation]:
    direction, _, name = problem.partition(":")
    return direction, OPERATIONS[name]

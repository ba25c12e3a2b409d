"""The blocks of MobileNetV2 and of EfficientNet-Lite0; a test compares them with those of `passus.models`."""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """An inverted residual block of ``c`` to ``o`` channels."""

    c: int
    o: int
    stride: int
    expansion: int
    size: int = 3


STEM, HEAD, CLASSES = 32, 1280, 1000

ROWS = {
    "mobilenetv2": [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ],
    "efficientnet": [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1),
    ],
}
"""Expansion, channels, repeats, stride of the first block, and the size of the kernels if it is not 3."""


def blocks_of(network: str) -> list[Block]:
    c, blocks = STEM, []
    for expansion, o, repeats, stride, *size in ROWS[network]:
        for i in range(repeats):
            blocks.append(Block(c, o, 1 if i else stride, expansion, *size))
            c = o
    return blocks

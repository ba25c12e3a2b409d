"""Calls of kernels, as data: threads share them here, and recorded steps put them on the machine of `machine.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from passus.backend import Array
from passus.kernels.layout import Sizes
from passus.kernels.native.buffers import aligned
from passus.kernels.native.compiling import Kernel
from passus.kernels.threads import split

__all__ = ["New", "Work", "new_array", "run"]

New: TypeAlias = Callable[[Sizes], Array]
"""Creates an array of float32 of a shape."""


def new_array(shape: Sizes) -> Array:
    """An array of a shape whose elements are arbitrary."""
    return np.empty(shape, np.float32)


class Work(NamedTuple):
    """The calls ``kernel(*arguments, scratch, start, stop)`` for pieces of ``range(items)``."""

    kernel: Kernel
    arguments: tuple[Any, ...]
    items: int
    piece: int
    """Number of items that are worth a thread."""
    scratch: int | None = None
    """Numbers of memory that each call has to itself; None for a kernel that takes none."""


def run(works: Iterable[Work]) -> None:
    """Make the calls, one work after the other."""
    for kernel, arguments, items, piece, scratch in works:
        if scratch is None:
            split(lambda start, stop: kernel(*arguments, start, stop), items, piece)  # noqa: B023  # It is called at once.
        else:
            split(lambda start, stop: kernel(*arguments, aligned(scratch), start, stop), items, piece)  # noqa: B023

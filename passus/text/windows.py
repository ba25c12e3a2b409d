"""Windows of a long sequence of tokens, with the next tokens as targets."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.datasets.base import checked_index
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, LabelError, kind_of
from passus.random import get_rng
from passus.text.tokens import TokenFile

__all__ = ["RandomWindows", "TokenWindows"]


class _Windows(ShowsOptions):
    """Pairs ``(tokens[i : i + T], tokens[i + 1 : i + T + 1])``; subclasses choose the start indices ``i``."""

    def __init__(self, tokens: Array | TokenFile, length: int) -> None:
        name = type(self).__name__
        array = tokens.tokens if isinstance(tokens, TokenFile) else tokens
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
            what = f"{array.shape} of {array.dtype}" if isinstance(array, np.ndarray) else kind_of(array)
            raise DTypeError(f"{name}: tokens are {what}; give an array of integers (T,) or a TokenFile")
        self.tokens, self.length = tokens, checked_count(name, "length", length)
        if len(array) <= self.length:
            raise ArgumentError(
                f"{name}: {len(array)} tokens are fewer than the {self.length + 1} of one window and its last target; use a "
                "smaller length"
            )

    def _at(self, starts: Array) -> tuple[Array, Array]:
        """The windows (N, T) with these start indices, and their targets, in separate arrays."""
        # Slices, so that the contiguous tokens of a window are read from disk at once.
        windows = np.stack([self.tokens[start : start + self.length + 1] for start in starts.tolist()]).astype(np.int64)
        return windows[:, :-1].copy(), windows[:, 1:].copy()


@final
class TokenWindows(_Windows):
    """Windows of ``length`` tokens, one every ``stride`` tokens, by default without overlap.

    ``dataset[i]`` is a pair of int64 arrays (T,), the window and the next token of each of its tokens. An incomplete window
    at the end is dropped. With a `SeqDataLoader`, row i of each batch continues row i of the previous batch, as truncated
    backpropagation through time requires.

    Raises `ArgumentError` for fewer than ``length + 1`` tokens, `DTypeError` for tokens that are not integers (T,).

    >>> x, t = TokenWindows(np.arange(10), length=4)[1]
    >>> x, t
    (array([4, 5, 6, 7]), array([5, 6, 7, 8]))
    """

    is_random: ClassVar[bool] = False

    def __init__(self, tokens: Array | TokenFile, length: int, stride: int | None = None) -> None:
        super().__init__(tokens, length)
        self.stride = self.length if stride is None else checked_count("TokenWindows", "stride", stride)

    def __len__(self) -> int:
        return (len(self.tokens) - self.length - 1) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        i = checked_index("TokenWindows", index)
        if not -len(self) <= i < len(self):
            raise LabelError(f"TokenWindows: index {i} is out of range for {len(self)} windows")
        x, t = self._at(np.array([i % len(self) * self.stride]))
        return x[0], t[0]

    def batch(self, index: Array) -> tuple[Array, Array]:
        """The windows at these indices and their targets, (N, T) each."""
        return self._at(index * self.stride)


@final
class RandomWindows(_Windows):
    """``size`` windows at random positions, redrawn in each epoch; by default, the number of windows without overlap.

    Start indices are drawn from `passus.random.get_rng` when a window is read. A `DataLoader` seeds a generator for each
    batch, so with ``rng=SEED`` the epochs are reproducible and resume exactly. The other arguments are those of
    `TokenWindows`.

    >>> from passus.random import using_rng
    >>> data = RandomWindows(np.arange(100), length=3, size=2)
    >>> with using_rng(0):
    ...     x, t = data[0]
    >>> x, t, len(data)
    (array([82, 83, 84]), array([83, 84, 85]), 2)
    """

    is_random: ClassVar[bool] = True

    def __init__(self, tokens: Array | TokenFile, length: int, size: int | None = None) -> None:
        super().__init__(tokens, length)
        self.size = (
            (len(self.tokens) - 1) // self.length if size is None else checked_count("RandomWindows", "size", size)
        )

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        i = checked_index("RandomWindows", index)
        if not -len(self) <= i < len(self):
            raise LabelError(f"RandomWindows: index {i} is out of range for {len(self)} windows")
        x, t = self.batch(np.array([i]))
        return x[0], t[0]

    def batch(self, index: Array) -> tuple[Any, Any]:
        """One random window per index, and their targets, (N, T) each."""
        return self._at(get_rng().integers(len(self.tokens) - self.length, size=len(index)))

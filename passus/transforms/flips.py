"""Random flips of pictures and arrays."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from passus.arguments import checked_fraction
from passus.backend import Array
from passus.display import ShowsOptions
from passus.errors import DTypeError, ShapeError, kind_of
from passus.random import RNG, get_rng
from passus.transforms.pictures import Image, pillow
from passus.transforms.ranges import check_channels_first

__all__ = ["RandomHorizontalFlip", "RandomVerticalFlip"]


class RandomFlip(ShowsOptions):
    """The base of random flips; subclasses define the flipped axis."""

    is_random = True
    axis: ClassVar[int]
    method: ClassVar[str]
    """The name of Pillow's transposition."""

    def __init__(self, p: float = 0.5, rng: RNG = None) -> None:
        self.p = checked_fraction(type(self).__name__, "p", p)
        self.rng = None if rng is None else get_rng(rng)

    def __call__(self, x: Image | Array) -> Any:
        is_array = isinstance(x, np.ndarray)
        if is_array:
            self._check_shape(x.shape)
        elif not isinstance(x, self._pillow().Image):
            raise DTypeError(f"{type(self).__name__}: {kind_of(x)} is neither a picture nor an array")
        if get_rng(self.rng).random() >= self.p:
            return x
        return np.flip(x, self.axis) if is_array else x.transpose(self._pillow().Transpose[self.method])

    def batch(self, x: Array) -> Array:
        """Transform many arrays at once, each flipped independently."""
        self._check_shape(x.shape[1:])
        flipped = get_rng(self.rng).random(len(x)) < self.p
        return np.where(flipped.reshape(-1, *[1] * (x.ndim - 1)), np.flip(x, self.axis), x)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if len(shape) < -self.axis:
            raise ShapeError(f"{type(self).__name__}: an example of shape {shape} has no axis {self.axis} to flip")
        check_channels_first(type(self).__name__, (1, *shape))

    def _pillow(self) -> Any:
        return pillow(type(self).__name__)


@final
class RandomHorizontalFlip(RandomFlip):
    """Flip a picture, or an array (..., W), horizontally with probability ``p``.

    Raises `ShapeError` for an array without axes, and for an image with channels last.

    >>> RandomHorizontalFlip(p=1.0)(np.array([1, 2, 3]))
    array([3, 2, 1])
    """

    axis = -1
    method = "FLIP_LEFT_RIGHT"


@final
class RandomVerticalFlip(RandomFlip):
    """Flip a picture, or an array (..., H, W), vertically with probability ``p``.

    Raises `ShapeError` for an array of fewer than two axes, and for an image with channels last.

    >>> RandomVerticalFlip(p=1.0)(np.array([[1, 2], [3, 4]]))
    array([[3, 4],
           [1, 2]])
    """

    axis = -2
    method = "FLIP_TOP_BOTTOM"

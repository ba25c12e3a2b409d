"""What happens to an example on its way out of a dataset: to pictures of Pillow first, then to arrays.

A transform is a function of one example. Those for arrays also have ``batch``, the same function for many examples at
once along a new first axis; a `DataLoader` then need not go through them one by one. Those that draw random numbers
say so with ``is_random = True``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy as np

from passus.arguments import checked_callable, checked_count, checked_dtype, checked_share
from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.optional import import_optional
from passus.random import RNG, get_rng

__all__ = [
    "AsType",
    "CenterCrop",
    "Compose",
    "Convert",
    "Flatten",
    "Normalize",
    "RandomHorizontalFlip",
    "Resize",
    "ToArray",
    "ToFloat",
    "ToInt",
    "ToPIL",
    "Transform",
]

Transform: TypeAlias = Callable[[Any], Any]
"""A function of one example."""

Image: TypeAlias = Any
"""A picture of Pillow, which is imported only by those who have one."""


@final
class Compose:
    """Several transforms, one after the other; without any, the example as it is.

    >>> Compose([ToFloat(), Normalize(0.0, 255.0)])(np.array([0, 255], np.uint8))
    array([0., 1.], dtype=float32)
    """

    def __init__(self, transforms: Sequence[Transform] = ()) -> None:
        if not np.iterable(transforms):
            raise DTypeError(f"Compose: a {type(transforms).__name__} is no list of transforms; write Compose([f, g])")
        self.transforms = [checked_callable("Compose", "a transform", f) for f in transforms]

    def __call__(self, x: Any) -> Any:
        return _through(self.transforms, x)

    @property
    def batch(self) -> Transform | None:
        """The same for many examples at once; None if one of the transforms cannot do that."""
        many = [getattr(transform, "batch", None) for transform in self.transforms]
        return None if None in many else lambda x: _through(many, x)

    @property
    def is_random(self) -> bool:
        """Whether one of the transforms draws random numbers."""
        return any(getattr(transform, "is_random", False) for transform in self.transforms)


def _through(transforms: Sequence[Any], x: Any) -> Any:
    for transform in transforms:
        x = transform(x)
    return x


# Pictures of Pillow.


@final
class Convert:
    """Change the colours of a picture: ``mode`` is one of Pillow's ("RGB", "L") or "BGR"."""

    def __init__(self, mode: str = "RGB") -> None:
        self.mode = mode

    def __call__(self, image: Image) -> Image:
        if self.mode != "BGR":
            return image.convert(self.mode)
        r, g, b = image.convert("RGB").split()
        return _pillow("Convert").merge("RGB", (b, g, r))


@final
class Resize:
    """Bring a picture to ``size``, an integer or (width, height).

    ``mode``: a way to interpolate, by its name in Pillow ("nearest", "bilinear", "bicubic", "lanczos") or its number.
    """

    def __init__(self, size: int | tuple[int, int], mode: str | int = "bilinear") -> None:
        self.size = _pair("Resize", size)
        self.mode = mode

    def __call__(self, image: Image) -> Image:
        ways = _pillow("Resize").Resampling
        try:
            mode = ways[self.mode.upper()] if isinstance(self.mode, str) else ways(self.mode)
        except (KeyError, ValueError) as error:
            names = ", ".join(way.name.lower() for way in ways)
            raise ArgumentError(f"Resize: there is no mode {self.mode!r}; there are {names}") from error
        return image.resize(self.size, mode)


@final
class CenterCrop:
    """Cut ``size``, an integer or (width, height), out of the middle of a picture.

    Raises `ShapeError` for a picture that is smaller.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = _pair("CenterCrop", size)

    def __call__(self, image: Image) -> Image:
        (W, H), (OW, OH) = image.size, self.size
        if W < OW or H < OH:
            raise ShapeError(f"CenterCrop: a picture of {W} x {H} is smaller than {OW} x {OH}; put Resize first")
        left, up = (W - OW) // 2, (H - OH) // 2
        return image.crop((left, up, left + OW, up + OH))


@final
class ToArray:
    """Turn a picture into an array of shape (C, H, W), a greyscale one into (1, H, W); an array stays as it is.

    Raises `DTypeError` for anything else, and for pictures with a palette, whose numbers are no colours.
    """

    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = dtype

    def __call__(self, image: Image | Array) -> Array:
        if isinstance(image, np.ndarray):
            return image
        if not isinstance(image, _pillow("ToArray").Image) or image.mode in ("P", "PA"):
            kind = getattr(image, "mode", type(image).__name__)
            raise DTypeError(f"ToArray: {kind} is neither an array nor a picture in colours; put Convert('RGB') first")
        x = np.asarray(image)
        return np.ascontiguousarray(x[None] if x.ndim == 2 else x.transpose(2, 0, 1), self.dtype)


@final
class ToPIL:
    """Turn an array of uint8 of shape (C, H, W) or (H, W) into a picture; C is 1, 3 or 4.

    Raises `DTypeError` for other numbers, `ShapeError` for other shapes.
    """

    def __call__(self, x: Array) -> Image:
        if x.dtype != np.uint8:
            raise DTypeError(f"ToPIL: an array of {x.dtype}; for numbers in [0, 1] write (x * 255).astype(np.uint8)")
        if x.ndim not in (2, 3) or (x.ndim == 3 and len(x) not in (1, 3, 4)):
            raise ShapeError(f"ToPIL: an array of shape {x.shape} is no picture; use (C, H, W) with C = 1, 3 or 4")
        image = x if x.ndim == 2 else x[0] if len(x) == 1 else x.transpose(1, 2, 0)
        return _pillow("ToPIL").fromarray(np.ascontiguousarray(image))


@final
class RandomHorizontalFlip:
    """Mirror a picture, or an array of shape (..., W), left to right with probability ``p``.

    ``rng``: a seed or a generator. Without it, the current generator, which a `DataLoader` sets for each batch, so
    that an epoch that was interrupted goes on with the same pictures; one of your own is not part of its state.
    """

    is_random = True

    def __init__(self, p: float = 0.5, rng: RNG = None) -> None:
        self.p = checked_share("RandomHorizontalFlip", "p", p)
        self.rng = None if rng is None else get_rng(rng)

    def __call__(self, x: Image | Array) -> Any:
        if isinstance(x, np.ndarray):
            _check_rows("RandomHorizontalFlip", x.shape)
        if get_rng(self.rng).random() >= self.p:
            return x
        if isinstance(x, np.ndarray):
            return x[..., ::-1]
        return x.transpose(_pillow("RandomHorizontalFlip").Transpose.FLIP_LEFT_RIGHT)

    def batch(self, x: Array) -> Array:
        """The same for many arrays at once, each with its own chance."""
        _check_rows("RandomHorizontalFlip", x.shape[1:])
        flipped = get_rng(self.rng).random(len(x)) < self.p
        return np.where(flipped.reshape(-1, *[1] * (x.ndim - 1)), x[..., ::-1], x)


def _check_rows(name: str, shape: tuple[int, ...]) -> None:
    if not shape:
        raise ShapeError(f"{name}: an example that is one number has no row to turn round")


def _numbers(name: str, values: Any) -> Array:
    try:
        numbers = np.array(values, np.float64, ndmin=1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim > 1 or not numbers.size:
        raise DTypeError(f"Normalize: {name} is {values!r}; give a number, or one for each channel")
    return numbers


def _pillow(name: str) -> Any:
    return import_optional("PIL.Image", "pillow", f"transforms.{name}")


def _pair(name: str, size: int | tuple[int, int]) -> tuple[int, int]:
    W, H = size if isinstance(size, tuple) else (size, size)
    return checked_count(name, "size", W), checked_count(name, "size", H)


# Arrays.


@final
class Normalize:
    """``(x - mean) / std``, for all numbers alike or for each channel (C, ...) its own.

    One mean or one std fits any number of channels. Integers become float32.
    Raises `ArgumentError` if an std is 0, `ShapeError` if there are as many means as there are not channels.

    >>> Normalize([1.0, 2.0], 2.0)(np.ones((2, 1, 1), np.float32)).ravel()
    array([ 0. , -0.5], dtype=float32)
    """

    def __init__(self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0) -> None:
        self.mean, self.std = _numbers("mean", mean), _numbers("std", std)
        if not (self.std > 0).all():
            raise ArgumentError(f"Normalize: std is {std}; it must be greater than 0")

    def __call__(self, x: Array) -> Array:
        return self._normalized(x, np.shape(x))

    def batch(self, x: Array) -> Array:
        """The same for many examples at once."""
        return self._normalized(x, np.shape(x)[1:])

    def _normalized(self, x: Array, shape: tuple[int, ...]) -> Array:
        if not isinstance(x, (np.ndarray, np.generic)) or x.dtype.kind not in "fiub":
            raise DTypeError(f"Normalize: a {type(x).__name__} is no array of numbers; put ToArray() first")
        dtype = x.dtype if x.dtype.kind == "f" else np.float32
        y = np.subtract(x, self._along_channels(self.mean, shape, dtype), dtype=dtype)
        y /= self._along_channels(self.std, shape, dtype)
        return y

    @staticmethod
    def _along_channels(values: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        values = values.astype(dtype)
        if len(values) == 1:
            return values[0]
        if not shape or len(values) != shape[0]:
            raise ShapeError(f"Normalize: {len(values)} values for an example of shape {shape}; give 1, or 1 a channel")
        return values.reshape(-1, *[1] * (len(shape) - 1))


@final
class Flatten:
    """Lay all numbers of an example in one row."""

    def __call__(self, x: Array) -> Array:
        return x.reshape(-1)

    def batch(self, x: Array) -> Array:
        """The same for many examples at once."""
        return x.reshape(len(x), math.prod(x.shape[1:]))


@final
class AsType:
    """Turn an array, or a single number, into another dtype."""

    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = checked_dtype("AsType", dtype)

    def __call__(self, x: Any) -> Any:
        return self.batch(np.asarray(x))[()]

    def batch(self, x: Array) -> Array:
        """The same for many examples at once."""
        return x.astype(self.dtype, copy=False)


def ToFloat(dtype: Any = np.float32) -> AsType:
    """Turn into float32.

    >>> ToFloat()(np.array([1, 2]))
    array([1., 2.], dtype=float32)
    """
    return AsType(dtype)


def ToInt(dtype: Any = np.int64) -> AsType:
    """Turn into integers, cutting off what is behind the point.

    >>> ToInt()(np.array([1.9]))
    array([1])
    """
    return AsType(dtype)

"""Transforms of Pillow's pictures, and the ways from a picture to an array and back."""

from __future__ import annotations

from typing import Any, TypeAlias, final

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.optional import import_optional

__all__ = ["CenterCrop", "Convert", "Image", "Resize", "ToArray", "ToPIL", "pillow"]

Image: TypeAlias = Any
"""A picture of Pillow, which is imported only by those who have one."""


@final
class Convert:
    """Change the colours of a picture: ``mode`` is one of Pillow's ("RGB", "L") or "BGR".

    Raises `DTypeError` for what is no picture, as the other transforms of pictures do.
    """

    def __init__(self, mode: str = "RGB") -> None:
        self.mode = mode

    def __call__(self, image: Image) -> Image:
        image = _picture("Convert", image)
        if self.mode != "BGR":
            return image.convert(self.mode)
        r, g, b = image.convert("RGB").split()
        return pillow("Convert").merge("RGB", (b, g, r))


@final
class Resize:
    """Bring a picture to ``size``, an integer or (width, height).

    ``mode``: a way to interpolate, by its name in Pillow ("nearest", "bilinear", "bicubic", "lanczos") or its number.
    """

    def __init__(self, size: int | tuple[int, int], mode: str | int = "bilinear") -> None:
        self.size = _pair("Resize", size)
        self.mode = mode

    def __call__(self, image: Image) -> Image:
        ways = pillow("Resize").Resampling
        try:
            mode = ways[self.mode.upper()] if isinstance(self.mode, str) else ways(self.mode)
        except (KeyError, ValueError) as error:
            names = ", ".join(way.name.lower() for way in ways)
            raise ArgumentError(f"Resize: there is no mode {self.mode!r}; there are {names}") from error
        return _picture("Resize", image).resize(self.size, mode)


@final
class CenterCrop:
    """Cut ``size``, an integer or (width, height), out of the middle of a picture.

    Raises `ShapeError` for a picture that is smaller.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = _pair("CenterCrop", size)

    def __call__(self, image: Image) -> Image:
        (W, H), (OW, OH) = _picture("CenterCrop", image).size, self.size
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
        if not isinstance(image, pillow("ToArray").Image) or image.mode in ("P", "PA"):
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
        if not isinstance(x, np.ndarray) or x.dtype != np.uint8:
            kind = getattr(x, "dtype", type(x).__name__)
            raise DTypeError(
                f"ToPIL: {kind} is no array of uint8; for numbers in [0, 1] write (x * 255).astype(np.uint8)"
            )
        if x.ndim not in (2, 3) or (x.ndim == 3 and len(x) not in (1, 3, 4)):
            raise ShapeError(f"ToPIL: an array of shape {x.shape} is no picture; use (C, H, W) with C = 1, 3 or 4")
        image = x if x.ndim == 2 else x[0] if len(x) == 1 else x.transpose(1, 2, 0)
        return pillow("ToPIL").fromarray(np.ascontiguousarray(image))


def pillow(name: str) -> Any:
    """The module PIL.Image, for the transform ``name``. Raises `DependencyError` if it is not installed.

    >>> pillow("ToPIL").__name__
    'PIL.Image'
    """
    return import_optional("PIL.Image", "pillow", f"transforms.{name}")


def _picture(name: str, image: Image) -> Image:
    if not isinstance(image, pillow(name).Image):
        kind = getattr(image, "dtype", type(image).__name__)
        raise DTypeError(f"{name}: {kind} is no picture of Pillow; put ToPIL() before it for an array of uint8")
    return image


def _pair(name: str, size: int | tuple[int, int]) -> tuple[int, int]:
    W, H = size if isinstance(size, tuple) else (size, size)
    return checked_count(name, "size", W), checked_count(name, "size", H)

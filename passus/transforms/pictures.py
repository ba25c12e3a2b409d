"""Transforms of Pillow pictures, and conversions between pictures and arrays."""

from __future__ import annotations

from typing import Any, TypeAlias, final

import numpy as np

from passus.arguments import checked_count, checked_dtype
from passus.backend import Array
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.optional import import_optional
from passus.transforms.ranges import as_bytes, as_unit_range, check_channels_first, check_unit_range

__all__ = ["CenterCrop", "Convert", "Image", "Resize", "ToArray", "ToPIL", "pillow"]

Image: TypeAlias = Any
"""A Pillow picture; Pillow is imported on first use."""


@final
class Convert(ShowsOptions):
    """Convert a picture to a color mode of Pillow ("RGB", "L") or to "BGR".

    Raises `DTypeError` for other types than pictures, as do all transforms of pictures.
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
class Resize(ShowsOptions):
    """Resize a picture to ``size``, an integer or (width, height).

    ``mode``: the interpolation, one of Pillow's names ("nearest", "bilinear", "bicubic", "lanczos") or numbers.
    """

    def __init__(self, size: int | tuple[int, int], mode: str | int = "bilinear") -> None:
        self.size = _pair("Resize", size)
        self.mode = mode

    def __call__(self, image: Image) -> Image:
        modes = pillow("Resize").Resampling
        try:
            mode = modes[self.mode.upper()] if isinstance(self.mode, str) else modes(self.mode)
        except (KeyError, ValueError) as error:
            names = ", ".join(known.name.lower() for known in modes)
            raise ArgumentError(f"Resize: unknown mode {self.mode!r}; use one of {names}") from error
        return _picture("Resize", image).resize(self.size, mode)


@final
class CenterCrop(ShowsOptions):
    """Crop the centre of a picture to ``size``, an integer or (width, height).

    Raises `ShapeError` for a smaller picture.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = _pair("CenterCrop", size)

    def __call__(self, image: Image) -> Image:
        (W, H), (OW, OH) = _picture("CenterCrop", image).size, self.size
        if W < OW or H < OH:
            raise ShapeError(f"CenterCrop: a picture of {W} x {H} is smaller than {OW} x {OH}; put Resize first")
        left, top = (W - OW) // 2, (H - OH) // 2
        return image.crop((left, top, left + OW, top + OH))


@final
class ToArray(ShowsOptions):
    """Convert a picture to an array (C, H, W), a greyscale one to (1, H, W), of numbers from 0 to 1.

    ``dtype``: the dtype of the result; an integer dtype preserves the bytes, 0 to 255. Arrays of bytes, (C, H, W) or (H, W),
    are scaled likewise; floating-point arrays must lie between 0 and 1 and are returned unchanged. (DeZero returns 0 to 255.)

    Raises `DTypeError` for other types, for pictures with a palette, whose values are not colors, and for modes without a
    defined white; `ArgumentError` for values out of range, `ShapeError` for an array with channels last.

    >>> ToArray()(np.array([[0, 51, 255]], np.uint8))
    array([[[0. , 0.2, 1. ]]], dtype=float32)
    """

    def __init__(self, dtype: Any = np.float32) -> None:
        self.dtype = checked_dtype("ToArray", dtype)

    def __call__(self, image: Image | Array) -> Array:
        x = self._checked(image) if isinstance(image, np.ndarray) else self._pixels(image)
        if self.dtype.kind == "f":
            return x.astype(self.dtype, copy=False) if x.dtype.kind == "f" else as_unit_range(x, self.dtype)
        if x.dtype.kind == "f":
            raise DTypeError(f"ToArray: an array of {x.dtype} cannot become {self.dtype}; use ToPIL() for uint8")
        return x.astype(self.dtype, copy=False)

    def _pixels(self, image: Image) -> Array:
        if not isinstance(image, pillow("ToArray").Image) or image.mode in ("P", "PA"):
            kind = getattr(image, "mode", type(image).__name__)
            raise DTypeError(f"ToArray: {kind} is neither an array nor a color picture; put Convert('RGB') first")
        x = np.asarray(image)
        x = np.ascontiguousarray(x[None] if x.ndim == 2 else x.transpose(2, 0, 1))
        return self._checked(x, image.mode)

    def _checked(self, x: Array, mode: str = "") -> Array:
        if x.dtype.kind not in "fub":
            kind = f"a picture of mode {mode}" if mode else f"an array of {x.dtype}"
            raise DTypeError(f"ToArray: {kind} has no defined white; give uint8, or floating point between 0 and 1")
        if x.dtype.kind == "f" and x.ndim < 2:
            return x
        if x.ndim not in (2, 3):
            raise ShapeError(f"ToArray: an array of shape {x.shape} is not an image; it must be (C, H, W) or (H, W)")
        check_unit_range("ToArray", x)
        check_channels_first("ToArray", (1, *x.shape))
        return x[None] if x.ndim == 2 and x.dtype.kind != "f" else x


@final
class ToPIL(ShowsOptions):
    """Convert an array (C, H, W) or (H, W) to a picture; C is 1, 3 or 4. Pixels are bytes, or floats between 0 and 1.

    Raises `DTypeError` for other dtypes, `ArgumentError` for values out of range, `ShapeError` for other shapes.
    """

    def __call__(self, x: Array) -> Image:
        if not isinstance(x, np.ndarray) or (x.dtype != np.uint8 and x.dtype.kind != "f"):
            kind = getattr(x, "dtype", type(x).__name__)
            raise DTypeError(f"ToPIL: {kind} is neither uint8 nor floating point between 0 and 1")
        if x.ndim not in (2, 3) or (x.ndim == 3 and len(x) not in (1, 3, 4)):
            raise ShapeError(f"ToPIL: cannot convert an array of shape {x.shape}; use (C, H, W) with C = 1, 3 or 4")
        x = as_bytes("ToPIL", x)
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
        raise DTypeError(f"{name}: {kind} is not a Pillow image; put ToPIL() before it for an array of uint8")
    return image


def _pair(name: str, size: int | tuple[int, int]) -> tuple[int, int]:
    W, H = size if isinstance(size, tuple) else (size, size)
    return checked_count(name, "size", W), checked_count(name, "size", H)

"""Transforms of images of an unexpected range or layout raise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import passus.transforms as T
from passus.errors import ArgumentError, DTypeError, ShapeError

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
IMAGE = np.ascontiguousarray(PHOTO.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "white"), [("RGB", 255), ("L", 255), ("RGBA", 255), ("CMYK", 255), ("1", 1), ("I;16", 65535)]
)
def test_to_array_scales_images_to_0_to_1(mode: str, white: int) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 5), white, np.uint16))
    else:
        picture = Image.new(mode, (5, 4), white if mode in ("L", "1") else (white,) * len(mode))
    for dtype in (np.float32, np.float64, np.float16):
        x = T.ToArray(dtype)(picture)
        assert x.dtype == dtype
        assert x.shape == (np.asarray(picture).shape[2] if picture.getbands()[1:] else 1, 4, 5)
        assert (x == 1).all()


@pytest.mark.parametrize("mode", ["P", "I", "F"])
def test_to_array_of_a_mode_without_defined_white_raises(mode: str) -> None:
    picture = Image.new(mode, (5, 4), 200)
    with pytest.raises((DTypeError, ArgumentError), match="ToArray"):
        T.ToArray()(picture)


def test_to_pil_inverts_to_array() -> None:
    picture = Image.fromarray(PHOTO)
    np.testing.assert_array_equal(np.asarray(T.ToPIL()(T.ToArray()(picture))), PHOTO)
    np.testing.assert_array_equal(T.ToArray()(IMAGE), T.ToArray()(picture))
    np.testing.assert_array_equal(T.ToArray()(PHOTO[:, :, 0]), IMAGE[:1] / np.float32(255))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: T.ToArray()(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ToArray()(IMAGE.astype(np.int64)), "no defined white"),
        (lambda: T.ToArray()(PHOTO), r"transpose\(2, 0, 1\)"),
        (lambda: T.ToArray(np.uint8)(IMAGE / 255), "ToPIL"),
        (lambda: T.ToPIL()(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ColorJitter(0.1)(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ColorJitter(0.1).batch(IMAGE[None] / 127.5 - 1), "put Normalize"),
        (lambda: T.ColorJitter(0.1)(np.full((3, 4, 4), np.nan)), "between 0 and 1"),
        (lambda: T.Normalize(0, 255)(T.ToArray()(IMAGE)), r"remove Normalize\(0, 255\)"),
        (lambda: T.Normalize(127.0, 128.0).batch(T.ToArray()(IMAGE)[None]), "divide mean and std by 255"),
        (lambda: T.Normalize(0.5, 0.5)(IMAGE), r"put ToArray\(\) first"),
        (lambda: T.Normalize([0.4, 0.4, 0.4], 0.2)(IMAGE.astype(np.float32)), r"put ToArray\(\) first"),
        (lambda: T.RandomErasing(1.0, fill=127)(IMAGE / 255), "fill=127/255"),
        (lambda: T.RandomRotation(10, fill=255)(IMAGE / 255), "fill=255/255"),
        *[
            (lambda f=f: f(PHOTO), r"channels last.*transpose\(2, 0, 1\)")
            for f in (
                T.RandomCrop(8),
                T.RandomResizedCrop(8),
                T.RandomRotation(10),
                T.RandomErasing(),
                T.Cutout(3),
                T.RandomHorizontalFlip(),
                T.RandomVerticalFlip(),
                T.ColorJitter(0.1),
            )
        ],
        (lambda: T.RandomCrop(8).batch(PHOTO[None]), "channels last"),
        (lambda: T.RandomHorizontalFlip().batch(PHOTO[None]), "channels last"),
    ],
)
def test_unexpected_range_or_layout_raises(call: Any, message: str) -> None:
    with pytest.raises((ArgumentError, DTypeError, ShapeError), match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: T.Normalize(0, 255)(IMAGE),
        lambda: T.Normalize(0, 255)(IMAGE.astype(np.float32)),
        lambda: T.Normalize(0, 255)(np.zeros((3, 4, 4), np.float32)),
        lambda: T.Normalize(0.5, 0.5)(T.ToArray()(IMAGE)),
        lambda: T.Normalize(20.0, 15.0)(np.array([0.2, 0.3])),
        lambda: T.Normalize()(IMAGE),
        lambda: T.Cutout(3, fill=127)(IMAGE),
        lambda: T.ColorJitter(0.5)(T.RandomRotation(20, rng=0)(T.ToArray()(IMAGE))),
    ],
)
def test_expected_ranges_are_accepted(call: Any) -> None:
    call()

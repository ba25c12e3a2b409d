"""The transforms that DeZero has as well."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

import passus.transforms as T
from passus.errors import ArgumentError, DependencyError, DTypeError, PassusError, ShapeError

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(3, 2, 4)
COLOUR = Image.fromarray(np.ascontiguousarray(PIXELS.transpose(1, 2, 0)))
GREY = Image.fromarray(PIXELS[0])


def test_compose_applies_transforms_in_order() -> None:
    assert T.Compose([lambda x: x + 1, lambda x: x * 10])(1) == 20
    assert T.Compose()(COLOUR) is COLOUR


def test_convert_changes_the_color_mode() -> None:
    np.testing.assert_array_equal(T.ToArray(np.uint8)(T.Convert("BGR")(COLOUR)), PIXELS[::-1])
    assert T.Convert("L")(COLOUR).mode == "L"
    assert T.Convert()(GREY).mode == "RGB"


@pytest.mark.parametrize("mode", ["nearest", "BILINEAR", Image.Resampling.BICUBIC, 2])
def test_resize_returns_the_given_size(mode: Any) -> None:
    assert T.Resize((5, 7), mode)(COLOUR).size == (5, 7)
    assert T.Resize(6, mode)(COLOUR).size == (6, 6)


def test_resize_by_nearest_repeats_pixels() -> None:
    x = T.ToArray(np.uint8)(T.Resize((8, 4), "nearest")(GREY))
    np.testing.assert_array_equal(x[0], PIXELS[0].repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 2)])
def test_center_crop_is_centered(size: tuple[int, int]) -> None:
    x = T.ToArray(np.uint8)(T.CenterCrop(size)(COLOUR))
    left, up = (4 - size[0]) // 2, (2 - size[1]) // 2
    np.testing.assert_array_equal(x, PIXELS[:, up : up + size[1], left : left + size[0]])


def test_to_array_accepts_color_and_gray_images() -> None:
    x = T.ToArray()(COLOUR)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, PIXELS / np.float32(255))
    np.testing.assert_array_equal(T.ToArray(np.uint8)(GREY), PIXELS[:1])
    assert T.ToArray(np.uint8)(PIXELS) is PIXELS
    assert T.ToArray()(x) is x


@pytest.mark.parametrize("x", [PIXELS, PIXELS[:1], PIXELS[0], PIXELS[:, ::-1]])
def test_to_pil_inverts_to_array(x: np.ndarray) -> None:
    np.testing.assert_array_equal(T.ToArray(np.uint8)(T.ToPIL()(x)), x if x.ndim == 3 else x[None])


@pytest.mark.parametrize("x", [COLOUR, PIXELS, PIXELS[0] / np.float32(255)])
def test_horizontal_flip_reverses_the_last_axis(x: Any) -> None:
    plain = np.asarray(T.ToArray()(x))
    np.testing.assert_array_equal(T.ToArray()(T.RandomHorizontalFlip(1.0)(x)), plain[..., ::-1])
    np.testing.assert_array_equal(T.ToArray()(T.RandomHorizontalFlip(0.0)(x)), plain)


def test_horizontal_flip_of_a_batch_draws_for_each_example() -> None:
    xs = np.random.default_rng(0).integers(0, 256, (20, 3, 2, 4), np.uint8)
    one, many = T.RandomHorizontalFlip(0.5, rng=5), T.RandomHorizontalFlip(0.5, rng=5)
    got = many.batch(xs)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, np.stack([one(x) for x in xs]))
    assert 0 < (got != xs).any(axis=(1, 2, 3)).sum() < 20


def test_horizontal_flip_is_random_and_seeded() -> None:
    def flips(rng: int) -> list[bool]:
        flip = T.RandomHorizontalFlip(0.5, rng=rng)
        return [bool(flip(np.arange(2))[0]) for _ in range(200)]

    assert flips(0) == flips(0) != flips(1)
    assert 70 < sum(flips(0)) < 130


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize(("mean", "std"), [(3.0, 2.0), ([3.0], [2.0]), ([1, 2, 3], 2), (0, [1, 2, 4])])
def test_normalize_subtracts_the_mean_and_divides_by_the_deviation(dtype: Any, mean: Any, std: Any) -> None:
    x = PIXELS.astype(dtype)
    per_channel = [np.broadcast_to(np.asarray(v, float), 3).reshape(3, 1, 1) for v in (mean, std)]
    y = T.Normalize(mean, std)(x)
    assert y.dtype == (np.float32 if dtype == np.uint8 else dtype)
    np.testing.assert_allclose(y, (PIXELS - per_channel[0]) / per_channel[1], rtol=1e-6)
    np.testing.assert_array_equal(x, PIXELS)


@pytest.mark.parametrize(
    "transform",
    [
        T.Normalize(0.5, 2.0),
        T.Normalize([1, 2, 3], [4, 5, 6]),
        T.Flatten(),
        T.AsType(np.float16),
        T.ToFloat(),
        T.ToInt(),
        T.Compose([T.ToFloat(), T.Normalize([1], [2]), T.Flatten()]),
        T.Compose(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_batches_equal_their_examples(transform: Any) -> None:
    xs = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 4), np.uint8)
    xs.flags.writeable = False
    expected = [transform(x) for x in xs]
    got = transform.batch(xs)
    assert got.dtype == expected[0].dtype
    np.testing.assert_array_equal(got, np.stack(expected))
    assert len(transform.batch(xs[:0])) == 0


def test_transforms_return_the_documented_dtypes() -> None:
    assert T.AsType()(PIXELS).dtype == T.ToFloat()(PIXELS).dtype == np.float32
    assert T.ToInt()(np.float32([1.9])).dtype == np.int64
    assert T.ToInt()(1.9) == 1
    assert T.Flatten()(PIXELS).shape == (24,)


def test_compositions_with_a_transform_without_batch_have_none() -> None:
    assert T.Compose([T.ToFloat(), lambda x: x]).batch is None
    assert T.Compose([T.Compose([T.Resize(2)])]).batch is None
    assert T.Compose([T.Compose([T.RandomHorizontalFlip()])]).is_random
    assert not T.Compose([T.Flatten()]).is_random


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: T.Normalize(0.0, 0.0), ArgumentError),
        (lambda: T.Normalize(0.0, [1.0, float("nan")]), ArgumentError),
        (lambda: T.Normalize([1.0, 2.0])(PIXELS), ShapeError),
        (lambda: T.Normalize([1.0, 2.0])(np.float32(1)), ShapeError),
        (lambda: T.Resize(0), ArgumentError),
        (lambda: T.Resize(2.5), DTypeError),  # type: ignore[arg-type]
        (lambda: T.Resize(2, "best")(COLOUR), ArgumentError),
        (lambda: T.CenterCrop(5)(COLOUR), ShapeError),
        (lambda: T.CenterCrop(1)([[1, 2], [3, 4]]), DTypeError),
        (lambda: T.Resize(2)(PIXELS), DTypeError),
        (lambda: T.Convert()([1, 2]), DTypeError),
        (lambda: T.Convert("BGR")("picture.png"), DTypeError),
        (lambda: T.ToArray()("picture.png"), DTypeError),
        (lambda: T.ToArray()(COLOUR.convert("P")), DTypeError),
        (lambda: T.ToPIL()(PIXELS.astype(np.int32)), DTypeError),
        (lambda: T.ToPIL()(PIXELS.transpose(1, 2, 0)), ShapeError),
        (lambda: T.Normalize([[1.0, 2.0]]), DTypeError),  # type: ignore[list-item]
        (lambda: T.Normalize([]), DTypeError),
        (lambda: T.Normalize()([1.0, 2.0]), DTypeError),  # type: ignore[arg-type]
        (lambda: T.RandomHorizontalFlip(1.0)(np.array(1.0)), ShapeError),
        (lambda: T.RandomHorizontalFlip(1.0).batch(np.arange(4)), ShapeError),
        (lambda: T.RandomHorizontalFlip(1.5), ArgumentError),
        (lambda: T.RandomHorizontalFlip(float("nan")), ArgumentError),
        (lambda: T.RandomHorizontalFlip(0.5, rng=-1), ArgumentError),
    ],
)
def test_invalid_arguments_raise(call: Any, error: type[PassusError]) -> None:
    with pytest.raises(error):
        call()


def test_pillow_is_loaded_on_first_use() -> None:
    code = "import sys, passus.transforms as T; T.Resize(2); T.RandomHorizontalFlip(); assert 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_pillow_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(DependencyError, match="pip install pillow"):
        T.ToPIL()(PIXELS)


@pytest.mark.parametrize(("mean", "std", "x"), [(1234.567, 3.3, 1240.0), (1e-3, 1e-8, 1e-3), (0.1, 0.3, 0.7)])
def test_float16_is_normalized_in_float32_and_rounded_once(mean: float, std: float, x: float) -> None:
    half = np.full((3, 2, 2), x, np.float16)
    y = T.Normalize(mean, std)(half)
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, T.Normalize(mean, std)(half.astype(np.float32)).astype(np.float16))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float16, np.float32])
def test_pixels_up_to_255_with_statistics_for_1_raise(dtype: Any) -> None:
    with pytest.raises(ArgumentError, match="for pixels from 0 to 1"):
        T.Normalize(0.5, 0.2)(np.full((3, 4, 4), 200, dtype))

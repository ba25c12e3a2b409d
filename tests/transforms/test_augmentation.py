"""Random transforms of images and batches: compared with independent computations, seeded, and resumed bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage

import passus.functions as F
import passus.transforms as T
from passus.dataloaders import DataLoader, collate
from passus.datasets import Dataset
from passus.errors import ArgumentError, DTypeError, LabelError, PassusError, ShapeError
from passus.random import using_rng
from passus.transforms.colors import GREY, TO_YUV
from passus.transforms.randomness import RandomTransform

RANDOM: dict[str, Any] = {
    "horizontal flip": T.RandomHorizontalFlip,
    "vertical flip": T.RandomVerticalFlip,
    "crop": lambda rng=None: T.RandomCrop((8, 9), padding=1, pad_mode="reflect", rng=rng),
    "resized crop": lambda rng=None: T.RandomResizedCrop((6, 17), rng=rng),
    "rotation": lambda rng=None: T.RandomRotation(40, fill=1, rng=rng),
    "erasing": lambda rng=None: T.RandomErasing(0.7, fill=1, rng=rng),
    "cutout": lambda rng=None: T.Cutout(4, rng=rng),
    "jitter": lambda rng=None: T.ColorJitter(0.4, 0.4, 0.4, 0.1, rng=rng),
}
IMAGES = [name for name, make in RANDOM.items() if isinstance(make(), RandomTransform)]
"""Transforms that require images; flips accept rows of any numbers."""

every_transform = pytest.mark.parametrize("name", RANDOM)
every_image_transform = pytest.mark.parametrize("name", IMAGES)


def images(dtype: Any = np.float32, shape: tuple[int, ...] = (50, 3, 10, 12)) -> np.ndarray:
    values = np.random.default_rng(1).integers(0, 256, shape)
    return (values / 255 if np.dtype(dtype).kind == "f" else values).astype(dtype)


def smooth(H: int, W: int) -> np.ndarray:
    """A smooth random image (H, W, 3) of bytes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(H, W, 3)), (4, 4, 0))
    return np.uint8((noise - noise.min()) / np.ptp(noise) * 255)


# Properties of all random transforms.


@every_transform
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_batches_equal_their_examples_and_preserve_dtypes(name: str, dtype: Any) -> None:
    x = images(dtype)
    x.flags.writeable = False
    one, many = RANDOM[name](rng=3), RANDOM[name](rng=3)
    got = many.batch(x)
    assert got.dtype == dtype
    # Matrix products of one image and of many are summed in different order.
    last_bits = 4 * np.finfo(dtype).eps if np.dtype(dtype).kind == "f" else 0
    np.testing.assert_allclose(got, np.stack([one(image) for image in x]), rtol=last_bits, atol=last_bits)
    assert len(many.batch(x[:0])) == 0
    assert (np.ptp(got.reshape(len(x), -1), axis=1) > 0).all()


@every_transform
def test_random_numbers_come_from_the_seed_or_the_current_generator(name: str) -> None:
    x = images()
    a, b, c = (RANDOM[name](rng=rng).batch(x) for rng in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    with using_rng(0):
        np.testing.assert_array_equal(RANDOM[name]().batch(x), a)


@every_transform
def test_results_do_not_depend_on_strides_and_inputs_are_not_modified(name: str) -> None:
    x = images()
    transposed = np.ascontiguousarray(x.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    strided = np.repeat(x, 2, axis=3)[..., ::2]
    before = x.copy()
    expected = RANDOM[name](rng=0).batch(x)
    # The order of summation changes the last bits.
    np.testing.assert_allclose(RANDOM[name](rng=0).batch(transposed), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(RANDOM[name](rng=0).batch(strided), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", [name for name in RANDOM if name != "jitter"])
@pytest.mark.parametrize("outer", [(), (1,), (5,), (0,), (2, 3)])
def test_geometric_transforms_are_equal_for_all_channels(name: str, outer: tuple[int, ...]) -> None:
    x = images(shape=(10, 12))
    y = RANDOM[name](rng=0)(x)
    got = RANDOM[name](rng=0)(np.broadcast_to(x, (*outer, 10, 12)))
    np.testing.assert_array_equal(got, np.broadcast_to(y, (*outer, *y.shape)))


@every_transform
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_epoch_resumes_with_the_same_images(name: str, workers: int) -> None:
    class Photos(Dataset):
        def prepare(self) -> None:
            self.data = images(np.uint8, (20, 3, 10, 12))

    def loader() -> DataLoader:
        augmented = T.Compose([RANDOM[name](), T.ToFloat(), T.Normalize(0.0, 255.0)])
        return DataLoader(Photos(transform=augmented), 4, rng=0, workers=workers)

    whole = [x for x, _ in loader()]
    interrupted = loader()
    for i, (x, _) in enumerate(interrupted):
        np.testing.assert_array_equal(x, whole[i])
        if i == 2:
            state = interrupted.state_dict()
            break
    resumed = loader()
    resumed.load_state_dict(state)
    for (x, _), expected in zip(resumed, whole[3:], strict=True):
        np.testing.assert_array_equal(x, expected)


@every_image_transform
@pytest.mark.parametrize(
    "wrong", [[[1.0, 2.0]], Image.new("RGB", (12, 10)), None, np.array(["a"]), np.ones((4, 4), bool)]
)
def test_inputs_that_are_not_numeric_arrays_raise(name: str, wrong: Any) -> None:
    with pytest.raises(DTypeError, match=r"not an array.*ToArray"):
        RANDOM[name]()(wrong)


@every_image_transform
@pytest.mark.parametrize("shape", [(), (3,), (3, 0, 4), (3, 4, 0)])
def test_arrays_that_are_not_images_raise(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected images"):
        RANDOM[name]()(np.zeros(shape))
    with pytest.raises(ShapeError, match="expected images"):
        RANDOM[name]().batch(np.zeros((2, *shape)))


@pytest.mark.parametrize("x", [[1, 2], "picture.png", None])
def test_flips_reject_inputs_that_are_neither_images_nor_arrays(x: Any) -> None:
    with pytest.raises(DTypeError, match="neither"):
        T.RandomVerticalFlip(1.0)(x)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: T.RandomVerticalFlip(2.0), ArgumentError),
        (lambda: T.RandomVerticalFlip()(np.arange(3)), ShapeError),
        (lambda: T.RandomCrop(0), ArgumentError),
        (lambda: T.RandomCrop((1, 2, 3)), ArgumentError),  # type: ignore[arg-type]
        (lambda: T.RandomCrop(2.5), DTypeError),  # type: ignore[arg-type]
        (lambda: T.RandomCrop(2, padding=-1), ArgumentError),
        (lambda: T.RandomCrop(2, pad_mode="mirror"), ArgumentError),
        (lambda: T.RandomCrop(13)(images()[0]), ShapeError),
        (lambda: T.RandomCrop(9, padding=10, pad_mode="reflect")(images()[0]), ShapeError),
        (lambda: T.RandomResizedCrop(4, scale=(0.0, 1.0)), ArgumentError),
        (lambda: T.RandomResizedCrop(4, scale=(0.5, 1.5)), ArgumentError),
        (lambda: T.RandomResizedCrop(4, scale=(0.5, 0.2)), ArgumentError),
        (lambda: T.RandomResizedCrop(4, scale=0.5), ArgumentError),  # type: ignore[arg-type]
        (lambda: T.RandomResizedCrop(4, ratio=("3:4", "4:3")), DTypeError),  # type: ignore[arg-type]
        (lambda: T.RandomResizedCrop(4, ratio=(1.0, float("inf"))), ArgumentError),
        (lambda: T.RandomRotation(-10), ArgumentError),
        (lambda: T.RandomRotation(float("nan")), ArgumentError),
        (lambda: T.RandomRotation((float("-inf"), 0.0)), ArgumentError),
        (lambda: T.RandomRotation("90"), DTypeError),  # type: ignore[arg-type]
        (lambda: T.RandomRotation(10, fill=None), DTypeError),  # type: ignore[arg-type]
        (lambda: T.RandomRotation(10, fill=300)(images(np.uint8)), ArgumentError),
        (lambda: T.RandomErasing(1.5), ArgumentError),
        (lambda: T.RandomErasing(scale=(0.1, 2.0)), ArgumentError),
        (lambda: T.RandomErasing(fill=0.5)(images(np.uint8)), ArgumentError),
        (lambda: T.Cutout(0), ArgumentError),
        (lambda: T.Cutout(2, fill=-1)(images(np.uint8)), ArgumentError),
        (lambda: T.ColorJitter(brightness=-0.1), ArgumentError),
        (lambda: T.ColorJitter(hue=0.6), ArgumentError),
        (lambda: T.ColorJitter(0.1)(np.zeros((4, 5, 5))), ShapeError),
        (lambda: T.ColorJitter(0.1)(np.zeros((5, 5, 3))), ShapeError),
        (lambda: T.ColorJitter(saturation=0.1)(np.zeros((1, 5, 5))), ShapeError),
        (lambda: T.Mixup(0), ArgumentError),
        (lambda: T.Mixup(2, alpha=0.0), ArgumentError),
        (lambda: T.Mixup(10)(images().tolist(), np.arange(50)), DTypeError),
        (lambda: T.Mixup(10)(images(), list(range(50))), DTypeError),  # type: ignore[arg-type]
        (lambda: T.Mixup(10)(images(), np.arange(50)), LabelError),
        (lambda: T.Mixup(50)(images(), np.arange(49)), ShapeError),
        (lambda: T.Mixup(50)(images(), np.zeros((50, 49))), ShapeError),
        (lambda: T.CutMix(10)(images()[0, 0], np.zeros(10, int)), ShapeError),
    ],
)
def test_invalid_options_raise(make: Any, error: type[PassusError]) -> None:
    with pytest.raises(error):
        make()


# Crops.


@pytest.mark.parametrize(
    ("pad_mode", "numpys"),
    [("zeros", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")],
)
def test_crop_positions_are_uniform(pad_mode: str, numpys: Any) -> None:
    x = images(shape=(2, 5, 6))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), numpys)
    positions = {padded[:, i : i + 4, j : j + 5].tobytes(): (i, j) for i in range(4) for j in range(4)}
    crops = T.RandomCrop((4, 5), padding=1, pad_mode=pad_mode, rng=0).batch(np.repeat(x[None], 1600, axis=0))
    counts = np.zeros((4, 4))
    for crop in crops:
        counts[positions[crop.tobytes()]] += 1
    assert 60 < counts.min() <= counts.max() < 140  # The expected count is 100, with a standard deviation of 10.


def test_a_crop_of_the_full_size_is_the_image() -> None:
    np.testing.assert_array_equal(T.RandomCrop((10, 12))(images()[0]), images()[0])


@pytest.mark.parametrize(("H", "W"), [(40, 30), (9, 70)])
@pytest.mark.parametrize("size", [(12, 16), (60, 7), (1, 1), (100, 100)])
def test_resized_crops_equal_pillow(H: int, W: int, size: tuple[int, int]) -> None:
    x = images(shape=(H, W))
    for seed in range(10):
        u = np.random.default_rng(seed).random(4)
        area, ratio = (0.08 + 0.92 * u[0]) * H * W, (3 / 4) * (16 / 9) ** u[1]
        h, w = min((area / ratio) ** 0.5, H), min((area * ratio) ** 0.5, W)
        box = (u[3] * (W - w), u[2] * (H - h), u[3] * (W - w) + w, u[2] * (H - h) + h)
        expected = Image.fromarray(x).resize(size[::-1], Image.Resampling.BILINEAR, box)
        # Pillow rounds the box to float32, of up to 70.
        np.testing.assert_allclose(T.RandomResizedCrop(size, rng=seed)(x), np.asarray(expected), atol=1e-5)


def test_a_resized_crop_of_the_full_size_preserves_a_linear_gradient() -> None:
    x = np.add.outer(np.arange(20.0), 2 * np.arange(30.0))
    whole = T.RandomResizedCrop((20, 30), scale=(1, 1), ratio=(1.5, 1.5))
    np.testing.assert_allclose(whole(x), x, atol=1e-9)


# Rotation.


@pytest.mark.parametrize("angle", [0, 17.5, 45, -90, 180, 359, 1000])
@pytest.mark.parametrize("shape", [(1, 20, 20), (3, 13, 30), (2, 1, 7), (1, 1, 1)])
def test_rotations_equal_scipy(angle: float, shape: tuple[int, ...]) -> None:
    x = images(shape=shape)
    expected = ndimage.rotate(x, angle, (2, 1), reshape=False, order=1, mode="grid-constant", cval=0.25)
    # Positions of up to 30 are computed in float32.
    np.testing.assert_allclose(T.RandomRotation((angle, angle), fill=0.25)(x), expected, atol=1e-5)


def test_rotations_have_the_direction_of_pillow() -> None:
    x = smooth(40, 50)
    expected = np.asarray(Image.fromarray(x).rotate(25, Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    got = T.RandomRotation((25, 25))(x.transpose(2, 0, 1))
    inside = T.RandomRotation((25, 25))(np.ones((40, 50))) == 1  # At the border, Pillow uses the nearest pixel or none.
    assert inside.mean() > 0.7
    assert abs(got.astype(int) - expected)[:, inside].max() <= 1


def test_angles_are_uniform_and_symmetric() -> None:
    x = np.zeros((2000, 1, 41, 41))
    x[:, :, 20, 21:] = 1  # A line that points to the right.
    y = T.RandomRotation(60, rng=0).batch(x)[:, 0]
    down, right = np.mgrid[-20:21, -20:21]
    angles = np.rad2deg(np.arctan2(-(y * down).sum(axis=(1, 2)), (y * right).sum(axis=(1, 2))))
    assert abs(angles).max() < 60.5
    assert abs(np.histogram(angles, 6, (-60, 60))[0] - 2000 / 6).max() < 70  # Four standard deviations.


# Holes.


def test_erased_rectangles_have_the_given_area_and_aspect_ratio() -> None:
    x = np.zeros((500, 2, 60, 80), np.uint8)
    y = T.RandomErasing(0.3, scale=(0.1, 0.2), ratio=(0.5, 2.0), fill=255, rng=0).batch(x)
    assert (y[:, 0] == y[:, 1]).all()
    hole = y[:, 0] == 255
    area, h, w = hole.mean(axis=(1, 2)), hole.any(axis=2).sum(axis=1), hole.any(axis=1).sum(axis=1)
    erased = area > 0
    assert 110 < erased.sum() < 190  # 150, with a standard deviation of 10.
    assert (h * w == hole.sum(axis=(1, 2))).all()
    # A side of 17 pixels or more is rounded by half a pixel.
    assert 0.1 / 1.06 < area[erased].min() < area[erased].max() < 0.2 * 1.06
    assert 0.5 / 1.06 < (w / np.maximum(h, 1))[erased].min() < (w / np.maximum(h, 1))[erased].max() < 2 * 1.06
    assert 0.8 < np.median((w / np.maximum(h, 1))[erased]) < 1.25


def test_rectangles_larger_than_the_image_are_clipped() -> None:
    y = T.RandomErasing(1.0, scale=(1.0, 1.0), ratio=(4.0, 4.0), fill=1, rng=0)(np.zeros((20, 20)))
    assert y.sum() == 10 * 20


def test_cutout_covers_all_pixels_uniformly() -> None:
    y = T.Cutout(5, rng=0).batch(np.ones((4000, 1, 11, 9), np.float32))
    hole = 1 - y[:, 0]
    assert set(np.unique(hole.sum(axis=(1, 2)))) == {a * b for a in (3, 4, 5) for b in (3, 4, 5)}
    middle = hole[:, 4:7, 4:5].mean()
    assert abs(middle - 25 / 99) < 0.03


# Colors.


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("option", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_color_jitter_equals_pillow(option: str, enhance: Any, dtype: Any) -> None:
    picture = smooth(30, 40)
    x = picture.transpose(2, 0, 1) if dtype == np.uint8 else np.float32(picture.transpose(2, 0, 1) / 255)
    index = ["brightness", "contrast", "saturation"].index(option)
    for seed in range(8):
        factor = 0.3 + 1.4 * np.random.default_rng(seed).random(4)[index]
        expected = np.asarray(enhance(Image.fromarray(picture)).enhance(factor)).transpose(2, 0, 1)
        got = T.ColorJitter(**{option: 0.7}, rng=seed)(x)
        # Pillow rounds or clips the gray image before blending.
        assert abs(np.float64(got) * (1 if dtype == np.uint8 else 255) - expected).max() <= 1.51


def test_hue_rotates_colors_and_preserves_luminance() -> None:
    x = np.random.default_rng(0).uniform(0.3, 0.6, (3, 9, 9))  # No color is clipped.
    angles = []
    for seed in range(200):
        y = T.ColorJitter(hue=0.2, rng=seed)(x)
        before, after = (np.tensordot(TO_YUV, image, 1) for image in (x, y))
        np.testing.assert_allclose(after[0], before[0], atol=1e-12)
        rotation = (after[1] + 1j * after[2]) / (before[1] + 1j * before[2])
        np.testing.assert_allclose(rotation, np.full_like(rotation, rotation[0, 0]), atol=1e-9)
        np.testing.assert_allclose(abs(rotation), 1, atol=1e-9)
        angles.append(np.angle(rotation[0, 0]) / (2 * np.pi))
    assert -0.2 < min(angles) < -0.18
    assert 0.18 < max(angles) < 0.2


def test_gray_images_stay_gray() -> None:
    x = np.broadcast_to(images(shape=(10, 12)), (3, 10, 12))
    y = T.ColorJitter(0.5, 0.5, 0.5, 0.5, rng=0)(x)
    np.testing.assert_allclose(y, np.broadcast_to(y[:1], y.shape), atol=1e-6)
    assert GREY.sum() == pytest.approx(1)
    np.testing.assert_allclose(T.ColorJitter(0.5, 0.5, rng=0)(x[0]), T.ColorJitter(0.5, 0.5, rng=0)(x)[1], atol=1e-6)


def test_jitter_of_zero_is_the_identity() -> None:
    np.testing.assert_array_equal(T.ColorJitter()(images(np.uint8)[0]), images(np.uint8)[0])


# Mixtures of the examples of a batch.


def numbered(N: int, dtype: Any = np.float32) -> np.ndarray:
    """Images of one constant each, so that a mixture identifies its components."""
    return np.broadcast_to(np.arange(N).reshape(N, 1, 1, 1), (N, 3, 12, 16)).astype(dtype)


@pytest.mark.parametrize("make", [T.Mixup, T.CutMix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_labels_are_mixed_in_the_ratio_of_the_images(make: Any, dtype: Any) -> None:
    N = 200
    x, t = make(N, alpha=1.0, rng=0)(numbered(N, dtype), np.arange(N))
    assert x.dtype == dtype
    assert t.dtype == np.float32
    np.testing.assert_allclose(t.sum(axis=1), 1, atol=1e-6)
    # The mean of an image equals the mean of its mixed labels; bytes are rounded.
    half = 0.51 if dtype == np.uint8 and make is T.Mixup else 2e-3
    np.testing.assert_allclose(t @ np.arange(N), x.mean(axis=(1, 2, 3), dtype=float), atol=half)
    assert ((t > 0).sum(axis=1) == 2).mean() > 0.9


@pytest.mark.parametrize("make", [T.Mixup, T.CutMix])
def test_mixing_is_seeded_and_accepts_soft_labels(make: Any) -> None:
    x, t = numbered(8), np.arange(8)
    x.flags.writeable = False
    first, again = make(8, rng=0)(x, t), make(8, rng=0)(x, F.one_hot(t, 8))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    empty = make(8)(x[:0], t[:0])
    assert empty[0].shape == (0, 3, 12, 16)
    assert empty[1].shape == (0, 8)
    grey = make(8, rng=0)(x[:, 0], t)
    np.testing.assert_array_equal(grey[0], first[0][:, 0])


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_mixing_ratios_have_the_beta_distribution(alpha: float) -> None:
    N = 5000
    _, t = T.Mixup(N, alpha, rng=0)(np.zeros((N, 1, 1, 1)), np.arange(N))
    shares = t.diagonal()
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.std() - (4 * (2 * alpha + 1)) ** -0.5) < 0.01


def test_cutmix_replaces_one_rectangle() -> None:
    N = 300
    x, t = T.CutMix(N, rng=0)(numbered(N), np.arange(N))
    for i, image in enumerate(x):
        other = image[0] != i
        assert (image == image[0]).all()
        h, w = other.any(axis=1).sum(), other.any(axis=0).sum()
        assert other.sum() == h * w
        assert len(np.unique(image)) <= 2
        assert t[i, i] == pytest.approx(1 - h * w / (12 * 16), abs=1e-6)
    assert 0.45 < t.diagonal().mean() < 0.75  # Half, and the area of the rectangles outside of the image.


def test_a_loader_with_mixup_resumes_exactly() -> None:
    examples = [(x, i) for i, x in enumerate(numbered(12))]
    mixup = T.Mixup(12)

    def loader() -> DataLoader:
        return DataLoader(examples, 4, rng=0, collate=lambda e: mixup(*collate(e)))

    whole, interrupted = list(loader()), loader()
    assert all(x.shape == (4, 3, 12, 16) and t.shape == (4, 12) for x, t in whole)
    next(interrupted)
    resumed = loader()
    resumed.load_state_dict(interrupted.state_dict())
    for got, expected in zip(resumed, whole[1:], strict=True):
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])


def test_losses_accept_mixed_labels() -> None:
    _, t = T.Mixup(3, alpha=1.0, rng=0)(images(shape=(6, 1, 4, 4)), np.arange(6) % 3)
    scores = np.random.default_rng(0).normal(size=(6, 3))
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(F.softmax_cross_entropy(scores, t), -(t * log_p).sum(axis=1).mean(), rtol=1e-6)

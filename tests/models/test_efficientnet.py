"""EfficientNet-Lite0: agreement with the published PyTorch network, weights from ImageNet, preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import passus
from passus.errors import WeightsError
from passus.models import EfficientNetLite0
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture
from tests.helpers.real_data import real

pytestmark = [pytest.mark.usefixtures("single_torch_thread"), pytest.mark.compiles]

CATS = range(281, 288)
"""The classes of ImageNet from the tabby cat to the lynx; between them, Persian, Siamese and Egyptian cats, cougars."""


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of the package efficientnet-lite-pytorch, imported from a wheel in the cache folder."""
    monkeypatch.syspath_prepend(real("efficientnet_lite_pytorch-0.1.0-*.whl"))
    return pytest.importorskip("efficientnet_lite_pytorch").EfficientNet


def scores(model: EfficientNetLite0, x: np.ndarray) -> np.ndarray:
    with passus.no_grad(), passus.test_mode():
        return model(x).data


def expected(model: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(torch.tensor(x)).numpy()


def cat() -> np.ndarray:
    return EfficientNetLite0.preprocess(Image.open(real("chelsea.png")))[None]


def faces() -> np.ndarray:
    pixels = (np.load(real("lfw_subset.npy"))[::50] * 255).astype(np.uint8)
    return np.stack([EfficientNetLite0.preprocess(Image.fromarray(p)) for p in pixels])


def test_with_its_weights_it_computes_what_pytorch_does(package):
    weights = real("efficientnet-lite0.pth")
    ours, theirs = EfficientNetLite0(weights=weights), package.from_pretrained("efficientnet-lite0", str(weights))
    noise = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
    for x in (noise, cat(), faces()):
        y, t = scores(ours, x), expected(theirs, x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, t, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(y.argmax(1), t.argmax(1))


@pytest.mark.parametrize("size", [(224, 224), (97, 130), (32, 33)])
def test_padding_follows_tensorflow_at_any_image_size(package, size, tmp_path):
    torch.manual_seed(0)
    theirs = package.from_name("efficientnet-lite0", image_size=None, num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    x = np.random.default_rng(1).standard_normal((2, 3, *size)).astype(np.float32)
    t = expected(theirs, x)
    y = scores(EfficientNetLite0(10, tmp_path / "weights.pth"), x)
    np.testing.assert_allclose(y, t, rtol=0, atol=1e-4 * abs(t).max())


def test_cat_is_classified_as_a_cat():
    y = scores(EfficientNetLite0(weights=real("efficientnet-lite0.pth")), cat())[0]
    assert y.argmax() in CATS
    likely = np.exp(y - y.max())
    assert likely[CATS].sum() / likely.sum() > 0.9


def test_own_weights_round_trip(tmp_path):
    model = EfficientNetLite0(10, rng=0)
    model.save_weights(tmp_path / "model.safetensors")
    other = EfficientNetLite0(10, tmp_path / "model.safetensors", rng=1)
    np.testing.assert_equal(other.state_dict(), model.state_dict())


def saved(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / "model.pth")
    return folder / "model.pth"


def test_weights_of_another_network_raise_and_change_nothing(tmp_path):
    model = EfficientNetLite0(10)
    before = model.state_dict()
    with pytest.raises(
        WeightsError, match=r"model\.pth: the state does not fit: missing: stem\.conv\.W, .*extra: conv1"
    ):
        model.load_weights(
            saved(tmp_path, {"conv1.weight": torch.zeros(2), "conv1.num_batches_tracked": torch.tensor(3)})
        )
    np.testing.assert_equal(model.state_dict(), before)


def test_weights_for_another_number_of_classes_raise():
    with pytest.raises(WeightsError, match=r"of another shape: fc\.W \(1280, 1000\) instead of \(1280, 10\)"):
        EfficientNetLite0(10, real("efficientnet-lite0.pth"))


def test_number_of_parameters_is_the_published_one():
    assert EfficientNetLite0().count_params() == 4_652_008


@pytest.mark.parametrize(("mode", "size"), [("RGB", (451, 300)), ("L", (25, 25)), ("P", (40, 300))])
def test_preprocess_accepts_any_image_mode(mode, size):
    x = EfficientNetLite0.preprocess(Image.new(mode, size))
    np.testing.assert_array_equal(x, np.full((3, 224, 224), -127 / 128, np.float32), strict=True)


def test_preprocess_crops_the_centre():
    pixels = np.zeros((30, 90), np.uint8)
    pixels[:, 30:60] = 255  # Only the centre is inside the crop.
    np.testing.assert_array_equal(EfficientNetLite0.preprocess(Image.fromarray(pixels)), 1.0)


def test_stochastic_depth_increases_with_depth() -> None:
    model = EfficientNetLite0(num_classes=3, rng=0)
    ratios = [block.shortcut.dropout_ratio for block in model.blocks if block.shortcut is not None]
    assert ratios == sorted(ratios)
    assert 0 < ratios[0] < ratios[-1] < 0.2
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    with passus.test_mode():
        np.testing.assert_array_equal(model(x).data, EfficientNetLite0(num_classes=3, rng=0, depth_ratio=0.0)(x).data)
    with passus.random.using_rng(0):
        assert not np.array_equal(model.features(x).data, model.features(x).data)

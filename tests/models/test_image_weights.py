"""Pretrained weights of networks for images: files of DeZero and PyTorch, downloads, preprocessing."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passus.errors import DataError, DTypeError, MissingWeightsError, WeightsError
from passus.models import (
    VGG16,
    ResNet18,
    ResNet50,
    SqueezeNet,
    resnet,
)
from passus.serializers import write_weights
from tests.helpers.served import serving
from tests.models.image_networks import (
    images,
    predicted,
    randomize_biases_and_statistics,
)


@pytest.mark.parametrize(
    ("make", "options"), [(VGG16, {}), (ResNet50, {"downsample_fb": False}), (SqueezeNet, {})], ids=str
)
def test_pretrained_without_published_weights_raises(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=rf"{make.__name__}: .* give a file, as in {make.__name__}\(weights="):
        make(pretrained=True, **options)
    with pytest.raises(FileNotFoundError):
        make(weights=tmp_path / "none.npz", **options)


def named_as_in_dezero(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state of a residual network as DeZero saves it, with a bias in the first convolution."""
    names = {}
    for path in state:
        layer, *rest = path.split(".")
        if layer.startswith("res"):
            rest[0] = "a" if rest[0] == "l0" else f"b{rest[0][1:]}"
            if rest[1] == "shortcut":
                rest[1:3] = [{"l0": "conv4", "l1": "bn4"}[rest[2]]]
        names[path] = "/".join([layer, *rest])
    dezeros = {names[path]: array for path, array in state.items()}
    dezeros["conv1/b"] = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    dezeros["bn1/avg_mean"] = dezeros["bn1/avg_mean"] + dezeros["conv1/b"]
    return dezeros


def named_as_in_torch(state: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    names = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}
    names |= {"avg_mean": "running_mean", "avg_var": "running_var"}
    theirs: dict[str, torch.Tensor] = {}
    for path, array in state.items():
        *layers, name = path.split(".")
        if layers[0].startswith("res"):
            layers = [f"layer{int(layers[0][3]) - 1}", *[name.removeprefix("l") for name in layers[1:]]]
            layers = ["downsample" if name == "shortcut" else name for name in layers]
        layers = ["fc" if name == "fc6" else name for name in layers]
        theirs[".".join([*layers, names[name]])] = torch.tensor(array.T if path == "fc6.W" else array)
        if name == "avg_var":
            theirs[".".join([*layers, "num_batches_tracked"])] = torch.tensor(7)
    return theirs


def test_resnet50_of_dezero_loads_dezero_weights(tmp_path: Path) -> None:
    x, file = images(1, 38), tmp_path / "resnet50.npz"
    model = ResNet50(downsample_fb=False, rng=0)
    predicted(model, x)
    randomize_biases_and_statistics(model)
    dezeros = named_as_in_dezero(model.state_dict())
    assert {"res2/a/conv4/W", "res5/b2/bn3/avg_var", "res3/b1/conv1/W", "fc6/b"} < dezeros.keys()
    write_weights(file, dezeros)
    again = ResNet50(downsample_fb=False, weights=file)
    np.testing.assert_allclose(predicted(again, x), predicted(model, x), rtol=0, atol=1e-5)  # The scores are at most 3.
    with pytest.raises(WeightsError, match=r"resnet50\.npz: .*ResNet50\(downsample_fb=False\)"):
        ResNet50(weights=file)
    dezeros.pop("res2/a/conv4/W")
    write_weights(file, dezeros)
    with pytest.raises(WeightsError, match=r"missing: res2\.l0\.shortcut\.l0\.W"):
        ResNet50(downsample_fb=False, weights=file)


@pytest.mark.parametrize("make", [ResNet18, ResNet50])
def test_published_weights_are_downloaded_once_and_verified(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, model = images(1, 33), make(num_classes=4, in_channels=3, rng=0)
    randomize_biases_and_statistics(model)
    torch.save(named_as_in_torch(model.state_dict()), tmp_path / "weights.pth")
    content = (tmp_path / "weights.pth").read_bytes()
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "cache"))
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with serving() as served:
        served.files = {name: content, "net-00000000.pth": content}
        monkeypatch.setattr(resnet, "PUBLISHED", dict.fromkeys(resnet.BLOCKS, f"{served.url}/{name}"))
        again = make(pretrained=True, num_classes=4)
        np.testing.assert_array_equal(predicted(again, x), predicted(model, x))
        make(pretrained=True, num_classes=4)
        assert served.requests[name] == 1
        monkeypatch.setattr(resnet, "PUBLISHED", dict.fromkeys(resnet.BLOCKS, f"{served.url}/net-00000000.pth"))
        with pytest.raises(DataError, match=r"net-00000000\.pth: its sha256 begins with"):
            make(pretrained=True, num_classes=4)
    with pytest.raises(WeightsError, match=r"downsample_fb=True"):
        make(num_classes=4, downsample_fb=False, weights=tmp_path / "weights.pth")


def test_published_urls_contain_checksums() -> None:
    assert resnet.PUBLISHED.keys() == resnet.BLOCKS.keys()
    for layers, url in resnet.PUBLISHED.items():
        assert re.search(rf"/resnet{layers}-[0-9a-f]{{8}}\.pth$", url)


def test_weights_in_the_cache_folder_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"download https://.*/vgg16\.npz to .*vgg16\.npz by hand"):
        VGG16(pretrained=True)
    (tmp_path / "vgg16.npz").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"vgg16\.npz: not a readable npz"):
        VGG16(pretrained=True)


def test_resnet_preprocess_normalizes_as_pytorch() -> None:
    x = ResNet50.preprocess(Image.new("RGB", (300, 256), (255, 0, 128)))
    expected = (np.array([255, 0, 128]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert (x.shape, x.dtype) == ((3, 224, 224), np.float32)
    np.testing.assert_allclose(x[:, 100, 100], expected, rtol=1e-5)
    assert ResNet50.preprocess(Image.new("L", (40, 60))).shape == (3, 224, 224)


def test_vgg_loads_dezero_weights(tmp_path: Path) -> None:
    """DeZero joins names by slashes; its matrices are (I, O), as here."""
    x, file = images(1, 32), tmp_path / "vgg16.npz"
    model = VGG16(num_classes=6, rng=0)
    y = predicted(model, x)
    write_weights(file, {path.replace(".", "/"): array for path, array in model.state_dict().items()})
    again = VGG16(pretrained=True, num_classes=6, weights=file)
    np.testing.assert_array_equal(predicted(again, x), y)


def test_vgg_preprocess_subtracts_the_means_as_caffe() -> None:
    picture = Image.new("L", (40, 30), 100)
    x = VGG16.preprocess(picture, size=(48, 32))
    assert (x.shape, x.dtype) == ((3, 32, 48), np.float32)
    np.testing.assert_allclose(x[:, 5, 5], np.float32([100 - 103.939, 100 - 116.779, 100 - 123.68]), rtol=1e-6)
    colors = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    x = VGG16.preprocess(Image.fromarray(colors), size=None, dtype=np.float64)
    np.testing.assert_array_equal(
        x, colors.transpose(2, 0, 1)[::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    )
    with pytest.raises(DTypeError, match="an ndarray is not a Pillow image"):
        VGG16.preprocess(colors)
    with pytest.raises(DTypeError, match=r"VGG16\.preprocess: int64"):
        VGG16.preprocess(picture, dtype=np.int64)

"""Networks for images: their published sizes, and the same numbers as the same networks in PyTorch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import passus.functions as F
from passus import layers as L
from passus.config import no_grad, test_mode
from passus.errors import ArgumentError, DataError, DTypeError, MissingWeightsError, ShapeError, WeightsError
from passus.models import (
    VGG16,
    BottleneckA,
    BuildingBlock,
    LeNet,
    Model,
    ResNet,
    ResNet18,
    ResNet34,
    ResNet50,
    SqueezeNet,
    resnet,
)
from passus.optimizers import SGD, Adam
from passus.random import using_rng
from passus.serializers import write_weights
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture
from tests.helpers.served import serving

SMALL: dict[str, tuple[Callable[..., Model], int]] = {
    "LeNet": (LeNet, 28),
    "VGG16": (VGG16, 32),
    "ResNet18": (ResNet18, 33),
    "ResNet50": (ResNet50, 32),
    "ResNet50 of DeZero": (lambda **options: ResNet50(downsample_fb=False, **options), 38),
    "SqueezeNet1.0": (SqueezeNet, 45),
    "SqueezeNet1.1": (lambda **options: SqueezeNet(version="1.1", **options), 40),
}
"""Each kind of network, and a small size of images that it takes."""

LARGE = {"VGG16": pytest.mark.slow}
"""To draw its 100 million weights takes longer than to use them."""

every_network = pytest.mark.parametrize("name", [pytest.param(name, marks=LARGE.get(name, ())) for name in SMALL])


def images(n: int, size: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(size).standard_normal((n, channels, size, size)).astype(np.float32)


def predicted(model: Model, x: np.ndarray) -> np.ndarray:
    with no_grad(), test_mode():
        return model(x).data


# The same networks in PyTorch.


class TorchBlock(nn.Module):
    """A residual block of convolutions (in, out, kernel, stride), each with its batch normalisation."""

    def __init__(
        self, *convolutions: tuple[int, int, int, int], shortcut: tuple[int, int, int] | None, eps: float = 1e-5
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for c, o, kernel, stride in convolutions:
            parts += [nn.Conv2d(c, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o, eps), nn.ReLU()]
        self.branch = nn.Sequential(*parts[:-1])
        self.shortcut = nn.Identity()
        if shortcut is not None:
            c, o, stride = shortcut
            self.shortcut = nn.Sequential(nn.Conv2d(c, o, 1, stride, bias=False), nn.BatchNorm2d(o, eps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def torch_resnet(blocks: list[TorchBlock], features: int, eps: float = 1e-5, pad: int = 1) -> nn.Module:
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64, eps), nn.ReLU(), nn.MaxPool2d(3, 2, pad)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 1000))


def torch_resnet18() -> nn.Module:
    blocks, c = [], 64
    for o, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks.append(TorchBlock((c, o, 3, stride), (o, o, 3, 1), shortcut=(c, o, stride) if o > 64 else None))
        blocks.append(TorchBlock((o, o, 3, 1), (o, o, 3, 1), shortcut=None))
        c = o
    return torch_resnet(blocks, 512)


def torch_resnet50() -> nn.Module:
    blocks, c = [], 64
    for n, m, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        o = 4 * m
        blocks.append(TorchBlock((c, m, 1, 1), (m, m, 3, stride), (m, o, 1, 1), shortcut=(c, o, stride)))
        blocks += [TorchBlock((o, m, 1, 1), (m, m, 3, 1), (m, o, 1, 1), shortcut=None) for _ in range(n - 1)]
        c = o
    return torch_resnet(blocks, 2048)


def torch_resnet50_of_dezero() -> nn.Module:
    """With the stride in the first convolution, as in the paper; and with DeZero's pooling and eps."""
    blocks, c, eps = [], 64, 2e-5
    for n, m, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        o = 4 * m
        blocks.append(TorchBlock((c, m, 1, stride), (m, m, 3, 1), (m, o, 1, 1), shortcut=(c, o, stride), eps=eps))
        blocks += [TorchBlock((o, m, 1, 1), (m, m, 3, 1), (m, o, 1, 1), shortcut=None, eps=eps) for _ in range(n - 1)]
        c = o
    return torch_resnet(blocks, 2048, eps, pad=0)


def torch_vgg16() -> nn.Module:
    parts: list[nn.Module] = []
    c = 3
    for o in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        parts += [nn.Conv2d(c, o, 3, padding=1), nn.ReLU()] if o else [nn.MaxPool2d(2)]
        c = o or c
    hidden = [
        nn.Flatten(),
        nn.Linear(512, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
    ]
    return nn.Sequential(*parts, *hidden, nn.Linear(4096, 1000))


class TorchFire(nn.Module):
    def __init__(self, c: int, s: int, e: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(c, s, 1), nn.Conv2d(s, e, 1), nn.Conv2d(s, e, 3, padding=1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeeze, one, three = self.convolutions
        x = torch.relu(squeeze(x))
        return torch.cat([torch.relu(one(x)), torch.relu(three(x))], 1)


def torch_squeezenet(*parts: Any) -> nn.Module:
    """Convolutions are given as their arguments, fire modules as their numbers of channels, poolings as None."""
    made: list[nn.Module] = []
    for part in parts:
        if part is None:
            made.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        elif len(part) == 4:
            made += [nn.Conv2d(*part), nn.ReLU()]
        else:
            made.append(TorchFire(*part))
    return nn.Sequential(*made, nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


LATE = ((256, 48, 192), (384, 48, 192), (384, 64, 256))


def torch_squeezenet10() -> nn.Module:
    early = ((96, 16, 64), (128, 16, 64), (128, 32, 128))
    return torch_squeezenet((3, 96, 7, 2), None, *early, None, (256, 32, 128), *LATE, None, (512, 64, 256))


def torch_squeezenet11() -> nn.Module:
    early = ((64, 16, 64), (128, 16, 64), None, (128, 32, 128), (256, 32, 128), None)
    return torch_squeezenet((3, 64, 3, 2), None, *early, *LATE, (512, 64, 256))


def torch_lenet() -> nn.Module:
    convolutions = [
        nn.Conv2d(3, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
    ]
    dense = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *dense)


THEIRS = {
    "LeNet": torch_lenet,
    "VGG16": torch_vgg16,
    "ResNet18": torch_resnet18,
    "ResNet50": torch_resnet50,
    "ResNet50 of DeZero": torch_resnet50_of_dezero,
    "SqueezeNet1.0": torch_squeezenet10,
    "SqueezeNet1.1": torch_squeezenet11,
}


def copy_weights(ours: Model, theirs: nn.Module) -> None:
    """Give the layers of a network in PyTorch, in their order, the numbers of those of ours, in theirs."""
    kinds: dict[type, type] = {L.Conv2d: nn.Conv2d, L.BatchNorm: nn.BatchNorm2d, L.Linear: nn.Linear}
    mine = [layer for _, layer in ours.named_layers() if type(layer) in kinds]
    his = [module for module in theirs.modules() if type(module) in kinds.values()]
    for layer, module in zip(mine, his, strict=True):
        assert kinds[type(layer)] is type(module)
        W, b = (layer.gamma, layer.beta) if isinstance(layer, L.BatchNorm) else (layer.W, layer.b)
        fill(module.weight, W.data.T if isinstance(layer, L.Linear) else W.data)
        if b is not None:
            fill(module.bias, b.data)
        if isinstance(layer, L.BatchNorm):
            assert module.eps == layer.eps
            fill(module.running_mean, layer.avg_mean)
            fill(module.running_var, layer.avg_var)


def fill(tensor: Any, array: np.ndarray) -> None:
    assert tuple(tensor.shape) == array.shape
    with torch.no_grad():
        tensor.copy_(torch.tensor(array))


def stir(model: Model) -> None:
    """Biases and statistics as they could be after some training, for those of a new network hide mistakes."""
    rng = np.random.default_rng(1)
    for _, layer in model.named_layers():
        if isinstance(layer, L.BatchNorm):
            n = layer.gamma.size
            layer.gamma.data, layer.beta.data = (rng.uniform(0.5, 1.0, (2, n))).astype(np.float32)
            layer.avg_mean, layer.avg_var = rng.uniform(0.5, 1.5, (2, n)).astype(np.float32)
        elif isinstance(layer, (L.Conv2d, L.Linear)) and layer.b is not None:
            layer.b.data = rng.uniform(-0.1, 0.1, layer.b.size).astype(np.float32)


@pytest.mark.usefixtures("single_torch_thread")
@every_network
def test_the_same_network_in_torch_gives_the_same(name: str) -> None:
    make, size = SMALL[name]
    x = images(2, size)
    ours, theirs = make(rng=0), THEIRS[name]().eval()
    predicted(ours, x)
    stir(ours)
    copy_weights(ours, theirs)
    with torch.no_grad():
        expected = theirs(torch.tensor(x)).numpy()
    scale = abs(expected).max()
    assert abs(expected - expected.mean(axis=1, keepdims=True)).max() > 0.01 * scale, "scores that say something"
    # A sum of n float32 terms errs by about sqrt(n) eps, here 1e-5, in each of up to 50 layers.
    np.testing.assert_allclose(predicted(ours, x), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.usefixtures("single_torch_thread")
def test_vgg_sees_in_larger_images_what_torch_sees() -> None:
    x = images(1, 96)
    ours, theirs = VGG16(rng=0), torch_vgg16()
    predicted(ours, x[..., :32, :32])
    stir(ours)
    copy_weights(ours, theirs)
    with no_grad(), torch.no_grad():
        expected = theirs[:31](torch.tensor(x)).numpy()
        assert expected.shape == (1, 512, 3, 3)
        np.testing.assert_allclose(ours.features(x).data, expected, rtol=0, atol=1e-4 * abs(expected).max())


# What every network can do.


@every_network
def test_networks_take_images_of_any_channels_and_number_of_classes(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=7, in_channels=2, rng=0)
    y = predicted(model, images(3, size, channels=2))
    assert (y.shape, y.dtype) == ((3, 7), np.float32)
    assert predicted(model, images(0, size, channels=2)).shape == (0, 7)
    assert model.features(images(2, size, channels=2)).shape[0] == 2
    with pytest.raises(ShapeError, match=rf"^{type(model).__name__.lower()}\.conv1(_1)?: conv2d"):
        model(images(3, size))


@every_network
def test_the_first_call_tells_the_channels(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=3)
    predicted(model, images(1, size, channels=1))
    assert next(model.params()).shape[1] == 1


@every_network
def test_a_seed_tells_all_weights(name: str) -> None:
    make, size = SMALL[name]
    x = images(1, size)
    np.testing.assert_array_equal(*[predicted(make(num_classes=3, rng=5), x) for _ in range(2)])
    assert (predicted(make(num_classes=3, rng=6), x) != predicted(make(num_classes=3, rng=5), x)).any()


@pytest.mark.parametrize("name", ["LeNet", "SqueezeNet1.1"])
def test_without_a_seed_a_first_call_draws_from_the_generator_of_that_moment(name: str) -> None:
    make, size = SMALL[name]
    scores = []
    for _ in range(2):
        model = make(num_classes=3)
        with using_rng(4):
            scores.append(predicted(model, images(1, size)))
    np.testing.assert_array_equal(*scores)


@every_network
def test_a_training_step_moves_all_parameters_and_a_prediction_none(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=5, rng=0)
    x, t = images(4, size), np.array([0, 1, 2, 3])
    predicted(model, x)
    before = model.state_dict()
    predicted(model, x)
    np.testing.assert_equal(model.state_dict(), before)
    loss = F.softmax_cross_entropy(model(x), t)
    loss.backward()
    SGD(lr=0.1).setup(model).update()
    after = model.state_dict()
    assert [path for path in before if np.array_equal(before[path], after[path])] == []
    assert np.isfinite(loss.data)


@pytest.mark.parametrize("name", ["LeNet", "ResNet18"])
def test_networks_learn_a_few_images_by_heart(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=4, rng=0)
    optimizer = Adam(lr=1e-3).setup(model)
    x, t = images(8, size), np.arange(8) % 4
    losses = []
    for _ in range(12):
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@every_network
def test_signals_keep_their_size_from_layer_to_layer(name: str) -> None:
    """He's and LeCun's numbers are for that: scores of a new network are neither 0 nor huge."""
    make, size = SMALL[name]
    model = make(num_classes=5, rng=0)
    with no_grad():
        features = model.features(images(8, size)).data
    assert 0.05 < features.std() < 20


@every_network
def test_weights_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    make, size = SMALL[name]
    x, file = images(1, size), tmp_path / "model.safetensors"
    model = make(num_classes=4, rng=0)
    y = predicted(model, x)
    model.save_weights(file)
    again = make(num_classes=4, rng=1)
    again.load_weights(file)
    np.testing.assert_array_equal(predicted(again, x), y)
    with pytest.raises(WeightsError, match=r"(?s)model\.safetensors.*Nothing was changed|shape"):
        make(num_classes=3).load_weights(file)


# Trained weights.


@pytest.mark.parametrize(
    ("make", "options"), [(VGG16, {}), (ResNet50, {"downsample_fb": False}), (SqueezeNet, {})], ids=str
)
def test_pretrained_weights_need_a_file(make: Any, options: dict[str, Any], tmp_path: Path) -> None:
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
            layers = [f"layer{int(layers[0][3]) - 1}", *[part.removeprefix("l") for part in layers[1:]]]
            layers = ["downsample" if part == "shortcut" else part for part in layers]
        layers = ["fc" if part == "fc6" else part for part in layers]
        theirs[".".join([*layers, names[name]])] = torch.tensor(array.T if path == "fc6.W" else array)
        if name == "avg_var":
            theirs[".".join([*layers, "num_batches_tracked"])] = torch.tensor(7)
    return theirs


def test_the_residual_network_of_dezero_takes_its_file(tmp_path: Path) -> None:
    x, file = images(1, 38), tmp_path / "resnet50.npz"
    model = ResNet50(downsample_fb=False, rng=0)
    predicted(model, x)
    stir(model)
    dezeros = named_as_in_dezero(model.state_dict())
    assert {"res2/a/conv4/W", "res5/b2/bn3/avg_var", "res3/b1/conv1/W", "fc6/b"} < dezeros.keys()
    write_weights(file, dezeros)
    again = ResNet50(downsample_fb=False, weights=file)
    np.testing.assert_allclose(predicted(again, x), predicted(model, x), rtol=0, atol=1e-5)  # Of scores up to 3.
    with pytest.raises(WeightsError, match=r"resnet50\.npz: .*ResNet50\(downsample_fb=False\)"):
        ResNet50(weights=file)
    dezeros.pop("res2/a/conv4/W")
    write_weights(file, dezeros)
    with pytest.raises(WeightsError, match=r"missing: res2\.l0\.shortcut\.l0\.W"):
        ResNet50(downsample_fb=False, weights=file)


@pytest.mark.parametrize("make", [ResNet18, ResNet50])
def test_published_weights_are_fetched_and_compared(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, model = images(1, 33), make(num_classes=4, in_channels=3, rng=0)
    stir(model)
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


def test_the_published_files_name_their_checksums() -> None:
    assert resnet.PUBLISHED.keys() == resnet.BLOCKS.keys()
    for layers, url in resnet.PUBLISHED.items():
        assert re.search(rf"/resnet{layers}-[0-9a-f]{{8}}\.pth$", url)


def test_weights_put_into_the_cache_folder_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"download https://.*/vgg16\.npz to .*vgg16\.npz by hand"):
        VGG16(pretrained=True)
    (tmp_path / "vgg16.npz").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"vgg16\.npz: not a readable npz"):
        VGG16(pretrained=True)


def test_preprocess_gives_what_weights_for_pytorch_want() -> None:
    x = ResNet50.preprocess(Image.new("RGB", (300, 256), (255, 0, 128)))
    expected = (np.array([255, 0, 128]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert (x.shape, x.dtype) == ((3, 224, 224), np.float32)
    np.testing.assert_allclose(x[:, 100, 100], expected, rtol=1e-5)
    assert ResNet50.preprocess(Image.new("L", (40, 60))).shape == (3, 224, 224)


def test_layers_of_vgg_remember_what_is_before_relu() -> None:
    model = VGG16(num_classes=3, rng=0)
    y = model(images(1, 32))
    layers = [getattr(model, f"conv{i}_1") for i in range(1, 6)] + [model.conv5_3, model.fc6, model.fc7]
    outputs = [layer.outputs[0]() for layer in layers]
    assert all(output is not None and output.data.min() < 0 for output in outputs)
    y[0, 1].backward(retain_grad=True)
    assert all(output.grad.shape == output.shape for output in outputs)


def test_a_file_that_dezero_wrote_is_taken(tmp_path: Path) -> None:
    """There the names of parts are joined by slashes, and matrices are (I, O) as here."""
    x, file = images(1, 32), tmp_path / "vgg16.npz"
    model = VGG16(num_classes=6, rng=0)
    y = predicted(model, x)
    write_weights(file, {path.replace(".", "/"): array for path, array in model.state_dict().items()})
    again = VGG16(pretrained=True, num_classes=6, weights=file)
    np.testing.assert_array_equal(predicted(again, x), y)


def test_preprocess_makes_of_a_picture_what_caffe_did() -> None:
    picture = Image.new("L", (40, 30), 100)
    x = VGG16.preprocess(picture, size=(48, 32))
    assert (x.shape, x.dtype) == ((3, 32, 48), np.float32)
    np.testing.assert_allclose(x[:, 5, 5], np.float32([100 - 103.939, 100 - 116.779, 100 - 123.68]), rtol=1e-6)
    colours = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    x = VGG16.preprocess(Image.fromarray(colours), size=None, dtype=np.float64)
    np.testing.assert_array_equal(
        x, colours.transpose(2, 0, 1)[::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    )
    with pytest.raises(DTypeError, match="an ndarray is not a Pillow image"):
        VGG16.preprocess(colours)
    with pytest.raises(DTypeError, match=r"VGG16\.preprocess: int64"):
        VGG16.preprocess(picture, dtype=np.int64)


# What is out of range.


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: ResNet(20), ArgumentError, r"ResNet: n_layers is 20; .* 18, 34, 50, 101, 152"),
        (lambda: ResNet("50"), DTypeError, "ResNet: n_layers is a str"),
        (lambda: ResNet34(num_classes=0), ArgumentError, "ResNet34: num_classes is 0"),
        (lambda: BuildingBlock(0, 8, 2, 8, 1), ArgumentError, "BuildingBlock: n_layers is 0"),
        (lambda: SqueezeNet(version="1.2"), ArgumentError, "SqueezeNet: unknown version '1.2'"),
        (lambda: VGG16(num_classes=2.5), DTypeError, "VGG16: num_classes is a float"),
        (lambda: LeNet(activation="tanh"), DTypeError, "LeNet: activation is a str"),
        (lambda: LeNet()(images(1, 11)), ShapeError, "lenet"),
        (lambda: VGG16()(images(1, 31)), ShapeError, "vgg16"),
        (lambda: SqueezeNet()(images(1, 28)), ShapeError, "squeezenet"),
        (lambda: ResNet18(in_channels=3)(images(1, 32)[0]), ShapeError, r"resnet18\.conv1"),
    ],
)
def test_what_does_not_fit_is_named(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_the_layer_that_does_not_fit_is_named_with_its_path() -> None:
    model = ResNet18(in_channels=3)
    model.res3.l1.conv2 = L.Conv2d(128, 3, pad=1, in_channels=64)
    with pytest.raises(ShapeError, match=r"^resnet18\.res3\.l1\.conv2: conv2d"):
        model(images(1, 32))


def test_a_version_may_be_a_number() -> None:
    assert SqueezeNet(version=1.1).conv1.kernel_size == SqueezeNet(version="1.1").conv1.kernel_size == 3


def test_blocks_change_the_shape_only_where_they_say_so() -> None:
    model = ResNet18(in_channels=3)
    shortcuts = [path for path, layer in model.named_layers() if path.endswith("shortcut")]
    assert shortcuts == ["res3.l0.shortcut", "res4.l0.shortcut", "res5.l0.shortcut"]
    block = BottleneckA(4, 2, 8, stride=1)
    assert block(images(1, 6, channels=4)).shape == (1, 8, 6, 6)
    assert block.conv2.stride == 1

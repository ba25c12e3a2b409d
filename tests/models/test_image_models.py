"""Networks for images: agreement with the same networks in PyTorch, training, and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import passus.functions as F
from passus import layers as L
from passus.config import no_grad
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.models import (
    VGG16,
    BottleneckA,
    BuildingBlock,
    LeNet,
    ResNet,
    ResNet18,
    ResNet34,
    SqueezeNet,
)
from passus.optimizers import SGD, Adam
from passus.random import using_rng
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture
from tests.models.image_networks import (
    SMALL,
    THEIRS,
    copy_weights,
    every_network,
    images,
    predicted,
    randomize_biases_and_statistics,
    torch_vgg16,
)


@pytest.mark.usefixtures("single_torch_thread")
@every_network
def test_network_agrees_with_pytorch(name: str) -> None:
    make, size = SMALL[name]
    x = images(2, size)
    ours, theirs = make(rng=0), THEIRS[name]().eval()
    predicted(ours, x)
    randomize_biases_and_statistics(ours)
    copy_weights(ours, theirs)
    with torch.no_grad():
        expected = theirs(torch.tensor(x)).numpy()
    scale = abs(expected).max()
    assert abs(expected - expected.mean(axis=1, keepdims=True)).max() > 0.01 * scale, (
        "the scores differ between classes"
    )
    # A sum of n float32 terms errs by about sqrt(n) eps, here 1e-5, in each of up to 50 layers.
    np.testing.assert_allclose(predicted(ours, x), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.usefixtures("single_torch_thread")
def test_vgg_features_of_larger_images_agree_with_pytorch() -> None:
    x = images(1, 96)
    ours, theirs = VGG16(rng=0), torch_vgg16()
    predicted(ours, x[..., :32, :32])
    randomize_biases_and_statistics(ours)
    copy_weights(ours, theirs)
    with no_grad(), torch.no_grad():
        expected = theirs[:31](torch.tensor(x)).numpy()
        assert expected.shape == (1, 512, 3, 3)
        np.testing.assert_allclose(ours.features(x).data, expected, rtol=0, atol=1e-4 * abs(expected).max())


# All networks.


@every_network
def test_networks_accept_any_number_of_channels_and_classes(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=7, in_channels=2, rng=0)
    y = predicted(model, images(3, size, channels=2))
    assert (y.shape, y.dtype) == ((3, 7), np.float32)
    assert predicted(model, images(0, size, channels=2)).shape == (0, 7)
    assert model.features(images(2, size, channels=2)).shape[0] == 2
    with pytest.raises(ShapeError, match=rf"^{type(model).__name__.lower()}\.conv1(_1)?: conv2d"):
        model(images(3, size))


@every_network
def test_channels_are_inferred_on_the_first_call(name: str) -> None:
    make, size = SMALL[name]
    model = make(num_classes=3)
    predicted(model, images(1, size, channels=1))
    assert next(model.params()).shape[1] == 1


@every_network
def test_equal_seeds_give_equal_weights(name: str) -> None:
    make, size = SMALL[name]
    x = images(1, size)
    np.testing.assert_array_equal(*[predicted(make(num_classes=3, rng=5), x) for _ in range(2)])
    assert (predicted(make(num_classes=3, rng=6), x) != predicted(make(num_classes=3, rng=5), x)).any()


@pytest.mark.parametrize("name", ["LeNet", "SqueezeNet1.1"])
def test_lazy_weights_without_a_seed_use_the_current_generator(name: str) -> None:
    make, size = SMALL[name]
    scores = []
    for _ in range(2):
        model = make(num_classes=3)
        with using_rng(4):
            scores.append(predicted(model, images(1, size)))
    np.testing.assert_array_equal(*scores)


@every_network
def test_training_updates_all_parameters_and_prediction_none(name: str) -> None:
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
def test_networks_overfit_a_few_images(name: str) -> None:
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
def test_features_of_a_new_network_have_moderate_scale(name: str) -> None:
    """The initializations of He and LeCun keep the scale of activations."""
    make, size = SMALL[name]
    model = make(num_classes=5, rng=0)
    with no_grad():
        features = model.features(images(8, size)).data
    assert 0.05 < features.std() < 20


@every_network
def test_weights_round_trip_through_a_file(name: str, tmp_path: Path) -> None:
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


def test_vgg_layers_store_outputs_before_relu() -> None:
    model = VGG16(num_classes=3, rng=0)
    y = model(images(1, 32))
    layers = [getattr(model, f"conv{i}_1") for i in range(1, 6)] + [model.conv5_3, model.fc6, model.fc7]
    outputs = [layer.outputs[0]() for layer in layers]
    assert all(output is not None and output.data.min() < 0 for output in outputs)
    y[0, 1].backward(retain_grad=True)
    assert all(output.grad.shape == output.shape for output in outputs)


# Errors.


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
def test_invalid_arguments_and_inputs_raise(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_shape_error_names_the_layer_path() -> None:
    model = ResNet18(in_channels=3)
    model.res3.l1.conv2 = L.Conv2d(128, 3, pad=1, in_channels=64)
    with pytest.raises(ShapeError, match=r"^resnet18\.res3\.l1\.conv2: conv2d"):
        model(images(1, 32))


def test_version_can_be_a_number() -> None:
    assert SqueezeNet(version=1.1).conv1.kernel_size == SqueezeNet(version="1.1").conv1.kernel_size == 3


def test_only_the_first_block_of_a_stage_has_a_shortcut() -> None:
    model = ResNet18(in_channels=3)
    shortcuts = [path for path, layer in model.named_layers() if path.endswith("shortcut")]
    assert shortcuts == ["res3.l0.shortcut", "res4.l0.shortcut", "res5.l0.shortcut"]
    block = BottleneckA(4, 2, 8, stride=1)
    assert block(images(1, 6, channels=4)).shape == (1, 8, 6, 6)
    assert block.conv2.stride == 1

"""Arguments in the order of other libraries and axes in another order raise or warn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus
import passus.layers as L
from passus.errors import ArgumentError, DTypeError
from passus.models import LeNet, MobileNetV2, Sequential, SqueezeNet
from tests.package.recording import recorded_warnings

TORCH = [
    (L.Linear, (5, 16)),
    (L.Linear, (784, 1)),
    (L.Conv2d, (3, 16, 3)),
    (L.Conv2d, (1, 6, 5)),
    (L.Conv2d, (6, 16, 5)),
    (L.Conv2d, (1, 32, 3, 1)),
    (L.Conv2d, (3, 64, 7, 2, 3)),
    (L.Conv2d, (64, 128, 1)),
    (L.Conv2d, (512, 10, 1)),
    (L.Conv2d, (3, 6, 3)),
    (L.Conv2d, (4, 32, 8, 4)),
    (L.Conv1d, (1, 32, 80, 16)),
    (L.Conv3d, (1, 8, 3)),
    (L.Deconv2d, (128, 64, 2, 2)),
    (L.Deconv2d, (64, 32, 4, 2, 1)),
    (L.Deconv1d, (16, 33, 3, 2)),
    (L.BatchNorm, (16,)),
    (L.BatchNorm, (np.int64(64),)),
    (L.LayerNorm, ([16],)),
    (L.LocalResponseNorm, (5, 1e-4)),
    (L.MaxPooling, (2, 2, 0, 1)),
    (L.AveragePooling, (3, 2, 1, 1)),
]
OURS = [
    (L.Linear, (16, True, np.float64, 5)),
    (L.Conv2d, (64, 3, 1, 1)),
    (L.Conv2d, (64, 7, 2, 3)),
    (L.Conv2d, (64, 1, 2, 0, True)),
    (L.Conv2d, (96, 11, 4)),
    (L.Conv2d, (32, 8, 4)),
    (L.Conv2d, (768, 16, 16)),
    (L.Conv2d, (256, 5, 1, 2, True, np.float32, 3)),
    (L.Conv2d, (16, (3, 5), 3)),
    (L.Conv1d, (512, 10, 5)),
    (L.Conv1d, (8, 31, 1, 15)),
    (L.Deconv2d, (3, 4, 2, 1)),
    (L.Deconv2d, (1, 4, 2, 1, True)),
    (L.Deconv2d, (512, 4, 1, 0)),
]


@pytest.mark.parametrize(("cls", "arguments"), TORCH, ids=str)
def test_pytorch_argument_order_raises(cls: Any, arguments: Any) -> None:
    with pytest.raises((ArgumentError, DTypeError), match=cls.__name__):
        cls(*arguments)


@pytest.mark.parametrize(("cls", "arguments"), OURS, ids=str)
def test_dezero_argument_order_is_accepted(cls: Any, arguments: Any) -> None:
    cls(*arguments)


def test_stride_by_keyword_is_accepted() -> None:
    assert L.Conv2d(3, 16, stride=3).stride == 3


def test_subclass_can_use_another_argument_order() -> None:
    class Torch(L.Conv2d):
        def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
            super().__init__(out_channels, kernel_size, in_channels=in_channels)

    assert Torch(3, 16, 3).W.shape == (16, 3, 3, 3)


@pytest.mark.parametrize("model", [MobileNetV2, LeNet, SqueezeNet, passus.models.ResNet18, passus.models.VGG16])
def test_positional_number_of_classes_raises(model: Any) -> None:
    if model is LeNet:
        assert LeNet(10).fc5.out_size == 10
    else:
        with pytest.raises((ArgumentError, DTypeError), match=r"num_classes=10|width"):
            model(-10 if model is MobileNetV2 else 10)


# The order of axes.


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 28, 28, 1), (2, 16, 16, 16, 3), (2, 480, 640, 4)])
def test_channels_last_warns_once(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    axes = {4: (L.Conv2d, L.Deconv2d), 5: (L.Conv3d, L.Deconv3d)}[len(shape)]
    for make in (lambda: axes[0](2, 1), lambda: axes[1](2, 1), L.BatchNorm, L.InstanceNorm, lambda: L.GroupNorm(1)):
        layer = make()
        with recorded_warnings() as messages:
            layer(x)
            layer(x)
        assert len(messages) == 1
        assert f"x.transpose{(0, len(shape) - 1, *range(1, len(shape) - 1))}" in messages[0]


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 512, 4, 4), (2, 64, 1, 1), (2, 64, 200, 1), (2, 4, 8, 3)])
def test_channels_first_does_not_warn(shape: tuple[int, ...]) -> None:
    L.Conv2d(2, 1)(np.zeros(shape, np.float32))


def test_hidden_layers_do_not_warn_about_channels() -> None:
    model = Sequential(L.Conv2d(16, 1), L.Conv2d(4, 1))
    x = np.zeros((2, 3, 16, 4), np.float32)
    model(x)
    with passus.no_grad():
        Sequential(L.Conv2d(16, 1), L.Conv2d(4, 1))(x)

"""MobileNetV2: agreement with the same network in torch.nn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import passus
import passus.functions as F
from passus.errors import ArgumentError, ShapeError
from passus.models import MobileNetV2
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture

X = np.random.default_rng(0).standard_normal((2, 3, 64, 48)).astype(np.float32)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        middle = inputs * expansion
        layers = unit(inputs, middle) if expansion > 1 else []
        layers += unit(middle, middle, 3, stride, middle) + unit(middle, outputs)[:2]
        self.layers, self.adds = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.adds else self.layers(x)


def unit(inputs, outputs, kernel=1, stride=1, groups=1):
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]


def reference(widths, classes, stem, head):
    """The network of Table 2 of the paper."""
    layers, channels = unit(3, stem, 3, 2), stem
    for outputs, expansion, repeats, stride in zip(widths, (1, *[6] * 6), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)):
        for i in range(repeats):
            layers.append(Block(channels, outputs, stride if i == 0 else 1, expansion))
            channels = outputs
    return nn.Sequential(
        *layers, *unit(channels, head), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, classes)
    )


def copy_weights(theirs, ours):
    """Copy the parameters of ``theirs`` into ``ours``, and assign random running statistics to both."""
    rng, norms = np.random.default_rng(1), [m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean[:] = torch.tensor(rng.standard_normal(norm.running_mean.shape) * 0.1)
        norm.running_var[:] = torch.tensor(rng.uniform(0.5, 2.0, norm.running_var.shape))
    for mine, his in zip(ours.params(), theirs.parameters(), strict=True):
        mine.data = (his.T if his.ndim == 2 else his).detach().numpy().copy()
    buffers = [b for norm in norms for b in (norm.running_mean, norm.running_var)]
    for (_, mine), his in zip(ours.named_buffers(), buffers, strict=True):
        mine[:] = his.numpy()


WIDTHS = {1.0: (16, 24, 32, 64, 96, 160, 320), 0.35: (8, 8, 16, 24, 32, 56, 112), 1.4: (24, 32, 48, 88, 136, 224, 448)}


@pytest.mark.usefixtures("single_torch_thread")
@pytest.mark.parametrize(("width", "stem", "head"), [(1.0, 32, 1280), (0.35, 16, 1280), (1.4, 48, 1792)])
def test_it_computes_what_pytorch_does(width, stem, head):
    theirs, ours = reference(WIDTHS[width], 10, stem, head).eval(), MobileNetV2(width, 10)
    copy_weights(theirs, ours)
    with passus.no_grad(), passus.test_mode(), torch.no_grad():
        y, expected = ours(X).data, theirs(torch.tensor(X)).numpy()
        np.testing.assert_allclose(ours.features(X).data.mean((2, 3)), theirs[:-1](torch.tensor(X)), atol=1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.usefixtures("single_torch_thread")
def test_gradients_agree_with_pytorch():
    """In float64, because thirty norms of small batches amplify the rounding of float32."""
    theirs = reference(WIDTHS[0.35], 10, 16, 1280).double()
    ours, t = MobileNetV2(0.35, 10, dropout_ratio=0.0), np.array([3, 7])
    copy_weights(theirs, ours)
    for parameter in ours.params():
        parameter.data = parameter.data.astype(np.float64)
    F.softmax_cross_entropy(ours(X.astype(np.float64)), t).backward()
    nn.functional.cross_entropy(theirs(torch.tensor(X).double()), torch.tensor(t)).backward()
    for mine, his in zip(ours.params(), theirs.parameters(), strict=True):
        expected = (his.grad.T if his.grad.ndim == 2 else his.grad).numpy()
        np.testing.assert_allclose(mine.grad.data, expected, atol=1e-8 * max(1.0, abs(expected).max()))


def test_number_of_parameters_is_that_of_the_paper():
    model = MobileNetV2()
    assert model.count_params() == 3_504_872
    assert sum(p.numel() for p in reference(WIDTHS[1.0], 1000, 32, 1280).parameters()) == 3_504_872


def test_invalid_options_and_inputs_raise():
    with pytest.raises(ArgumentError, match="MobileNetV2: width is 0"):
        MobileNetV2(width=0)
    with pytest.raises(ArgumentError, match="MobileNetV2: num_classes is 0"):
        MobileNetV2(num_classes=0)
    with pytest.raises(ShapeError, match=r"^mobilenetv2\.stem\.conv: conv2d"):
        MobileNetV2(0.25, 10)(np.ones((1, 4, 32, 32), np.float32))


def test_equal_seeds_give_equal_networks_with_different_layers():
    first, second = (MobileNetV2(0.25, 10, rng=3) for _ in range(2))
    np.testing.assert_equal(first.state_dict(), second.state_dict())
    weights = [block.project.conv.W.data for block in first.blocks]
    assert not any((a == b).all() for a, b in pairwise(weights) if a.shape == b.shape)


def test_grey_images_and_empty_batches():
    model = MobileNetV2(0.25, 10, in_channels=1)
    with passus.test_mode():
        assert model(np.ones((2, 1, 33, 65), np.float32)).shape == (2, 10)
        assert model(np.ones((0, 1, 64, 64), np.float32)).shape == (0, 10)

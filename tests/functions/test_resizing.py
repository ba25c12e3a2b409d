"""Resizing: agreement with PyTorch over random sizes, layouts, layers, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as T

import passus.functions as F
import passus.layers as L
from passus import Variable
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.testing import check_grads
from tests.helpers.against_torch import compared
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.helpers.drawing import generators

pytestmark = pytest.mark.usefixtures("single_torch_thread")

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def lengths(axes: int) -> Any:
    return st.tuples(*[st.integers(1, 7)] * axes)


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), rng=generators())
def test_bilinear_resize_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    size, out, align_corners = data.draw(st.tuples(lengths(axes), lengths(axes), st.booleans()))
    compared(
        lambda x: F.resize(x, out, "bilinear", align_corners),
        lambda x: T.interpolate(x, out, mode=LINEAR[axes], align_corners=align_corners),
        rng.standard_normal((data.draw(st.integers(1, 2)), 2, *size)),
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), rng=generators())
def test_nearest_resize_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    size, out = data.draw(st.tuples(lengths(axes), lengths(axes)))
    compared(
        lambda x: F.resize(x, out),
        lambda x: T.interpolate(x, out, mode="nearest"),
        rng.standard_normal((data.draw(st.integers(1, 2)), 2, *size)),
    )


@settings(max_examples=30)
@given(factor=st.integers(1, 3), channels=st.integers(1, 2), size=lengths(2), rng=generators())
def test_pixel_shuffle_and_unshuffle_agree_with_pytorch(
    factor: int, channels: int, size: tuple[int, int], rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, channels * factor**2, *size))
    compared(lambda x: F.pixel_shuffle(x, factor), lambda x: T.pixel_shuffle(x, factor), x)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, factor), factor), x)
    x = rng.standard_normal((1, 2, 6, 6))
    np.testing.assert_array_equal(F.pixel_unshuffle(x, factor), T.pixel_unshuffle(torch.tensor(x), factor))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_nan_affects_neighbouring_pixels_only(mode: str) -> None:
    x = np.ones((1, 1, 8))
    x[0, 0, 0] = np.nan
    y = F.resize(x, 16, mode)
    assert np.isfinite(y[0, 0, 4:]).all()
    assert np.isnan(y[0, 0, :2]).all()


@pytest.mark.parametrize(("mode", "dtype"), [("nearest", np.uint8), ("bilinear", np.float64)])
def test_integers(mode: str, dtype: Any) -> None:
    y = F.resize(np.array([[[100, 200]]], np.uint8), 4, mode)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[[100, 100, 200, 200] if mode == "nearest" else [100, 125, 175, 200]]])


def test_higher_derivatives_of_resize_share_one_table(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal((1, 1, 4)))
    check_grads(lambda x: F.resize(x**3, 7, "bilinear"), x.data, order=3)
    step = F.resize(x, 7, "bilinear").creator
    back = step.backward(Variable(np.ones((1, 1, 7)))).creator
    assert back.backward(Variable(np.ones((1, 1, 4)))).creator.taps is step.taps


def test_resize_returns_channels_last_layout(rng: np.random.Generator) -> None:
    y = F.resize(rng.standard_normal((2, 3, 4, 4)), 8, "bilinear")
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


def test_layers(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 4, 6))
    np.testing.assert_array_equal(L.Upsample(2)(x), F.resize(x, (8, 12)))
    np.testing.assert_array_equal(L.Upsample((1, 3), "bilinear", True)(x), F.resize(x, (4, 18), "bilinear", True))
    np.testing.assert_array_equal(L.PixelShuffle(2)(x), F.pixel_shuffle(x, 2))
    np.testing.assert_array_equal(L.PixelUnshuffle(2)(x), F.pixel_unshuffle(x, 2))
    assert L.Upsample(3)(rng.standard_normal((1, 1, 2))).shape == (1, 1, 6)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: L.Upsample(0), ArgumentError, "Upsample: scale is 0"),
        (lambda: L.Upsample(1.5), DTypeError, "Upsample: scale is a float"),
        (lambda: L.Upsample(2, "cubic"), ArgumentError, "resize: mode must be"),
        (lambda: L.Upsample(2, align_corners=True), ArgumentError, "resize: align_corners is for"),
        (
            lambda: L.Upsample((2, 2))(np.ones((1, 1, 4))),
            ArgumentError,
            "Upsample: scale .* each of the 1 spatial axes",
        ),
        (lambda: L.Upsample(2)(np.ones((4, 4))), ShapeError, "Upsample: x .* needs the axes"),
        (lambda: L.PixelShuffle(0), ArgumentError, "PixelShuffle: factor is 0"),
        (lambda: L.PixelUnshuffle(2.0), DTypeError, "PixelUnshuffle: factor is a float"),
    ],
)
def test_invalid_layer_options_raise(make: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()

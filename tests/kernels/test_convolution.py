"""Compiled convolutions and their references agree over drawn shapes, layouts and numbers of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passus.kernels.convolution import convolve, convolve_input_gradient, convolve_weight_gradient
from tests.helpers.drawing import generators


@st.composite
def convolutions(draw: Any) -> dict[str, Any]:
    rng = draw(generators())
    axes = draw(st.sampled_from([1, 2, 2, 2]))
    several = st.tuples(*[st.integers(1, 3)] * axes)
    kernel = draw(st.tuples(*[st.integers(1, 5)] * axes))
    stride, dilation = draw(several), draw(several)
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * axes))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for k, d, p in zip(kernel, dilation, padding)]
    size = [n + draw(st.integers(0, 18)) for n in least]
    groups, c, o = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 20)), draw(st.integers(1, 70))
    x = rng.standard_normal((draw(st.integers(0, 3)), groups * c, *size), np.float32)
    W = rng.standard_normal((groups * o, c, *kernel), np.float32)
    if draw(st.booleans()):  # As a convolution leaves it.
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    if draw(st.booleans()):
        x.flags.writeable = W.flags.writeable = False
    b = rng.standard_normal(groups * o, np.float32) if draw(st.booleans()) else None
    return {"x": x, "W": W, "b": b, "window": (stride, padding, dilation), "groups": groups}


@given(case=convolutions(), rng=generators())
@settings(max_examples=60, deadline=None)
def test_convolution(case: dict[str, Any], rng: np.random.Generator) -> None:
    x, W, b, window, groups = case.values()
    y = convolve.reference(x, W, b, *window, groups)
    check(convolve, y, x, W, b, *window, groups)
    gy = rng.standard_normal(y.shape, np.float32)
    check(convolve_input_gradient, None, gy, W, x.shape[2:], *window, groups)
    check(convolve_weight_gradient, None, x, gy, W.shape[2:], *window, groups)


@st.composite
def squares(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images and kernels for Winograd's algorithm, at the edges of its squares and vectors."""
    rng = draw(generators())
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2))
    size = [max(1, 3 - sum(pads)) + draw(st.integers(0, 12)) for pads in padding]
    x = rng.standard_normal((draw(st.integers(0, 5)), draw(st.integers(8, 40)), *size), np.float32)
    return x, rng.standard_normal((draw(st.integers(16, 70)), x.shape[1], 3, 3), np.float32), padding


@given(case=squares(), rng=generators())
@settings(max_examples=60, deadline=None)
def test_winograd(case: tuple[np.ndarray, np.ndarray, Any], rng: np.random.Generator) -> None:
    x, W, padding = case
    b, window = rng.standard_normal(len(W), np.float32), ((1, 1), padding, (1, 1))
    y = convolve.reference(x, W, b, *window, 1)
    check(convolve, y, x, W, b, *window, 1)
    check(convolve_weight_gradient, None, x, y, (3, 3), *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)


def test_winograd_loses_no_more_than_a_bit(rng: np.random.Generator) -> None:
    x, W = rng.standard_normal((8, 64, 16, 16), np.float32), rng.standard_normal((32, 64, 3, 3), np.float32)
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    exact = convolve.reference(x.astype(np.float64), W.astype(np.float64), None, *options)
    compiled = convolve.compiled()
    assert compiled is not None
    error = compiled(x, W, None, *options) - exact
    assert np.sqrt(np.mean(error**2)) < 1.5e-6 * exact.std()  # With the points 0, 1, 2 and infinity it would be 1.8e-6.


@st.composite
def few_channels(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images and kernels to few channels, with results whose rows consist of whole groups of neighbours more often than not."""
    rng = draw(generators())
    kernel, stride = (
        (draw(st.integers(1, 6)), draw(st.integers(2, 7))),
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
    )
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2))
    columns = draw(st.sampled_from([1, 5, 6, 8, 12, 14, 20, 32]))
    width = (columns - 1) * stride[1] + kernel[1] - sum(padding[1]) + draw(st.integers(0, stride[1] - 1))
    height = max(1, kernel[0] - sum(padding[0])) + draw(st.integers(0, 9))
    x = rng.standard_normal((draw(st.integers(0, 3)), draw(st.integers(1, 40)), height, max(1, width)), np.float32)
    W = rng.standard_normal((draw(st.integers(1, 16)), x.shape[1], *kernel), np.float32)
    return x, W, (stride, padding, (1, 1))


@given(case=few_channels(), rng=generators())
@settings(max_examples=80, deadline=None)
def test_convolution_to_few_channels(case: tuple[np.ndarray, np.ndarray, Any], rng: np.random.Generator) -> None:
    x, W, window = case
    b = rng.standard_normal(len(W), np.float32)
    y = convolve.reference(x, W, b, *window, 1)
    check(convolve, y, x, W, b, *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)


@st.composite
def channels_by_themselves(draw: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    """Images for depthwise convolution, whose rows are whole strides now and then.

    A kernel is compiled for the width of a window, its stride and dilation, the padding on the left, and the pixels of a tile,
    which follow from the length of rows: so these come from short lists.
    """
    rng = draw(generators())
    along_row = draw(st.sampled_from([(3, 2, 1), (4, 3, 1), (2, 2, 3), (3, 1, 2), (5, 1, 1)]))
    kernel, stride, dilation = [(draw(st.integers(1, 4)), number) for number in along_row]
    vertical = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    horizontal, columns = draw(st.sampled_from([(0, 0), (1, 2), (3, 1)])), draw(st.sampled_from([1, 8, 20]))
    height, width = (d * (k - 1) + 1 - sum(pads) for d, k, pads in zip(dilation, kernel, (vertical, horizontal)))
    height = max(1, height) + draw(st.integers(0, 19))
    width = max(1, width) + (columns - 1) * stride[1] + draw(st.integers(0, stride[1] - 1))
    channels = draw(st.integers(2, 70))
    x = rng.standard_normal((draw(st.integers(0, 3)), channels, height, width), np.float32)
    return x, rng.standard_normal((channels, 1, *kernel), np.float32), (stride, (vertical, horizontal), dilation)


@given(case=channels_by_themselves(), rng=generators())
@settings(max_examples=40, deadline=None)
def test_convolution_of_each_channel_by_itself(
    case: tuple[np.ndarray, np.ndarray, Any], rng: np.random.Generator
) -> None:
    x, W, window = case
    b = rng.standard_normal(len(W), np.float32)
    y = convolve.reference(x, W, b, *window, len(W))
    check(convolve, y, x, W, b, *window, len(W))
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, len(W))
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, len(W))


def check(kernel: Any, expected: Any, *arguments: Any) -> None:
    if expected is None:
        expected = kernel.reference(*arguments)
    compiled = kernel.compiled()
    assert compiled is not None
    found = compiled(*arguments)
    assert found.dtype == expected.dtype
    scale = np.sqrt(np.mean(expected**2)) if expected.size else 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize(("stride", "channels"), [(1, 3), (1, 9), (2, 3)])
def test_convolution_with_several_threads(
    num_threads: int, stride: int, channels: int, rng: np.random.Generator
) -> None:
    x, W = rng.standard_normal((7, channels, 40, 37), np.float32), rng.standard_normal((33, channels, 3, 3), np.float32)
    window = (stride, stride), ((1, 1), (1, 0)), (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)


@pytest.mark.parametrize("pads", [((0, 0), (0, 0)), ((0, 0), (0, 1)), ((1, 0), (0, 0))])
@pytest.mark.parametrize(("kernel", "channels"), [(1, 600), (2, 600), (1, 33)])
def test_convolution_to_many_channels(kernel: int, channels: int, pads: Any, rng: np.random.Generator) -> None:
    x, W = (
        rng.standard_normal((2, 20, 6, 5), np.float32),
        rng.standard_normal((channels, 20, kernel, kernel), np.float32),
    )
    window = (1, 1), pads, (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)


@pytest.mark.parametrize("groups", [1, 24])
@pytest.mark.parametrize("pads", [(2, 0), (9, 0), (0, 9), (5, 5)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 1), (3, 3)])
def test_windows_that_see_nothing_but_the_border(
    kernel: tuple[int, int], pads: tuple[int, int], groups: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, 24, 6, 1), np.float32)
    W = rng.standard_normal((24, 24 // groups, *kernel), np.float32)
    for window in ((1, 3), ((3, 3), pads), (2, 1)), ((1, 1), (pads, pads), (1, 1)):
        y = convolve.reference(x, W, None, *window, groups)
        check(convolve, y, x, W, None, *window, groups)
        check(convolve_input_gradient, None, y, W, x.shape[2:], *window, groups)
        check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, groups)


def test_an_image_that_does_not_fit_into_the_cache(rng: np.random.Generator) -> None:
    x, W = rng.standard_normal((1, 48, 70, 300), np.float32), rng.standard_normal((5, 48, 3, 3), np.float32)
    window = (1, 1), ((1, 1), (1, 1)), (1, 1)
    y = convolve.reference(x, W, None, *window, 1)
    check(convolve, y, x, W, None, *window, 1)
    check(convolve_input_gradient, None, y, W, x.shape[2:], *window, 1)
    check(convolve_weight_gradient, None, x, y, W.shape[2:], *window, 1)

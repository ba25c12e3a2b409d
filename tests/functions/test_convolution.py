"""Convolution: agreement with PyTorch over random shapes and options, layouts, layers, and errors."""

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
from passus import Variable, initializers, no_grad
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.grad import hvp
from passus.kernels import convolution
from passus.testing import check_grads
from tests.helpers.against_torch import compared
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.helpers.drawing import generators

pytestmark = pytest.mark.usefixtures("single_torch_thread")


@st.composite
def options(draw: Any, axes: int) -> dict[str, Any]:
    """Random sizes and options of a valid convolution."""

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel, stride, dilation, pad = each(1, 4), each(1, 3), each(1, 3), each(0, 3)
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    size = tuple(draw(st.integers(max(1, e - 2 * p), max(1, e - 2 * p) + 4)) for e, p in zip(extent, pad))
    return {
        "x": (draw(st.integers(0, 3)), groups * draw(st.integers(1, 3)), *size),
        "kernel": kernel,
        "out_channels": groups * draw(st.integers(1, 3)),
        "stride": stride,
        "dilation": dilation,
        "pad": pad,
        "groups": groups,
        "bias": draw(st.booleans()),
    }


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), rng=generators())
def test_convolution_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    o = data.draw(options(axes))
    W = rng.standard_normal((o["out_channels"], o["x"][1] // o["groups"], *o["kernel"]))
    b = rng.standard_normal(o["out_channels"]) if o["bias"] else None
    compared(
        lambda x, W, b: getattr(F, f"conv{axes}d")(x, W, b, o["stride"], o["pad"], o["dilation"], o["groups"]),
        lambda x, W, b: getattr(T, f"conv{axes}d")(x, W, b, o["stride"], o["pad"], o["dilation"], o["groups"]),
        rng.standard_normal(o["x"]),
        W,
        b,
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
@settings(max_examples=60)
@given(data=st.data(), rng=generators())
def test_transposed_convolution_agrees_with_pytorch(axes: int, data: Any, rng: np.random.Generator) -> None:
    o = data.draw(options(axes))
    lengths = [data.draw(st.integers(1, 4)) for _ in range(axes)]
    extent = [d * (k - 1) + 1 for k, d in zip(o["kernel"], o["dilation"])]
    full = [s * (n - 1) + e for n, s, e in zip(lengths, o["stride"], extent)]
    pad = tuple(min(p, (n - 1) // 2) for p, n in zip(o["pad"], full))
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(o["stride"], o["dilation"]))
    outsize = tuple(n - 2 * p + e for n, p, e in zip(full, pad, extra))
    x = rng.standard_normal((*o["x"][:2], *lengths))
    W = rng.standard_normal((x.shape[1], o["out_channels"] // o["groups"], *o["kernel"]))
    b = rng.standard_normal(o["out_channels"]) if o["bias"] else None

    compared(
        lambda x, W, b: getattr(F, f"deconv{axes}d")(
            x, W, b, o["stride"], pad, None if not any(extra) else outsize, o["dilation"], o["groups"]
        ),
        lambda x, W, b: getattr(T, f"conv_transpose{axes}d")(
            x, W, b, o["stride"], pad, extra, o["groups"], o["dilation"]
        ),
        x,
        W,
        b,
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@settings(max_examples=30)
@given(data=st.data(), rng=generators())
def test_padding_modes_agree_with_pytorch(mode: str, data: Any, rng: np.random.Generator) -> None:
    height, width = data.draw(st.tuples(st.integers(3, 6), st.integers(3, 6)))
    before_and_after = st.tuples(st.integers(0, 2), st.integers(0, 2))
    rows, columns = data.draw(before_and_after), data.draw(before_and_after)
    compared(
        lambda x, W: F.conv2d(x, W, pad=(rows, columns), pad_mode=mode),
        lambda x, W: T.conv2d(T.pad(x, (*columns, *rows), mode=mode), W),
        rng.standard_normal((2, 2, height, width)),
        rng.standard_normal((3, 2, 3, 2)),
    )


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch warns about the copy for odd padding.
@settings(max_examples=40)
@given(kernel=st.integers(1, 5), dilation=st.integers(1, 3), size=st.integers(1, 9), rng=generators())
def test_same_padding_agrees_with_pytorch(kernel: int, dilation: int, size: int, rng: np.random.Generator) -> None:
    x, W = rng.standard_normal((1, 1, size)), rng.standard_normal((1, 1, kernel))
    expected = T.conv1d(torch.tensor(x), torch.tensor(W), padding="same", dilation=dilation)
    np.testing.assert_allclose(F.conv1d(x, W, pad="same", dilation=dilation), expected, rtol=1e-12, atol=1e-12)


@given(size=st.integers(1, 20), kernel=st.integers(1, 6), stride=st.integers(1, 5), dilation=st.integers(1, 3))
def test_same_padding_gives_the_size_divided_by_the_stride(size: int, kernel: int, stride: int, dilation: int) -> None:
    x, W = np.ones((1, 1, size)), np.ones((1, 1, kernel))
    y = F.conv1d(x, W, stride=stride, pad="same", dilation=dilation)
    assert y.shape[2] == -(-size // stride)
    assert F.deconv1d(y, W, stride=stride, pad="same", outsize=size, dilation=dilation).shape == x.shape
    assert F.deconv1d(y, W, stride=stride, pad="same", dilation=dilation).shape[2] == y.shape[2] * stride


@settings(max_examples=40)
@given(data=st.data(), rng=generators())
def test_col2im_is_the_transpose_of_im2col(data: Any, rng: np.random.Generator) -> None:
    o = data.draw(options(2))
    x, geometry = rng.standard_normal(o["x"]), {name: o[name] for name in ("stride", "pad", "dilation")}
    y = F.im2col(x, o["kernel"], **geometry)
    if len(x):  # PyTorch rejects empty batches here.
        unfolded = T.unfold(torch.tensor(x), o["kernel"], o["dilation"], o["pad"], o["stride"])
        np.testing.assert_array_equal(y, unfolded.transpose(1, 2).reshape(y.shape))
    v = np.cos(np.arange(y.size)).reshape(y.shape)
    back = F.col2im(v, x.shape, o["kernel"], **geometry)
    np.testing.assert_allclose(np.vdot(v, y), np.vdot(back, x), rtol=1e-9, atol=1e-9)


def test_simple_version_gives_the_same_gradients(rng: np.random.Generator) -> None:
    arrays = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 3, 2)), rng.standard_normal(4)
    results = []
    for function in (F.conv2d, F.conv2d_simple):
        boxes = [Variable(a) for a in arrays]
        (function(*boxes, stride=2, pad=(1, 0)) ** 2).sum().backward()
        results.append([v.grad.data for v in boxes])
    for fast, simple in zip(*results):
        np.testing.assert_allclose(fast, simple, rtol=1e-11, atol=1e-11)


def test_third_order(rng: np.random.Generator) -> None:
    check_grads(
        lambda x, W: F.conv2d(x, W, stride=2, pad=1) ** 2,
        rng.standard_normal((1, 2, 3, 3)),
        rng.standard_normal((2, 2, 2, 2)),
        order=3,
    )


def test_hvp_of_a_penalty_on_weights_agrees_with_pytorch(rng: np.random.Generator) -> None:
    x, W, v = (
        rng.standard_normal((2, 2, 4, 4)),
        rng.standard_normal((3, 2, 3, 3)),
        rng.standard_normal((3, 2, 3, 3)) + 1,
    )
    tx, tW, tv = torch.tensor(x), torch.tensor(W), torch.tensor(v)
    expected = torch.autograd.functional.hvp(lambda W: (T.conv2d(tx, W) ** 4).sum(), tW, tv)[1]
    np.testing.assert_allclose(hvp(lambda W: (F.conv2d(x, W) ** 4).sum(), W, v), expected, rtol=1e-10)


def test_weight_gradient_is_not_computed_for_constant_weights(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    x, W = Variable(rng.standard_normal((1, 2, 4, 4))), rng.standard_normal((3, 2, 3, 3))
    monkeypatch.delattr("passus.functions.nn.convolution.convolve_weight_gradient")
    for function, weights in ((F.conv2d, W), (F.deconv2d, W[:2])):
        x.cleargrad()
        function(x, weights).sum().backward()
        assert x.grad.shape == x.shape


def test_channels_last_layout_is_preserved(rng: np.random.Generator) -> None:
    x = np.ascontiguousarray(rng.standard_normal((2, 5, 5, 3))).transpose(0, 3, 1, 2)
    for y in (
        F.conv2d(x, rng.standard_normal((4, 3, 3, 3)), pad=1),
        F.conv2d(x, rng.standard_normal((6, 1, 3, 3)), rng.standard_normal(6), groups=3),
    ):
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("batch", [2, 5])
def test_large_batches_are_computed_in_pieces(
    batch: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    arrays = rng.standard_normal((batch, 4, 5, 6)), rng.standard_normal((6, 2, 3, 3)), rng.standard_normal(6)

    def results() -> list[np.ndarray]:
        boxes = [Variable(a) for a in arrays]
        y = F.conv2d(*boxes, stride=2, pad=1, groups=2)
        assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
        (y * y).sum().backward()
        return [y.data, *[v.grad.data for v in boxes]]

    whole = results()
    monkeypatch.setattr("passus.kernels.convolution.MAX_PATCH_NUMBERS", 1)
    row_counts = []
    rows = convolution._rows
    monkeypatch.setattr(
        "passus.kernels.convolution._rows", lambda *args: row_counts.append(len(args[0])) or rows(*args)
    )
    for found, expected in zip(results(), whole):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    assert set(row_counts) == {1}


def test_images_of_integers(rng: np.random.Generator) -> None:
    x = np.arange(32, dtype=np.uint8).reshape(1, 2, 4, 4) * 8
    W = rng.standard_normal((3, 2, 3, 3)).astype(np.float32)
    y = F.conv2d(x, W)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, F.conv2d(x.astype(np.float32), W), rtol=1e-5)


def test_convolution_reads_nothing_outside_the_image() -> None:
    x = np.full((1, 1, 9, 9), np.nan)
    x[:, :, 2:-2, 2:-2] = 1.0
    y = convolution.convolve(x[:, :, 2:-2, 2:-2], np.ones((1, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    np.testing.assert_array_equal(y[0, 0, 0], [4.0, 6.0, 6.0, 6.0, 4.0])


LAYERS = [
    (L.Conv1d, T.conv1d, (2, 4, 7)),
    (L.Conv2d, T.conv2d, (2, 4, 7, 6)),
    (L.Conv3d, T.conv3d, (2, 4, 4, 5, 6)),
    (L.Deconv1d, T.conv_transpose1d, (2, 4, 7)),
    (L.Deconv2d, T.conv_transpose2d, (2, 4, 7, 6)),
    (L.Deconv3d, T.conv_transpose3d, (2, 4, 4, 5, 6)),
]


@pytest.mark.parametrize(("kind", "theirs", "shape"), LAYERS)
@pytest.mark.parametrize("nobias", [False, True])
def test_layers(kind: Any, theirs: Any, shape: tuple[int, ...], nobias: bool, rng: np.random.Generator) -> None:
    layer = kind(6, 3, stride=2, pad=1, nobias=nobias, groups=2, rng=0)
    x = rng.standard_normal(shape).astype(np.float32)
    assert layer.W.data is None
    y = layer(x)
    assert y.dtype == layer.W.dtype == np.float32
    if layer.b is not None:
        layer.b.data += 1
        y = layer(x)
    W, b = torch.tensor(layer.W.data), None if nobias else torch.tensor(layer.b.data)
    expected = theirs(torch.tensor(x), W, b, stride=2, padding=1, groups=2)
    np.testing.assert_allclose(y.data, expected, rtol=1e-4, atol=1e-4)
    known = kind(6, 3, stride=2, pad=1, nobias=nobias, groups=2, in_channels=4, rng=0)
    np.testing.assert_array_equal(known.W.data, layer.W.data)
    assert [name for name, _ in known.named_params()] == (["W"] if nobias else ["W", "b"])


@pytest.mark.parametrize("kind", [L.Conv2d, L.Deconv2d])
@pytest.mark.parametrize("groups", [1, 4])
def test_initial_weights_preserve_the_variance(kind: Any, groups: int) -> None:
    layer = kind(64, 3, in_channels=16, groups=groups, rng=0)
    fan_in = 16 // groups * 9
    np.testing.assert_allclose(layer.W.data.std() * fan_in**0.5, 1.0, atol=0.03)
    assert not layer.b.data.any()


def test_layers_pass_options_to_their_functions(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 2, 6, 6))
    layer = L.Conv2d(2, (3, 2), (1, 2), "same", True, np.float64, 2, (2, 1), 2, "replicate", initializers.ones, 0)
    layer.W.data = rng.standard_normal((2, 1, 3, 2))
    expected = F.conv2d(x, layer.W.data, None, (1, 2), "same", (2, 1), 2, "replicate")
    np.testing.assert_array_equal(layer(x).data, expected)
    up = L.Deconv2d(2, 3, stride=2, pad=1, outsize=(12, 11), dtype=np.float64, rng=0)
    np.testing.assert_array_equal(up(x).data, F.deconv2d(x, up.W.data, up.b.data, 2, 1, (12, 11)))
    assert "groups=2" in repr(layer)
    assert "pad='same'" in repr(layer)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: L.Conv2d(0, 3), ArgumentError, "Conv2d: out_channels is 0"),
        (lambda: L.Conv2d(4, 0), ArgumentError, "Conv2d: kernel_size is 0"),
        (lambda: L.Conv1d(4, (3, 3)), ArgumentError, "Conv1d: kernel_size .* each of the 1 spatial axes"),
        (lambda: L.Conv2d(4, 3.0), DTypeError, "Conv2d: kernel_size is a float"),
        (lambda: L.Conv2d(4, 3, stride=0), ArgumentError, "Conv2d: stride is 0"),
        (lambda: L.Conv2d(4, 3, pad="full"), ArgumentError, "Conv2d: pad must be"),
        (lambda: L.Conv2d(4, 3, pad_mode="wrap"), ArgumentError, "Conv2d: pad_mode must be one of"),
        (lambda: L.Conv2d(4, 3, groups=3), ShapeError, "Conv2d: out_channels=4 must be a multiple of groups=3"),
        (lambda: L.Conv2d(4, 3, groups=2, in_channels=5), ShapeError, "Conv2d: in_channels=5 must be a multiple"),
        (lambda: L.Conv3d(4, 3, in_channels=0), ArgumentError, "Conv3d: in_channels is 0"),
        (lambda: L.Deconv2d(4, 3, groups=2, in_channels=5), ShapeError, "Deconv2d: in_channels=5 must be a multiple"),
        (lambda: L.Deconv2d(4, 3, outsize=(1, 2, 3)), ArgumentError, "Deconv2d: outsize"),
        (lambda: L.Deconv1d(4, 3, dilation=-1), ArgumentError, "Deconv1d: dilation is -1"),
        (lambda: L.Conv2d(4, 3, dtype=np.int32), DTypeError, "int32 is not supported"),
    ],
)
def test_invalid_layer_options_raise(make: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize("kind", [L.Conv2d, L.Deconv2d])
@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((1, 3, 5, 5), "the channels of x=3 must be a multiple of groups=2"),
        ((3,), "has no axis 1"),
        ((2, 4, 5), "needs the axes"),
    ],
)
def test_mismatched_first_input_leaves_the_layer_lazy(kind: Any, shape: tuple[int, ...], match: str) -> None:
    layer = kind(4, 3, groups=2)
    with pytest.raises(ShapeError, match=match):
        layer(np.ones(shape, np.float32))
    assert layer.W.data is None
    with no_grad():
        assert layer(np.ones((1, 2, 5, 5), np.float32)).shape[1] == 4

"""The layers: what each computes, its options, and its errors."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.config import test_mode
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.initializers import constant, orthogonal
from passus.layers import Layer, LazyParameter, Linear, Sequential
from passus.testing import check_grads
from tests.layers.block import X, loss, paths


def test_linear() -> None:
    layer = Linear(3, rng=0)
    y = layer(X)
    assert (layer.W.shape, layer.W.dtype, layer.b.dtype, y.dtype) == ((4, 3), np.float32, np.float32, np.float32)
    np.testing.assert_allclose(y.data, X @ layer.W.data + layer.b.data, rtol=1e-6)
    y.backward()
    assert layer.W.grad.dtype == np.float32
    assert (layer.W.name, layer.b.name) == ("W", "b")
    np.testing.assert_array_equal(Linear(3, in_size=4, rng=0).W.data, layer.W.data, err_msg="lazy or not")
    assert Linear(3, nobias=True, in_size=4).b is None
    assert Linear(3, dtype=np.float64, in_size=4).W.dtype == np.float64


def test_linear_accepts_leading_axes_and_empty_batches() -> None:
    layer = Linear(3)
    assert layer(np.zeros((2, 5, 4), np.float32)).shape == (2, 5, 3)
    assert layer(np.zeros((0, 4), np.float32)).shape == (0, 3)
    assert layer(X).shape == (5, 3), "a second call"


def test_linear_uses_the_given_initializer() -> None:
    W = Linear(4, in_size=4, dtype=np.float64, initializer=partial(orthogonal, gain=2.0), rng=0).W.data
    np.testing.assert_allclose(W @ W.T, 4 * np.eye(4), atol=1e-12)


def test_layers_with_one_generator_differ_and_with_one_seed_are_equal() -> None:
    generator = np.random.default_rng(0)
    a, b, c, d = (Linear(3, in_size=4, rng=r).W.data for r in (generator, generator, 5, 5))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(c, d)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Linear(0), r"Linear: out_size is 0"),
        (lambda: Linear(3, in_size=-1), r"Linear: in_size is -1"),
        (lambda: L.Embedding(0, 3), r"Embedding: in_size is 0"),
        (lambda: L.Dropout(1.0), r"Dropout: dropout_ratio is 1\.0"),
        (lambda: L.BatchNorm(decay=2.0), r"BatchNorm: decay is 2\.0"),
        (lambda: L.BatchNorm(in_size=0), r"BatchNorm: in_size is 0"),
        (lambda: L.LayerNorm(eps=-1.0), r"LayerNorm: eps is -1\.0"),
        (lambda: L.RMSNorm(0), r"RMSNorm: in_size is 0"),
        (lambda: L.GroupNorm(0), r"GroupNorm: groups is 0"),
        (lambda: L.InstanceNorm(eps=np.nan), r"InstanceNorm: eps is nan"),
        (lambda: L.LocalResponseNorm(k=0.0), r"LocalResponseNorm: k is 0\.0"),
        (lambda: L.Dropout2d(-0.5), r"Dropout2d: dropout_ratio is -0\.5"),
        (lambda: L.StochasticDepth(1.0), r"StochasticDepth: dropout_ratio is 1\.0"),
        (lambda: L.PReLU(0), r"PReLU: channels is 0"),
        (lambda: L.PReLU(slope=np.nan), r"PReLU: slope is nan"),
        (lambda: L.LeakyReLU(np.nan), r"leaky_relu: slope is nan"),
        (lambda: L.ELU(np.inf), r"elu: alpha is inf"),
        (lambda: L.CELU(0.0), r"celu: alpha is 0"),
        (lambda: L.GELU("erf"), r"gelu: approximate must be 'none' or 'tanh', not 'erf'"),
    ],
)
def test_options_out_of_range_raise(make: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: L.PReLU(slope="a"), "PReLU: slope is a str"),
        (lambda: L.PReLU(dtype=np.int64), "slope: int64 is not supported"),
        (lambda: L.LeakyReLU("a"), "leaky_relu: slope is a str"),
        (lambda: L.Softmax(1.5), "Softmax: axis is a float"),
        (lambda: L.LogSoftmax(None), "LogSoftmax: axis is None"),
        (lambda: L.GLU("a"), "GLU: axis is a str"),
    ],
)
def test_options_of_the_wrong_type_raise(make: Any, match: str) -> None:
    with pytest.raises(DTypeError, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "error", "match"),
    [
        (Linear(3), np.array(1.0), ShapeError, r"linear: x \(\) has no axis -1"),
        (Linear(3), [1.0, 2.0], DTypeError, r"^linear: list is not supported"),
        (L.BatchNorm(), np.ones(3), ShapeError, r"^batch_norm: x \(3,\) has no axis 1"),
        (L.LayerNorm(), np.array(1.0), ShapeError, r"^layer_norm: x \(\) has no axis -1"),
        (L.RMSNorm(), np.array(1.0), ShapeError, r"^rms_norm: x \(\) has no axis -1"),
        (L.GroupNorm(1), np.ones(3), ShapeError, r"^group_norm: x \(3,\) has no axis 1"),
        (L.InstanceNorm(), [1.0], DTypeError, r"^instance_norm: list is not supported"),
    ],
)
def test_invalid_first_input_leaves_the_layer_lazy(layer: Layer, x: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        layer(x)
    assert all(p.data is None or p.name == "b" for p in layer.params())


def test_lazy_parameter_is_initialized_when_its_shape_is_known() -> None:
    W = LazyParameter((None, 3, None), constant(2.0), np.float64)
    assert W.data is None
    W.resolve(4, 5)
    np.testing.assert_array_equal(W.data, np.full((4, 3, 5), 2.0))
    for lengths in [(4,), (4, 5, 6)]:
        with pytest.raises(ArgumentError, match=rf"lacks 2 lengths, and {len(lengths)} were given"):
            LazyParameter((None, 3, None), constant(2.0)).resolve(*lengths)


def test_array_returned_by_an_initializer_is_copied() -> None:
    shared = np.ones((4, 3))
    layer = Linear(3, in_size=4, initializer=lambda shape, dtype, rng: shared)
    assert layer.W.dtype == np.float32
    layer = Linear(3, in_size=4, dtype=np.float64, initializer=lambda shape, dtype, rng: shared)
    layer.W.data[...] = 5
    assert shared.max() == 1


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (np.ones((3, 4)), ShapeError, r"W: the initializer returned an array of \(3, 4\), not of \(4, 3\)"),
        (None, DTypeError, "W, its initializer: None is not supported"),
    ],
)
def test_invalid_result_of_an_initializer_raises(returned: Any, error: Any, match: str) -> None:
    layer = Linear(3, initializer=lambda shape, dtype, rng: returned)
    with pytest.raises(error, match=match):
        layer(X)
    assert layer.W.data is None


def test_batch_norm_updates_running_statistics_and_uses_them_in_test_mode() -> None:
    layer = L.BatchNorm(decay=0.5)
    y = layer(X)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(y.data.var(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(layer.avg_mean, X.mean(axis=0) / 2, rtol=1e-5)
    np.testing.assert_allclose(layer.avg_var, (1 + X.var(axis=0, ddof=1)) / 2, rtol=1e-5)
    mean, var = layer.avg_mean.copy(), layer.avg_var.copy()
    with test_mode():
        y = layer(X)
    np.testing.assert_allclose(y.data, (X - mean) / np.sqrt(var + layer.eps), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(layer.avg_mean, mean)
    assert layer.avg_mean.dtype == layer.avg_var.dtype == np.float32


def test_batch_norm_of_images() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 6))
    layer = L.BatchNorm(dtype=np.float64)
    np.testing.assert_allclose(layer(x).data.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    assert layer.gamma.shape == (3,)


def test_layer_norm() -> None:
    layer = L.LayerNorm()
    np.testing.assert_allclose(layer(X).data.mean(axis=1), 0, atol=1e-6)
    assert layer.gamma.shape == layer.beta.shape == (4,)


def test_dropout() -> None:
    x = np.ones(10_000, np.float32)
    layer = L.Dropout(0.25, rng=0)
    y = layer(x)
    assert abs(float((y == 0).mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / x.size)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert not np.array_equal(y, layer(x)), "one seed gives a sequence of masks"
    with test_mode():
        np.testing.assert_array_equal(layer(x), x)


def test_embedding() -> None:
    layer = L.EmbedID(10, 3, rng=0)
    x = np.array([[1, 1], [7, 9]])
    y = layer(x)
    assert layer.W.dtype == np.float32
    np.testing.assert_array_equal(y.data, layer.W.data[x])
    y.backward()
    assert layer.W.grad.data[1].tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"^embedding: embed_id: .*10"):
        layer(np.array([10]))


def test_sequential_behaves_as_a_sequence() -> None:
    layers = [Linear(3), F.relu, Linear(2)]
    model = Sequential(*layers)
    assert len(model) == 3
    assert list(model) == model.layers == layers
    assert model[0] is model.l0 is layers[0]
    assert model[-1] is layers[2]
    assert type(model[:2]) is Sequential
    assert model[:2].layers == layers[:2]
    model.append(np.negative)
    assert model(X).shape == (5, 2)
    assert paths(model) == ["l0.W", "l0.b", "l2.W", "l2.b"]
    model.l1 = L.Tanh()
    assert model[1] is model.l1, "the list and the attribute agree"
    with pytest.raises(DTypeError, match="3 is neither a layer nor a function"):
        model.append(3)  # type: ignore[arg-type]


PLAIN = {
    L.Sigmoid: F.sigmoid,
    L.Tanh: F.tanh,
    L.ReLU: F.relu,
    L.ReLU6: F.relu6,
    L.SELU: F.selu,
    L.SiLU: F.silu,
    L.Mish: F.mish,
    L.Softplus: F.softplus,
    L.Softsign: F.softsign,
    L.HardSigmoid: F.hard_sigmoid,
    L.HardSwish: F.hard_swish,
    L.Flatten: F.flatten,
    L.LeakyReLU: F.leaky_relu,
    L.ELU: F.elu,
    L.CELU: F.celu,
    L.GELU: F.gelu,
    L.Softmax: F.softmax,
    L.LogSoftmax: F.log_softmax,
    L.GLU: F.glu,
}


@pytest.mark.parametrize("kind", PLAIN)
def test_activation_layers_equal_their_functions(kind: type[Layer]) -> None:
    np.testing.assert_array_equal(kind()(X), PLAIN[kind](X))
    assert not list(kind().params())
    assert type(copy.deepcopy(kind())) is kind


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (L.LeakyReLU(0.5), partial(F.leaky_relu, slope=0.5)),
        (L.ELU(2.0), partial(F.elu, alpha=2.0)),
        (L.CELU(2.0), partial(F.celu, alpha=2.0)),
        (L.GELU("tanh"), partial(F.gelu, approximate="tanh")),
        (L.Softmax(0), partial(F.softmax, axis=0)),
        (L.LogSoftmax(axis=0), partial(F.log_softmax, axis=0)),
        (L.GLU(1), partial(F.glu, axis=1)),
    ],
)
def test_activation_layers_pass_options_to_their_functions(layer: Layer, function: Any) -> None:
    np.testing.assert_array_equal(layer(X), function(X))


def test_prelu_slope_receives_a_gradient() -> None:
    one, each = L.PReLU(), L.PReLU(4, slope=0.5)
    np.testing.assert_array_equal(one(X).data, np.where(X > 0, X, X * np.float32(0.25)))
    loss(each).backward()
    assert each.slope.grad.shape == (4,)
    assert each.slope.grad.dtype == np.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(3, dtype=np.float64, in_size=4),
        lambda: L.BatchNorm(dtype=np.float64, in_size=4),
        lambda: L.LayerNorm(dtype=np.float64, in_size=4),
        lambda: L.BatchNorm(dtype=np.float64, in_size=4, frozen=True),
        lambda: L.RMSNorm(dtype=np.float64, in_size=4),
        lambda: L.GroupNorm(1, dtype=np.float64, in_size=4),
        lambda: L.LocalResponseNorm(alpha=0.5),
        lambda: Sequential(Linear(3, dtype=np.float64, in_size=4), F.tanh, Linear(2, dtype=np.float64, in_size=3)),
    ],
)
def test_layers_are_differentiable_twice(make: Any) -> None:
    layer = make()
    parameters = dict(layer.named_params())

    def f(x: Any, *values: Any) -> Any:
        twin = copy.deepcopy(layer)
        for path, value in zip(parameters, values):
            *parents, name = path.split(".")
            parent = twin
            for child in parents:
                parent = getattr(parent, child)
            delattr(parent, name)
            setattr(parent, name, value)
        return twin(x)

    check_grads(f, X.astype(np.float64), *[p.data for p in parameters.values()], order=2)


def test_no_reference_cycles() -> None:
    model = Sequential(Linear(3), L.BatchNorm(), L.ReLU(), L.Dropout(0.5), Linear(2))
    loss(model).backward()
    with np.testing.assert_no_gc_cycles():
        model.cleargrads()
        loss(model).backward()


@pytest.mark.parametrize("nobias", [False, True])
@pytest.mark.parametrize(
    ("make", "x"),
    [(partial(L.Linear, 5), np.ones((4, 3), np.float32)), (partial(L.Conv2d, 5, 3), np.ones((2, 3, 6, 6), np.float32))],
)
def test_activation_option_equals_a_separate_activation(make, x, nobias):
    plain, fused = make(nobias=nobias, rng=0), make(nobias=nobias, rng=0, activation="tanh")
    np.testing.assert_allclose(fused(x).data, np.tanh(plain(x).data), rtol=1e-6)
    assert fused.count_params() == plain.count_params()
    with pytest.raises(ArgumentError, match=f"{type(fused).__name__}: activation must be one of celu, elu.*not 'sine'"):
        make(activation="sine")

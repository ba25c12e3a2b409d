"""Names and interfaces of DeZero that readers of the book use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus
import passus.core
import passus.core_simple
import passus.functions as F
import passus.layers as L
from passus import Parameter, Variable, optimizers
from passus.errors import ArgumentError, DependencyError, PassusWarning
from passus.models import MLP

# Core: operators and switches.

OPERATORS = "Add Mul Neg Sub Div Pow add mul neg sub rsub div rdiv pow".split()  # noqa: SIM905
SWITCHES = "Config using_config no_grad".split()  # noqa: SIM905
ENGINE = "Variable Function as_variable as_array setup_variable".split()  # noqa: SIM905


@pytest.mark.parametrize("name", [*OPERATORS, *SWITCHES, *ENGINE, "Parameter", "test_mode"])
def test_core_exports_dezero_names(name: str) -> None:
    expected = getattr(F, name) if name in OPERATORS else getattr(passus, name)
    assert getattr(passus.core, name) is expected
    assert name in passus.core.__all__


@pytest.mark.parametrize("name", [*OPERATORS, *SWITCHES, *ENGINE])
def test_core_simple_exports_the_names_of_core(name: str) -> None:
    assert getattr(passus.core_simple, name) is getattr(passus.core, name)
    assert not hasattr(passus.core_simple, "Parameter"), "as in DeZero"


def test_operator_classes_are_callable_as_in_the_book() -> None:
    x = Variable(np.array(3.0))
    y = passus.core.Add()(passus.core.Pow(2)(x), passus.core.Neg()(x))
    y.backward()
    assert (y.item(), float(x.grad)) == (6.0, 5.0)


def test_newtons_method_on_the_simple_core() -> None:
    passus.core_simple.setup_variable()
    x = passus.core_simple.Variable(np.array(2.0))
    for _ in range(10):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward()
        x.data -= x.grad / (12 * x.data**2 - 4)
    assert x.data == 1.0


# Devices.


@pytest.mark.parametrize("x", [Variable(np.ones(2)), Parameter(np.ones(2)), Variable(None)], ids=str)
def test_to_cpu_and_to_gpu_work_in_place(x: Variable) -> None:
    before = x.data
    assert x.to_cpu() is None
    assert x.data is before
    if before is not None:
        with pytest.raises(DependencyError, match=r"JAX finds no gpu.*gpu_enable"):
            x.to_gpu()
        assert x.data is before


def test_to_device_replaces_the_data_and_the_gradient() -> None:
    import jax

    x = Variable(np.ones(2, np.float32))
    (x * x).backward()
    x.to_device("xla")
    assert isinstance(x.data, jax.Array)
    assert isinstance(x.grad.data, jax.Array)
    x.to_cpu()
    assert type(x.data) is type(x.grad.data) is np.ndarray
    np.testing.assert_array_equal(x.grad.data, [2, 2])


# Options of optimizers as attributes.


@pytest.mark.parametrize(
    ("optimizer", "numbers"),
    [
        (optimizers.SGD(0.1), {"lr": 0.1}),
        (optimizers.MomentumSGD(0.1, 0.8), {"lr": 0.1, "momentum": 0.8}),
        (optimizers.AdaGrad(), {"lr": 0.001, "eps": 1e-8}),
        (optimizers.AdaDelta(), {"rho": 0.95, "eps": 1e-6}),
        (
            optimizers.Adam(alpha=0.1, beta1=0.5),
            {"alpha": 0.1, "lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "t": 0},
        ),
        (optimizers.AdamW(), {"beta1": 0.9, "weight_decay": 0.01}),
    ],
    ids=lambda x: type(x).__name__,
)
def test_optimizer_options_are_attributes(optimizer: Any, numbers: dict[str, float]) -> None:
    assert {name: getattr(optimizer, name) for name in numbers} == numbers
    for name in numbers.keys() - {"t"}:
        setattr(optimizer, name, 0.25)
        assert getattr(optimizer, name) == 0.25
        assert "0.25" in repr(optimizer), "updates use the new value"
        with pytest.raises(ArgumentError, match="-1"):
            setattr(optimizer, name, -1.0)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; its options are lr"):
        _ = optimizer.nothing


def test_t_counts_updates() -> None:
    model = MLP((1,), in_size=1)
    optimizer = optimizers.Adam().setup(model)
    for _ in range(3):
        model(np.ones((2, 1), np.float32)).sum().backward()
        optimizer.update()
    assert optimizer.t == optimizer.step == 3


# Layers, models and loaders.


def nested() -> L.Layer:
    model = L.Layer()
    model.l1, model.p2 = L.Linear(3, in_size=2), Parameter(np.array(2.0))
    model.blocks = [L.Linear(1, nobias=True, in_size=3)]
    model.size, model.x = 3, Variable(np.ones(1))
    return model


def test_params_and_flatten_params_of_dezero() -> None:
    model = nested()
    assert list(model._params) == ["l1", "p2", "blocks"]
    assert model._params >= {"l1", "p2"}
    assert list(model.l1._params) == ["W", "b"]
    found: dict[str, Parameter] = {}
    model._flatten_params(found)
    assert list(found) == ["l1/W", "l1/b", "p2", "blocks/0/W"]
    assert found["l1/W"] is model.l1.W
    model.l1._flatten_params(found, "again")
    assert found["again/W"] is model.l1.W
    with pytest.raises(AttributeError):
        model._params = set()
    model.late = L.Linear(1)
    assert "late" in model._params


@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_recurrent_layers_follow_the_interface_of_dezero(name: str) -> None:
    layer = getattr(L, name)(5, in_size=3)
    assert layer.h is None
    h = layer(np.ones((2, 3), np.float32))
    assert layer.h is h
    layer.reset_state()
    assert layer.h is None


@pytest.mark.parametrize(
    "loader",
    [passus.DataLoader(np.arange(7), 3), passus.SeqDataLoader(np.arange(7), 3)],
    ids=["DataLoader", "SeqDataLoader"],
)
def test_loaders_have_dezero_attributes(loader: Any) -> None:
    assert (loader.data_size, loader.batch_size, loader.max_iter) == (7, 3, 3)
    assert loader.to_cpu().gpu is False


@pytest.mark.parametrize(
    "call",
    [
        lambda layer: layer(np.full((1, 2), 3.0, np.float32)),
        lambda layer: layer(np.full((1, 2, 1, 1), 3.0, np.float32)),
    ],
    ids=["vector", "image"],
)
def test_batch_norm_of_one_example_returns_beta_and_warns(call: Any) -> None:
    layer = L.BatchNorm(in_size=2)
    layer.beta.data = np.array([0.5, -0.5], np.float32)
    with pytest.warns(PassusWarning, match=r"batch_norm: a training batch has one number.*test_mode\(\)"):
        y = call(layer)
    np.testing.assert_allclose(y.data.ravel(), [0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(layer.avg_mean, [0.3, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(layer.avg_var, [1.0, 1.0])
    y.backward()
    np.testing.assert_array_equal(layer.beta.grad.data, [1.0, 1.0])
    with passus.test_mode():
        call(layer)  # Without a warning.


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.Pow(2)(Variable(np.array([3.0]))),
        lambda: F.Transpose()(Variable(np.array([[9.0]]))),
        lambda: F.Softmax()(Variable(np.array([[0.0, 0.0]]))) * 18.0,
        lambda: F.Max()(Variable(np.array([9.0, 1.0]))),
        lambda: F.Min(axis=0)(Variable(np.array([9.0, 10.0]))),
        lambda: F.Sum(0, True)(Variable(np.array([4.0, 5.0]))),
        lambda: F.MeanSquaredError()(Variable(np.array([3.0])), np.array([0.0])),
        lambda: F.SoftmaxCrossEntropy()(Variable(np.array([[0.0, 9.0]])), np.array([0])),
        lambda: F.LogSoftmax()(Variable(np.array([[0.0, 9.0]]))) * -1.0,
    ],
)
def test_function_classes_accept_dezero_arguments(call: Any) -> None:
    y = call()
    assert abs(y.data.flat[0] - 9.0) < 1e-3
    y.backward()

"""Checkpoints of layers with a carried state: it advances once per step, and gradients flow through it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus import Parameter, Variable
from passus.attributes import snapshot
from passus.core.backward import gradients
from passus.errors import GraphError
from passus.recompute import checkpoint
from passus.testing import numerical_grad

STEPS = [np.random.default_rng(i).standard_normal((5, 3)) for i in range(4)]


def assert_all_equal(a: Any, b: Any) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b):
        np.testing.assert_array_equal(one, other)


def plain(layer: Any, x: Any) -> Any:
    return layer(x)


class UserRNN(L.Layer):
    """A user-defined recurrent layer; its state is a pair in an undeclared attribute."""

    def __init__(self) -> None:
        self.x, self.h = L.Linear(6, in_size=3, dtype=np.float64, rng=0), L.Linear(6, True, dtype=np.float64, rng=1)
        self.state: Any = None

    def forward(self, x: Any) -> Any:
        h = F.tanh(self.x(x) if self.state is None else self.x(x) + self.h(self.state[0]) * self.state[1])
        self.state = (h, F.sigmoid(h))
        return h


def layers() -> dict[str, Any]:
    options = {"in_size": 3, "dtype": np.float64, "rng": 0}
    return {
        "RNN": lambda: L.RNN(6, **options),
        "GRU": lambda: L.GRU(6, **options),
        "LSTM": lambda: L.LSTM(6, **options),
        "projected": lambda: L.LSTM(6, proj_size=4, **options),
        "two": lambda: L.LSTM(6, num_layers=2, dropout=0.3, **options),
        "user": UserRNN,
    }


def carried(layer: Any) -> list[np.ndarray]:
    states = layer.state if isinstance(layer, UserRNN) else (layer.h, layer.c)
    return [state.data for state in states if state is not None]


def trained(call: Any, layer: Any, backward_passes: int, truncated: bool) -> list[np.ndarray]:
    """All results of two truncated training sequences."""
    passus.random.seed(0)
    numbers: list[np.ndarray] = []
    xs = [Variable(x) for x in STEPS]
    for stretch in range(2):
        loss = 0
        for x in xs[2 * stretch : 2 * stretch + 2]:
            y = call(layer, x)
            loss = loss + (y * y).sum()
            numbers += [y.data, *carried(layer)]
        layer.cleargrads()
        for _ in range(backward_passes):
            loss.backward()
            numbers += carried(layer)
        numbers += [p.grad.data for p in layer.params()] if backward_passes else []
        numbers += [x.grad.data for x in xs if x.grad is not None]
        if truncated:
            loss.unchain_backward()
    return numbers


@pytest.mark.parametrize("truncated", [True, False])
@pytest.mark.parametrize("backward_passes", [0, 1, 2])
@pytest.mark.parametrize("name", layers())
def test_carried_state_advances_once_and_results_are_identical(
    name: str, backward_passes: int, truncated: bool
) -> None:
    make = layers()[name]
    assert_all_equal(
        trained(checkpoint, make(), backward_passes, truncated),
        trained(plain, make(), backward_passes, truncated),
    )


@pytest.mark.parametrize("name", ["GRU", "LSTM", "user"])
def test_blocks_of_several_steps_and_nested_checkpoints(name: str) -> None:
    def numbers(call: Any, inner: Any) -> list[np.ndarray]:
        layer = layers()[name]()
        xs = [Variable(x) for x in STEPS]

        def block(a: Any, b: Any) -> Any:
            return inner(layer, a) + inner(layer, b)

        y = call(block, *xs[:2]) * call(block, *xs[2:])
        before = carried(layer)
        y.sum().backward()
        assert_all_equal(carried(layer), before)
        return [y.data, *before, *[x.grad.data for x in xs], *[p.grad.data for p in layer.params()]]

    def direct(f: Any, *xs: Any) -> Any:
        return f(*xs)

    expected = numbers(direct, plain)
    for found in (numbers(checkpoint, plain), numbers(checkpoint, checkpoint), numbers(direct, checkpoint)):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["GRU", "LSTM", "user"])
def test_second_derivatives_through_the_carried_state(name: str) -> None:
    def penalty(x: Any, call: Any) -> Any:
        layer = layers()[name]()
        x = x if isinstance(x, Variable) else Variable(x)
        call(layer, x)
        y = call(layer, x * 0.5).sum()
        (gx,) = gradients([y], [x], create_graph=True)
        return (gx * gx).sum()

    x = Variable(STEPS[0])
    penalty(x, checkpoint).backward()
    other = Variable(STEPS[0])
    penalty(other, plain).backward()
    np.testing.assert_allclose(x.grad, other.grad, rtol=1e-10)
    found = numerical_grad(lambda a: penalty(a, checkpoint), STEPS[0])
    np.testing.assert_allclose(x.grad, found, rtol=1e-5, atol=1e-8)


def test_running_statistics_are_updated_once() -> None:
    def numbers(call: Any, passes: int) -> list[np.ndarray]:
        model = L.Sequential(L.Linear(4, rng=0), L.BatchNorm(), F.tanh, L.BatchNorm())
        result = []
        for x in STEPS:
            y = call(model, Variable(x.astype(np.float32)))
            model.cleargrads()
            for _ in range(passes):
                F.sin(y).sum().backward()
            result += [y.data, *[a.copy() for a in model.state_dict().values()]]
        return [*result, *[p.grad.data for p in model.params() if passes]]

    for passes in range(3):
        assert_all_equal(numbers(checkpoint, passes), numbers(plain, passes))


def test_running_statistics_remain_the_same_arrays() -> None:
    layer = L.BatchNorm(in_size=3, dtype=np.float64)
    mean = layer.avg_mean
    y = checkpoint(layer, Variable(STEPS[0]))
    updated = mean.copy()
    (y * y).sum().backward()
    assert layer.avg_mean is mean
    np.testing.assert_array_equal(mean, updated)
    assert mean.any()


def test_random_numbers_are_identical_for_lazy_weights() -> None:
    def numbers(call: Any) -> list[np.ndarray]:
        passus.random.seed(3)
        model = L.Sequential(
            L.Linear(20, dtype=np.float64), F.tanh, L.Dropout(0.5), L.Linear(20, dtype=np.float64), L.Dropout(0.5)
        )
        x = Variable(STEPS[0])
        y = call(model, x)
        (y * y).sum().backward()
        return [y.data, x.grad.data, *[p.grad.data for p in model.params()], passus.random.get_rng().random(2)]

    assert_all_equal(numbers(checkpoint), numbers(plain))


def test_lazy_parameter_is_initialized_once() -> None:
    draws = iter([1.0, 2.0, 3.0])
    layer = L.Linear(2, nobias=True, initializer=lambda shape, dtype, rng: np.full(shape, next(draws), dtype))
    x = Variable(STEPS[0].astype(np.float32))
    y = checkpoint(lambda x: checkpoint(layer, x), x)
    W = layer.W.data
    outside = F.matmul(x, layer.W)  # Recorded before the repetition, which must not count as an edit of W.
    (y + outside).sum().backward()
    assert layer.W.data is W
    np.testing.assert_array_equal(W, np.ones((3, 2)))
    np.testing.assert_allclose(x.grad, np.full((5, 3), 4.0))


class Auxiliary(L.Layer):
    """A layer that stores a second result in an attribute."""

    def __init__(self) -> None:
        self.scale, self.log = Parameter(np.array(2.0)), None

    def forward(self, x: Any) -> Any:
        self.log = F.log(x * self.scale)
        return x * self.scale


def test_gradients_flow_through_assigned_attributes_only_if_used() -> None:
    layer, x = Auxiliary(), Variable(np.array([0.0, 2.0]))
    with np.errstate(divide="ignore"):
        checkpoint(layer, x).sum().backward()
    np.testing.assert_array_equal(
        x.grad, [2.0, 2.0]
    )  # Not NaN, which is 0 times the infinite derivative of the logarithm.
    layer.cleargrads()
    x = Variable(np.array([1.0, 2.0]))
    y = checkpoint(layer, x)
    (y.sum() + layer.log.sum()).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 2.5])
    np.testing.assert_array_equal(layer.scale.grad, 4.0)


def test_graphs_of_earlier_steps_are_freed() -> None:
    layer, x = Auxiliary(), Variable(np.array([1.0, 2.0]))
    gc.collect()
    gc.disable()
    try:
        first = checkpoint(layer, x)
        graph = weakref.ref(first.creator)
        first.sum().backward()
        del first
        assert graph() is not None  # The attribute references it.
        checkpoint(layer, x)
        assert graph() is None
    finally:
        gc.enable()


def test_layer_created_inside_the_checkpoint() -> None:
    def f(x: Any) -> Any:
        layer = Auxiliary()
        return layer(x) + layer.log

    x = Variable(np.array([1.0, 2.0]))
    checkpoint(f, x).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 2.5])


def test_attribute_holding_the_input_is_the_input() -> None:
    class Last(L.Layer):
        x: Any = None

        def forward(self, x: Any) -> Any:
            self.x = x
            return x * 2.0

    layer, x = Last(), Variable(STEPS[0])
    y = checkpoint(layer, x)
    assert layer.x is x
    y.sum().backward()
    assert layer.x is x


def test_objects_other_than_layers_take_snapshots_themselves() -> None:
    class Cache:
        length = 0

        def append(self, x: Any) -> Any:
            snapshot(self, "length")
            self.length += len(x)
            return x * float(self.length)

    cache, x = Cache(), Variable(np.ones(3))
    y = checkpoint(cache.append, x) + checkpoint(cache.append, x)
    for _ in range(2):
        x.cleargrad()
        y.sum().backward()
        assert cache.length == 6
        np.testing.assert_array_equal(x.grad, np.full(3, 9.0))


def test_key_value_cache_is_appended_once() -> None:
    rng = np.random.default_rng(0)
    keys, queries = rng.standard_normal((2, 2, 3, 4), np.float32), rng.standard_normal((2, 2, 1, 4), np.float32)
    cache = L.KeyValueCache(8)

    def f(q: Any) -> Any:
        return F.scaled_dot_product_attention(q, *cache.append(keys[cache.length // 3], keys[cache.length // 3]))

    x = Variable(queries)
    first = checkpoint(f, x)
    second = checkpoint(f, x)
    (first + second).sum().backward()
    assert cache.length == 6
    expected = Variable(queries)
    for visible in (keys[:1].transpose(1, 0, 2, 3), keys.transpose(1, 0, 2, 3)):
        joined = visible.reshape(2, -1, 4)
        F.sum(F.scaled_dot_product_attention(expected, joined, joined)).backward()
    np.testing.assert_allclose(x.grad.data, expected.grad.data, rtol=1e-5, atol=1e-6)


def test_parameter_updated_before_the_repetition_raises() -> None:
    layer, x = L.Linear(2, in_size=3, dtype=np.float64), Variable(STEPS[0])
    y = checkpoint(layer, x)
    y.sum().backward()
    layer.W.data = layer.W.data * 2.0
    with pytest.raises(GraphError, match=r"W \(3, 2\) were edited after the forward pass"):
        y.sum().backward()


def test_error_in_the_repetition_keeps_the_newest_state() -> None:
    layer, calls = L.GRU(6, 3, rng=0), []

    def f(x: Any) -> Any:
        y = layer(x)
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("once")
        return y

    y = checkpoint(f, Variable(STEPS[0].astype(np.float32)))
    h = layer.h
    with pytest.raises(RuntimeError, match="once"):
        y.sum().backward()
    assert layer.h is h
    y.sum().backward()
    assert layer.h is h

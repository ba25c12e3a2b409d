"""The state of layers: saved, loaded, copied, and moved to a device."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable, cuda
from passus.config import no_grad
from passus.core import Parameter
from passus.errors import DependencyError, PassusError, WeightsError
from passus.initializers import constant
from passus.layers import Layer, Linear, Sequential
from passus.random import rng_state
from tests.layers.block import Block, X, loss


def test_state_dict_round_trip() -> None:
    block, other = Block(), Block()
    state = block.state_dict()
    other.load_state_dict(state)
    np.testing.assert_equal(other.state_dict(), state)
    state["scale"][...] = 5
    assert not block.scale.data.any(), "the state is a copy"
    assert not other.scale.data.any(), "and is copied on loading"


def test_state_of_a_lazy_layer_contains_none() -> None:
    model = Sequential(Linear(3), L.BatchNorm())
    state = model.state_dict()
    assert state["l0.W"] is None
    model.load_state_dict(state)
    assert model.l0.W.data is None
    assert model.l1.avg_mean is None
    assert model(X).shape == (5, 3)
    before = model.state_dict()
    with pytest.raises(WeightsError, match=r"not an array: l0\.W, l1\.gamma.*Nothing was changed"):
        model.load_state_dict(state)  # None would discard trained weights.
    np.testing.assert_equal(model.state_dict(), before)


def test_mismatched_state_raises_and_changes_nothing() -> None:
    block = Block()
    before = block.state_dict()
    wrong = {**{name: a + 1 for name, a in before.items()}, "last.W": np.zeros((3, 3), np.float32), "more": None}
    with pytest.raises(WeightsError, match=r"block\.load_state_dict: .*extra: more; .*last\.W \(3, 3\) instead of"):
        block.load_state_dict(wrong)
    np.testing.assert_equal(block.state_dict(), before)


def test_backward_raises_after_weights_were_loaded() -> None:
    layer = Linear(3, in_size=4)
    y = F.sum(layer(Variable(X)))
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(PassusError, match="edited after the forward pass"):
        y.backward()


def test_parameter_of_unknown_shape_accepts_any_array() -> None:
    layer = Layer()
    layer.W = Parameter(None)
    layer.load_state_dict({"W": np.ones((2, 5))})
    assert layer.W.shape == (2, 5)


def test_uninitialized_running_statistics_use_the_dtype_of_the_layer() -> None:
    given = L.BatchNorm(dtype=np.float64, in_size=3).state_dict()
    layer = L.BatchNorm()
    with pytest.raises(WeightsError, match="avg_mean float64 instead of float32"):
        layer.load_state_dict(given)
    layer.load_state_dict(given, cast=True)
    assert layer.avg_mean.dtype == layer.avg_var.dtype == np.float32


def test_state_includes_the_generator_of_a_layer() -> None:
    x = np.ones(100)
    layer, other = Sequential(L.Dropout(rng=0), L.Dropout()), Sequential(L.Dropout(rng=9), L.Dropout())
    layer(x)
    state = layer.state_dict()
    assert list(state) == ["l0.rng"], "the current generator belongs to no layer"
    other.load_state_dict(pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(other.l0(x), layer.l0(x))


@pytest.mark.parametrize(
    ("fault", "match"),
    [({"l1.rng": {"bit_generator": "MT19937"}}, "not a state of PCG64"), ({"l2.W": np.ones(5)}, r"l2\.W \(5,\)")],
)
def test_mismatched_state_leaves_generators_unchanged(fault: Any, match: str) -> None:
    model = Sequential(L.Dropout(rng=0), L.Dropout(rng=1), Linear(3, in_size=4))
    before = model.state_dict()
    model.l0(X)
    after = model.state_dict()
    with pytest.raises(PassusError, match=match):
        model.load_state_dict(before | fault)
    np.testing.assert_equal(model.state_dict(), after)
    del before["l1.rng"]
    with pytest.raises(WeightsError, match=r"sequential\.load_state_dict: .*missing: l1\.rng"):
        model.load_state_dict(before)
    np.testing.assert_equal(model.state_dict(), after)


def test_deep_copy_shares_no_memory() -> None:
    model = Sequential(Linear(3, rng=np.random.default_rng(0)), L.BatchNorm(), L.Dropout(0.5, rng=1))
    lazy = copy.deepcopy(model)
    model(X)
    assert lazy.l0.W.data is None
    generator = rng_state(model.l2.rng)
    lazy(X)
    np.testing.assert_array_equal(lazy.l0.W.data, model.l0.W.data, err_msg="each has a separate generator")
    assert rng_state(model.l2.rng) == generator
    twin = copy.deepcopy(model)
    for (name, a), (_, b) in zip(model._state_refs().items(), twin._state_refs().items()):
        assert not np.shares_memory(a.array, b.array), name
    loss(twin).backward()
    assert all(p.grad is None for p in model.params())


def test_deep_copy_keeps_tied_weights() -> None:
    model = Sequential(Linear(3, in_size=3), Linear(3, in_size=3))
    model.l1.W = model.l0.W
    twin = copy.deepcopy(model)
    assert twin.l1.W is twin.l0.W
    assert twin.l1.W is not model.l0.W


def test_called_layer_can_be_pickled() -> None:
    model = Sequential(Linear(3, initializer=constant(0.5)), F.relu, L.BatchNorm())
    with no_grad():
        model(X)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_equal(twin.state_dict(), model.state_dict())


def test_to_gpu_without_a_gpu_raises() -> None:
    model = Sequential(Linear(3, in_size=4), Linear(2))
    before = model.l0.W.data
    assert model.to_cpu() is model
    assert model.l0.W.data is before, "nothing to move"
    with pytest.raises(DependencyError, match=r"JAX finds no gpu.*gpu_enable"):
        model.to_gpu()
    assert not cuda.gpu_enable
    assert cuda.get_array_module(model.l0.W) is np
    assert cuda.as_numpy(model.l0.W) is before


def test_to_device_moves_parameters_and_buffers() -> None:
    import jax

    model = Sequential(L.BatchNorm(in_size=2), Linear(3))
    assert model.to_device("xla") is model
    assert isinstance(model.l0.avg_mean, jax.Array)
    assert isinstance(model.l0.gamma.data, jax.Array)
    assert model.l1.W.data is None
    model.to_cpu()
    assert type(model.l0.avg_mean) is type(model.l0.gamma.data) is np.ndarray

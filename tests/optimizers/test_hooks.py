"""Hooks and wrappers of optimizers: weight decay, clipping, freezing, averages, accumulation."""

from __future__ import annotations

import copy
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch

from passus import Parameter
from passus import optimizers as O
from passus.errors import ArgumentError, DTypeError, PassusError, WeightsError
from tests.helpers.bare import Model


def example(seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    model = Model(l1_W=rng.standard_normal((200, 300)), l1_b=rng.standard_normal(3), scale=np.array(2.0))
    for p in model.params.values():
        p.grad = np.asarray(rng.standard_normal(p.shape))
    return model


def gradients(model: Model) -> dict[str, np.ndarray]:
    return {path: p.grad.data.copy() for path, p in model.named_params()}


def once(model: Model, *hooks: Any) -> None:
    optimizer = O.SGD(lr=1.0).setup(model)
    for hook in hooks:
        optimizer.add_hook(hook)
    optimizer.update()


EDITING = [O.WeightDecay(0.1), O.ClipGrad(0.5), O.ClipValue(0.1)]


def test_weight_decay_adds_to_the_gradient() -> None:
    model = example()
    weights, before = {path: p.data.copy() for path, p in model.named_params()}, gradients(model)
    once(model, O.WeightDecay(0.1))
    for path, g in gradients(model).items():
        np.testing.assert_allclose(g, before[path] + 0.1 * weights[path], rtol=1e-14)
        np.testing.assert_allclose(model[path].data, weights[path] - g, rtol=1e-14)


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_grad_agrees_with_pytorch(max_norm: float) -> None:
    model = example()
    tensors = [torch.zeros(p.shape, dtype=torch.float64) for p in model.params.values()]
    for x, g in zip(tensors, gradients(model).values()):
        x.grad = torch.from_numpy(g)
    norm = torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    clip = O.ClipGrad(max_norm)
    once(model, clip)
    assert clip.norm == pytest.approx(float(norm), rel=1e-12)
    for x, g in zip(tensors, gradients(model).values()):
        np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-12)


def test_clip_grad_propagates_nan() -> None:
    model = example()
    model["l1.b"].grad.data[0] = np.nan
    model["l1.W"].grad.data[0, 0] = np.inf
    before = model["scale"].data.copy()
    with pytest.raises(ArgumentError, match="the norm of all gradients is nan"):
        once(model, O.ClipGrad(1.0, error_if_nonfinite=True))
    np.testing.assert_array_equal(model["scale"].data, before)
    once(model, O.ClipGrad(1.0))
    assert all(np.isnan(p.data).all() for p in model.params.values())


def test_clip_value() -> None:
    model = example()
    before = gradients(model)
    once(model, O.ClipValue(0.1))
    for path, g in gradients(model).items():
        np.testing.assert_array_equal(g, np.clip(before[path], -0.1, 0.1))
    assert np.abs(before["l1.W"]).max() > 0.1


def test_hooks_run_in_the_order_of_addition() -> None:
    model = Model(W=np.array([10.0]))
    model["W"].grad = np.array([5.0])
    once(model, O.ClipValue(1.0), O.WeightDecay(0.5))
    assert model["W"].grad.data[0] == 6.0


def shared(a: Parameter, b: Parameter) -> None:
    a.grad = np.ones(3)
    b.grad = a.grad


def read_only(a: Parameter, b: Parameter) -> None:
    a.grad, b.grad = np.broadcast_to(np.array(1.0), 3), np.broadcast_to(np.array(1.0), 3)


def views(a: Parameter, b: Parameter) -> None:
    g = np.ones(3)
    a.grad, b.grad = g[:], g[:]


def recorded(a: Parameter, b: Parameter) -> None:
    (a + b).sum().backward(create_graph=True)


@pytest.mark.parametrize("make", [shared, read_only, views, recorded])
@pytest.mark.parametrize("hook", EDITING, ids=lambda hook: type(hook).__name__)
def test_hooks_do_not_modify_shared_gradients(make: Any, hook: Any) -> None:
    alone, together = Model(a=np.ones(3), b=np.ones(3)), Model(a=np.ones(3), b=np.ones(3))
    alone["a"].grad, alone["b"].grad = np.ones(3), np.ones(3)
    make(together["a"], together["b"])
    held = [together["a"].grad, together["b"].grad]
    once(alone, hook)
    once(together, hook)
    for path in "ab":
        np.testing.assert_array_equal(together[path].data, alone[path].data)
    if make is not shared:  # The first parameter may own the shared gradient.
        assert all(g.data.tolist() == [1.0, 1.0, 1.0] for g in held)


@pytest.mark.parametrize("hook", EDITING, ids=lambda hook: type(hook).__name__)
def test_hooks_allocate_no_gradient_sized_memory(hook: Any) -> None:
    model = example()
    optimizer = O.SGD(lr=0.0).setup(model)
    optimizer.add_hook(hook)
    optimizer.update()
    tracemalloc.start()
    optimizer.update()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000, "bytes; the largest parameter has 480,000"


def test_freeze_param_keeps_parameters_unchanged() -> None:
    model = example()
    frozen = Model(l1_W=np.zeros(1))
    frozen.params["l1.W"] = model["l1.W"]
    before = {path: p.data.copy() for path, p in model.named_params()}
    once(model, O.FreezeParam(frozen, model["scale"]), O.WeightDecay(0.1))  # Skips parameters without a gradient.
    assert [np.array_equal(before[path], p.data) for path, p in model.named_params()] == [True, False, True]


def test_any_callable_can_be_a_hook() -> None:
    model = example()
    seen: list[Any] = []
    model["scale"].cleargrad()
    once(model, seen.extend)
    assert [id(p) for p in seen] == [id(model["l1.W"]), id(model["l1.b"])]


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: O.WeightDecay(-1.0), ArgumentError, "WeightDecay: rate is -1"),
        (lambda: O.WeightDecay("small"), DTypeError, "WeightDecay: rate is a str"),
        (lambda: O.ClipGrad(0.0), ArgumentError, "ClipGrad: max_norm is 0.0; it must be 0 < max_norm"),
        (lambda: O.ClipGrad(np.nan), ArgumentError, "ClipGrad: max_norm is nan"),
        (lambda: O.ClipValue(-0.5), ArgumentError, "ClipValue: max_value is -0.5"),
        (lambda: O.EMA(example(), decay=1.0), ArgumentError, "EMA: decay is 1.0"),
        (lambda: O.GradientAccumulation(O.SGD(), every=0), ArgumentError, "every is 0"),
        (lambda: O.GradientAccumulation(O.SGD(), every=2).update(), ArgumentError, "call setup"),
    ],
)
def test_bad_arguments_raise(make: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


# Averages.


def test_ema_averages_every_update() -> None:
    model = example()
    model.params["lazy"] = Parameter(None)
    ema = O.EMA(model, decay=0.75)
    optimizer = O.SGD(lr=0.1).setup(model)
    optimizer.add_hook(ema)
    expected: dict[str, Any] = {}
    for _ in range(5):
        optimizer.update()
        for path, p in model.named_params():
            if p._data is not None:
                expected[path] = 0.75 * expected.get(path, p.data) + 0.25 * p.data
    own = {path: p._data for path, p in model.named_params()}
    with suppress(KeyboardInterrupt), ema.swap():
        for path, mean in expected.items():
            np.testing.assert_allclose(model[path].data, mean, rtol=1e-13)
        raise KeyboardInterrupt
    assert all(p._data is own[path] for path, p in model.named_params())


def test_changes_inside_swap_are_discarded() -> None:
    model = example()
    ema = O.EMA(model, decay=0.5)
    optimizer = O.SGD(lr=0.1).setup(model)
    optimizer.add_hook(ema)
    optimizer.update()
    own = {path: p.data.copy() for path, p in model.named_params()}
    averages = copy.deepcopy(ema.averages)
    for _ in range(2):
        with ema.swap():
            optimizer.update()
            model["l1.b"].data[...] = 7.0
            with ema.swap():
                np.testing.assert_array_equal(model["l1.b"].data, averages["l1.b"])
            np.testing.assert_array_equal(model["l1.b"].data, 7.0)
        np.testing.assert_equal(ema.averages, averages)
        np.testing.assert_equal({path: p.data for path, p in model.named_params()}, own)


def test_swap_before_the_first_update_changes_nothing() -> None:
    model = example()
    before = model["l1.b"].data.copy()
    with O.EMA(model).swap():
        np.testing.assert_array_equal(model["l1.b"].data, before)


def test_state_of_ema() -> None:
    model = example()
    ema, other = O.EMA(model, decay=0.5), O.EMA(model, decay=0.5)
    other.load_state_dict(ema.state_dict())
    assert other.averages == {}
    ema.updated([])
    state = copy.deepcopy(ema.state_dict())
    other.load_state_dict(state)
    np.testing.assert_equal(other.averages, ema.averages)
    assert other.averages["l1.b"] is not state["averages"]["l1"]["b"]
    bad_state = {"averages": {"l1": {"b": np.ones(7)}}, "decay": 0.25}
    with pytest.raises(WeightsError, match=r"l1\.b \(7,\) instead of \(3,\)"):
        other.load_state_dict(bad_state)
    with pytest.raises(WeightsError, match="missing: decay"):
        other.load_state_dict({"averages": {}})
    for wrong, match in [
        ([], "EMA.load_state_dict: a list is not a state"),
        ({"decay": 0.5, "averages": 3}, "EMA, averages: an int is not a state"),
        ({"decay": "half", "averages": {}}, "EMA: decay is a str"),
    ]:
        with pytest.raises(DTypeError, match=match):
            other.load_state_dict(wrong)
    np.testing.assert_equal(other.state_dict(), ema.state_dict())


# Accumulation.


def backward(model: Model, x: float) -> None:
    ((model["W"] * x - 1.0) ** 2).sum().backward()


@pytest.mark.parametrize("clear", [True, False])
def test_accumulated_batches_equal_their_mean(clear: bool) -> None:
    whole, pieces = Model(W=np.ones(2)), Model(W=np.ones(2))
    all_at_once = O.MomentumSGD(lr=0.1).setup(whole)
    accumulated = O.GradientAccumulation(O.MomentumSGD(lr=0.1), every=3).setup(pieces)
    for i in range(9):
        if clear:
            pieces["W"].cleargrad()
        backward(pieces, 0.1 * i)
        before = pieces["W"].data.copy()
        accumulated.update()
        assert np.array_equal(before, pieces["W"].data) == (i % 3 < 2)
        if i % 3 == 2:
            whole["W"].cleargrad()
            for j in range(i - 2, i + 1):
                backward(whole, 0.1 * j)
            whole["W"].grad = whole["W"].grad.data / 3
            all_at_once.update()
            np.testing.assert_allclose(pieces["W"].data, whole["W"].data, rtol=1e-13)


def test_accumulation_does_not_modify_gradients_in_place() -> None:
    model = Model(W=np.ones(2))
    optimizer = O.GradientAccumulation(O.SGD(), every=3).setup(model)
    backward(model, 2.0)
    held = model["W"].grad
    before = held.data.copy()
    optimizer.update()
    for _ in range(2):
        backward(model, 3.0)
        optimizer.update()
    np.testing.assert_array_equal(held.data, before)


def test_accumulation_restarts_after_a_failed_update() -> None:
    model = Model(W=np.ones(2))
    optimizer = O.GradientAccumulation(O.SGD(lr=1.0), every=2).setup(model)
    optimizer.optimizer.add_hook(O.ClipGrad(1e9, error_if_nonfinite=True))
    model["W"].grad = np.array([np.nan, 1.0])
    optimizer.update()
    model["W"].grad = np.array([1.0, 1.0])
    with pytest.raises(ArgumentError, match="nan"):
        optimizer.update()
    for _ in range(2):
        model["W"].grad = np.array([0.5, 0.25])
        optimizer.update()
    assert model["W"].data.tolist() == [0.5, 0.75]


def test_accumulation_resumes_between_updates() -> None:
    def run(model: Model, optimizer: Any, calls: range) -> None:
        for i in calls:
            backward(model, 0.1 * i)
            optimizer.update()

    whole, half = Model(W=np.ones(2)), Model(W=np.ones(2))
    run(whole, O.GradientAccumulation(O.Adam(), every=4).setup(whole), range(20))
    optimizer = O.GradientAccumulation(O.Adam(), every=4).setup(half)
    run(half, optimizer, range(10))
    state = copy.deepcopy(optimizer.state_dict())
    fresh = Model(W=half["W"].data.copy())
    resumed = O.GradientAccumulation(O.Adam(), every=4).setup(fresh)
    resumed.load_state_dict(state)
    run(fresh, resumed, range(10, 20))
    np.testing.assert_array_equal(fresh["W"].data, whole["W"].data)

    before = copy.deepcopy(resumed.state_dict())
    for bad_state, match in [
        ({"calls": 1}, "missing: optimizer"),
        (state | {"sums": {"W": np.ones(5)}}, "W"),
        (3, "GradientAccumulation.load_state_dict: an int is not a state"),
        (state | {"calls": -1}, "calls is -1"),
    ]:
        with pytest.raises(PassusError, match=match):
            resumed.load_state_dict(bad_state)
        np.testing.assert_equal(resumed.state_dict(), before)


def test_accumulation_resumes_with_a_smaller_number_of_batches() -> None:
    model = Model(W=np.ones(2))
    optimizer = O.GradientAccumulation(O.SGD(), every=8).setup(model)
    for _ in range(5):
        backward(model, 2.0)
        optimizer.update()
    resumed = O.GradientAccumulation(O.SGD(), every=2).setup(model)
    resumed.load_state_dict(optimizer.state_dict())
    backward(model, 2.0)
    resumed.update()
    assert (resumed.calls, resumed.optimizer.step) == (0, 1)


def test_accumulation_forwards_the_learning_rate() -> None:
    optimizer = O.GradientAccumulation(O.SGD(lr=0.5), every=2)
    optimizer.lr = 0.25
    assert optimizer.lr == optimizer.optimizer.lr == 0.25

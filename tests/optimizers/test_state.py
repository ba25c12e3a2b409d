"""The state of an optimizer: its structure, resumed runs, and rejected states."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Parameter
from passus import optimizers as O
from passus.errors import PassusError, WeightsError
from passus.models import MLP
from passus.schedules import OnPlateau
from passus.tree import flatten, unflatten
from tests.helpers.bare import Model
from tests.optimizers.training import ALL, assert_equal, example, train, values


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resumed_run_is_bit_identical(make: Any, dtype: Any) -> None:
    whole = example(dtype)
    train(make().setup(whole), whole, range(20))

    half = example(dtype)
    optimizer = make().setup(half)
    train(optimizer, half, range(10))
    state = copy.deepcopy(optimizer.state_dict())
    fresh = example(dtype)
    for path, p in half.params.items():
        fresh[path].data = p.data.copy(order="K")
    resumed = make(lr=0.5).setup(fresh)  # The saved learning rate replaces this one.
    resumed.load_state_dict(state)
    assert resumed.step == 10
    train(resumed, fresh, range(10, 20))
    assert_equal(values(fresh), values(whole))


def trained() -> tuple[Any, Model]:
    model = Model(l1_W=np.ones(2), l1_b=np.ones(1))
    optimizer = O.AdamW(lr=OnPlateau(0.5)).setup(model)
    optimizer.add_group("l1.b", weight_decay=0.5)
    optimizer.add_hook(O.EMA(model, decay=0.5))
    train(optimizer, model, range(3))
    return optimizer, model


def test_state_is_a_tree_keyed_by_path() -> None:
    optimizer, _ = trained()
    state = optimizer.state_dict()
    assert state["step"] == state["slots"]["l1"]["W"]["step"] == 3
    assert state["slots"]["l1"]["W"].keys() == {"step", "m", "v"}
    assert state["options"] == {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    assert state["groups"] == {"0": {"weight_decay": 0.5}}
    assert state["schedule0"]["lr"] == 0.5
    assert state["hook0"]["averages"]["l1"]["W"].shape == (2,)


def test_state_includes_hooks_and_schedules() -> None:
    optimizer, _ = trained()
    optimizer.options["lr"].report(7.0)
    other, _ = trained()
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.options["lr"].best == 7.0
    np.testing.assert_array_equal(other.hooks[0].averages["l1.W"], optimizer.hooks[0].averages["l1.W"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s: s.pop("step"), "missing: step"),
        (lambda s: s.pop("hook0"), "missing: hook0"),
        (lambda s: s.update(more=1), "extra: more"),
        (lambda s: s["slots"]["l1"]["W"].pop("m"), r"missing: slots\.l1\.W\.m"),
        (lambda s: s["slots"]["l1"]["W"].update(m=np.ones(3)), r"slots\.l1\.W\.m \(3,\) instead of \(2,\)"),
        (lambda s: s["slots"]["l1"]["W"].update(m=np.ones(2, np.float32)), "float32 instead of float64"),
        (lambda s: s["slots"].update(l7={"m": np.ones(2)}), r"extra: slots\.l7\.m"),
        (lambda s: s["options"].update(eps="small"), "of another dtype: options.eps"),
        (lambda s: s["options"].update(eps=np.nan), "eps is nan"),
        (lambda s: s["hook0"]["averages"]["l1"].update(W=np.ones(5)), r"l1\.W \(5,\) instead of \(2,\)"),
        (lambda s: s["schedule0"].pop("best"), "OnPlateau: a state has lr, best"),
    ],
)
def test_mismatched_state_raises_and_changes_nothing(change: Any, match: str) -> None:
    optimizer, _ = trained()
    before = copy.deepcopy(optimizer.state_dict())
    state = copy.deepcopy(before)
    state["step"], state["schedule0"]["lr"] = 77, 0.123
    change(state)
    with pytest.raises(PassusError, match=match):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_state_dict_returns_copies() -> None:
    optimizer, model = trained()
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    train(optimizer, model, range(2))
    np.testing.assert_equal(state, before)


def test_loading_state_before_lazy_weights_raises() -> None:
    optimizer, _ = trained()
    lazy = Model(l1_W=np.ones(2), l1_b=np.ones(1))
    lazy.params["l1.W"] = Parameter(None)
    other = O.AdamW(lr=OnPlateau(0.5)).setup(lazy)
    with pytest.raises(WeightsError, match=r"AdamW: l1\.W has no shape yet"):
        other.load_state_dict(optimizer.state_dict())


def test_load_state_dict_copies_the_state() -> None:
    optimizer, model = trained()
    state = copy.deepcopy(optimizer.state_dict())
    before = copy.deepcopy(state)
    optimizer.load_state_dict(state)
    train(optimizer, model, range(2))
    np.testing.assert_equal(state, before)


# Networks.


def step(model: MLP, optimizer: Any, x: np.ndarray) -> float:
    loss = F.mean((model(x) - np.sin(x)) ** 2)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return float(loss)


@pytest.mark.parametrize("make", ALL)
def test_lazy_network_learns_and_resumes_from_flattened_state(make: Any) -> None:
    x = np.linspace(-2, 2, 40, dtype=np.float32).reshape(-1, 1)
    model = MLP((16, 1), activation=F.tanh)  # Lazy: no weights before the first call.
    optimizer = make().setup(model)
    losses = [step(model, optimizer, x) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert {p.dtype for p in model.params()} == {np.dtype(np.float32)}

    leaves = {path: np.array(leaf) for path, leaf in flatten(optimizer.state_dict()).items()}
    twin = copy.deepcopy(model)
    resumed = make().setup(twin)
    resumed.load_state_dict(unflatten(leaves))
    assert [step(twin, resumed, x) for _ in range(5)] == [step(model, optimizer, x) for _ in range(5)]

"""The carried state of recurrent layers: only training steps advance it, and mismatched states are rejected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable, no_grad, test_mode
from passus.dataloaders import SeqDataLoader
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.models import Model
from passus.optimizers import SGD
from passus.summary import summary
from passus.testing import check_grads, gradient_check
from passus.training import Trainer

test_mode.__test__ = False  # type: ignore[attr-defined]

KINDS = ["RNN", "LSTM", "GRU"]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


class Stepwise(Model):
    def __init__(self, kind: str = "LSTM", num_layers: int = 1) -> None:
        super().__init__()
        self.rnn = getattr(L, kind)(4, 3, num_layers=num_layers, rng=0)
        self.fc = L.Linear(1, in_size=4, rng=1)

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x))


class RunningTotal(L.Layer):
    """A user-defined layer with a carried state."""

    def __init__(self) -> None:
        self.total: Any = None
        self.register_state("total")
        self.shown: Any = None

    def forward(self, x: Any) -> Any:
        self.total = x if self.total is None else self.total + x
        self.shown = self.total * 2.0
        return self.total


# Predictions, evaluations and summaries.


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_predict_leaves_the_recurrent_state_unchanged(kind: str, num_layers: int) -> None:
    model, x = Stepwise(kind, num_layers), drawn(6, 3)
    first = model.predict(x, batch_size=4)
    assert model.rnn.h is None
    np.testing.assert_allclose(first, model(x).data, rtol=1e-6, atol=1e-7)
    h, c = model.rnn.h, model.rnn.c
    twice = [model.predict(x) for _ in range(2)]
    assert model.rnn.h is h
    assert model.rnn.c is c
    np.testing.assert_array_equal(*twice)
    np.testing.assert_array_equal(twice[0], model(x).data, err_msg="the prediction equals the next step")
    assert not np.array_equal(first, twice[0])


def test_failed_predict_leaves_the_recurrent_state_unchanged() -> None:
    model = Stepwise()
    model(drawn(6, 3))
    h = model.rnn.h
    with pytest.raises(ShapeError, match="has 7 examples, and the state is that of 6"):
        model.predict(drawn(7, 3))
    with pytest.raises(ShapeError, match="has 7 examples"):
        trainer_of(model).predict([drawn(6, 3), drawn(7, 3)])
    assert model.rnn.h is h


def test_predict_initializes_a_lazy_model() -> None:
    model = L.Sequential(L.RNN(4, rng=0), L.BatchNorm(), L.Linear(2, rng=0))
    y = model.predict(drawn(6, 3))
    np.testing.assert_array_equal(model.predict(drawn(6, 3)), y)
    assert all(array is not None for array in model.state_dict().values())


def test_registered_state_of_a_user_defined_layer() -> None:
    layer, x = RunningTotal(), np.ones((2, 1))
    layer(Variable(x))
    np.testing.assert_array_equal(layer.predict(x), 2 * x)
    np.testing.assert_array_equal(layer.total, x)
    np.testing.assert_array_equal(layer.shown, 4 * x, err_msg="an unregistered attribute is not restored")
    other = RunningTotal()
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other(x), 2 * x)
    layer.total = x  # An array is accepted, too.
    np.testing.assert_array_equal(layer.state_dict()["total"], x)
    layer.total = "x"
    with pytest.raises(DTypeError, match="total"):
        layer.state_dict()
    with pytest.raises(ArgumentError, match=r"runningtotal.register_state: 'a\.b' is no name"):
        layer.register_state("a.b")


def truncated(model: Any, batch: Any) -> Any:
    for state in (model.rnn.h, model.rnn.c):
        if state is not None:
            state.unchain()
    x, t = batch
    return F.mean_squared_error(model(x), t)


def trainer_of(model: Any, rows: int = 2) -> Trainer:
    data = [(x, x[:1]) for x in drawn(8, 3)]
    return Trainer(
        model,
        SGD(0.0).setup(model),
        SeqDataLoader(data, 4),
        batch_loss=truncated,
        test_loader=SeqDataLoader(data, rows),
        progress=False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_starts_new_sequences_and_restores_the_state(kind: str) -> None:
    model = Stepwise(kind)
    trainer = trainer_of(model)
    with no_grad(), test_mode():
        expected = np.mean([F.mean_squared_error(model(x), t).data for x, t in trainer.test_loader])
        model.rnn.reset_state()
    row = trainer.fit(epochs=1)[0]
    assert row["test_loss"] == pytest.approx(expected, rel=1e-6)
    h = model.rnn.h
    assert h.shape == (4, 4)
    assert trainer.evaluate()["loss"] == row["test_loss"]
    assert model.rnn.h is h


def test_trainer_predict_carries_the_state_across_batches() -> None:
    model = Stepwise()
    trainer = trainer_of(model)
    with no_grad():
        expected = np.concatenate([model(x).data for x, _ in trainer.test_loader])
    h = model.rnn.h
    np.testing.assert_array_equal(trainer.predict(trainer.test_loader), expected)
    assert model.rnn.h is h


def test_summary_leaves_the_recurrent_state_unchanged() -> None:
    model = Stepwise()
    model(drawn(6, 3))
    h = model.rnn.h
    assert "(1, 4)" in summary(model, drawn(1, 3))
    assert model.rnn.h is h


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checks_start_each_call_from_the_same_state(kind: str, capsys: Any) -> None:
    layer = getattr(L, kind)(4, 3, dtype=np.float64, rng=0)
    x = drawn(2, 3).astype(float)
    layer(x)
    h = layer.h
    check_grads(layer, x)
    assert gradient_check(lambda x: (layer(x) * layer(x)).sum(), x), capsys.readouterr()
    assert layer.h is h
    lazy = L.Linear(2, dtype=np.float64)
    check_grads(lazy, x)
    assert lazy.W.shape == (3, 2)


# Loading.


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_loading_a_state_of_another_size_raises(kind: str, num_layers: int) -> None:
    model = Stepwise(kind, num_layers)
    model(drawn(6, 3))
    other = Stepwise(kind, num_layers)
    other(drawn(2, 3))
    before = other.state_dict()
    state = {name: array + 1 for name, array in model.state_dict().items()}
    other.load_state_dict(state)
    assert other.rnn.h.shape[-2] == 6, "a state of another batch size is accepted"
    other.load_state_dict(before)
    cells = "" if num_layers == 1 else f"{num_layers}, "
    for key in [name for name in state if name in ("rnn.h", "rnn.c")]:
        wide = np.zeros((*state[key].shape[:-1], 5), np.float32)
        found = rf"{key} \({cells}6, 5\) instead of \({cells}[6N], 4\)"
        with pytest.raises(WeightsError, match=found) as raised:
            other.load_state_dict({**state, key: wide})
        for text in ("stepwise.load_state_dict", "begin new sequences", "Nothing was changed"):
            assert text in str(raised.value)
        for bad in (np.zeros(4, np.float32), np.zeros((3, *state[key].shape), np.float32), state[key].astype(int), 3):
            with pytest.raises(WeightsError, match=key):
                other.load_state_dict({**state, key: bad})
        for name, array in other.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_loading_an_incomplete_lstm_state_raises() -> None:
    model = Stepwise()
    model(drawn(6, 3))
    state = model.state_dict()
    c = state.pop("rnn.c")
    with pytest.raises(WeightsError, match=r"rnn\.c is missing beside h"):
        model.load_state_dict(state)
    with pytest.raises(WeightsError, match=r"rnn\.h \(6, 4\) instead of \(N, 4\); rnn\.c \(5, 4\) instead of"):
        model.load_state_dict({**state, "rnn.c": c[:5]})
    gru = Stepwise("GRU")
    with pytest.raises(WeightsError, match=r"extra: rnn\.c"):
        gru.load_state_dict({**gru.state_dict(), "rnn.c": c})


def test_non_strict_loading_of_a_recurrent_state() -> None:
    model = Stepwise("GRU")
    model(drawn(6, 3))
    h, state = model.rnn.h, model.state_dict()
    loaded = model.load_state_dict({k: v for k, v in state.items() if k != "rnn.h"}, strict=False)
    assert loaded is not None
    assert not loaded.missing
    assert model.rnn.h is h
    loaded = model.load_state_dict({**state, "rnn.h": np.zeros((6, 5), np.float32)}, strict=False)
    assert loaded is not None
    assert loaded.misfits == ["rnn.h"]
    assert model.rnn.h is h
    loaded = model.load_state_dict({**state, "rnn.h": np.ones((2, 4), np.float32)}, strict=False)
    assert loaded is not None
    assert "rnn.h" in loaded.taken
    np.testing.assert_array_equal(model.rnn.h, np.ones((2, 4)))

"""The trainer: its loop, metrics, and models of several inputs."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus import Config
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset, Spiral
from passus.errors import ArgumentError, DTypeError
from passus.layers import Linear
from passus.metrics import MAE, Accuracy, ConfusionMatrix
from passus.optimizers import SGD, Adam
from passus.training import Callback, CSVLog, Trainer, progress_bar
from passus.training.progress import Lines
from tests.training.trainers import (
    BATCHES,
    Killed,
    Two,
    assert_same_run,
    assert_same_state,
    linear,
    pairs,
    trainer,
    two_inputs,
)


def test_the_trainer_equals_a_plain_training_loop():
    trained = trainer(test_loader=None)
    trained.fit(epochs=2)
    plain = trainer(test_loader=None)
    for _ in range(2):
        for x, t in plain.loader:
            loss = F.softmax_cross_entropy(plain.model(x), t)
            plain.model.cleargrads()
            loss.backward()
            plain.optimizer.update()
    assert_same_state(trained.model.state_dict(), plain.model.state_dict())


def test_history_has_a_row_for_each_epoch():
    run = trainer(metrics={"accuracy": Accuracy(), "confusion": ConfusionMatrix(3)})
    history = run.fit(epochs=3)
    names = ["epoch", "step", "lr", "loss", "accuracy", "test_loss", "test_accuracy"]
    assert [list(row) for row in history] == [names] * 3
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 10), (2, 20), (3, 30)]
    assert run.fit(epochs=3) is history, "three epochs are complete"
    assert len(history) == 3
    assert run.evaluate()["confusion"].sum() == len(Spiral(train=False))
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_mean_loss_is_weighted_by_batch_size():
    run = linear(pairs(5, 3, 1), loss=F.mean_squared_error)
    x, t = (np.concatenate(part) for part in zip(*pairs(5, 3, 1)))
    whole = F.mean_squared_error(run.model(x), t).item()
    assert run.evaluate(pairs(5, 3, 1))["loss"] == pytest.approx(whole, rel=1e-6)


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples():
    losses: list[float] = []

    class Noting(Trainer):
        def train_step(self, batch: Any) -> float:
            losses.append(super().train_step(batch))
            return losses[-1]

    model = Linear(1, in_size=2)
    run = Noting(model, SGD(lr=0.1).setup(model), pairs(5, 3, 1), F.mean_squared_error, progress=False)
    found = [row["loss"] for row in run.fit(epochs=2)]
    expected = [np.average(losses[:3], weights=[5, 3, 1]), np.average(losses[3:], weights=[5, 3, 1])]
    assert found == pytest.approx(expected, rel=1e-12)


def test_evaluation_runs_in_test_mode_and_changes_no_state():
    run = trainer()
    run.fit(epochs=1)
    before, weights = passus.random.rng_state(), run.model.state_dict()
    assert run.evaluate() == run.evaluate(), "dropout is off"
    assert passus.random.rng_state() == before
    assert_same_state(run.model.state_dict(), weights)
    assert Config.train
    assert Config.enable_backprop


def test_a_failed_evaluation_leaves_the_epoch_in_the_history(tmp_path):
    class Failing:
        """A loader that fails in the second epoch."""

        times = 0

        def __len__(self):
            return 1

        def __iter__(self):
            self.times += 1
            if self.times == 2:
                raise Killed
            return iter(pairs(4))

    log = CSVLog(tmp_path / "log.csv")
    run = linear(pairs(4, 4), loss=F.mean_squared_error, test_loader=Failing(), callbacks=[log])
    with pytest.raises(Killed):
        run.fit(epochs=3)
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert np.isfinite(run.history[1]["loss"])
    assert np.isnan(run.history[1]["test_loss"])
    run.fit(epochs=3)
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert np.isfinite(run.history[2]["test_loss"])
    assert len(log.path.read_text().splitlines()) == 4


@pytest.mark.parametrize("switch", ["progress", "skip_nan"])
def test_switches_must_be_true_or_false(switch):
    with pytest.raises(DTypeError, match=f"Trainer: {switch} is a str"):
        linear(pairs(1), loss=F.mean_squared_error, **{switch: "no"})


def test_evaluation_during_an_epoch_does_not_change_the_run():
    class Evaluate(Callback):
        def on_step(self, run: Any) -> None:
            run.evaluate()

    plain = trainer()
    plain.fit(epochs=2)
    curious = trainer(Evaluate())
    curious.fit(epochs=2)
    assert_same_run(plain, curious)


def test_batch_loss_handles_batches_of_any_form():
    batches = [{"x": x, "t": t} for x, t in pairs(4, 4)]
    run = linear(batches, batch_loss=lambda model, b: F.mean_squared_error(model(b["x"]), b["t"]))
    history = run.fit(epochs=5)
    assert history[4]["loss"] < history[0]["loss"]


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (np.zeros((3, 2)), 3),
        (("names", np.zeros((3, 2))), 3),
        ({"ids": ["a", "b"], "x": (np.zeros((4, 2)), np.zeros(9))}, 4),
        (["a", "b"], 1),
        (np.float32(2), 1),
        (None, 1),
    ],
)
def test_the_first_array_determines_the_batch_size(batch, size):
    model = Linear(1, in_size=2)
    numbers = iter([1.0, 4.0])

    def loss(model: Any, batch: Any) -> Any:
        return 0.0 * F.mean(model(np.ones((1, 2), np.float32))) + next(numbers)

    run = Trainer(model, SGD(lr=0.0).setup(model), [batch, np.zeros((6, 2))], batch_loss=loss, progress=False)
    assert run.fit(epochs=1)[0]["loss"] == pytest.approx((size * 1.0 + 6 * 4.0) / (size + 6), rel=1e-6)


def test_fit_stops_at_epochs_or_steps_whichever_is_first():
    run = trainer()
    run.fit(steps=15)
    assert (run.epoch, run.batch, run.step, len(run.history)) == (1, 5, 15, 1)
    run.fit(steps=20)
    assert (run.epoch, run.batch, run.step, len(run.history)) == (2, 0, 20, 2)
    run.fit(epochs=5, steps=22)
    assert run.step == 22


def test_several_calls_of_fit_equal_one():
    whole = trainer()
    whole.fit(epochs=3)
    pieces = trainer()
    for steps in (1, 7, 10, 24):
        pieces.fit(steps=steps)
    pieces.fit(epochs=3)
    assert_same_run(whole, pieces)


def test_callbacks_are_called_in_order_and_savers_last():
    moments: list[str] = []

    class Note(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                return lambda run, *row: moments.append(f"{self.name} {name}")
            return super().__getattribute__(name)

    class Saver(Note):
        last = True

    linear(pairs(2), loss=F.mean_squared_error, callbacks=[Saver("b"), Note("a")]).fit(epochs=1)
    starts, step, epoch, finish = (f"on_{m}" for m in ("start", "step", "epoch", "finish"))
    pairs_of_moments = [f"{name} {moment}" for moment in (starts, step, epoch, finish) for name in "ab"]
    assert moments == [*pairs_of_moments, "b on_end", "a on_end"]


def test_a_progress_bar_is_shown_on_request(capsys, monkeypatch):
    monkeypatch.setattr("passus.training.progress._moves_cursor", lambda: True)
    trainer(progress=True).fit(epochs=2)
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown
    assert re.search(r"\[\S+ \S+ loss=.*test_accuracy=[\d.]+, lr=0", shown.splitlines()[-1]), (
        "a narrow terminal cuts off the end"
    )
    assert shown.count("\n") == 1, "one bar for all epochs"
    assert "20/20" in shown
    trainer().fit(epochs=1)
    assert not capsys.readouterr().err
    assert list(progress_bar(range(3), "mine")) == [0, 1, 2]
    assert "mine: 100%" in capsys.readouterr().err


def test_the_bar_of_a_resumed_training_counts_all_steps(capsys, monkeypatch):
    monkeypatch.setattr("passus.training.progress._moves_cursor", lambda: True)
    run = trainer(progress=True)
    run.fit(steps=BATCHES + 3)
    assert f"{BATCHES + 3}/{BATCHES + 3}" in capsys.readouterr().err
    run.fit(epochs=3)
    shown = capsys.readouterr().err
    assert f"{BATCHES + 3}/{3 * BATCHES}" in shown
    assert f"{3 * BATCHES}/{3 * BATCHES}" in shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_drawn_on_terminals_and_in_notebooks_only(monkeypatch, is_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    with progress_bar(total=2) as bar:
        assert isinstance(bar, Lines) is not is_terminal
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=True)))
    with progress_bar(total=2) as bar:
        assert not isinstance(bar, Lines)


def test_without_a_terminal_progress_is_printed_as_lines(capsys, monkeypatch):
    run = trainer(progress=True)
    run.fit(epochs=2)
    run.fit(steps=2 * BATCHES + 3)
    shown = capsys.readouterr()
    assert not shown.out
    lines = shown.err.splitlines()
    assert all(
        re.match(r"epoch \d(/2)?: \d+/10 in \d+\.\d s, (loss=.*test_accuracy=[\d.]+, lr=[\d.]+|loss=[\d.]+)$", line)
        for line in lines
    )
    assert [line.split(" in ")[0] for line in lines] == ["epoch 1/2: 10/10", "epoch 2/2: 10/10", "epoch 3: 3/10"]
    assert not set(shown.err) & set("\r\x1b")

    now = [0.0]
    monkeypatch.setattr("passus.training.progress.monotonic", lambda: now[0])
    for _ in progress_bar(iter("abcde"), "mine"):
        now[0] += 25
    assert capsys.readouterr().err.splitlines() == ["mine: 3 in 75.0 s", "mine: 5 in 125.0 s"]
    bar = progress_bar(total=4, initial=1)
    bar.set_description("new")
    bar.set_postfix(loss=0.123456, name="a", refresh=False)
    bar.update(2)
    now[0] += 2
    bar.close()
    bar.close()
    assert capsys.readouterr().err == "new: 3/4 in 2.0 s, loss=0.1235, name=a\n"


def test_training_works_without_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    trainer(progress=True).fit(epochs=1)
    assert not capsys.readouterr().out


def test_functions_are_accepted_as_metrics():
    def error(y, t):
        assert not Config.enable_backprop
        return F.l1_loss(y, t)

    model = Linear(1, in_size=2)
    batches = pairs(5, 3)
    metrics = {"function": error, "number": lambda y, t: float(abs(y.data - t).mean()), "mae": MAE()}
    run = Trainer(
        model,
        SGD(lr=0.0).setup(model),
        batches,
        F.mean_squared_error,
        metrics=metrics,
        test_loader=batches,
        progress=False,
    )
    for row in run.fit(epochs=2):
        values = [row[prefix + name] for prefix in ("", "test_") for name in metrics]
        np.testing.assert_allclose(values, values[0], rtol=1e-6)
    other = Trainer(model, SGD(lr=0.0).setup(model), batches, F.mean_squared_error, metrics=metrics, progress=False)
    run.train_step(batches[0])
    other.load_state_dict(run.state_dict())
    assert other.state_dict()["tally"] == run.state_dict()["tally"]


def test_metrics_work_for_models_of_several_inputs():
    x1, x2 = two_inputs(12)
    t = np.arange(12) % 3
    model = Two()
    batches = [(x1[:8], x2[:8], t[:8]), [x1[8:], x2[8:], t[8:]]]
    run = Trainer(
        model,
        Adam().setup(model),
        DataLoader(ArrayDataset(x1, x2, t), 4),
        F.softmax_cross_entropy,
        metrics={"accuracy": Accuracy()},
        test_loader=batches,
        progress=False,
    )
    row = run.fit(epochs=2)[-1]
    assert row["test_accuracy"] == np.mean(run.predict(batches).argmax(axis=1) == t)


def test_batch_loss_may_return_outputs_and_targets_for_metrics():
    def loss(model, batch):
        y = model(batch["a"], batch["b"])
        return F.softmax_cross_entropy(y, batch["t"]), y, batch["t"]

    x1, x2 = two_inputs(12)
    model = Two()
    batches = [{"a": x1, "b": x2, "t": np.arange(12) % 3}]
    run = Trainer(
        model,
        Adam().setup(model),
        batches,
        batch_loss=loss,
        metrics={"accuracy": Accuracy()},
        test_loader=batches,
        progress=False,
    )
    assert set(run.fit(epochs=1)[0]) >= {"accuracy", "test_accuracy"}


def test_an_exhausted_loader_raises():
    class Once:
        def __init__(self, batches):
            self.batches = iter(batches)

        def __iter__(self):
            return self.batches

        def __len__(self):
            return 2

    run = linear(Once(pairs(2, 2)), loss=F.mean_squared_error)
    with pytest.raises(ArgumentError, match="no batch"):
        run.fit(epochs=3)

"""Trainers whose steps run as recorded programs, beside eager ones."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset
from passus.errors import ArgumentError, DivergenceError, PassusError, PassusWarning
from passus.layers import (
    LSTM,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    Linear,
    MaxPooling,
    ReLU,
    Sequential,
)
from passus.metrics import MAE, Accuracy
from passus.optimizers import SGD, Adam, ClipGrad, GradientAccumulation, MomentumSGD
from passus.schedules import cosine
from passus.training import Callback, EarlyStopping, Trainer
from tests.recording.comparing import assert_same, assert_untraced, frozen
from tests.training.trainers import At, Killed, Two, kill, press_ctrl_c, trainer, two_inputs

Make = Callable[..., Trainer]


def loader_of(*arrays: Any, size: int) -> DataLoader:
    return DataLoader(ArrayDataset(*arrays), batch_size=size)


def normal(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def labels(n: int, classes: int) -> Any:
    return np.random.default_rng(1).integers(0, classes, n)


def perceptron(**options: Any) -> Trainer:
    """Batch normalization, dropout, Adam, a schedule, a metric, shuffling, and a last batch of another size."""
    return trainer(*options.pop("callbacks", ()), **options)


def cnn(**options: Any) -> Trainer:
    passus.random.seed(0)
    model = Sequential(Conv2d(4, 3, pad=1), BatchNorm(), ReLU(), MaxPooling(2), Flatten(), Dropout(0.3), Linear(3))
    optimizer = MomentumSGD(lr=0.05).setup(model)
    optimizer.add_hook(ClipGrad(1.0))
    loader = loader_of(normal(22, 2, 6, 6), labels(22, 3), size=4)
    return made(model, optimizer, loader, F.softmax_cross_entropy, metrics={"accuracy": Accuracy()}, **options)


def sequences(**options: Any) -> Trainer:
    passus.random.seed(0)
    model = Sequential(Embedding(7, 5), LSTM(6, dropout=0.2, num_layers=2), Linear(7))
    loader = loader_of(labels(40, 7).reshape(8, 5), labels(40, 7).reshape(8, 5), size=3)
    return made(model, Adam(lr=0.01).setup(model), loader, partial(F.softmax_cross_entropy, axis=2), **options)


class Stepwise(Layer):
    """A network that reads one step at a time, carries its state from batch to batch, and cuts the graph between them."""

    def __init__(self) -> None:
        self.lstm, self.out = LSTM(5), Linear(1)

    def forward(self, x: Any) -> Any:
        y = self.out(self.lstm(x))
        self.lstm.h, self.lstm.c = self.lstm.h.detach(), self.lstm.c.detach()
        return y


def stepwise(**options: Any) -> Trainer:
    passus.random.seed(0)
    model = Stepwise()
    batches = [(normal(3, 2) * i, normal(3, 1)) for i in range(5)]
    return made(model, Adam(lr=0.01).setup(model), batches, F.mean_squared_error, test_loader=batches[::2], **options)


def accumulating(**options: Any) -> Trainer:
    passus.random.seed(0)
    model = Sequential(Linear(4), BatchNorm(), ReLU(), Linear(1))
    optimizer = GradientAccumulation(MomentumSGD(lr=cosine(0.05, 20)), every=3).setup(model)
    loader = loader_of(normal(20, 3), normal(20, 1), size=4)
    return made(model, optimizer, loader, F.mean_squared_error, metrics={"mae": MAE()}, **options)


def several_inputs(**options: Any) -> Trainer:
    passus.random.seed(0)
    model = Two()
    loader = loader_of(*two_inputs(10), normal(10, 3), size=4)
    return made(model, SGD(lr=0.1).setup(model), loader, F.mean_squared_error, **options)


def mixed_losses(**options: Any) -> Trainer:
    """Batches that are dicts, and two losses of one body."""
    passus.random.seed(0)
    body, heads = Linear(8), (Linear(3), Linear(1))
    model = Sequential(body, *heads)

    def batch_loss(model: Any, batch: Any) -> Any:
        h = F.tanh(model[0](batch["x"]))
        y = model[1](h)
        loss = F.softmax_cross_entropy(y, batch["label"]) + 0.1 * F.mean_squared_error(model[2](h), batch["value"])
        return loss + 1e-3 * F.sum(model[0].W ** 2), y, batch["label"]

    n = 9
    whole = {"x": normal(n, 4), "label": labels(n, 3), "value": normal(n, 1)}
    batches = [{name: x[i : i + 4] for name, x in whole.items()} for i in range(0, n, 4)]
    optimizer = Adam(lr=0.01).setup(model)
    return made(
        model,
        optimizer,
        batches,
        None,
        batch_loss=batch_loss,
        metrics={"accuracy": Accuracy()},
        test_loader=batches,
        **options,
    )


def made(model: Any, optimizer: Any, loader: Any, loss: Any, **options: Any) -> Trainer:
    return Trainer(model, optimizer, loader, loss, **{"progress": False, "test_loader": loader} | options)


MAKERS = [perceptron, cnn, sequences, stepwise, accumulating, several_inputs, mixed_losses]
makers = pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])


def whole_state(run: Trainer) -> Any:
    """All that a run has changed: parameters, gradients, buffers, carried state, optimizer, counters, generator."""
    return [frozen(part) for part in (run.model, run.optimizer, run, passus.random.get_rng())]


def assert_programs_ran(run: Trainer) -> None:
    functions = run._programs._functions
    assert functions, "nothing was recorded"
    for name, function in functions.items():
        assert function._eager is None, name
        assert any(version.is_checked for version in function.versions), name


def states(make: Make, fit: Callable[[Trainer], object], *compile: Any) -> list[Any]:
    """The state after ``fit`` for each value of the option ``compile``."""
    found = []
    for value in compile:
        run = make(compile=value)
        fit(run)
        found.append(whole_state(run))
        if value:
            assert_programs_ran(run)
            assert_untraced(run.model)
    return found


@makers
def test_exact_training_equals_the_eager_one_bit_by_bit(make: Make):
    eager, recorded = states(make, lambda run: run.fit(epochs=3), False, "exact")
    assert_same(recorded, eager, make.__name__)


# Without the perceptron: Adam turns the rounding of a gradient of 0, that of a bias before a norm, into steps.
@pytest.mark.parametrize("make", [cnn, *MAKERS[2:]])
def test_training_equals_the_eager_one_up_to_rounding(make: Make):
    eager = make()
    eager.fit(epochs=3)
    recorded = make(compile=True)
    recorded.fit(epochs=3)
    assert_programs_ran(recorded)
    for row, expected in zip(recorded.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-5)
    for path, x in recorded.model.state_dict().items():
        np.testing.assert_allclose(x, eager.model.state_dict()[path], rtol=1e-4, atol=1e-5, err_msg=path)


@makers
@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.parametrize("compile", [True, "exact"])
def test_a_run_resumed_in_the_middle_equals_a_whole_one(make: Make, compile: Any, steps: int, tmp_path: Path):
    path = tmp_path / "run.safetensors"
    whole = make(compile=compile)
    whole.fit(epochs=3)
    whole.model.cleargrads()
    expected = whole_state(whole)
    begun = make(compile=compile, callbacks=[At(steps, kill)])
    with pytest.raises(Killed):
        begun.fit(epochs=3)
    begun.save(path)
    resumed = make(compile=compile)
    resumed.resume(path)
    resumed.fit(epochs=3)
    resumed.model.cleargrads()
    assert_programs_ran(resumed)
    assert_same(whole_state(resumed), expected, make.__name__)


def test_ctrl_c_ends_after_the_step_and_fit_continues():
    def fit(run: Trainer) -> None:
        run.callbacks.append(At(13, press_ctrl_c))
        with pytest.raises(KeyboardInterrupt):
            run.fit(epochs=3)
        assert run.step == 13
        run.fit(epochs=3)

    eager, recorded = states(perceptron, fit, False, "exact")
    assert_same(recorded, eager, "state")


def broken(at: set[int], what: str, **options: Any) -> Trainer:
    """A run of eight batches, of which some give a loss or gradients that are NaN or infinite."""
    passus.random.seed(0)
    model = Sequential(Linear(4), BatchNorm(), Dropout(0.2), Linear(1))
    x, t = normal(4, 3), normal(4, 1)
    batches = [(x + i, t, np.float32(0.0 if i in at else 1.0)) for i in range(8)]

    def batch_loss(model: Any, batch: Any) -> Any:
        x, t, factor = batch
        y = model(x)
        if what == "loss":
            return F.mean_squared_error(y, t) / factor, y, t
        return F.mean_squared_error(y, t) + F.sum(F.sqrt(F.abs(y) * factor)), y, t

    metrics = {"mae": MAE()}
    return Trainer(
        model, Adam().setup(model), batches, batch_loss=batch_loss, metrics=metrics, progress=False, **options
    )


@pytest.mark.parametrize("at", [{0}, {1}, {3}, {2, 3}, {4, 5, 7}], ids=str)
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_steps_that_diverge_are_skipped_as_eager_ones(what: str, at: set[int]):
    def fit(run: Trainer) -> None:
        for _ in range(2):
            run.fit(steps=run.step + 8)
            losses.append([row["loss"] for row in run.history])

    losses: list[Any] = []
    with np.errstate(all="ignore"):
        eager, recorded = states(lambda **given: broken(at, what, skip_nan=True, **given), fit, False, "exact")
    assert losses[:2] == losses[2:]
    assert_same(recorded, eager, "state")


@pytest.mark.parametrize("at", [0, 1, 5])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_step_that_diverges_leaves_what_the_eager_one_leaves(what: str, at: int):
    def fit(run: Trainer) -> None:
        with np.errstate(all="ignore"), pytest.raises(DivergenceError, match=rf"epoch 1, step {at + 1}\.") as raised:
            run.fit(epochs=1)
        messages.append(str(raised.value))

    messages: list[str] = []
    found = []
    for compile in (False, "exact"):
        run = broken({at}, what, compile=compile)
        fit(run)
        found.append(whole_state(run))
    assert messages[0] == messages[1]
    assert_same(found[1], found[0], "state")


@pytest.mark.parametrize("compile", [True, "exact"])
def test_a_loss_that_cannot_be_recorded_is_computed_eagerly_with_one_warning(compile: Any):
    def batch_loss(model: Any, batch: Any) -> Any:
        y = F.mean_squared_error(model(batch[0]), batch[1])
        return y / (1.0 + float(y))

    def make(**options: Any) -> Trainer:
        passus.random.seed(0)
        model = Linear(1, in_size=2)
        batches = [(normal(4, 2), normal(4, 1))] * 3
        optimizer = SGD(lr=0.1).setup(model)
        return Trainer(model, optimizer, batches, batch_loss=batch_loss, test_loader=batches, progress=False, **options)

    eager, run = make(), make(compile=compile)
    eager.fit(epochs=3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.fit(epochs=3)
    (warning,) = caught
    assert warning.category is PassusWarning
    assert "runs without a program" in str(warning.message)
    assert "test_compiled.py" in str(warning.message)
    assert_same(whole_state(run), whole_state(eager), "state")


class Annealed(Trainer):
    """A trainer whose loss depends on its counters."""

    counter = "step"

    def forward(self, batch: Any) -> Any:
        loss, y, t = super().forward(batch)
        return (loss if getattr(self, self.counter) < 4 else loss * 0.5), y, t


@pytest.mark.parametrize("counter", ["step", "epoch", "batch"])
def test_counters_of_the_trainer_are_not_kept_by_a_program(counter: str):
    def make(**options: Any) -> Trainer:
        passus.random.seed(0)
        model = Linear(1, in_size=2)
        batches = [(normal(4, 2), normal(4, 1))] * 6
        return Annealed(model, SGD(lr=0.1).setup(model), batches, F.mean_squared_error, progress=False, **options)

    eager, run = make(), make(compile="exact")
    run.counter = eager.counter = counter  # type: ignore[attr-defined]
    eager.fit(epochs=6)
    with pytest.warns(PassusWarning, match=f"reads trainer.{counter} while it is recorded"):
        run.fit(epochs=6)
    assert_same(whole_state(run), whole_state(eager), "state")


def test_another_loss_or_model_is_recorded_anew():
    found = []
    for compile in (False, "exact"):
        run = accumulating(compile=compile, test_loader=None)
        run.fit(epochs=2)
        run.loss = F.l1_loss
        run.fit(epochs=4)
        passus.random.seed(1)
        run.model = Sequential(Linear(3), Linear(1))
        run.optimizer = SGD(lr=0.01).setup(run.model)
        run.fit(epochs=6)
        found.append(whole_state(run))
    assert_same(found[1], found[0], "state")


class Freezing(Callback):
    """Freeze a layer, replace a parameter, and load weights in the course of a training."""

    def on_epoch(self, run: Any, row: Any) -> None:
        model = run.model
        if run.epoch == 2:
            model[0].freeze()
        if run.epoch == 3:
            model[0].unfreeze()
            model[0].W.data = model[0].W.data * 0.5
        if run.epoch == 4:
            model.load_state_dict(copy.deepcopy(run.model.state_dict()))
            model[0].b.data[...] = 0.25


def test_changes_by_callbacks_are_noticed():
    def make(**options: Any) -> Trainer:
        return perceptron(callbacks=(), **options)

    def fit(run: Trainer) -> None:
        run.callbacks += [Freezing(), EarlyStopping("test_loss", patience=9)]
        run.fit(epochs=6)

    eager, recorded = states(perceptron, fit, False, "exact")
    assert_same(recorded, eager, "state")


def dicts(features: int, first: int) -> dict[str, Any]:
    """A batch for `mixed_losses`: the number of features, and the first label."""
    return {"x": normal(5, features), "label": labels(5, 3) + first, "value": normal(5, 1)}


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize(
    ("make", "wrong", "right"),
    [
        (accumulating, (normal(4, 5), normal(4, 1)), (normal(4, 3), normal(4, 1))),
        (accumulating, (normal(4, 3), normal(4, 2)), (normal(4, 3), normal(4, 1))),
        (accumulating, normal(4, 3), (normal(4, 3), normal(4, 1))),
        (mixed_losses, dicts(4, 3), dicts(4, 0)),
        (mixed_losses, dicts(5, 0), dicts(4, 0)),
    ],
    ids=["features", "targets", "array", "labels", "features of dicts"],
)
def test_a_batch_that_fails_leaves_what_it_leaves_in_an_eager_run(make: Make, wrong: Any, right: Any, epochs: int):
    found = []
    for compile in (False, "exact"):
        run = make(compile=compile)
        run.train_step(right)
        if epochs:
            run.fit(epochs=epochs)
        with pytest.raises(PassusError) as raised:
            run.train_step(wrong)
        found.append([type(raised.value).__name__, str(raised.value), whole_state(run)])
        for _ in range(3):
            run.train_step(right)
        found[-1].append(whole_state(run))
    assert_same(found[1], found[0], "state")


def test_evaluation_preserves_carried_state():
    found = []
    for compile in (False, "exact"):
        run = stepwise(compile=compile)
        for _ in range(3):
            run.fit(steps=run.step + 2)
            found.append((run.evaluate(), whole_state(run)))
            found.append((run.predict(run.test_loader), whole_state(run)))
    assert_same(found[6:], found[:6], "states")


def test_evaluation_of_batches_of_several_sizes():
    batches = [(normal(n, 2), labels(n, 3)) for n in (5, 5, 5, 2)]
    found = []
    for compile in (False, "exact"):
        run = perceptron(compile=compile)
        found.append([run.evaluate(batches) for _ in range(3)])
    assert_programs_ran(run)
    assert_same(found[1], found[0], "measures")


def test_compiled_trainers_are_copied_and_pickled():
    run = stepwise(compile="exact")
    run.fit(epochs=2)
    for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        passus.random.seed(3)
        other.fit(epochs=4)
        assert_programs_ran(other)
        passus.random.seed(3)
        eager = copy.deepcopy(run)
        eager.compile = False
        eager.fit(epochs=4)
        assert_same(whole_state(other), whole_state(eager), "state")


@pytest.mark.parametrize("value", ["fast", 1, None, [True]])
def test_other_values_of_compile_raise(value: Any):
    with pytest.raises(ArgumentError, match=r"Trainer: compile is .*; give True, False"):
        stepwise(compile=value)

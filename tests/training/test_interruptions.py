"""Training that is interrupted by signals, errors and numbers that are not finite; files are in test_exact_resume."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus import Function, Variable
from passus.errors import ArgumentError, DivergenceError, DTypeError, ShapeError
from passus.layers import BatchNorm, Layer, Linear, Sequential
from passus.metrics import Accuracy
from passus.optimizers import SGD, Adam, GradientAccumulation
from passus.training import Callback, Checkpoint, EarlyStopping, Trainer
from passus.training.finite import nonfinite
from tests.training.trainers import (
    At,
    assert_same_run,
    assert_same_state,
    kill,
    linear,
    pairs,
    press_ctrl_c,
    terminate,
    trainer,
)


@pytest.mark.parametrize("end", [press_ctrl_c, terminate])
@pytest.mark.parametrize("step", [3, 10, 17])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_signal_saves_a_complete_step_and_the_run_resumes_exactly(tmp_path, step, restarted, end):
    whole = trainer()
    whole.fit(epochs=3)

    saver = Checkpoint(tmp_path, every_epochs=None)
    run = trainer(At(step, end), saver)
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=3)
    assert run.step == step
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    if restarted:  # Otherwise fit is called again on the same trainer.
        run = trainer(saver, seed=99)
        assert saver.resume(run)
    run.fit(epochs=3)
    assert_same_run(whole, run)


TERMINATED = """
import sys, time
import numpy as np
import passus.functions as F
from passus.layers import Linear
from passus.optimizers import SGD
from passus.training import Callback, Checkpoint, Trainer

class Slow(Callback):
    def on_step(self, run):
        print(run.step, flush=True)
        time.sleep(0.05)

model = Linear(1, in_size=2)
batches = [(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))] * 1000
callbacks = [Slow(), Checkpoint(sys.argv[1], every_epochs=None)]
try:
    Trainer(model, SGD().setup(model), batches, F.mean_squared_error, callbacks=callbacks, progress=False).fit(1)
finally:
    print("the end", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("times", [1, 3])
def test_a_terminated_process_saves_a_checkpoint_and_exits_with_143(tmp_path, times):
    command = [sys.executable, "-c", TERMINATED, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        for _ in range(times):
            process.terminate()
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert printed.endswith("the end\n")
    assert not errors
    (path,) = tmp_path.iterdir()
    assert 1 <= int(path.stem.removeprefix("step-")) < 1000


def test_existing_signal_handlers_stay_installed():
    handled: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
    try:
        trainer(At(3, terminate)).fit(epochs=1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handled == [signal.SIGTERM]


def test_ctrl_c_during_a_step_takes_effect_after_the_step():
    class Pressed(SGD):
        def update(self) -> None:
            press_ctrl_c()
            super().update()

    model = Linear(1, in_size=2)
    run = Trainer(model, Pressed(lr=0.1).setup(model), pairs(4, 4), F.mean_squared_error, progress=False)
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=1)
    assert (run.step, run.optimizer.step) == (1, 1)


def test_a_second_ctrl_c_interrupts_at_once():
    def impatient() -> None:
        press_ctrl_c()
        press_ctrl_c()
        raise AssertionError("training continued")

    with pytest.raises(KeyboardInterrupt):
        trainer(At(3, impatient)).fit(epochs=1)


def test_ctrl_c_during_on_finish_is_raised():
    class Finish(Callback):
        def on_finish(self, run: Any) -> None:
            press_ctrl_c()

    run = linear(pairs(2), loss=F.mean_squared_error, callbacks=[Finish()])
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=1)
    assert run.epoch == 1


def test_on_end_of_every_callback_runs_after_errors():
    ended: list[int] = []

    class End(Callback):
        def __init__(self, number: int) -> None:
            self.number = number

        def on_end(self, run: Any) -> None:
            ended.append(self.number)
            if self.number == 2:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        trainer(End(1), At(3, kill), End(2), End(3)).fit(epochs=1)
    assert ended == [3, 2, 1]


class Sometimes(Layer):
    """A linear layer whose output is NaN at some calls."""

    def __init__(self, bad: set[int]) -> None:
        self.linear, self.bad, self.calls = Linear(1, in_size=2), bad, 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.linear(x) * (np.float32("nan") if self.calls in self.bad else np.float32(1))


def sometimes(*bad: int, **options: Any) -> Trainer:
    model = Sometimes(set(bad))
    return Trainer(model, SGD(lr=0.1).setup(model), pairs(4, 4), F.mean_squared_error, progress=False, **options)


def with_a_nan(**options: Any) -> Trainer:
    """A run with batch normalization whose second batch contains a NaN."""
    good, bad = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32)
    bad[0, 0] = np.nan
    t = np.ones((4, 1), np.float32)
    model = Sequential(BatchNorm(), Linear(1))
    batches = [(good, t), (bad, t)]
    return Trainer(model, SGD(lr=0.1).setup(model), batches, F.mean_squared_error, progress=False, **options)


@pytest.mark.parametrize("skip_nan", [False, True])
def test_a_nan_loss_changes_neither_weights_nor_statistics(skip_nan):
    run = with_a_nan(skip_nan=skip_nan)
    run.fit(steps=1)
    before = run.model.state_dict()
    if skip_nan:
        run.fit(steps=2)
    else:
        with pytest.raises(DivergenceError, match=r"nan in epoch 1, step 2.*skip_nan"):
            run.fit(steps=2)
    assert_same_state(run.model.state_dict(), before)


class Poisoned(Function):
    """A function with a finite result and a NaN gradient."""

    def forward(self, x):
        return x * 1

    def backward(self, gy):
        return gy * math.nan


class Poisonous(Layer):
    def __init__(self, dtype=np.float32):
        self.norm, self.linear = BatchNorm(dtype=dtype), Linear(1, dtype=dtype)

    def forward(self, x):
        return self.linear(Poisoned()(self.norm(x)))


@pytest.mark.parametrize("skip_nan", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("accumulated", [False, True])
def test_a_nonfinite_gradient_changes_neither_weights_nor_statistics(skip_nan, dtype, accumulated):
    model = Poisonous(dtype)
    x, t = np.ones((4, 2), dtype), np.zeros((4, 1), dtype)
    optimizer = GradientAccumulation(Adam(), every=2) if accumulated else Adam()
    run = Trainer(model, optimizer.setup(model), [(x, t)] * 4, F.mean_squared_error, progress=False, skip_nan=skip_nan)
    model(x)
    before, slots = model.state_dict(), optimizer.state_dict()
    if skip_nan:
        run.fit(steps=3)
        assert run.step == 3
        with pytest.raises(DivergenceError, match="finite loss and gradients"):
            run.fit(epochs=1)
    else:
        for _ in range(2):
            with pytest.raises(DivergenceError, match=r"gradient of norm\.gamma .*epoch 1, step 1\..*of 0"):
                run.fit(steps=3)
        assert run.step == 0
    assert_same_state(model.state_dict(), before)
    np.testing.assert_equal(optimizer.state_dict(), slots)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nonfinite_accepts_the_largest_numbers_and_names_parameters_with_nan_or_infinity(dtype):
    model = Linear(2, in_size=1000, dtype=dtype)
    largest = np.finfo(dtype).max
    model.W.grad = np.full((1000, 2), largest, dtype)
    assert nonfinite(model) is None
    model.W.grad.data[3, 1] = -np.inf
    assert nonfinite(model) == "W"
    model.W.grad = np.full((1000, 2), -largest, dtype)
    model.b.grad = np.array([0, np.nan], dtype)
    assert nonfinite(model) == "b"


def test_the_history_holds_the_learning_rate_of_the_last_step():
    rates = []

    class Noting(SGD):
        def update(self):
            rates.append(self.lr)
            super().update()

    model = Linear(1, in_size=2)
    optimizer = Noting(lr=lambda t: 0.1 / (1 + t)).setup(model)
    run = Trainer(model, optimizer, pairs(4, 4, 4), F.mean_squared_error, progress=False)
    assert [row["lr"] for row in run.fit(epochs=3)] == rates[2::3]


def test_a_loss_that_raises_does_not_change_statistics():
    run = with_a_nan()
    run.fit(steps=1)
    before = run.model.state_dict()
    run.loss = lambda y, t: y - t
    with pytest.raises(ShapeError):
        run.fit(epochs=1)
    assert_same_state(run.model.state_dict(), before)


def test_skip_nan_skips_updates_and_excludes_their_losses():
    run = sometimes(2, 5, skip_nan=True)
    history = run.fit(epochs=3)
    assert run.step == 6
    assert run.optimizer.step == 4
    assert np.isfinite([row["loss"] for row in history]).all()
    with pytest.raises(DivergenceError, match="no batch of epoch 1"):
        sometimes(1, 2, skip_nan=True).fit(epochs=1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linear(pairs(2)), ArgumentError, "either loss"),
        (lambda: linear(pairs(2), loss=F.l1_loss, batch_loss=F.l1_loss), ArgumentError, "either loss"),
        (lambda: linear([], loss=F.l1_loss), ArgumentError, "no batches"),
        (lambda: linear(iter(pairs(2)), loss=F.l1_loss), DTypeError, "DataLoader"),
        (lambda: linear(pairs(2), loss=F.l1_loss, test_loader=[]), ArgumentError, "test_loader has no batches"),
        (
            lambda: linear(pairs(2), batch_loss=lambda m, b: F.l1_loss(m(b[0]), b[1]), metrics={"a": Accuracy()}).fit(
                1
            ),
            ArgumentError,
            "return loss, y, t",
        ),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={"loss": Accuracy()}), ArgumentError, "'loss'"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics=[Accuracy()]), DTypeError, "metrics is a list"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={"a": 3}), DTypeError, "metric 'a' is an int"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={"a": Accuracy}), DTypeError, "such as Accuracy()"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={3: Accuracy()}), ArgumentError, "named 3"),
        (lambda: Trainer(Linear(1), SGD, pairs(2), F.l1_loss), DTypeError, "give an optimizer"),
        (lambda: linear(pairs(2), loss=F.l1_loss, callbacks=3), DTypeError, "callbacks must be a list, not an int"),
        (lambda: linear(pairs(2), loss=F.l1_loss, callbacks=[3]), DTypeError, "derive it from Callback"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(), ArgumentError, "epochs or steps"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(epochs=1.5), DTypeError, "integer"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(steps=0), ArgumentError, "at least 1"),
        (lambda: linear(pairs(2), loss=F.l1_loss).evaluate(), DTypeError, "no loader was given"),
        (lambda: linear(pairs(2), loss=lambda y, t: y - t).fit(1), ShapeError, r"\(2, 1\)"),
        (lambda: linear(pairs(2), loss=lambda y, t: 0.5).fit(1), DTypeError, "float"),
    ],
)
def test_invalid_arguments_of_the_trainer_raise(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_subclass_may_override_the_loss():
    class Scaled(Trainer):
        def forward(self, batch: Any) -> tuple[Variable, Any, Any]:
            loss, y, t = super().forward(batch)
            return loss * 2.0, y, t

    model = Linear(1, in_size=2)
    run = Scaled(model, SGD(lr=0.0).setup(model), pairs(4), F.mean_squared_error, progress=False)
    x, t = pairs(4)[0]
    assert run.fit(1)[0]["loss"] == pytest.approx(2 * F.mean_squared_error(model(x), t).item(), rel=1e-6)


def accumulating(every, loader, **options):
    passus.random.seed(0)
    model = Linear(1, in_size=2)
    optimizer = GradientAccumulation(SGD(lr=0.1), every).setup(model)
    return Trainer(model, optimizer, loader, F.mean_squared_error, progress=False, **options)


@pytest.mark.parametrize(("every", "updates"), [(1, 10), (2, 6), (3, 4), (4, 4), (7, 2)])
def test_remaining_accumulated_gradients_are_applied_at_the_end_of_an_epoch(every, updates):
    run = accumulating(every, pairs(4, 4, 4, 4, 4))
    run.fit(epochs=2)
    assert run.optimizer.optimizer.step == updates
    assert run.optimizer.calls == 0
    by_hand = accumulating(every, pairs(4, 4, 4, 4, 4))
    for _ in range(2):
        for x, t in pairs(4, 4, 4, 4, 4):
            by_hand.model.cleargrads()
            F.mean_squared_error(by_hand.model(x), t).backward()
            by_hand.optimizer.update()
        by_hand.optimizer.flush()
        by_hand.optimizer.flush()
    assert_same_state(run.model.state_dict(), by_hand.model.state_dict())


def test_flush_applies_the_mean_of_the_accumulated_gradients():
    (x, t), *_ = pairs(4)
    a, b = accumulating(4, pairs(4)), accumulating(1, pairs(4))
    for run, times in ((a, 3), (b, 1)):
        for _ in range(times):
            F.mean_squared_error(run.model(x), t).backward()
            run.optimizer.update()
        run.optimizer.flush()
    np.testing.assert_allclose(a.model.W.data, b.model.W.data, rtol=1e-6)


def test_accumulated_gradients_are_applied_after_fit_but_not_after_ctrl_c():
    run = accumulating(4, pairs(4, 4, 4, 4, 4))
    run.fit(steps=2)
    assert (run.optimizer.calls, run.optimizer.optimizer.step) == (0, 1)
    stopped = accumulating(4, pairs(4, 4, 4, 4, 4), callbacks=[At(2, press_ctrl_c)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(epochs=2)
    assert (stopped.optimizer.calls, stopped.optimizer.optimizer.step) == (2, 0)
    stopped.fit(epochs=2)
    whole = accumulating(4, pairs(4, 4, 4, 4, 4))
    whole.fit(epochs=2)
    assert_same_state(stopped.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize("resumed", [False, True])
def test_fit_after_early_stopping_does_not_train_further(tmp_path, resumed):
    path = tmp_path / "run.safetensors"
    stopping = EarlyStopping("loss", patience=2)
    run = trainer(stopping)
    stopping.min_delta = stopping.best.min_delta = 10.0
    run.fit(epochs=100)
    assert run.epoch == 3
    best = run.model.state_dict()
    run.save(path)
    if resumed:
        stopping = EarlyStopping("loss", patience=2, min_delta=10.0)
        run = trainer(stopping, seed=5)
        run.resume(path)
    for _ in range(3):
        run.fit(epochs=100)
        assert run.epoch == 3
        assert_same_state(run.model.state_dict(), best)
    stopping.waited = 0
    run.fit(epochs=100)
    assert run.epoch == 5
    stopping.patience = 4
    run.fit(epochs=100)
    assert run.epoch == 7

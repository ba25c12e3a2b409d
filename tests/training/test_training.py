"""The trainer: the loop itself, its interruptions, and what it refuses; going on from files is in test_exact_resume."""

from __future__ import annotations

import io
import math
import re
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus import Config, Function, Variable, no_grad, test_mode
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset, Spiral
from passus.errors import ArgumentError, DivergenceError, DTypeError, ShapeError
from passus.layers import BatchNorm, Dropout, Layer, Linear, ReLU, Sequential
from passus.metrics import MAE, Accuracy, ConfusionMatrix
from passus.optimizers import SGD, Adam, GradientAccumulation
from passus.schedules import cosine
from passus.training import Callback, Checkpoint, CSVLog, EarlyStopping, Trainer, progress_bar
from passus.training.finite import nonfinite
from passus.training.progress import Lines

X, T = Spiral().data, Spiral().label
BATCHES = 10


class Killed(Exception):
    """What happens to a process at a moment that nobody chose."""


class At(Callback):
    """Do something at one step."""

    def __init__(self, step: int, action: Any) -> None:
        self.step, self.action = step, action

    def on_step(self, run: Any) -> None:
        if run.step == self.step:
            self.action()


def kill() -> None:
    raise Killed


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def trainer(*callbacks: Callback, seed: int = 0, **options: Any) -> Trainer:
    """A run in which everything has a state: dropout, batch normalisation, shuffling, Adam, a schedule, metrics."""
    passus.random.seed(seed)
    model = Sequential(Linear(16, in_size=2), BatchNorm(), ReLU(), Dropout(0.5), Linear(3))
    optimizer = Adam(lr=cosine(0.05, steps=30)).setup(model)
    loader = DataLoader(Spiral(), batch_size=32)
    given = {
        "test_loader": DataLoader(Spiral(train=False), batch_size=128, shuffle=False),
        "metrics": {"accuracy": Accuracy()},
        "progress": False,
    }
    return Trainer(model, optimizer, loader, F.softmax_cross_entropy, callbacks=callbacks, **given | options)


def linear(loader: Any, **options: Any) -> Trainer:
    """The smallest run: a linear model in float32."""
    model = Linear(1, in_size=2)
    return Trainer(model, SGD(lr=0.1).setup(model), loader, **{"progress": False} | options)


def pairs(*sizes: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, 2)).astype(np.float32), np.ones((n, 1), np.float32)) for n in sizes]


def assert_same_state(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for path, x in a.items():
        np.testing.assert_array_equal(x, b[path], err_msg=path)


def assert_same_run(a: Trainer, b: Trainer) -> None:
    assert a.history == b.history
    assert (a.epoch, a.batch, a.step) == (b.epoch, b.batch, b.step)
    assert_same_state(a.model.state_dict(), b.model.state_dict())


# The loop.


def test_the_loop_is_the_one_a_learner_would_write():
    ours = trainer(test_loader=None)
    ours.fit(epochs=2)
    theirs = trainer(test_loader=None)
    for _ in range(2):
        for x, t in theirs.loader:
            loss = F.softmax_cross_entropy(theirs.model(x), t)
            theirs.model.cleargrads()
            loss.backward()
            theirs.optimizer.update()
    assert_same_state(ours.model.state_dict(), theirs.model.state_dict())


def test_history_has_a_row_for_each_epoch():
    run = trainer(metrics={"accuracy": Accuracy(), "confusion": ConfusionMatrix(3)})
    history = run.fit(epochs=3)
    names = ["epoch", "step", "lr", "loss", "accuracy", "test_loss", "test_accuracy"]
    assert [list(row) for row in history] == [names] * 3
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 10), (2, 20), (3, 30)]
    assert run.fit(epochs=3) is history, "three epochs in all are done already"
    assert len(history) == 3
    assert run.evaluate()["confusion"].sum() == len(Spiral(train=False))
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_mean_loss_counts_examples_and_not_batches():
    run = linear(pairs(5, 3, 1), loss=F.mean_squared_error)
    x, t = (np.concatenate(part) for part in zip(*pairs(5, 3, 1)))
    whole = F.mean_squared_error(run.model(x), t).item()
    assert run.evaluate(pairs(5, 3, 1))["loss"] == pytest.approx(whole, rel=1e-6)


def test_the_loss_of_an_epoch_is_the_mean_of_its_own_examples():
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


def test_evaluation_is_in_test_mode_and_leaves_no_trace():
    run = trainer()
    run.fit(epochs=1)
    before, weights = passus.random.rng_state(), run.model.state_dict()
    assert run.evaluate() == run.evaluate(), "dropout is off"
    assert passus.random.rng_state() == before
    assert_same_state(run.model.state_dict(), weights)
    assert Config.train
    assert Config.enable_backprop


def test_an_evaluation_that_fails_leaves_the_epoch_in_the_history(tmp_path):
    class Failing:
        """Batches that cannot be read in the second epoch."""

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
def test_a_switch_is_true_or_false(switch):
    with pytest.raises(DTypeError, match=f"Trainer: {switch} is a str"):
        linear(pairs(1), loss=F.mean_squared_error, **{switch: "no"})


def test_evaluation_in_the_middle_of_an_epoch_changes_nothing():
    class Evaluate(Callback):
        def on_step(self, run: Any) -> None:
            run.evaluate()

    plain = trainer()
    plain.fit(epochs=2)
    curious = trainer(Evaluate())
    curious.fit(epochs=2)
    assert_same_run(plain, curious)


def test_batches_of_another_form_have_a_loss_of_their_own():
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
def test_a_batch_of_any_form_counts_by_its_first_array(batch, size):
    model = Linear(1, in_size=2)
    numbers = iter([1.0, 4.0])

    def loss(model: Any, batch: Any) -> Any:
        return 0.0 * F.mean(model(np.ones((1, 2), np.float32))) + next(numbers)

    run = Trainer(model, SGD(lr=0.0).setup(model), [batch, np.zeros((6, 2))], batch_loss=loss, progress=False)
    assert run.fit(epochs=1)[0]["loss"] == pytest.approx((size * 1.0 + 6 * 4.0) / (size + 6), rel=1e-6)


def test_epochs_or_steps_whichever_is_first():
    run = trainer()
    run.fit(steps=15)
    assert (run.epoch, run.batch, run.step, len(run.history)) == (1, 5, 15, 1)
    run.fit(steps=20)
    assert (run.epoch, run.batch, run.step, len(run.history)) == (2, 0, 20, 2)
    run.fit(epochs=5, steps=22)
    assert run.step == 22


def test_a_run_in_pieces_is_the_same_run():
    whole = trainer()
    whole.fit(epochs=3)
    pieces = trainer()
    for steps in (1, 7, 10, 24):
        pieces.fit(steps=steps)
    pieces.fit(epochs=3)
    assert_same_run(whole, pieces)


def test_callbacks_are_called_in_their_moments_and_savers_last():
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


def test_progress_bar(capsys, monkeypatch):
    monkeypatch.setattr("passus.training.progress._moves_cursor", lambda: True)
    trainer(progress=True).fit(epochs=2)
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown
    assert "test_accuracy=" in shown
    trainer().fit(epochs=1)
    assert not capsys.readouterr().err
    assert list(progress_bar(range(3), "mine")) == [0, 1, 2]
    assert "mine: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_for_terminals(monkeypatch, is_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with progress_bar(total=2) as bar:
        assert isinstance(bar, Lines) is not is_terminal
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    with progress_bar(total=2) as bar:
        assert not isinstance(bar, Lines)


def test_plain_lines_where_there_is_no_terminal(capsys, monkeypatch):
    run = trainer(progress=True)
    run.fit(epochs=2)
    run.fit(steps=2 * BATCHES + 3)
    shown = capsys.readouterr()
    assert not shown.out
    lines = shown.err.splitlines()
    assert all(
        re.match(r"epoch \d(/2)?: \d+/10 in \d+\.\d s, (lr=.*test_accuracy=[\d.]+|loss=[\d.]+)$", line)
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


def test_a_program_without_standard_error_trains_all_the_same(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    trainer(progress=True).fit(epochs=1)
    assert not capsys.readouterr().out


# Interruptions.


@pytest.mark.parametrize("end", [press_ctrl_c, terminate])
@pytest.mark.parametrize("step", [3, 10, 17])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_signal_leaves_nothing_half_done(tmp_path, step, restarted, end):
    whole = trainer()
    whole.fit(epochs=3)

    saver = Checkpoint(tmp_path, every_epochs=None)
    run = trainer(At(step, end), saver)
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=3)
    assert run.step == step
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    if restarted:  # Else simply once more, in the same notebook.
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
def test_a_process_that_is_terminated_saves_and_says_so(tmp_path, times):
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


def test_who_handles_a_signal_already_goes_on_handling_it():
    handled: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: handled.append(number))
    try:
        trainer(At(3, terminate)).fit(epochs=1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handled == [signal.SIGTERM]


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end():
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
        raise AssertionError("it went on")

    with pytest.raises(KeyboardInterrupt):
        trainer(At(3, impatient)).fit(epochs=1)


def test_ctrl_c_while_a_callback_finishes_is_not_lost():
    class Finish(Callback):
        def on_finish(self, run: Any) -> None:
            press_ctrl_c()

    run = linear(pairs(2), loss=F.mean_squared_error, callbacks=[Finish()])
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=1)
    assert run.epoch == 1


def test_every_callback_is_ended_whatever_happens():
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


# What cannot go on.


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
    """A run with batch normalisation whose second batch holds a NaN."""
    good, bad = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32)
    bad[0, 0] = np.nan
    t = np.ones((4, 1), np.float32)
    model = Sequential(BatchNorm(), Linear(1))
    batches = [(good, t), (bad, t)]
    return Trainer(model, SGD(lr=0.1).setup(model), batches, F.mean_squared_error, progress=False, **options)


@pytest.mark.parametrize("skip_nan", [False, True])
def test_a_batch_with_a_nan_leaves_weights_and_statistics_alone(skip_nan):
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
    """A finite result whose gradient is not a number."""

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
def test_a_finite_loss_with_a_gradient_that_is_not_leaves_weights_and_statistics_alone(skip_nan, dtype, accumulated):
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
def test_large_gradients_are_finite(dtype):
    model = Linear(2, in_size=1000, dtype=dtype)
    largest = np.finfo(dtype).max
    model.W.grad = np.full((1000, 2), largest, dtype)
    assert nonfinite(model) is None
    model.W.grad.data[3, 1] = -np.inf
    assert nonfinite(model) == "W"
    model.W.grad = np.full((1000, 2), -largest, dtype)
    model.b.grad = np.array([0, np.nan], dtype)
    assert nonfinite(model) == "b"


def test_the_learning_rate_in_the_history_is_that_of_the_last_step():
    rates = []

    class Noting(SGD):
        def update(self):
            rates.append(self.lr)
            super().update()

    model = Linear(1, in_size=2)
    optimizer = Noting(lr=lambda t: 0.1 / (1 + t)).setup(model)
    run = Trainer(model, optimizer, pairs(4, 4, 4), F.mean_squared_error, progress=False)
    assert [row["lr"] for row in run.fit(epochs=3)] == rates[2::3]


def test_a_loss_that_raises_leaves_statistics_alone():
    run = with_a_nan()
    run.fit(steps=1)
    before = run.model.state_dict()
    run.loss = lambda y, t: y - t
    with pytest.raises(ShapeError):
        run.fit(epochs=1)
    assert_same_state(run.model.state_dict(), before)


def test_a_nan_can_be_left_out():
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
def test_what_does_not_fit_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_subclass_may_compute_the_loss_in_its_own_way():
    class Scaled(Trainer):
        def forward(self, batch: Any) -> tuple[Variable, Any, Any]:
            loss, y, t = super().forward(batch)
            return loss * 2.0, y, t

    model = Linear(1, in_size=2)
    run = Scaled(model, SGD(lr=0.0).setup(model), pairs(4), F.mean_squared_error, progress=False)
    x, t = pairs(4)[0]
    assert run.fit(1)[0]["loss"] == pytest.approx(2 * F.mean_squared_error(model(x), t).item(), rel=1e-6)


# Predictions.


class Two(Layer):
    """A model of two inputs and of several kinds of results."""

    def __init__(self, kind="array", dtype=np.float32):
        self.kind, self.linear, self.dropout = kind, Linear(3, dtype=dtype), Dropout(0.5)
        self.norm = BatchNorm(dtype=dtype)

    def forward(self, x1, x2):
        y = self.dropout(self.norm(self.linear(x1))) + F.sum(x2, axis=1, keepdims=True)
        return {"array": y, "tuple": (y, y * 2), "dict": {"a": y, "b": [y]}, "constant": y.data}[self.kind]


def two_inputs(n, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 2)).astype(dtype), rng.standard_normal((n, 4)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9])
def test_predictions_are_those_of_one_call_in_test_mode(dtype, n):
    model = Two(dtype=dtype)
    model(*two_inputs(5, dtype))
    before = model.state_dict()
    with test_mode(), no_grad():
        expected = model(*two_inputs(n, dtype)).data
    for _ in range(2):
        y = model.predict(*two_inputs(n, dtype), batch_size=4)
        assert type(y) is np.ndarray
        assert y.dtype == dtype
        assert y.shape == (n, 3)
        np.testing.assert_allclose(y, expected, rtol=1e-2 if dtype == np.float16 else 1e-5, atol=1e-6)
    assert (Config.train, Config.enable_backprop) == (True, True)
    assert_same_state(model.state_dict(), before)


@pytest.mark.parametrize("kind", ["array", "tuple", "dict", "constant"])
def test_predictions_of_several_kinds(kind):
    model = Two(kind)
    y = model.predict(*two_inputs(9), batch_size=4)
    if kind == "tuple":
        assert [part.shape for part in y] == [(9, 3), (9, 3)]
        np.testing.assert_array_equal(y[0] * 2, y[1])
    elif kind == "dict":
        np.testing.assert_array_equal(y["a"], y["b"][0])
    else:
        assert y.shape == (9, 3)


def test_a_prediction_that_fails_leaves_all_as_it_was():
    model = Two()
    with pytest.raises(ShapeError):
        model.predict(np.ones((4, 2), np.float32), np.ones(4, np.float32))
    assert (Config.train, Config.enable_backprop) == (True, True)
    assert model.linear.W._data is None


def test_a_trainer_predicts_for_arrays_and_loaders():
    run = trainer()
    run.fit(epochs=1)
    expected = run.model.predict(X)
    np.testing.assert_array_equal(run.predict(X), expected)
    loaders = [
        DataLoader(Spiral(), 32, shuffle=False),
        DataLoader(X, 32, shuffle=False),
        [(X[:100], T[:100]), [X[100:], T[100:]]],
        [(X,)],
    ]
    for loader in loaders:
        np.testing.assert_allclose(run.predict(loader), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.predict(Variable(X), batch_size=7), expected, rtol=1e-5, atol=1e-6)
    assert Config.train


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda run: run.predict(run.loader), ArgumentError, "shuffle=False"),
        (lambda run: run.predict([]), ArgumentError, "no batches"),
        (lambda run: run.predict(iter([X])), DTypeError, "DataLoader"),
        (lambda run: run.predict(X, batch_size=0), ArgumentError, "batch_size"),
        (lambda run: run.model.predict([[1.0, 2.0]]), DTypeError, "predict"),
        (lambda run: run.model.predict(), ShapeError, "none"),
        (lambda run: run.model.predict(np.float32(3)), ShapeError, "N examples"),
        (lambda run: run.model.predict(X, X[1:]), ShapeError, "same N"),
        (lambda run: Total().predict(X), ShapeError, "one number for a whole batch"),
    ],
)
def test_what_cannot_be_predicted(call, error, words):
    with pytest.raises(error, match=words):
        call(trainer())


class Total(Layer):
    def forward(self, x):
        return F.sum(x)


# Metrics that are functions, models of several inputs.


def test_a_function_is_a_metric():
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


def test_a_model_of_several_inputs_has_metrics():
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


def test_a_loss_of_the_whole_batch_may_return_what_metrics_need():
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


def test_a_loader_that_is_used_up_is_named():
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


# What is left of accumulated gradients.


def accumulating(every, loader, **options):
    passus.random.seed(0)
    model = Linear(1, in_size=2)
    optimizer = GradientAccumulation(SGD(lr=0.1), every).setup(model)
    return Trainer(model, optimizer, loader, F.mean_squared_error, progress=False, **options)


@pytest.mark.parametrize(("every", "updates"), [(1, 10), (2, 6), (3, 4), (4, 4), (7, 2)])
def test_what_is_left_of_an_epoch_is_applied(every, updates):
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


def test_what_is_left_is_the_mean_of_what_there_is():
    (x, t), *_ = pairs(4)
    a, b = accumulating(4, pairs(4)), accumulating(1, pairs(4))
    for run, times in ((a, 3), (b, 1)):
        for _ in range(times):
            F.mean_squared_error(run.model(x), t).backward()
            run.optimizer.update()
        run.optimizer.flush()
    np.testing.assert_allclose(a.model.W.data, b.model.W.data, rtol=1e-6)


def test_steps_that_end_in_the_middle_are_applied_but_not_those_of_ctrl_c():
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


# A run that stopped early.


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_that_stopped_early_does_not_creep_on(tmp_path, resumed):
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

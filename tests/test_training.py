"""The trainer: the loop itself, its interruptions, and what it refuses; going on from files is in test_exact_resume."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus import Config, Variable
from passus.dataloaders import DataLoader
from passus.datasets import Spiral
from passus.errors import ArgumentError, DivergenceError, DTypeError, ShapeError
from passus.layers import BatchNorm, Dropout, Layer, Linear, ReLU, Sequential
from passus.metrics import Accuracy, ConfusionMatrix
from passus.optimizers import SGD, Adam, GradientAccumulation
from passus.schedules import cosine
from passus.training import Callback, Checkpoint, CSVLog, Trainer, progress_bar
from passus.training.finite import nonfinite

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


def test_progress_bar(capsys):
    trainer(progress=True).fit(epochs=2)
    shown = capsys.readouterr().err
    assert "epoch 2/2: 100%" in shown
    assert "test_accuracy=" in shown
    trainer().fit(epochs=1)
    assert not capsys.readouterr().err
    assert list(progress_bar(range(3), "mine")) == [0, 1, 2]
    assert "mine: 100%" in capsys.readouterr().err


# Interruptions.


@pytest.mark.parametrize("step", [3, 10, 17])
@pytest.mark.parametrize("restarted", [True, False])
def test_ctrl_c_leaves_nothing_half_done(tmp_path, step, restarted):
    whole = trainer()
    whole.fit(epochs=3)

    saver = Checkpoint(tmp_path, every_epochs=None)
    run = trainer(At(step, press_ctrl_c), saver)
    with pytest.raises(KeyboardInterrupt):
        run.fit(epochs=3)
    assert run.step == step
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    if restarted:  # Else simply once more, in the same notebook.
        run = trainer(saver, seed=99)
        assert saver.resume(run)
    run.fit(epochs=3)
    assert_same_run(whole, run)


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


class SquareRoot(Layer):
    """A layer whose gradient at 0 is infinite, or not a number, where the loss is finite."""

    def __init__(self, dtype=np.float32):
        self.norm, self.linear = BatchNorm(dtype=dtype), Linear(1, dtype=dtype)

    def forward(self, x):
        return F.sqrt(abs(self.linear(x * 0 + self.norm(x) * 0)))


class Quiet(Trainer):
    """NumPy warns of divisions by 0."""

    def fit(self, *args, **options):
        with np.errstate(all="ignore"):
            return super().fit(*args, **options)


@pytest.mark.parametrize("skip_nan", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("accumulated", [False, True])
def test_a_finite_loss_with_a_gradient_that_is_not_leaves_weights_and_statistics_alone(skip_nan, dtype, accumulated):
    model = SquareRoot(dtype)
    x, t = np.ones((4, 2), dtype), np.zeros((4, 1), dtype)
    optimizer = GradientAccumulation(Adam(), every=2) if accumulated else Adam()
    run = Quiet(model, optimizer.setup(model), [(x, t)] * 4, F.mean_squared_error, progress=False, skip_nan=skip_nan)
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
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={"a": 3}), DTypeError, "metric 'a' is a int"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={"a": Accuracy}), DTypeError, "such as Accuracy()"),
        (lambda: linear(pairs(2), loss=F.l1_loss, metrics={3: Accuracy()}), ArgumentError, "called 3"),
        (lambda: Trainer(Linear(1), SGD, pairs(2), F.l1_loss), DTypeError, "give an optimizer"),
        (lambda: linear(pairs(2), loss=F.l1_loss, callbacks=3), DTypeError, "callbacks is a int"),
        (lambda: linear(pairs(2), loss=F.l1_loss, callbacks=[3]), DTypeError, "no callback"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(), ArgumentError, "epochs or steps"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(epochs=1.5), DTypeError, "integer"),
        (lambda: linear(pairs(2), loss=F.l1_loss).fit(steps=0), ArgumentError, "at least 1"),
        (lambda: linear(pairs(2), loss=F.l1_loss).evaluate(), DTypeError, "NoneType"),
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

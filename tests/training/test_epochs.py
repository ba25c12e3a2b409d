"""Epochs of a fixed number of steps: each continues the last one, and an interrupted one resumes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus.dataloaders import DataLoader, SeqDataLoader
from passus.datasets import ArrayDataset
from passus.errors import ArgumentError, DTypeError, WeightsError
from passus.layers import Dropout, Linear, Sequential
from passus.optimizers import Adam
from passus.training import Callback, Checkpoint, TimeLimit, Trainer
from passus.training.epochs import Epochs

X = np.random.default_rng(0).standard_normal((23, 3)).astype(np.float32)
DATA = ArrayDataset(X, X.sum(axis=1, keepdims=True))


class Endless:
    """A stream without a length or a state, the same each time."""

    def __iter__(self) -> Any:
        rng = np.random.default_rng(0)
        while True:
            x = rng.standard_normal((2, 3)).astype(np.float32)
            yield x, x[:, :1]


class Twice(Endless):
    """A stream that ends after five batches and may be iterated again."""

    def __iter__(self) -> Any:
        stream = super().__iter__()
        for _ in range(5):
            yield next(stream)


LOADERS = {
    "shuffled": lambda: DataLoader(DATA, 5, rng=1),
    "current generator": lambda: DataLoader(DATA, 5),
    "threads": lambda: DataLoader(DATA, 5, rng=1, workers=2),
    "streams": lambda: SeqDataLoader([(x, x[:1]) for x in X], 4),
    "list": lambda: [(X[i : i + 4], X[i : i + 4, :1]) for i in range(0, 20, 4)],
    "endless": Endless,
    "one that ends": Twice,
    "generator": lambda: iter(Endless()),
}


class Seen(Callback):
    """Records the sums of inputs, which identify the batches."""

    def __init__(self) -> None:
        self.sums: list[float] = []

    def loss(self, model: Any, batch: Any) -> Any:
        x, t = batch
        if passus.Config.train:
            self.sums.append(float(x.sum()))
        return F.mean_squared_error(model(x), t)


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Any) -> None:
        if run.step == self.step:
            run.stop()


def trainer(name: str, *callbacks: Callback, steps_per_epoch: int | None = 7, **options: Any) -> tuple[Trainer, Seen]:
    passus.random.seed(0)
    seen = Seen()
    model = Sequential(Linear(8, rng=0), F.tanh, Dropout(0.2), Linear(1, rng=1))
    optimizer = Adam().setup(model)
    options = {"batch_loss": seen.loss, "progress": False, **options}
    loader = LOADERS[name]()
    return Trainer(model, optimizer, loader, callbacks=callbacks, steps_per_epoch=steps_per_epoch, **options), seen


def same(a: Trainer, b: Trainer) -> None:
    assert a.history == b.history
    assert (a.epoch, a.batch, a.step) == (b.epoch, b.batch, b.step)
    for one, other in zip(a.model.params(), b.model.params(), strict=True):
        np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("name", LOADERS)
def test_epochs_of_fixed_steps_continue_across_the_loader(name: str) -> None:
    run, seen = trainer(name)
    history = run.fit(epochs=3)
    assert [row["step"] for row in history] == [7, 14, 21]
    assert len(set(seen.sums[:5])) == 5
    if name in ("endless", "generator"):
        assert len(set(seen.sums)) == 21
    elif name in ("streams", "list", "one that ends"):
        count = 6 if name == "streams" else 5
        assert seen.sums == [seen.sums[i % count] for i in range(21)]
    else:  # Each pass has all examples in different batches.
        passes = [seen.sums[i : i + 5] for i in range(0, 20, 5)]
        np.testing.assert_allclose([sum(one) for one in passes], X.sum(), rtol=1e-4)
        assert len({tuple(one) for one in passes}) == 4


@pytest.mark.parametrize("stop", [1, 5, 7, 9, 10, 14, 15])
@pytest.mark.parametrize("name", LOADERS)
def test_a_run_resumes_exactly_at_any_step(name: str, stop: int, tmp_path: Path) -> None:
    whole, all_seen = trainer(name)
    whole.fit(steps=18)
    first, _ = trainer(name, StopAt(stop))
    first.fit(epochs=3)
    assert first.step == stop
    first.save(tmp_path / "run.safetensors")
    passus.random.seed(5)
    second, seen = trainer(name, StopAt(100))
    second.resume(tmp_path / "run.safetensors")
    second.fit(steps=18)
    assert seen.sums == all_seen.sums[stop:]
    same(second, whole)
    third, _ = trainer(name, StopAt(stop))  # In the same process.
    third.fit(epochs=3)
    third.callbacks = []
    third.fit(steps=18)
    same(third, whole)


def test_an_epoch_may_be_shorter_or_longer_than_the_loader() -> None:
    for steps, rows in ((2, 5), (5, 2), (30, 1), (1, 9)):
        run, seen = trainer("list", steps_per_epoch=steps)
        run.fit(epochs=rows)
        assert [row["step"] for row in run.history] == [steps * (i + 1) for i in range(rows)]
        assert seen.sums == [seen.sums[i % 5] for i in range(steps * rows)]
    assert list(Epochs(["a"], steps=3).remaining(1)) == ["a", "a"]


def test_steps_per_epoch_equal_to_the_length_changes_nothing() -> None:
    runs = []
    for steps in (5, None):
        run, _ = trainer("shuffled", steps_per_epoch=steps)
        run.fit(epochs=3)
        runs.append(run)
    same(*runs)


class Evaluates(Callback):
    def on_step(self, run: Any) -> None:
        if run.step == 3:
            run.evaluate(run.loader)


@pytest.mark.parametrize("name", ["streams", "list"])
def test_evaluation_with_the_training_loader_does_not_advance_it(name: str, tmp_path: Path) -> None:
    plain, expected = trainer(name)
    plain.fit(epochs=3)
    run, seen = trainer(name, Evaluates(), Checkpoint(tmp_path, every_steps=5, keep=9))
    run.test_loader = run.loader
    run.fit(epochs=3)
    assert seen.sums == expected.sums
    resumed, seen = trainer(name, Checkpoint(tmp_path))
    resumed.test_loader = resumed.loader
    resumed.resume(tmp_path / "step-00000007.safetensors")
    resumed.callbacks = []
    resumed.fit(epochs=3)
    assert seen.sums == expected.sums[7:]
    same(resumed, run)


def test_exhausted_iterators_raise() -> None:
    run, _ = trainer("list")
    for loader, steps in ((iter(LOADERS["list"]()), 5), ((x for x in ()), 0)):
        run, _ = trainer("list")
        run = Trainer(run.model, run.optimizer, loader, F.mean_squared_error, steps_per_epoch=7, progress=False)
        with pytest.raises(ArgumentError, match="yields no more batches; give one that can be iterated more than once"):
            run.fit(epochs=1)
        assert run.step == steps


@pytest.mark.parametrize(
    ("steps", "error"), [(0, ArgumentError), (-1, ArgumentError), (2.5, DTypeError), ("7", DTypeError)]
)
def test_invalid_steps_per_epoch_raise(steps: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="Trainer: steps_per_epoch"):
        trainer("list", steps_per_epoch=steps)


def test_loaders_without_length_require_steps_per_epoch() -> None:
    with pytest.raises(DTypeError, match="or steps_per_epoch for a loader without a length"):
        trainer("endless", steps_per_epoch=None)
    with pytest.raises(DTypeError, match="test_loader is an Endless"):
        trainer("endless", test_loader=Endless())
    with pytest.raises(DTypeError, match="loader is an int"):
        Trainer(Linear(1), Adam(), 3, F.mean_squared_error, steps_per_epoch=3)  # type: ignore[arg-type]


def test_a_state_with_other_steps_per_epoch_is_rejected() -> None:
    states = {}
    for steps in (7, 5, None):
        run, _ = trainer("list", steps_per_epoch=steps)
        run.fit(steps=3)
        states[steps] = run.state_dict()
        for other, state in states.items():
            if other != steps:
                before = run.state_dict()
                words = f"steps_per_epoch={other}, and this one has steps_per_epoch={steps}"
                with pytest.raises(WeightsError, match=words):
                    run.load_state_dict(state)
                assert run.state_dict() == before
    run, _ = trainer("list")
    for bad in ({"steps_per_epoch": 7}, {"steps_per_epoch": 7, "taken": -1}, 3):
        with pytest.raises((WeightsError, ArgumentError, DTypeError)):
            run.load_state_dict({**states[7], "epochs": bad})
    run.load_state_dict({**states[7], "epochs": {"steps_per_epoch": np.array(7), "taken": np.array(3)}})
    assert run.step == 3


# Ends of training.


def test_a_time_limit_ends_fit_without_epochs_or_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0.0, 1000.0, 10.0))
    monkeypatch.setattr("passus.training.callbacks.limit.monotonic", lambda: next(clock))
    run, _ = trainer("endless", TimeLimit(minutes=2))
    run.fit()
    assert (run.step, run.epoch) == (12, 1)
    assert len(run.fit()) == 1, "the time limit is reached"
    run, _ = trainer("endless", TimeLimit(minutes=2))
    run.fit(steps=3)
    assert run.step == 3


def test_fit_without_an_end_raises() -> None:
    run, _ = trainer("list", StopAt(3))
    with pytest.raises(ArgumentError, match=r"give epochs or steps, .* or a TimeLimit among the callbacks"):
        run.fit()
    StopAt.sets_end = True
    try:
        run.fit()
    finally:
        del StopAt.sets_end
    assert run.step == 3

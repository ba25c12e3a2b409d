"""Going on from a checkpoint, bit for bit: with all that has a state, by the trainer and by a loop of one's own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset
from passus.errors import DivergenceError, ShapeError, WeightsError
from passus.layers import BatchNorm, Dropout, Layer, Linear, ReLU, Sequential
from passus.metrics import Accuracy
from passus.optimizers import EMA, SGD, Adam
from passus.schedules import cosine
from passus.serializers import load_checkpoint, save_checkpoint
from passus.training import Callback, Checkpoint, EarlyStopping, Trainer
from passus.tree import Tree, flatten

EPOCHS, BATCHES = 3, 4


class Killed(Exception):
    """The end of a process at a moment that nobody chose."""


class KilledAt(Callback):
    """Kill the run at one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Any) -> None:
        if run.step == self.step:
            raise Killed


class Noisy:
    """A dataset whose examples themselves are random."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x, self.t = rng.standard_normal((30, 2)), rng.integers(0, 3, 30)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        noise = passus.random.get_rng().normal(0, 0.1, 2)
        return (self.x[i] + noise).astype(np.float32), self.t[i]


def parts(seed: int, workers: int = 0) -> tuple[Layer, Adam, DataLoader]:
    """Wholly fresh objects: dropout, batch normalisation, shuffling, noise, Adam, a schedule, and an average."""
    passus.random.seed(seed)
    model = Sequential(Linear(8), BatchNorm(), ReLU(), Dropout(0.5), Dropout(0.1, rng=seed), Linear(3))
    optimizer = Adam(lr=cosine(0.05, steps=EPOCHS * BATCHES)).setup(model)
    optimizer.add_hook(EMA(model, decay=0.9))
    return model, optimizer, DataLoader(Noisy(), batch_size=8, workers=workers)


def trainer(seed: int, *callbacks: Callback, workers: int = 0) -> Trainer:
    model, optimizer, loader = parts(seed, workers)
    return Trainer(
        model,
        optimizer,
        loader,
        F.softmax_cross_entropy,
        metrics={"accuracy": Accuracy()},
        callbacks=callbacks,
        progress=False,
    )


def assert_same(a: Tree, b: Tree) -> None:
    """Equal to the last bit, whatever the state holds."""
    left, right = flatten(a), flatten(b)
    assert left.keys() == right.keys()
    for path, x in left.items():
        np.testing.assert_array_equal(x, right[path], err_msg=path, strict=isinstance(x, np.ndarray))


def state(*stateful: Any) -> Tree:
    return {str(i): copy.deepcopy(part.state_dict()) for i, part in enumerate(stateful)}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("killed_at", [2, 4, 6, 11, 12])
def test_a_killed_run_goes_on_with_fresh_objects(tmp_path: Path, killed_at: int, workers: int):
    whole = trainer(0, workers=workers)
    whole.fit(epochs=EPOCHS)
    rng = passus.random.rng_state()

    def often() -> Checkpoint:
        return Checkpoint(tmp_path, every_epochs=None, every_steps=1)

    # Savers come last: what was done in the step of its death is not saved.
    with pytest.raises(Killed):
        trainer(0, KilledAt(killed_at), often(), workers=workers).fit(epochs=EPOCHS)
    checkpoint = often()
    resumed = trainer(99, checkpoint, workers=workers)
    assert checkpoint.resume(resumed)
    assert resumed.step == killed_at - 1
    resumed.fit(epochs=EPOCHS)

    assert whole.history == resumed.history
    assert len(whole.history) == EPOCHS
    assert_same(state(whole.model, whole.optimizer), state(resumed.model, resumed.optimizer))
    assert passus.random.rng_state() == rng


def learn(model: Layer, optimizer: Adam, loader: DataLoader, losses: list[float], path: Path | None, stop: int) -> None:
    """A loop as in a script, which saves after each step and dies after step ``stop``."""
    while len(losses) < EPOCHS * BATCHES:
        for x, t in loader:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            losses.append(loss.item())
            if path is not None:
                save_checkpoint(path, model=model, optimizer=optimizer, loader=loader, metadata={"losses": losses})
            if len(losses) == stop:
                raise Killed


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_loop_of_ones_own_goes_on_with_fresh_objects(tmp_path: Path, stop: int, workers: int):
    path, losses = tmp_path / "run.safetensors", []
    whole = parts(0, workers)
    learn(*whole, losses, path=None, stop=-1)

    with pytest.raises(Killed):
        learn(*parts(0, workers), [], path=path, stop=stop)
    model, optimizer, loader = resumed = parts(99, workers)
    gone_on = load_checkpoint(path, model=model, optimizer=optimizer, loader=loader)["losses"]
    assert len(gone_on) == stop
    learn(*resumed, gone_on, path=None, stop=-1)

    assert gone_on == losses
    assert_same(state(*whole), state(*resumed))


def test_a_run_after_an_error_goes_on_in_the_same_process():
    whole, killed = trainer(0), trainer(0, KilledAt(6))
    rng = passus.random.rng_state()  # Both were made with it, and the second begins where the first did.
    whole.fit(epochs=EPOCHS)
    passus.random.load_rng_state(rng)
    with pytest.raises(Killed):
        killed.fit(epochs=EPOCHS)
    killed.fit(epochs=EPOCHS)
    assert killed.history == whole.history
    assert_same(state(whole.model, whole.optimizer), state(killed.model, killed.optimizer))


def test_a_list_of_batches_is_gone_on_with_where_it_was_left():
    seen: list[float] = []

    def loss(model: Any, batch: Any) -> Any:
        seen.append(float(batch[0, 0]))
        return F.mean(model(batch))

    model = Linear(1, in_size=2)
    batches = [np.full((1, 2), i, np.float32) for i in range(4)]
    run = Trainer(model, SGD(lr=0.1).setup(model), batches, batch_loss=loss, progress=False)
    for steps in (2, 3, 6):
        run.fit(steps=steps)
        assert run.step == steps
    assert seen == [0, 1, 2, 3, 0, 1]
    assert (run.epoch, run.batch, [row["step"] for row in run.history]) == (1, 2, [4])


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
def test_a_batch_of_any_form_counts_by_its_first_array(batch: Any, size: int):
    model = Linear(1, in_size=2)
    numbers = iter([1.0, 4.0])

    def loss(model: Any, batch: Any) -> Any:
        return 0.0 * F.mean(model(np.ones((1, 2), np.float32))) + next(numbers)

    run = Trainer(model, SGD(lr=0.0).setup(model), [batch, np.zeros((6, 2))], batch_loss=loss, progress=False)
    assert run.fit(epochs=1)[0]["loss"] == pytest.approx((size * 1.0 + 6 * 4.0) / (size + 6), rel=1e-6)


def with_a_nan(**options: Any) -> Trainer:
    """A run with batch normalisation whose second batch holds a NaN."""
    good, bad = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32)
    bad[0, 0] = np.nan
    t = np.ones((4, 1), np.float32)
    model = Sequential(BatchNorm(), Linear(1))
    batches = [(good, t), (bad, t)]
    return Trainer(model, SGD(lr=0.1).setup(model), batches, F.mean_squared_error, progress=False, **options)


@pytest.mark.parametrize("skip_nan", [False, True])
def test_a_batch_with_a_nan_leaves_weights_and_statistics_alone(skip_nan: bool):
    run = with_a_nan(skip_nan=skip_nan)
    run.fit(steps=1)
    before = state(run.model)
    if skip_nan:
        run.fit(steps=2)
    else:
        with pytest.raises(DivergenceError, match="epoch 1, step 2"):
            run.fit(steps=2)
    assert_same(before, state(run.model))


def test_a_loss_that_raises_leaves_statistics_alone():
    run = with_a_nan()
    run.fit(steps=1)
    before = state(run.model)
    run.loss = lambda y, t: y - t
    with pytest.raises(ShapeError):
        run.fit(epochs=1)
    assert_same(before, state(run.model))


class Refusing(Callback):
    """A callback that takes no state back."""

    def state_dict(self) -> Tree:
        return {}

    def load_state_dict(self, state: Tree) -> None:
        raise WeightsError("refused")


def test_a_trainer_takes_a_state_all_or_nothing():
    run = trainer(0, EarlyStopping("loss"), Refusing())
    run.fit(steps=6)
    other = trainer(1, EarlyStopping("loss"), Refusing())
    before = state(other)
    for broken in (run.state_dict(), run.state_dict() | {"step": "many"}):
        with pytest.raises(ValueError, match=r"refused|many"):
            other.load_state_dict(broken)
        assert state(other) == before


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path: Path):
    path = tmp_path / "run.safetensors"
    run = trainer(0)
    run.fit(steps=6)
    run.save(path)
    model = Sequential(Linear(5, in_size=2), Linear(3))
    loader = DataLoader(ArrayDataset(np.zeros((30, 2), np.float32), np.zeros(30, np.int64)), batch_size=8)
    other = Trainer(model, Adam().setup(model), loader, F.softmax_cross_entropy, progress=False)
    before, rng = state(model, other.optimizer, loader, other), passus.random.rng_state()
    with pytest.raises(WeightsError, match="model"):
        other.resume(path)
    assert_same(before, state(model, other.optimizer, loader, other))
    assert passus.random.rng_state() == rng

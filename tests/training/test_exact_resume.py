"""Resuming from a checkpoint bit for bit: all components with state, by the trainer and by a plain loop."""

from __future__ import annotations

import copy
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
import passus.transforms as T
from passus.dataloaders import DataLoader, collate
from passus.datasets import ArrayDataset, Dataset
from passus.errors import PassusError, WeightsError
from passus.layers import BatchNorm, Conv2d, Dropout, Layer, Linear, ReLU, Sequential
from passus.metrics import Accuracy
from passus.optimizers import EMA, LAMB, SGD, Adam, ClipGrad
from passus.schedules import cosine
from passus.serializers import load_checkpoint, read_weights, save_checkpoint, write_weights
from passus.training import Callback, Checkpoint, EarlyStopping, Trainer
from passus.tree import Tree, flatten

EPOCHS, BATCHES = 3, 4


class Killed(Exception):
    """Stands for the death of a process at any moment."""


class KilledAt(Callback):
    """Kill the run at one step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, run: Any) -> None:
        if run.step == self.step:
            raise Killed


class Noisy:
    """A dataset of random examples."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x, self.t = rng.standard_normal((30, 2)), rng.integers(0, 3, 30)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        noise = passus.random.get_rng().normal(0, 0.1, 2)
        return (self.x[i] + noise).astype(np.float32), self.t[i]


def parts(seed: int, workers: int = 0) -> tuple[Layer, Adam, DataLoader]:
    """New objects with state: dropout, batch normalization, shuffling, noise, Adam, a schedule, and an average."""
    passus.random.seed(seed)
    model = Sequential(Linear(8), BatchNorm(), ReLU(), Dropout(0.5), Dropout(0.1, rng=seed), Linear(3))
    optimizer = Adam(lr=cosine(0.05, steps=EPOCHS * BATCHES)).setup(model)
    optimizer.add_hook(EMA(model, decay=0.9))
    return model, optimizer, DataLoader(Noisy(), batch_size=8, workers=workers)


def trainer(seed: int, *callbacks: Callback, workers: int = 0, **options: Any) -> Trainer:
    given: Any = {"metrics": {"accuracy": Accuracy()}, "progress": False} | options
    return Trainer(*parts(seed, workers), F.softmax_cross_entropy, callbacks=callbacks, **given)


def assert_same(a: Tree, b: Tree) -> None:
    """Assert that two states are equal bit for bit."""
    left, right = flatten(a), flatten(b)
    assert left.keys() == right.keys()
    for path, x in left.items():
        np.testing.assert_array_equal(x, right[path], err_msg=path, strict=isinstance(x, np.ndarray))


def state(*stateful: Any) -> Tree:
    return {str(i): copy.deepcopy(part.state_dict()) for i, part in enumerate(stateful)}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("steps", "epochs", "killed_at", "saved_at"),
    [
        (1, None, 2, 1),
        (1, None, 5, 4),  # After the last batch of an epoch, before its row is in the history.
        (1, None, 6, 5),
        (1, None, 12, 11),
        (3, None, 8, 6),
        (None, 1, 6, 4),
        (None, 1, 12, 8),
        (3, 1, 9, 8),
    ],
)
def test_a_killed_run_resumes_exactly_with_new_objects(
    tmp_path: Path, steps: int | None, epochs: int | None, killed_at: int, saved_at: int, workers: int
):
    def patient() -> EarlyStopping:
        return EarlyStopping("loss", patience=9)

    whole = trainer(0, patient(), workers=workers)
    whole.fit(epochs=EPOCHS)
    rng = passus.random.rng_state()

    # Savers are called last, so the step in which the run is killed is not saved.
    checkpoint = Checkpoint(tmp_path, epochs, steps)
    with pytest.raises(Killed):
        trainer(0, patient(), KilledAt(killed_at), checkpoint, workers=workers).fit(epochs=EPOCHS)
    checkpoint = Checkpoint(tmp_path, epochs, steps)
    resumed = trainer(99, patient(), checkpoint, workers=workers)
    assert checkpoint.resume(resumed)
    assert resumed.step == saved_at
    resumed.fit(epochs=EPOCHS)

    assert whole.history == resumed.history
    assert len(whole.history) == EPOCHS
    assert_same(state(whole.model, whole.optimizer), state(resumed.model, resumed.optimizer))
    assert passus.random.rng_state() == rng


def test_a_run_resumed_many_times_equals_one_run(tmp_path: Path):
    path, whole = tmp_path / "run.safetensors", trainer(0)
    whole.save(path)
    whole.fit(epochs=EPOCHS)
    for steps in (1, 3, 4, 6, 9, EPOCHS * BATCHES):
        run = trainer(99)
        run.resume(path)
        run.fit(steps=steps)
        run.save(path)
    assert run.history == whole.history
    assert_same(state(whole.model, whole.optimizer), state(run.model, run.optimizer))


def learn(model: Layer, optimizer: Adam, loader: DataLoader, losses: list[float], path: Path | None, stop: int) -> None:
    """A plain training loop that saves after each step and is killed after step ``stop``."""
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
def test_a_plain_loop_resumes_exactly_with_new_objects(tmp_path: Path, stop: int, workers: int):
    path, losses = tmp_path / "run.safetensors", []
    whole = parts(0, workers)
    learn(*whole, losses, path=None, stop=-1)

    with pytest.raises(Killed):
        learn(*parts(0, workers), [], path=path, stop=stop)
    model, optimizer, loader = resumed = parts(99, workers)
    continued = load_checkpoint(path, model=model, optimizer=optimizer, loader=loader)["losses"]
    assert len(continued) == stop
    learn(*resumed, continued, path=None, stop=-1)

    assert continued == losses
    assert_same(state(*whole), state(*resumed))


def test_a_run_continues_exactly_after_an_error_in_the_same_process():
    whole, killed = trainer(0), trainer(0, KilledAt(6))
    rng = passus.random.rng_state()  # Both runs start from this state.
    whole.fit(epochs=EPOCHS)
    passus.random.load_rng_state(rng)
    with pytest.raises(Killed):
        killed.fit(epochs=EPOCHS)
    killed.fit(epochs=EPOCHS)
    assert killed.history == whole.history
    assert_same(state(whole.model, whole.optimizer), state(killed.model, killed.optimizer))


def test_fit_continues_within_a_list_of_batches():
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


# Transforms with separate generators.


AUGMENTATIONS: dict[str, Callable[[], Any]] = {
    "flip": lambda: T.RandomHorizontalFlip(rng=3),
    "vertical flip": lambda: T.RandomVerticalFlip(rng=3),
    "crop": lambda: T.RandomCrop(6, padding=1, rng=3),
    "resized crop": lambda: T.RandomResizedCrop(6, rng=3),
    "rotation": lambda: T.RandomRotation(30, rng=3),
    "erasing": lambda: T.RandomErasing(0.5, rng=3),
    "cutout": lambda: T.Cutout(2, rng=3),
    "jitter": lambda: T.ColorJitter(0.5, rng=3),
    "compose": lambda: T.Compose([T.RandomHorizontalFlip(rng=3), T.Compose([T.Cutout(2, rng=4)]), T.RandomRotation(9)]),
    "shared": lambda: shared(np.random.default_rng(3)),
    "function": lambda: (lambda flip: lambda x: flip(x) + 0)(T.RandomHorizontalFlip(rng=3)),
    "own": lambda: Jittering(),
}


class Jittering:
    """A custom transform that draws from its generator directly."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(3)

    def __call__(self, x: Any) -> Any:
        return x + self.generator.random(dtype=np.float32)


def shared(rng: np.random.Generator) -> Any:
    return T.Compose([T.RandomHorizontalFlip(rng=rng), T.RandomVerticalFlip(rng=rng)])


class Pictures(Dataset):
    def prepare(self) -> None:
        self.data = np.random.default_rng(0).random((20, 1, 6, 6), np.float32)
        self.label = np.arange(20) % 3


def augmented(seed: int, make: Callable[[], Any], mix: bool, workers: int) -> Trainer:
    """A run with random transforms for training and testing; ``mix``: whether batches are mixed as well."""
    passus.random.seed(seed)
    model = Sequential(F.flatten, Linear(3, in_size=36))
    mixup = T.Mixup(3, rng=5)
    options: Any = {"collate": lambda examples: mixup(*collate(examples))} if mix else {}
    loader = DataLoader(Pictures(transform=make()), 6, workers=workers, **options)
    test_loader = DataLoader(Pictures(transform=make()), 8, shuffle=False)
    optimizer = Adam().setup(model)
    return Trainer(model, optimizer, loader, F.softmax_cross_entropy, test_loader=test_loader, progress=False)


@pytest.mark.parametrize("mix", [False, True], ids=["", "mixed"])
@pytest.mark.parametrize(
    ("name", "workers"),
    # Without get_rng, the order in which several threads draw is undefined.
    [(name, workers) for name in AUGMENTATIONS for workers in (0, 2) if name != "own" or not workers],
)
def test_generators_of_transforms_resume_exactly(tmp_path: Path, name: str, mix: bool, workers: int):
    make = AUGMENTATIONS[name]
    whole = augmented(0, make, mix, workers)
    whole.fit(epochs=3)
    for steps in (2, 4, 6):  # During an epoch, at its end, and during the second.
        run = augmented(0, make, mix, workers)
        run.fit(steps=steps)
        run.save(tmp_path / "run.safetensors")
        resumed = augmented(9, make, mix, workers)
        next(iter(resumed.loader))
        resumed.resume(tmp_path / "run.safetensors")
        resumed.fit(epochs=3)
        assert resumed.history == whole.history
        assert_same(state(whole.model, whole.loader), state(resumed.model, resumed.loader))


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "own"])
def test_generators_of_transforms_do_not_depend_on_workers(name: str):
    a, b, c = (augmented(0, AUGMENTATIONS[name], False, workers).fit(epochs=2) for workers in (0, 1, 3))
    assert a == b == c


def test_seeds_of_transforms_determine_the_run():
    a, b, c = (augmented(0, lambda seed=seed: T.Cutout(3, rng=seed), False, 0).fit(epochs=2) for seed in (3, 3, 4))
    assert a == b != c


# The memory order of parameters, and kernels.


def first_axis_last(x: Any) -> Any:
    """The same array with the first axis last in memory."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(np.argsort([*range(1, x.ndim), 0]))


ORDERS: dict[str, Callable[[Any], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "first axis last": first_axis_last,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


def in_order(lay: Callable[[Any], Any], optimizer: Any, seed: int = 0) -> Trainer:
    passus.random.seed(seed)
    model = Sequential(
        Conv2d(12, 3, in_channels=3),
        BatchNorm(in_size=12),
        ReLU(),
        F.flatten,
        Linear(33, in_size=192),
        Linear(3, in_size=33),
    )
    rng = np.random.default_rng(0)
    data = ArrayDataset(rng.standard_normal((24, 3, 6, 6)).astype(np.float32), np.arange(24) % 3)
    for p in model.params():
        p.data = lay(p.data)
    made = optimizer().setup(model)
    made.add_hook(ClipGrad(0.5))
    made.add_hook(EMA(model, 0.5))
    return Trainer(model, made, DataLoader(data, 8), F.softmax_cross_entropy, progress=False)


@pytest.mark.parametrize("optimizer", [Adam, SGD, LAMB])
@pytest.mark.parametrize("order", ORDERS)
def test_the_memory_order_of_parameters_is_restored(tmp_path: Path, order: str, optimizer: Any):
    whole, path = in_order(ORDERS[order], optimizer), tmp_path / "run.safetensors"
    whole.fit(epochs=3)
    run = in_order(ORDERS[order], optimizer)
    run.fit(steps=4)
    run.save(path)
    resumed = in_order(np.ascontiguousarray, optimizer, seed=9)
    resumed.resume(path)
    resumed.fit(epochs=3)
    assert resumed.history == whole.history
    assert_same(state(whole.model, whole.optimizer), state(resumed.model, resumed.optimizer))
    for a, b in zip(run.model.params(), in_order(ORDERS["C"], optimizer).model.params()):
        if order in ("Fortran", "first axis last") and a.ndim > 1:
            assert a.data.strides != b.data.strides


@pytest.mark.parametrize("order", ORDERS)
def test_saved_arrays_have_their_memory_order_when_read(tmp_path: Path, order: str):
    path = tmp_path / "weights.safetensors"
    for shape in ((), (3,), (4, 5), (2, 3, 4), (1, 5, 1, 3), (0, 3), (2, 3, 1, 4, 5)):
        x = ORDERS[order](np.random.default_rng(0).random(shape)) if shape else np.array(1.0)
        write_weights(path, {"x": x})
        y = read_weights(path)["x"]
        np.testing.assert_array_equal(x, y, strict=True)
        if order != "strided" and x.size:
            strides = [(n, a == b) for n, a, b in zip(x.shape, x.strides, y.strides)]
            assert all(same for n, same in strides if n != 1)


KERNELS = """
    import sys
    import numpy as np
    import passus, passus.functions as F, passus.layers as L
    from passus.datasets import ArrayDataset
    from passus.kernels.dispatch import in_use
    from passus.optimizers import Adam
    from passus.training import Trainer

    def large():
        F.conv2d(np.zeros((16, 8, 64, 64), np.float32), np.zeros((16, 8, 3, 3), np.float32))
        assert in_use()

    def training(seed):
        passus.random.seed(seed)
        convolution, norm = L.Conv2d(8, 3, in_channels=3), L.BatchNorm(in_size=8)
        model = L.Sequential(convolution, norm, F.relu, F.flatten, L.Linear(3, in_size=288))
        x = np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32)
        loader = passus.DataLoader(ArrayDataset(x, np.arange(8) % 3), 8)
        return Trainer(model, Adam().setup(model), loader, F.softmax_cross_entropy, progress=False)
"""


@pytest.mark.slow
@pytest.mark.compiles
@pytest.mark.parametrize("used", [False, True])
def test_a_resumed_run_uses_kernels_if_the_saved_one_did(tmp_path: Path, used: bool):
    pytest.importorskip("numba")
    path = tmp_path / "run.safetensors"
    first = f"""
        if {used}:
            large()
        run = training(0)
        run.fit(epochs=2)
        run.save(sys.argv[1])
        run.fit(epochs=4)
        assert in_use() == {used}
        print(run.history, np.abs(run.model.state_dict()["l0.W"]).sum(dtype=float))
    """
    second = f"""
        if not {used}:
            large()
        run = training(5)
        run.resume(sys.argv[1])
        assert in_use() == {used}
        run.fit(epochs=4)
        print(run.history, np.abs(run.model.state_dict()["l0.W"]).sum(dtype=float))
        large()
        assert in_use()
    """
    printed = []
    for script in (first, second):
        code = textwrap.dedent(KERNELS) + textwrap.dedent(script)
        done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
        printed.append(done.stdout)
    assert printed[0] == printed[1] != ""


class Rejecting(Callback):
    """A callback that rejects every state."""

    def state_dict(self) -> Tree:
        return {}

    def load_state_dict(self, state: Tree) -> None:
        raise WeightsError("rejected")


def test_a_rejected_state_changes_no_part_of_the_trainer():
    run = trainer(0, EarlyStopping("loss"), Rejecting())
    run.fit(steps=6)
    other = trainer(1, EarlyStopping("loss"), Rejecting())
    before = state(other)
    good = run.state_dict()
    for broken in (good, good | {"step": "many"}, good | {"step": -1}, good | {"callbacks": 3}, good | {"tally": 3}):
        with pytest.raises(PassusError, match=r"rejected|many|at least 0|not a state"):
            other.load_state_dict(broken)
        assert state(other) == before


def of_another_model() -> Trainer:
    model = Sequential(Linear(5, in_size=2), Linear(3))
    loader = DataLoader(ArrayDataset(np.zeros((30, 2), np.float32), np.zeros(30, np.int64)), batch_size=8)
    return Trainer(model, Adam().setup(model), loader, F.softmax_cross_entropy, progress=False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (of_another_model, "model"),
        (lambda: trainer(3), "EarlyStopping"),
        (lambda: trainer(3, EarlyStopping("loss"), metrics=None), "accuracy"),
    ],
)
def test_a_checkpoint_of_another_run_raises_and_changes_nothing(tmp_path: Path, make: Any, words: str):
    path = tmp_path / "run.safetensors"
    run = trainer(0, EarlyStopping("loss"))
    run.fit(steps=6)
    run.save(path)
    other = make()
    before, rng = state(*other.components().values()), passus.random.rng_state()
    with pytest.raises(WeightsError, match=words):
        other.resume(path)
    assert_same(before, state(*other.components().values()))
    assert passus.random.rng_state() == rng

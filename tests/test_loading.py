"""Loading is atomic: a bad state raises and changes nothing; otherwise training continues."""

from __future__ import annotations

import copy
import json
import random
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
import passus.random
from passus import DataLoader, Parameter, optimizers, transforms
from passus.datasets import Dataset
from passus.errors import PassusError, WeightsError
from passus.loading import Loading
from passus.metrics import AUC, F1, MAE, R2, Accuracy, ConfusionMatrix, TopKAccuracy
from passus.schedules import OnPlateau
from passus.serializers import load_checkpoint, read_checkpoint, save_checkpoint
from passus.serializers.safetensors import write_safetensors
from passus.training import Checkpoint, EarlyStopping, JSONLinesLog, ReportPlateau, Trainer


class Images(Dataset):
    """Random images of two classes."""

    def prepare(self) -> None:
        self.data = np.random.default_rng(0).random((10, 1, 4, 4), np.float32)
        self.label = np.arange(10) % 2


class Counting(L.Layer):
    """A user-defined layer with state that is not in its parameters."""

    def __init__(self) -> None:
        self.scale = Parameter(np.ones(1, np.float32))
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x * self.scale


class CountingHook:
    """A user-defined hook with a state."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, params: Any) -> None:
        self.counts.append(len(params))

    def state_dict(self) -> dict[str, Any]:
        return {"counts": list(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts = [{0: 0, 6: 6, 7: 7}[count] for count in state["counts"]]


class OfScores:
    """A regression metric applied to the scores of class 1."""

    def __init__(self, metric: Any) -> None:
        self.metric = metric

    def update(self, y: Any, t: Any) -> None:
        self.metric.update(y.data[:, 1], t.astype(np.float32))

    def compute(self) -> Any:
        return self.metric.compute()

    def reset(self) -> None:
        self.metric.reset()

    def state_dict(self) -> Any:
        return self.metric.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.metric.load_state_dict(state)


def training(folder: Path, seed: int = 0, lazy: bool = False, accumulate: bool = False) -> Trainer:
    """A training run with every kind of stateful component."""
    passus.random.seed(seed)
    model = L.Sequential(
        L.Conv2d(2, 3, pad=1, in_channels=None if lazy else 1),
        L.BatchNorm(in_size=None if lazy else 2),
        L.Dropout(0.1, rng=seed),
        F.flatten,
        Counting(),
        L.Linear(2, in_size=None if lazy else 32),
    )
    schedule = OnPlateau(0.01)
    optimizer: Any = optimizers.Adam(lr=schedule)
    if accumulate:
        optimizer = optimizers.GradientAccumulation(optimizer, 2)
    optimizer.setup(model)
    inner = optimizer.optimizer if accumulate else optimizer
    inner.add_hook(optimizers.EMA(model))
    inner.add_hook(CountingHook())
    if not lazy:
        inner.add_group("l5", lr=0.1)
    flips = transforms.Compose([transforms.RandomHorizontalFlip(rng=seed), transforms.RandomCrop(4, 1, rng=seed + 1)])
    return Trainer(
        model,
        optimizer,
        DataLoader(Images(transform=flips), 3, rng=seed),
        F.softmax_cross_entropy,
        test_loader=DataLoader(Images(transform=transforms.RandomHorizontalFlip(rng=seed)), 4, rng=seed),
        metrics={
            "accuracy": Accuracy(),
            "top": TopKAccuracy(2),
            "confusion": ConfusionMatrix(2),
            "f1": F1(),
            "auc": AUC(),
            "r2": OfScores(R2()),
            "mae": OfScores(MAE()),
            "function": lambda y, t: float(y.data.max()),
        },
        callbacks=[
            EarlyStopping("loss", patience=50),
            ReportPlateau(schedule, "loss"),
            JSONLinesLog(folder / "log.jsonl"),
            Checkpoint(folder / "run", every_epochs=None, monitor="loss"),
        ],
        progress=False,
    )


def state(run: Trainer) -> dict[str, Any]:
    parts = {name: copy.deepcopy(part.state_dict()) for name, part in run.components().items()}
    return parts | {"rng": passus.random.rng_state()}


def deep() -> Any:
    node: Any = 1
    for _ in range(10_000):
        node = {"a": node}
    return node


DELETED = object()
DEEP = deep()

MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda leaf: DELETED,
    "none": lambda leaf: None,
    "nan": lambda leaf: np.nan,
    "minus one": lambda leaf: -1,
    "huge": lambda leaf: 2**200,
    "too many digits": lambda leaf: 10**5000,
    "infinite": lambda leaf: np.inf,
    "true": lambda leaf: True,
    "text": lambda leaf: "text",
    "bytes": lambda leaf: b"\x00",
    "list": lambda leaf: [[1], [2, 3]],
    "empty": lambda leaf: {},
    "dict": lambda leaf: {"a": np.ones(3)},
    "odd names": lambda leaf: {1: 2, None: 3},
    "deep": lambda leaf: DEEP,
    "deep list": lambda leaf: [DEEP],
    "object": lambda leaf: object(),
    "type": lambda leaf: np.float32,
    "variable": lambda leaf: Parameter(np.ones(2)),
    "array": lambda leaf: np.ones((7, 1)),
    "array of objects": lambda leaf: np.full(np.shape(leaf), None),
    "array of strings": lambda leaf: np.full(np.shape(leaf), "text"),
    "complex": lambda leaf: np.full(np.shape(leaf), 1j),
    "array of minus ones": lambda leaf: np.full(np.shape(leaf), -1, getattr(leaf, "dtype", None)),
    "array of nan": lambda leaf: np.full_like(leaf, np.nan) if getattr(leaf, "dtype", None) == np.float32 else [np.nan],
    "additional axis": lambda leaf: np.asarray(leaf)[None] if isinstance(leaf, np.ndarray) else [leaf],
    "recursive list": lambda leaf: (lambda ring: ring.append(ring) or ring)([]),
}


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all nodes of a tree, branches among them."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    for name, child in items:
        yield from leaves(child, (*path, name))


def mutated(tree: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of a tree with one node changed; all other nodes are shared."""
    name, *rest = path
    new = dict(tree) if isinstance(tree, dict) else list(tree)
    value = mutated(tree[name], tuple(rest), change) if rest else change(tree[name])
    if value is DELETED:
        del new[name]
    else:
        new[name] = value
    return new


def check(run: Trainer, load: Callable[[], None]) -> bool:
    """Whether loading raised; nothing must have changed then, and training must continue in both cases."""
    before = state(run)
    objects = {name: p.data for name, p in run.model.named_params()}
    try:
        load()
    except PassusError:
        np.testing.assert_equal(state(run), before)
        assert all(p.data is objects[name] for name, p in run.model.named_params())
        rejected = True
    else:
        rejected = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            run.fit(steps=run.step + (1 if rejected else 6))
        except PassusError as error:
            if rejected or not re.search("NaN|nan|inf", str(error)):  # The loaded weights may be NaN.
                raise
    return rejected


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("accumulate", [False, True], ids=["", "accumulated"])
def test_mutated_states_are_rejected_or_training_continues(tmp_path: Path, accumulate: bool) -> None:
    saved = training(tmp_path, accumulate=accumulate)
    saved.fit(steps=7)
    good = {name: copy.deepcopy(part.state_dict()) for name, part in saved.components().items()}
    paths = list(leaves(good))
    chance, run = random.Random(0), begun(tmp_path, accumulate)
    rejected = 0
    for name, *rest in paths:
        for change in chance.sample(list(MUTATIONS), 1 if rest else 0):
            bad = mutated(good[name], tuple(rest), MUTATIONS[change])
            if check(run, partial(run.components()[name].load_state_dict, bad)):
                rejected += 1
            else:
                run = begun(tmp_path, accumulate)
    assert rejected > len(paths) // 2


def begun(folder: Path, accumulate: bool = False) -> Trainer:
    run = training(folder / "other", seed=1, accumulate=accumulate)
    run.fit(steps=2)
    return run


def leaf_of_each_kind() -> list[tuple[str, ...]]:
    return [
        ("model", "l0.W"),
        ("model", "l1.avg_var"),
        ("model", "l2.rng"),
        ("optimizer", "step"),
        ("optimizer", "options", "eps"),
        ("optimizer", "groups", "0", "lr"),
        ("optimizer", "options", "betas"),
        ("optimizer", "slots", "l0", "W", "step"),
        ("optimizer", "slots", "l0", "W", "m"),
        ("optimizer", "schedule0"),
        ("optimizer", "schedule0", "best"),
        ("optimizer", "hook0", "decay"),
        ("optimizer", "hook1", "counts"),
        ("loader", "order"),
        ("loader", "seed"),
        ("loader", "iteration"),
        ("loader", "rng", "state", "state"),
        ("loader", "generators"),
        ("loader", "seeds"),
        ("loader", "size"),
        ("loader", "batch_size"),
        ("trainer", "batch"),
        ("trainer", "step"),
        ("trainer", "history"),
        ("trainer", "tally", "loss", "weight"),
        ("trainer", "tally", "confusion", "counts"),
        ("trainer", "tally", "auc", "scores"),
        ("trainer", "tally", "auc", "labels"),
        ("trainer", "tally", "r2", "count"),
        ("trainer", "tally", "r2", "mean"),
        ("trainer", "tally", "f1"),
        ("trainer", "lr"),
        ("trainer", "callbacks", "0_EarlyStopping", "waited"),
        ("trainer", "callbacks", "0_EarlyStopping", "weights"),
        ("trainer", "callbacks", "0_EarlyStopping", "best", "value"),
    ]


@pytest.mark.parametrize("path", leaf_of_each_kind(), ids=".".join)
def test_every_kind_of_leaf_with_every_mutation(tmp_path: Path, path: tuple[str, ...]) -> None:
    saved = training(tmp_path)
    saved.fit(steps=7)
    name, *rest = path
    good = copy.deepcopy(saved.components()[name].state_dict())
    run = begun(tmp_path)
    for change in MUTATIONS.values():
        bad = mutated(good, tuple(rest), change)
        if not check(run, partial(run.components()[name].load_state_dict, bad)):
            run = begun(tmp_path)


@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy"])
@pytest.mark.parametrize("part", ["model", "optimizer", "trainer", "loader", "test_loader"])
def test_checkpoint_with_one_bad_component_changes_nothing(tmp_path: Path, part: str, lazy: bool) -> None:
    saved = training(tmp_path, lazy=lazy)
    saved.fit(steps=7)
    path = tmp_path / "run.safetensors"
    saved.save(path)
    run = training(tmp_path, seed=1, lazy=lazy)
    run.history.append({"epoch": 1, "step": 4, "lr": 0.1, "loss": 1.0})
    batches = iter(run.loader)
    next(batches)
    before = state(run)
    parts: dict[str, Any] = run.components()
    method = parts[part].state_dict
    saved_parts: dict[str, Any] = saved.components()

    class BadComponent:
        def state_dict(self) -> Any:
            tree = saved_parts[part].state_dict()
            return mutated(tree, (list(tree)[-1],), lambda leaf: "text")

        def load_state_dict(self, state: Any) -> None: ...

    save_checkpoint(path, **(saved_parts | {part: BadComponent()}))
    with pytest.raises(PassusError, match=rf"^{part}[.:]"):
        load_checkpoint(path, **parts)
    assert parts[part].state_dict == method
    np.testing.assert_equal(state(run), before)
    iteration = run.loader.iteration
    next(batches)
    assert run.loader.iteration == iteration + 1, "the current epoch continues"


def rewrite_metadata(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the metadata of a checkpoint, with a valid checksum."""
    from passus.serializers.safetensors import read_safetensors

    arrays, texts = read_safetensors(path)
    content = json.loads(texts["passus.checkpoint"])
    changed = change(content)
    text = changed if isinstance(changed, str) else json.dumps(content)
    write_safetensors(path, arrays, {"passus.checkpoint": text})


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(kernels={}),
        lambda c: c.update(kernels={"in_use": "no"}),
        lambda c: c.update(kernels=[]),
        lambda c: c.update(metadata=3),
        lambda c: c.update(rng=None),
        lambda c: c.update(rng={}),
        lambda c: c["rng"].update(has_uint32=-1),
        lambda c: c["rng"].update(bit_generator="MT19937"),
        lambda c: c.pop("kernels"),
        lambda c: c.update(parts=[1]),
        lambda c: c["parts"].update(model=3),
        lambda c: c["parts"]["model"].update({"l0.W": None}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$array": "none"}}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$array": [1]}}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$tuple": 3}}),
        lambda c: c["parts"]["optimizer"]["slots"]["l0"]["W"].update(step=-1),
        lambda c: c["parts"]["optimizer"].update(step=10**400),
        lambda c: "[" * 100_000,
        lambda c: '{"a":' * 100_000,
        lambda c: "{" * 10,
        lambda c: f'{{"parts": {"1" * 5000}}}',
        lambda c: "[]",
        lambda c: "3",
    ],
)
def test_checkpoint_with_modified_metadata_changes_nothing(tmp_path: Path, change: Any) -> None:
    saved = training(tmp_path)
    saved.fit(steps=7)
    path = tmp_path / "run.safetensors"
    saved.save(path)
    rewrite_metadata(path, change)
    run = begun(tmp_path)
    assert check(run, lambda: run.resume(path))


def test_checkpoint_without_checksum_raises(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path, model = tmp_path / "run.safetensors", L.Linear(2, in_size=3)
    save_checkpoint(path, model=model)
    from passus.serializers.safetensors import read_safetensors

    arrays, texts = read_safetensors(path)
    save_file(arrays, path, texts)
    with pytest.raises(WeightsError, match="the checksum is missing"):
        read_checkpoint(path)
    save_file({"W": np.ones((3, 2), np.float32), "b": np.ones(2, np.float32)}, path)
    model.load_weights(path)


def test_unbounded_metadata_is_not_saved(tmp_path: Path) -> None:
    ring: list[Any] = []
    ring.append(ring)
    for unbounded in (DEEP, {"a": ring}):
        with pytest.raises(WeightsError, match="more than 100 levels deep"):
            save_checkpoint(tmp_path / "run.safetensors", metadata=unbounded)
    with pytest.raises(PassusError, match="x is an int"):
        save_checkpoint(tmp_path / "run.safetensors", metadata={"x": 10**5000})
    assert not list(tmp_path.iterdir())


def test_none_is_accepted_only_for_uninitialized_arrays() -> None:
    for model in (L.Linear(2, in_size=3), L.BatchNorm(in_size=2)):
        for name in model.state_dict():
            before = model.state_dict()
            with pytest.raises(WeightsError, match=f"not an array: {name}"):
                model.load_state_dict(before | {name: None})
            np.testing.assert_equal(model.state_dict(), before)
    L.Linear(2).load_state_dict(L.Linear(2).state_dict())


def test_invalid_generator_positions_raise() -> None:
    for kind, path in ((np.random.MT19937, ("state", "pos")), (np.random.Philox, ("buffer_pos",))):
        generator = np.random.Generator(kind(1))
        before = passus.random.rng_state(generator)
        for wrong in (-1, 10**6, 2.0, None, "1"):
            bad = mutated(before, path, lambda leaf, wrong=wrong: wrong)
            with pytest.raises(PassusError, match=f"not a state of {kind.__name__}"):
                passus.random.load_rng_state(bad, generator)
        np.testing.assert_equal(passus.random.rng_state(generator), before)


class FailsAfterLoading(L.Layer):
    """A user-defined layer that fails after its parameters were loaded."""

    def __init__(self) -> None:
        self.l = L.Linear(2)

    def load_state_dict(self, state: Any, cast: bool = False) -> None:
        super().load_state_dict(state, cast)
        raise ZeroDivisionError("failed")


@pytest.mark.parametrize("first", ["model", "other"])
def test_failing_user_defined_component_restores_all_components(tmp_path: Path, first: str) -> None:
    path = tmp_path / "run.safetensors"
    whole = FailsAfterLoading()
    whole.l(np.ones((1, 3), np.float32))
    parts: dict[str, Any] = {"model": whole, "other": L.Linear(2, in_size=3), "rng": np.random.default_rng(0)}
    save_checkpoint(path, **parts)
    model = FailsAfterLoading()
    parts = {"model": model, "other": L.Linear(2, in_size=3), "rng": np.random.default_rng(1)}
    before = parts["other"].state_dict(), passus.random.rng_state(parts["rng"])
    order = [first, *(name for name in parts if name != first)]
    with pytest.raises(WeightsError, match="model: cannot load its state: ZeroDivisionError"):
        load_checkpoint(path, **{name: parts[name] for name in order})
    assert model.l.W.data is None, "lazy as before"
    np.testing.assert_equal((parts["other"].state_dict(), passus.random.rng_state(parts["rng"])), before)


def test_keyboard_interrupt_while_loading_restores_everything() -> None:
    class Interrupted:
        @property
        def value(self) -> int:
            return 1

        @value.setter
        def value(self, value: int) -> None:
            if value == 2:
                raise KeyboardInterrupt

    model = L.Linear(2, in_size=3)
    before, loading = model.state_dict(), Loading()
    loading.verify(model, L.Linear(2, in_size=3, rng=5).state_dict())
    loading.assign(Interrupted(), "value", 2)
    with pytest.raises(KeyboardInterrupt):
        loading.commit()
    np.testing.assert_equal(model.state_dict(), before)

"""A training run with every kind of stateful component."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

import passus.functions as F
import passus.layers as L
import passus.random
from passus import DataLoader, Parameter, optimizers, transforms
from passus.datasets import Dataset
from passus.metrics import AUC, F1, MAE, R2, Accuracy, ConfusionMatrix, TopKAccuracy
from passus.schedules import OnPlateau
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


def begun(folder: Path, accumulate: bool = False) -> Trainer:
    run = training(folder / "other", seed=1, accumulate=accumulate)
    run.fit(steps=2)
    return run

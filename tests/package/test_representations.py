"""What objects print: facts about them, and no address."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.dataloaders import DataLoader, PaddingCollate, SeqDataLoader
from passus.datasets import ArrayDataset, SinCurve, Spiral, Subset
from passus.metrics import Accuracy
from passus.optimizers import EMA, SGD, ClipGrad, ClipValue, FreezeParam, WeightDecay
from passus.schedules import OnPlateau
from passus.text import RandomWindows
from passus.training import Checkpoint, CSVLog, EarlyStopping, JSONLinesLog, PlotCurves, TimeLimit, Trainer

DATASET = ArrayDataset(np.zeros((4, 2), np.float32), np.arange(4))


def trainer() -> Trainer:
    model = L.Sequential(L.Linear(1, in_size=2))
    return Trainer(model, SGD(lr=0.1).setup(model), DataLoader(DATASET, 2), F.mean_squared_error, progress=False)


PACKAGES = [
    "dataloaders",
    "datasets",
    "initializers",
    "layers",
    "metrics",
    "models",
    "optimizers",
    "schedules",
    "serializers",
    "summary",
    "text",
    "training",
    "transforms",
    "visualize",
]
EXEMPT = {"datasets": ["ImageNet"], "layers": ["KeyValueCache"], "metrics": ["Metric"]}
"""`ImageNet` holds functions only, a cache is printed by its layer, and the base of metrics is a protocol."""

OBJECTS: dict[str, tuple[Any, str]] = {
    "dataset": (Spiral, r"Spiral\(examples: 300, data: float32\[300, 2\]"),
    "curve": (SinCurve, r"SinCurve\(examples: "),
    "arrays": (lambda: DATASET, r"ArrayDataset\(examples: 4, array 0: float32\[4, 2\]"),
    "subset": (lambda: Subset(DATASET, [0, 2]), r"Subset\(examples: 2, dataset: ArrayDataset of 4 examples\)"),
    "loader": (
        lambda: DataLoader(DATASET, 2),
        r"DataLoader\(dataset: ArrayDataset of 4 examples, batch size: 2, batches: 2",
    ),
    "sequences": (lambda: SeqDataLoader(DATASET, 2), r"SeqDataLoader\(dataset: ArrayDataset"),
    "trainer": (trainer, r"Trainer\(model: Sequential, optimizer: SGD\(lr=0\.1\), step 0, loader: DataLoader"),
    "collate": (PaddingCollate, r"PaddingCollate\("),
    "clip": (lambda: ClipGrad(1.0), r"ClipGrad\(max_norm=1\.0"),
    "clip value": (lambda: ClipValue(1.0), r"ClipValue\("),
    "decay": (lambda: WeightDecay(0.1), r"WeightDecay\(rate=0\.1\)"),
    "freeze": (lambda: FreezeParam(L.Linear(1)), r"FreezeParam\("),
    "average": (lambda: EMA(L.Linear(1, in_size=2)), r"EMA\("),
    "checkpoint": (
        lambda: Checkpoint("runs"),
        r"Checkpoint\(folder=CheckpointFolder\(folder='runs', keep=3\), every_epochs=1",
    ),
    "csv": (lambda: CSVLog("log.csv"), r"CSVLog\("),
    "json": (lambda: JSONLinesLog("log.jsonl"), r"JSONLinesLog\("),
    "curves": (lambda: PlotCurves("curves.png"), r"PlotCurves\("),
    "stopping": (lambda: EarlyStopping("loss"), r"EarlyStopping\("),
    "plateau": (lambda: OnPlateau(0.1), r"OnPlateau\("),
    "windows": (lambda: RandomWindows(np.arange(9), 3), r"RandomWindows\("),
    "metric": (Accuracy, r"Accuracy"),
    "time": (lambda: TimeLimit(minutes=5), r"TimeLimit\("),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_print_what_they_are(name: str) -> None:
    make, pattern = OBJECTS[name]
    text = repr(make())
    assert re.match(pattern, text), text
    assert " at 0x" not in text


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_class_prints_more_than_an_address(package: str) -> None:
    module = importlib.import_module(f"passus.{package}")
    classes = [value for value in map(vars(module).get, module.__all__) if inspect.isclass(value)]
    bare = [c.__name__ for c in classes if c.__repr__ is object.__repr__ and not inspect.isabstract(c)]
    assert bare == EXEMPT.get(package, [])

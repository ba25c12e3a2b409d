"""Logs as CSV, JSON lines and TensorBoard events."""

from __future__ import annotations

import csv
import importlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus.errors import ArgumentError, DependencyError, DTypeError, PathError
from passus.training import (
    Callback,
    CSVLog,
    JSONLinesLog,
    PlotCurves,
    TensorBoardLog,
)
from tests.training.loops import Run, trained


def read_csv(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def read_json_lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


LOGS = [(CSVLog, read_csv), (JSONLinesLog, read_json_lines)]


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_equals_the_history(tmp_path, log, read):
    path = tmp_path / "new" / "log.txt"
    run = trained(log(path))
    assert read(path) == run.history
    again = trained(log(path), epochs=1)
    assert read(path) == again.history, "a new run starts a new file"


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_of_a_resumed_run_has_each_epoch_once(tmp_path, log, read):
    path, saved = tmp_path / "log.txt", tmp_path / "run.safetensors"
    trained(epochs=2).save(saved)
    trained(log(path), epochs=3)  # Its third epoch was not saved and is lost.
    run = trained(log(path), epochs=5, resume=saved)
    assert read(path) == run.history
    assert [row["epoch"] for row in read(path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_is_complete_after_each_epoch(tmp_path, log, read):
    class Look(Callback):
        def on_start(self, run: Any) -> None:
            assert read(tmp_path / "log.txt") == run.history

        def on_epoch(self, run: Any, row: Any) -> None:
            assert read(tmp_path / "log.txt") == run.history

    run = trained(log(tmp_path / "log.txt"), Look())
    run.fit(epochs=4)


def test_changed_columns_are_rejected_by_csv_only(tmp_path):
    run = Run()
    run.history = [{"loss": 1.0}]
    table, lines = CSVLog(tmp_path / "log.csv"), JSONLinesLog(tmp_path / "log.jsonl")
    for log in (table, lines):
        log.on_start(run)
    with pytest.raises(ArgumentError, match="columns loss, but the new row has loss, accuracy"):
        table.on_epoch(run, {"loss": 1.0, "accuracy": 0.5})
    lines.on_epoch(run, {"loss": math.nan, "accuracy": math.inf})
    for log in (table, lines):
        log.on_end(run)
    assert read_json_lines(tmp_path / "log.jsonl") == [{"loss": 1.0}, {"loss": None, "accuracy": None}]


@pytest.mark.parametrize("log", [CSVLog, JSONLinesLog, TensorBoardLog])
def test_a_log_must_be_started_and_may_end_twice(tmp_path, log):
    callback = log(tmp_path / "log")
    with pytest.raises(ArgumentError, match="on_start"):
        callback.on_epoch(Run(), {"loss": 1.0})
    callback.on_end(Run())


def read_events(folder: Path) -> list[Any]:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = loader.EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars("test_loss")]


def test_tensorboard_events_of_a_resumed_run_have_each_epoch_once(tmp_path):
    pytest.importorskip("tensorboard")
    folder, saved = tmp_path / "events", tmp_path / "run.safetensors"
    trained(epochs=2).save(saved)
    trained(TensorBoardLog(folder), epochs=3)
    run = trained(TensorBoardLog(folder), epochs=4, resume=saved)
    steps, values = zip(*read_events(folder))
    assert steps == (2, 4, 6, 8)
    np.testing.assert_allclose(values, [row["test_loss"] for row in run.history], rtol=1e-6)  # Stored in float32.


@pytest.mark.parametrize(("make", "package"), [(PlotCurves, "matplotlib"), (TensorBoardLog, "tensorboard")])
def test_a_missing_package_is_named(monkeypatch, tmp_path, make, package):
    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(DependencyError, match=f"pip install {package}"):
        make(tmp_path / "x")


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_is_intact_after_an_interrupted_write(tmp_path, monkeypatch, log, read):
    path = tmp_path / "log.txt"
    old = trained(log(path)).history

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    run = Run()
    run.history = [{"epoch": 1, "loss": 1.0}]
    callback = log(path)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            callback.on_start(run)
        assert read(path) == old, "the complete log of the previous run"
    callback.on_start(run)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            callback.on_epoch(run, {"epoch": 2, "loss": 0.5})
    assert read(path) == run.history
    callback.on_epoch(run, {"epoch": 2, "loss": 0.5})
    assert read(path) == [*run.history, {"epoch": 2, "loss": 0.5}]
    assert [file.name for file in tmp_path.iterdir()] == ["log.txt"]


@pytest.mark.parametrize("log", [CSVLog, JSONLinesLog])
def test_paths_that_are_folders_or_not_paths_raise(log, tmp_path):
    with pytest.raises(PathError, match="is a folder"):
        log(tmp_path).on_start(Run())
    with pytest.raises(DTypeError, match="not a path"):
        log(3)


@pytest.mark.parametrize("below", ["log.txt", "deeper/log.txt"])
@pytest.mark.parametrize("log", [CSVLog, JSONLinesLog])
def test_a_file_at_the_path_of_the_folder_is_named(log, below, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(PathError, match="a file of this name exists"):
        log(tmp_path / "run" / below).on_start(Run())

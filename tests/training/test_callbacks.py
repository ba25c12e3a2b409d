"""Callbacks: what they write, what they keep, when they stop; with a trainer and in a loop of one's own."""

from __future__ import annotations

import csv
import importlib
import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus.errors import ArgumentError, DependencyError, DTypeError, PassusWarning, PathError, WeightsError
from passus.layers import Linear
from passus.optimizers import SGD, Adam
from passus.schedules import OnPlateau
from passus.serializers import read_checkpoint
from passus.training import (
    Best,
    Callback,
    Checkpoint,
    CheckpointFolder,
    CSVLog,
    EarlyStopping,
    JSONLinesLog,
    PlotCurves,
    ReportPlateau,
    TensorBoardLog,
    Trainer,
    plot_history,
)


class Run:
    """A loop of one's own: what callbacks need, and nothing else."""

    def __init__(self) -> None:
        self.model = Linear(1, in_size=2)
        self.optimizer = Adam().setup(self.model)
        self.epoch = self.step = 0
        self.history: list[Any] = []
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer}

    def go(self, callback: Callback, *losses: float) -> None:
        """As many epochs of two steps as there are losses, or fewer if the callback stops them."""
        self.stopped = False
        callback.on_start(self)
        for loss in losses:
            for _ in range(2):
                self.step += 1
                callback.on_step(self)
            self.epoch += 1
            self.model.b.data = np.full_like(self.model.b.data, self.epoch)
            self.history.append({"epoch": self.epoch, "step": self.step, "test_loss": loss})
            callback.on_epoch(self, self.history[-1])
            if self.stopped:
                break
        callback.on_finish(self)
        callback.on_end(self)


def trained(*callbacks: Callback, epochs: int = 3, resume: Path | None = None) -> Trainer:
    passus.random.seed(0)
    model = Linear(1, in_size=2)
    x, t = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    run = Trainer(
        model,
        SGD(lr=0.1).setup(model),
        [(x, t), (2 * x, t)],
        F.mean_squared_error,
        test_loader=[(x, t)],
        callbacks=callbacks,
        progress=False,
    )
    if resume is not None:
        run.resume(resume)
    run.fit(epochs)
    return run


# Logs.


def read_csv(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def read_json_lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


LOGS = [(CSVLog, read_csv), (JSONLinesLog, read_json_lines)]


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_holds_the_history_exactly(tmp_path, log, read):
    path = tmp_path / "new" / "log.txt"
    run = trained(log(path))
    assert read(path) == run.history
    again = trained(log(path), epochs=1)
    assert read(path) == again.history, "a new run begins a new file"


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_of_a_resumed_run_has_each_epoch_once(tmp_path, log, read):
    path, saved = tmp_path / "log.txt", tmp_path / "run.safetensors"
    trained(epochs=2).save(saved)
    trained(log(path), epochs=3)  # It went further than what was saved, and is lost.
    run = trained(log(path), epochs=5, resume=saved)
    assert read(path) == run.history
    assert [row["epoch"] for row in read(path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_is_complete_at_every_moment(tmp_path, log, read):
    class Look(Callback):
        def on_start(self, run: Any) -> None:
            assert read(tmp_path / "log.txt") == run.history

        def on_epoch(self, run: Any, row: Any) -> None:
            assert read(tmp_path / "log.txt") == run.history

    run = trained(log(tmp_path / "log.txt"), Look())
    run.fit(epochs=4)


def test_columns_that_change_are_refused_by_csv_alone(tmp_path):
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
def test_a_log_must_be_started_and_may_be_ended_twice(tmp_path, log):
    callback = log(tmp_path / "log")
    with pytest.raises(ArgumentError, match="on_start"):
        callback.on_epoch(Run(), {"loss": 1.0})
    callback.on_end(Run())


def read_events(folder: Path) -> list[Any]:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = loader.EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars("test_loss")]


def test_tensorboard_shows_the_history_and_a_resumed_run_once(tmp_path):
    pytest.importorskip("tensorboard")
    folder, saved = tmp_path / "events", tmp_path / "run.safetensors"
    trained(epochs=2).save(saved)
    trained(TensorBoardLog(folder), epochs=3)
    run = trained(TensorBoardLog(folder), epochs=4, resume=saved)
    steps, values = zip(*read_events(folder))
    assert steps == (2, 4, 6, 8)
    np.testing.assert_allclose(values, [row["test_loss"] for row in run.history], rtol=1e-6)  # Stored in float32.


# Pictures.


def test_curves_are_drawn_as_a_whole_picture(tmp_path, monkeypatch):
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    def full(figure: Any, file: Any, **options: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    path = tmp_path / "new" / "curves.png"
    trained(PlotCurves(path, every=2))
    picture = imread(path)
    assert picture[..., :3].min() < 0.5, "something is drawn"
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"], "no temporary file is left"
    old = path.read_bytes()
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        plot_history([{"epoch": 1, "loss": 1.0}], path)
    assert path.read_bytes() == old


def test_pictures_take_a_small_part_of_the_time(tmp_path, monkeypatch):
    """Epochs of 1 s and pictures of 2 s: a picture when 40 s have passed for each one, and one at the end."""
    now, drawn = [0.0], []

    def draw(history: Any, path: Any) -> None:
        drawn.append(len(history))
        now[0] += 2.0

    monkeypatch.setattr("passus.training.callbacks.curves.monotonic", lambda: now[0])
    monkeypatch.setattr("passus.training.callbacks.curves.plot_history", draw)
    callback, run = PlotCurves(tmp_path / "curves.png"), SimpleNamespace(epoch=0, history=[])

    def train(epochs: int) -> None:
        callback.on_start(run)
        for _ in range(epochs):
            now[0] += 1.0
            run.epoch += 1
            run.history.append({"epoch": run.epoch})
            callback.on_epoch(run, run.history[-1])
        callback.on_end(run)

    train(100)
    assert drawn == [10, 78, 100]
    train(5)
    assert drawn[3:] == [105], "a second training measures anew"
    drawn.clear()
    callback.share = 1.0
    train(3)
    assert drawn == [107, 108]
    with pytest.raises(ArgumentError, match="share"):
        PlotCurves(tmp_path / "curves.png", share=1.5)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_history_of_ones_own_with_gaps_can_be_drawn(tmp_path, suffix):
    history = [{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 0.5, "test_top5": 0.1}, {"epoch": 3, "loss": 0.1}]
    plot_history(history, tmp_path / f"curves.{suffix}")
    assert (tmp_path / f"curves.{suffix}").stat().st_size > 1000


def test_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="nothing to draw"):
        plot_history([], tmp_path / "curves.png")
    with pytest.raises(ArgumentError, match="every"):
        PlotCurves(tmp_path / "curves.png", every=0)
    with pytest.raises(ArgumentError, match="suffixes png, svg, pdf"):
        PlotCurves(tmp_path / "curves.xyz")
    with pytest.raises(ArgumentError, match="no epoch"):
        plot_history([{"loss": 1.0}], tmp_path / "curves.png")


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


# Checkpoints.


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


def test_the_newest_and_the_best_checkpoints_are_kept(tmp_path):
    Run().go(Checkpoint(tmp_path, keep=2, monitor="test_loss"), 3.0, 1.0, 2.0, 4.0, math.nan)
    assert names(tmp_path) == ["best", "step-00000008", "step-00000010"]
    best = read_checkpoint(tmp_path / "best.safetensors")["parts"]["model"]
    np.testing.assert_array_equal(best["b"], [2.0])


def test_checkpoints_by_steps(tmp_path):
    Run().go(Checkpoint(tmp_path, every_epochs=None, every_steps=3, keep=10), 1.0, 1.0, 1.0, 1.0)
    assert names(tmp_path) == ["step-00000003", "step-00000006"]


def test_the_best_of_before_an_interruption_counts(tmp_path):
    trained(Checkpoint(tmp_path, monitor="loss"), epochs=2)
    checkpoint = Checkpoint(tmp_path, monitor="loss", mode="min")
    assert checkpoint.best is not None
    run = trained(checkpoint, epochs=2, resume=tmp_path / "step-00000004.safetensors")
    assert checkpoint.best.value == min(row["loss"] for row in run.history)


def test_what_a_killed_process_left_behind_is_removed(tmp_path):
    code = """
import os, signal, sys
import numpy as np
from passus.layers import Linear
from passus.training import CheckpointFolder
folder, model = CheckpointFolder(sys.argv[1]), Linear(1, in_size=2)
folder.save(1, model=model)
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
folder.save(2, model=model)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2, "the first, and half of the second"
    folder, model = CheckpointFolder(tmp_path), Linear(1)
    assert folder.resume(model=model)
    folder.save(2, model=model)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


STRAY = (
    "step-abc.safetensors",
    "step-.safetensors",
    "step-00000004 (1).safetensors",
    "step-00000004.safetensors.bak",
    "step--1.safetensors",
    "step-\u0663.safetensors",
    f"step-{'9' * 100}.safetensors",
    "old-step-00000009.safetensors",
    "notes.txt",
)


def test_files_with_other_names_are_no_checkpoints_and_stay(tmp_path):
    for name in STRAY:
        (tmp_path / name).write_text("mine")
    (tmp_path / "step-00000099.safetensors").mkdir()
    run = trained(Checkpoint(tmp_path, keep=2), epochs=4)
    assert [path.name for path in CheckpointFolder(tmp_path).paths()] == [
        "step-00000006.safetensors",
        "step-00000008.safetensors",
    ]
    resumed = trained(Checkpoint(tmp_path), epochs=5, resume=tmp_path / "step-00000008.safetensors")
    assert resumed.history[:4] == run.history
    assert all((tmp_path / name).read_text() == "mine" for name in STRAY)
    (tmp_path / "step-00000099.safetensors").rmdir()
    assert CheckpointFolder(tmp_path / "nowhere").paths() == CheckpointFolder(tmp_path / "notes.txt").paths() == []


def cut(content: bytes) -> bytes:
    return content[:-20]


def flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


DAMAGE = {"cut": cut, "flipped": flipped, "empty": lambda content: b"", "zeros": lambda content: bytes(len(content))}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_put_aside_and_the_one_before_it_gone_on_with(tmp_path, damage):
    whole = trained(epochs=6)
    trained(Checkpoint(tmp_path), epochs=4)
    for step in (6, 8):
        path = tmp_path / f"step-{step:08d}.safetensors"
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    checkpoint = Checkpoint(tmp_path)
    run = unfinished(checkpoint)
    with pytest.warns(PassusWarning, match=r"resumes from step-00000004\.safetensors.*\.damaged") as warned:
        assert checkpoint.resume(run)
    assert len(warned) == 2
    assert run.step == 4
    run.fit(6)
    assert run.history == whole.history
    assert [path.name for path in checkpoint.folder.paths()] == [f"step-{step:08d}.safetensors" for step in (8, 10, 12)]
    assert sorted(path.name for path in tmp_path.glob("*.damaged")) == [
        f"step-{step:08d}.safetensors.damaged" for step in (6, 8)
    ]


def unfinished(*callbacks: Callback) -> Trainer:
    """A run of `trained` that is not where its checkpoints are."""
    run = trained(epochs=1)
    run.callbacks = [*callbacks]
    return run


def test_if_all_checkpoints_are_damaged_nothing_is_gone_on_with(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    run = unfinished()
    before = run.model.state_dict()
    with pytest.raises(WeightsError, match="step-00000004"):
        Checkpoint(tmp_path).resume(run)
    np.testing.assert_equal(run.model.state_dict(), before)
    assert len(list(tmp_path.glob("step-*.safetensors"))) == 2


def test_a_checkpoint_of_another_model_is_not_damaged(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    with pytest.raises(WeightsError, match="holds model, optimizer, trainer, not model"):
        CheckpointFolder(tmp_path).resume(model=Linear(1, in_size=2))
    assert len(CheckpointFolder(tmp_path).paths()) == 2


@pytest.mark.parametrize(("log", "read"), LOGS)
def test_a_log_is_whole_whatever_happens_while_it_is_written(tmp_path, monkeypatch, log, read):
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
        assert read(path) == old, "the log of the run before, whole"
    callback.on_start(run)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            callback.on_epoch(run, {"epoch": 2, "loss": 0.5})
    assert read(path) == run.history
    callback.on_epoch(run, {"epoch": 2, "loss": 0.5})
    assert read(path) == [*run.history, {"epoch": 2, "loss": 0.5}]
    assert [file.name for file in tmp_path.iterdir()] == ["log.txt"]


def test_a_folder_of_another_run_is_refused(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    with pytest.raises(ArgumentError, match=r"step 4, but training is at step 0.*resume"):
        trained(Checkpoint(tmp_path))
    assert names(tmp_path) == ["step-00000002", "step-00000004"]


def test_a_folder_for_a_loop_of_ones_own(tmp_path):
    run, folder = Run(), CheckpointFolder(tmp_path / "new", keep=2)
    assert not folder.resume(**run.parts())
    for step in (9, 10, 100_000_000):  # Sorted by number, not by name.
        run.model.b.data = np.full_like(run.model.b.data, step)
        folder.save(step, **run.parts())
    assert [path.stem for path in folder.paths()] == ["step-00000010", "step-100000000"]
    other = Run()
    assert folder.resume(**other.parts())
    np.testing.assert_array_equal(other.model.b.data, run.model.b.data)


@pytest.mark.parametrize(
    "wrong",
    [{"every_epochs": 0}, {"every_steps": -1}, {"keep": 0}, {"monitor": "x", "mode": "up"}],
)
def test_a_checkpoint_that_makes_no_sense_is_refused(tmp_path, wrong):
    with pytest.raises(ArgumentError):
        Checkpoint(tmp_path, **wrong)


@pytest.mark.parametrize("log", [CSVLog, JSONLinesLog])
def test_a_log_is_no_folder(log, tmp_path):
    with pytest.raises(PathError, match="is a folder"):
        log(tmp_path).on_start(Run())
    with pytest.raises(DTypeError, match="not a path"):
        log(3)


@pytest.mark.parametrize("below", ["log.txt", "deeper/log.txt"])
@pytest.mark.parametrize("log", [CSVLog, JSONLinesLog])
def test_a_file_in_the_place_of_the_folder_is_named(log, below, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(PathError, match="a file of this name exists"):
        log(tmp_path / "run" / below).on_start(Run())


def test_a_file_in_the_place_of_checkpoints_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(PathError, match="a file of this name exists"):
        CheckpointFolder(tmp_path / "run").save(1, model=Linear(1, in_size=1))


def test_only_a_schedule_that_listens_is_reported_to():
    with pytest.raises(DTypeError, match="OnPlateau"):
        ReportPlateau(0.1)


# Numbers that get no better.


def test_stopping_early_with_the_best_weights():
    run, callback = Run(), EarlyStopping(patience=2)
    run.go(callback, 3.0, 1.0, 2.0, 1.0, 0.5)
    assert run.epoch == 4, "an equal value is no better"
    np.testing.assert_array_equal(run.model.b.data, [2.0])


def test_stopping_early_with_the_newest_weights_and_a_rising_number():
    run = Run()
    run.go(EarlyStopping(patience=1, min_delta=0.5, mode="max", restore_best=False), 1.0, 1.6, 2.0, 9.0)
    assert run.epoch == 3
    np.testing.assert_array_equal(run.model.b.data, [3.0])


def test_the_best_weights_come_back_when_the_epochs_run_out():
    run = Run()
    run.go(EarlyStopping(patience=9), 1.0, 2.0, math.nan)
    np.testing.assert_array_equal(run.model.b.data, [1.0])


def test_early_stopping_remembers_across_a_resume():
    first, second, run = EarlyStopping(patience=3), EarlyStopping(patience=3), Run()
    run.go(first, 1.0, 2.0, 3.0)
    second.load_state_dict(first.state_dict())
    run.go(second, 4.0, 0.0)
    assert run.epoch == 4
    np.testing.assert_array_equal(run.model.b.data, [1.0])


def test_early_stopping_takes_a_state_all_or_nothing():
    callback = EarlyStopping()
    before = callback.state_dict()
    with pytest.raises(WeightsError, match="missing: waited, weights"):
        callback.load_state_dict({"best": {"value": 1.0}})
    assert callback.state_dict() == before


def test_best():
    assert [Best("a").improves({"a": value}) for value in (math.nan, 1.0)] == [False, True]
    best = Best("a", "max", min_delta=1)
    assert [best.improves({"a": value}) for value in (1, 2, 2.5, math.inf, math.inf)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(ArgumentError, match="has loss, accuracy"):
        Best("test_loss").improves({"loss": 1.0, "accuracy": 0.5})
    with pytest.raises(WeightsError, match="missing: value"):
        best.load_state_dict({})
    with pytest.raises(ArgumentError, match="min_delta"):
        Best("a", min_delta=math.nan)
    with pytest.raises(ArgumentError, match="patience"):
        EarlyStopping(patience=0)


@pytest.mark.parametrize(("mode", "values"), [("min", (1.0, 2.0)), ("max", (2.0, 1.0))])
def test_the_learning_rate_falls_on_a_plateau(mode, values):
    schedule = OnPlateau(0.1, factor=0.5, patience=0)
    run = Run()
    run.optimizer = SGD(lr=schedule).setup(run.model)
    run.go(ReportPlateau(schedule, mode=mode), values[0])
    assert run.optimizer.lr == 0.1
    run.go(ReportPlateau(schedule, mode=mode), values[1])
    assert run.optimizer.lr == 0.05

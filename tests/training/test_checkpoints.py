"""Folders of checkpoints: which are written, which are deleted, and which one a run resumes from."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from passus.errors import ArgumentError, PassusWarning, PathError, WeightsError
from passus.layers import Linear
from passus.serializers import read_checkpoint
from passus.training import (
    Callback,
    Checkpoint,
    CheckpointFolder,
    Trainer,
)
from tests.training.loops import Run, trained


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


def test_the_newest_and_the_best_checkpoints_are_retained(tmp_path):
    Run().go(Checkpoint(tmp_path, keep=2, monitor="test_loss"), 3.0, 1.0, 2.0, 4.0, math.nan)
    assert names(tmp_path) == ["best", "step-00000008", "step-00000010"]
    best = read_checkpoint(tmp_path / "best.safetensors")["parts"]["model"]
    np.testing.assert_array_equal(best["b"], [2.0])


def test_checkpoints_are_saved_every_given_number_of_steps(tmp_path):
    Run().go(Checkpoint(tmp_path, every_epochs=None, every_steps=3, keep=10), 1.0, 1.0, 1.0, 1.0)
    assert names(tmp_path) == ["step-00000003", "step-00000006"]


def test_the_best_value_is_restored_on_resume(tmp_path):
    trained(Checkpoint(tmp_path, monitor="loss"), epochs=2)
    checkpoint = Checkpoint(tmp_path, monitor="loss", mode="min")
    assert checkpoint.best is not None
    run = trained(checkpoint, epochs=2, resume=tmp_path / "step-00000004.safetensors")
    assert checkpoint.best.value == min(row["loss"] for row in run.history)


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
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
    assert len(list(tmp_path.iterdir())) == 2, "the first file and a partial second one"
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


def test_files_with_other_names_are_ignored_and_not_deleted(tmp_path):
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
def test_damaged_checkpoints_are_renamed_and_the_one_before_is_resumed(tmp_path, damage):
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
    """A trainer of `trained` whose state differs from the saved checkpoints."""
    run = trained(epochs=1)
    run.callbacks = [*callbacks]
    return run


def test_if_all_checkpoints_are_damaged_resume_raises(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    run = unfinished()
    before = run.model.state_dict()
    with pytest.raises(WeightsError, match="step-00000004"):
        Checkpoint(tmp_path).resume(run)
    np.testing.assert_equal(run.model.state_dict(), before)
    assert len(list(tmp_path.glob("step-*.safetensors"))) == 2


def test_a_checkpoint_of_another_model_raises_and_is_not_renamed(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    with pytest.raises(WeightsError, match="holds model, optimizer, trainer, not model"):
        CheckpointFolder(tmp_path).resume(model=Linear(1, in_size=2))
    assert len(CheckpointFolder(tmp_path).paths()) == 2


def test_a_folder_of_another_run_is_rejected(tmp_path):
    trained(Checkpoint(tmp_path), epochs=2)
    with pytest.raises(ArgumentError, match=r"step 4, but training is at step 0.*resume"):
        trained(Checkpoint(tmp_path))
    assert names(tmp_path) == ["step-00000002", "step-00000004"]


def test_a_checkpoint_folder_serves_loops_without_a_trainer(tmp_path):
    run, folder = Run(), CheckpointFolder(tmp_path / "new", keep=2)
    assert not folder.resume(**run.components())
    for step in (9, 10, 100_000_000):  # Sorted by number, not by name.
        run.model.b.data = np.full_like(run.model.b.data, step)
        folder.save(step, **run.components())
    assert [path.stem for path in folder.paths()] == ["step-00000010", "step-100000000"]
    other = Run()
    assert folder.resume(**other.components())
    np.testing.assert_array_equal(other.model.b.data, run.model.b.data)


@pytest.mark.parametrize(
    "wrong",
    [{"every_epochs": 0}, {"every_steps": -1}, {"keep": 0}, {"monitor": "x", "mode": "up"}],
)
def test_invalid_arguments_of_checkpoint_raise(tmp_path, wrong):
    with pytest.raises(ArgumentError):
        Checkpoint(tmp_path, **wrong)


def test_a_file_at_the_path_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(PathError, match="a file of this name exists"):
        CheckpointFolder(tmp_path / "run").save(1, model=Linear(1, in_size=1))

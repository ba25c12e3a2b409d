"""Checkpoints in a folder: the newest few, and the best."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from passus.arguments import checked_count
from passus.errors import ArgumentError, MissingWeightsError, PassusWarning, WeightsError
from passus.files import FilePath, checked_path, made_folder, remove_abandoned
from passus.loading import Loading, Verified
from passus.serializers import read_checkpoint, save_checkpoint
from passus.serializers.checkpoint import take_checkpoint
from passus.training.callbacks.base import Callback, Row, Run
from passus.training.callbacks.best import Best, Mode
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Checkpoint", "CheckpointFolder"]

NAME = re.compile(r"step-([0-9]{1,18})\.safetensors")
"""The name of a checkpoint, with its step."""


class CheckpointFolder:
    """A folder with the newest ``keep`` checkpoints, for loops of one's own; `Checkpoint` uses it for a `Trainer`.

    >>> import tempfile
    >>> from passus.metrics import Mean
    >>> mean = Mean()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = CheckpointFolder(folder, keep=2)
    ...     for step in (10, 20, 30):
    ...         mean.update(step)
    ...         path = checkpoints.save(step, mean=mean)
    ...     names = [path.name for path in checkpoints.paths()]
    ...     mean.reset()
    ...     checkpoints.resume(mean=mean)
    True
    >>> names, mean.compute()
    (['step-00000020.safetensors', 'step-00000030.safetensors'], 20.0)
    """

    def __init__(self, folder: FilePath, keep: int = 3) -> None:
        self.folder = checked_path(folder)
        self.keep = checked_count("CheckpointFolder", "keep", keep)

    def paths(self) -> list[Path]:
        """The checkpoints that are there, oldest first; files with other names do not count."""
        if not self.folder.is_dir():
            return []
        return sorted(
            (path for path in self.folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()), key=_step_of
        )

    def check_step(self, step: int) -> None:
        """Raise `ArgumentError` if there is a checkpoint of a later step, with which new ones would be mixed."""
        newest = max(map(_step_of, self.paths()), default=0)
        if newest > checked_count("Checkpoint", "step", step, low=0):
            raise ArgumentError(
                f"Checkpoint: {self.folder} holds a checkpoint of step {newest}, but training is at step {step}; continue "
                "from it with resume, or choose another folder"
            )

    @property
    def best(self) -> Path:
        """Where the best checkpoint is, once there is one."""
        return self.folder / "best.safetensors"

    def save(self, step: int, **parts: Stateful) -> Path:
        """Write a checkpoint, whole or not at all, and then remove those that are too old; returns its path.

        What a process that was killed while it wrote has left behind is removed too, but nothing that another writes just now.

        Raises `ArgumentError` if the folder holds one of a later step: one of another run.
        """
        self.check_step(step)
        made_folder(self.folder)
        path = self.folder / f"step-{step:08d}.safetensors"
        save_checkpoint(path, metadata=None, **parts)
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        remove_abandoned(self.folder, NAME.pattern)
        return path

    def save_best(self, **parts: Stateful) -> None:
        """Write the best checkpoint in place of the one before."""
        made_folder(self.folder)
        save_checkpoint(self.best, metadata=None, **parts)

    def resume(self, **parts: Stateful) -> bool:
        """Load the newest checkpoint into the parts and the random generator; False if there is none yet.

        One that is damaged gets another name, with a `PassusWarning`, and the one before it is loaded. Raises `WeightsError`
        if all are damaged, or if one that is whole does not fit the parts.
        """
        paths = self.paths()
        damaged: dict[Path, WeightsError] = {}
        for path in reversed(paths):
            try:
                saved = read_checkpoint(path)
            except MissingWeightsError:
                continue  # Another process has removed it just now.
            except WeightsError as error:
                if not os.access(path, os.R_OK):
                    raise
                damaged[path] = error
                continue
            take_checkpoint(path, saved, parts)
            for other, reason in damaged.items():
                _put_aside(other, path, reason)
            return True
        if damaged:
            raise next(iter(damaged.values()))
        return False


class Resumable(Protocol):
    """What can be saved as a whole: a `Trainer`."""

    def parts(self) -> dict[str, Stateful]:
        """All that a checkpoint needs, by name."""


class Checkpoint(Verified, Callback):
    """Save everything that is needed to go on, bit for bit, into a folder; also when Ctrl-C is pressed or SIGTERM arrives.

    ``every_epochs``, ``every_steps``: how often; both None for these two alone. ``keep``: how many of the newest stay.
    ``monitor``: also keep the best epoch by this number of the history, in ``best.safetensors``; ``mode``: see `Best`.

    A script that begins with ``checkpoint.resume(trainer)`` goes on where it was interrupted, or begins.

    Raises `ArgumentError` if the folder holds a checkpoint from later than the training: one of another run.
    """

    last: ClassVar[bool] = True

    def __init__(
        self,
        folder: FilePath,
        every_epochs: int | None = 1,
        every_steps: int | None = None,
        keep: int = 3,
        monitor: str | None = None,
        mode: Mode | None = None,
    ) -> None:
        self.folder = CheckpointFolder(folder, keep)
        self.every_epochs = _every("every_epochs", every_epochs)
        self.every_steps = _every("every_steps", every_steps)
        self.best = None if monitor is None else Best(monitor, mode)

    def resume(self, run: Resumable) -> bool:
        """Load the newest checkpoint that is whole; False if there is none yet. See `CheckpointFolder.resume`."""
        return self.folder.resume(**run.parts())

    def on_start(self, run: Run) -> None:
        """Refuse a folder of another run, whose checkpoints would be mixed with the new ones."""
        self.folder.check_step(run.step)

    def on_step(self, run: Run) -> None:
        """Save, if it is time to."""
        if self.every_steps is not None and run.step % self.every_steps == 0:
            self._save(run)

    def on_epoch(self, run: Run, row: Row) -> None:
        """Save, if it is time to, and the best."""
        improved = self.best is not None and self.best.improves(row)
        if self.every_epochs is not None and run.epoch % self.every_epochs == 0:
            self._save(run)
        if improved:
            self.folder.save_best(**run.parts())

    def on_interrupt(self, run: Run) -> None:
        """Save what would be lost."""
        self._save(run)

    def state_dict(self) -> Tree:
        """The best value so far."""
        return {} if self.best is None else self.best.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first."""
        check_tree("Checkpoint.load_state_dict", state)
        if self.best is not None:
            self.best.verify_state(state, loading)

    def _save(self, run: Run) -> None:
        self.folder.save(run.step, **run.parts())


def _every(name: str, value: Any) -> int | None:
    return None if value is None else checked_count("Checkpoint", name, value)


def _put_aside(damaged: Path, loaded: Path, error: WeightsError) -> None:
    """Rename a checkpoint, so that the training that goes on from an older one can save what comes after that."""
    aside = damaged.with_name(f"{damaged.name}.damaged")
    with suppress(FileNotFoundError):  # Another process was quicker, or has removed it.
        damaged.replace(aside)
    warnings.warn(
        f"Checkpoint: the newest checkpoint is damaged, so training resumes from {loaded.name}. The other was renamed to {aside}; "
        f"delete it if you do not need it ({error})",
        PassusWarning,
        stacklevel=4,
    )


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))

"""Checkpoints in a folder: the latest ones, and the best."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from passus.arguments import checked_count
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, MissingWeightsError, PassusWarning, WeightsError, kind_of
from passus.files import FilePath, checked_path, ensured_folder, remove_abandoned
from passus.loading import Loading, Verified
from passus.serializers import read_checkpoint, save_checkpoint
from passus.serializers.checkpoint import apply_checkpoint
from passus.training.callbacks.base import Callback, Row, Run
from passus.training.callbacks.best import Best, Mode
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Checkpoint", "CheckpointFolder"]

NAME = re.compile(r"step-([0-9]{1,18})\.safetensors")
"""The file name of a checkpoint, with its step."""


class CheckpointFolder(ShowsOptions):
    """A folder with the latest ``keep`` checkpoints, for custom loops; `Checkpoint` uses it for a `Trainer`.

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
        """The checkpoints in the folder, oldest first; files with other names are ignored."""
        if not self.folder.is_dir():
            return []
        return sorted(
            (path for path in self.folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()), key=_step_of
        )

    def check_step(self, step: int) -> None:
        """Raise `ArgumentError` if there is a checkpoint of a later step, which belongs to another run."""
        newest = max(map(_step_of, self.paths()), default=0)
        if newest > checked_count("Checkpoint", "step", step, low=0):
            raise ArgumentError(
                f"Checkpoint: {self.folder} holds a checkpoint of step {newest}, but training is at step {step}; "
                "continue "
                "from it with resume, or choose another folder"
            )

    @property
    def best(self) -> Path:
        """The path of the best checkpoint."""
        return self.folder / "best.safetensors"

    def save(self, step: int, **parts: Stateful) -> Path:
        """Write a checkpoint atomically, remove the oldest ones, and return its path.

        Temporary files of killed processes are removed as well, but not those of a running process.

        Raises `ArgumentError` if the folder holds a checkpoint of a later step, which belongs to another run.
        """
        self.check_step(step)
        ensured_folder(self.folder)
        path = self.folder / f"step-{step:08d}.safetensors"
        save_checkpoint(path, metadata=None, **parts)
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        remove_abandoned(self.folder, NAME.pattern)
        return path

    def save_best(self, **parts: Stateful) -> None:
        """Write the best checkpoint, and replace the previous one."""
        ensured_folder(self.folder)
        save_checkpoint(self.best, metadata=None, **parts)

    def resume(self, **parts: Stateful) -> bool:
        """Load the latest checkpoint into the given objects and the random generator; return False if there is none.

        A damaged checkpoint is renamed with a `PassusWarning`, and the one before it is loaded. Raises `WeightsError`
        if all are damaged, or if an intact one does not fit the objects.
        """
        paths = self.paths()
        damaged: dict[Path, WeightsError] = {}
        for path in reversed(paths):
            try:
                saved = read_checkpoint(path)
            except MissingWeightsError:
                continue  # Another process has just removed it.
            except WeightsError as error:
                if not os.access(path, os.R_OK):
                    raise
                damaged[path] = error
                continue
            apply_checkpoint(path, saved, parts)
            for other, reason in damaged.items():
                _rename_damaged(other, path, reason)
            return True
        if damaged:
            raise next(iter(damaged.values()))
        return False


class Resumable(Protocol):
    """An object that names the components of its checkpoint: a `Trainer`."""

    def components(self) -> dict[str, Stateful]:
        """The components of a checkpoint by name."""


class Checkpoint(Verified, Callback):
    """Save checkpoints into a folder, from which a training resumes bit for bit; also on Ctrl-C and SIGTERM.

    ``every_epochs``, ``every_steps``: the intervals; if both are None, only Ctrl-C and SIGTERM save. ``keep``: the
    number of latest checkpoints to keep. ``monitor``: also keep the best epoch by this number of the history, in
    ``best.safetensors``; ``mode``: see `Best`.

    A script that starts with ``checkpoint.resume(trainer)`` continues an interrupted run, or starts a new one.

    Raises `ArgumentError` if the folder holds a checkpoint of a later step, which belongs to another run.
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
        """Load the latest intact checkpoint; return False if there is none. See `CheckpointFolder.resume`."""
        if not hasattr(run, "components"):
            raise DTypeError(
                f"Checkpoint.resume: {kind_of(run)} is not a Trainer; write resume(trainer), or "
                "load_checkpoint(path, model=model) for single objects"
            )
        return self.folder.resume(**run.components())

    def on_start(self, run: Run) -> None:
        """Refuse a folder with checkpoints of another run."""
        self.folder.check_step(run.step)

    def on_step(self, run: Run) -> None:
        """Save at the interval ``every_steps``."""
        if self.every_steps is not None and run.step % self.every_steps == 0:
            self._save(run)

    def on_epoch(self, run: Run, row: Row) -> None:
        """Save at the interval ``every_epochs``, and save the best epoch."""
        improved = self.best is not None and self.best.improves(row)
        if self.every_epochs is not None and run.epoch % self.every_epochs == 0:
            self._save(run)
        if improved:
            self.folder.save_best(**run.components())

    def on_interrupt(self, run: Run) -> None:
        """Save the current state."""
        self._save(run)

    def state_dict(self) -> Tree:
        """The best value so far."""
        return {} if self.best is None else self.best.state_dict()

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`."""
        check_tree("Checkpoint.load_state_dict", state)
        if self.best is not None:
            self.best.verify_state(state, loading)

    def _save(self, run: Run) -> None:
        self.folder.save(run.step, **run.components())


def _every(name: str, value: Any) -> int | None:
    return None if value is None else checked_count("Checkpoint", name, value)


def _rename_damaged(damaged: Path, loaded: Path, error: WeightsError) -> None:
    """Rename a damaged checkpoint, so that a training resumed from an older one can save later steps."""
    aside = damaged.with_name(f"{damaged.name}.damaged")
    with suppress(FileNotFoundError):  # Another process has renamed or removed it.
        damaged.replace(aside)
    warnings.warn(
        f"Checkpoint: the latest checkpoint is damaged, so training resumes from {loaded.name}. The other was renamed "
        f"to {aside}; "
        f"delete it if you do not need it ({error})",
        PassusWarning,
        stacklevel=4,
    )


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))

"""The history as event files for TensorBoard, written with the package tensorboard."""

from __future__ import annotations

import time
from typing import Any

from passus.errors import ArgumentError
from passus.files import FilePath, checked_path
from passus.optional import import_optional
from passus.training.callbacks.base import Callback, Row, Run

__all__ = ["TensorBoardLog"]


class TensorBoardLog(Callback):
    """Log each number of the history over the steps; view the logs with ``tensorboard --logdir FOLDER``.

    A resumed run continues in a separate file; later steps of the interrupted run are not shown.

    Raises `DependencyError` if the package tensorboard is not installed.
    """

    def __init__(self, folder: FilePath) -> None:
        self.folder = str(checked_path(folder))
        self._event = _protocol("event_pb2")
        self._summary = _protocol("summary_pb2").Summary
        self._writer: Any = None

    def on_start(self, run: Run) -> None:
        """Open a new event file."""
        module = import_optional("tensorboard.summary.writer.event_file_writer", "tensorboard", "TensorBoardLog")
        self._writer = module.EventFileWriter(self.folder)
        if run.step:
            # TensorBoard then drops later steps.
            self._add(run.step + 1, session_log=self._event.SessionLog(status=self._event.SessionLog.START))

    def on_epoch(self, run: Run, row: Row) -> None:
        """Write the numbers of a row."""
        if self._writer is None:
            raise ArgumentError(f"TensorBoardLog: {self.folder} is not open; call on_start(run) first")
        numbers = {name: value for name, value in row.items() if name not in ("epoch", "step")}
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._add(run.step, summary=self._summary(value=values))
        self._writer.flush()

    def on_end(self, run: Run) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, step: int, **content: Any) -> None:
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=step, **content))


def _protocol(name: str) -> Any:
    return import_optional(f"tensorboard.compat.proto.{name}", "tensorboard", "TensorBoardLog")

"""The history as a text file, a line for each epoch, complete at every moment."""

from __future__ import annotations

import csv
import json
import math
from typing import TextIO

from passus.errors import ArgumentError, PathError
from passus.files import FilePath, checked_path, made_folder
from passus.training.callbacks.base import Callback, Row, Run

__all__ = ["CSVLog", "JSONLinesLog"]


class _Log(Callback):
    """A file that starts with the history so far, so that after a resume no epoch is missing or there twice."""

    def __init__(self, path: FilePath) -> None:
        self.path = checked_path(path)
        self._file: TextIO | None = None

    def on_start(self, run: Run) -> None:
        if self.path.is_dir():
            raise PathError(f"{type(self).__name__}: {self.path} is a folder; name a file in it")
        made_folder(self.path.parent)
        self._file = self.path.open("w", encoding="utf-8", newline="")
        for row in run.history:
            self._write(self._file, row)
        self._file.flush()

    def on_epoch(self, run: Run, row: Row) -> None:
        if self._file is None:
            raise ArgumentError(f"{type(self).__name__}: {self.path} is not open; call on_start(run) first")
        self._write(self._file, row)
        self._file.flush()

    def on_end(self, run: Run) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, file: TextIO, row: Row) -> None:
        raise NotImplementedError


class CSVLog(_Log):
    """A table ``path`` with a header and a row for each epoch; the folder is created.

    A new run begins a new file, a resumed one goes on with it.

    Raises `ArgumentError` if the columns change on the way, `PathError` for a folder, or a file in the place of one.
    """

    _columns: list[str] | None = None

    def on_start(self, run: Run) -> None:
        """Open the file, with the header and the epochs before."""
        self._columns = None
        super().on_start(run)

    def _write(self, file: TextIO, row: Row) -> None:
        writer = csv.writer(file, lineterminator="\n")
        if self._columns is None:
            self._columns = list(row)
            writer.writerow(self._columns)
        if list(row) != self._columns:
            raise ArgumentError(
                f"CSVLog: {self.path} has the columns {', '.join(self._columns)}, and the new row {', '.join(row)}; a "
                "JSONLinesLog takes rows of any kind"
            )
        writer.writerow(row.values())


class JSONLinesLog(_Log):
    """A file ``path`` with a JSON object on each line, one for each epoch; a NaN or an infinity is null.

    A new run begins a new file, a resumed one goes on with it. Raises `PathError` for a folder, or a file in the
    place of one.
    """

    def _write(self, file: TextIO, row: Row) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
        file.write(json.dumps(finite) + "\n")

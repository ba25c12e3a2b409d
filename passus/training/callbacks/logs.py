"""The history as a text file with a line for each epoch, replaced atomically."""

from __future__ import annotations

import csv
import json
import math
from io import StringIO

from passus.errors import ArgumentError, PathError
from passus.files import FilePath, checked_path, ensured_folder, replacing
from passus.training.callbacks.base import Callback, Row, Run

__all__ = ["CSVLog", "JSONLinesLog"]


class _Log(Callback):
    """A file that starts with the history so far, so that after a resume each epoch is in it once.

    It is replaced atomically after each epoch, so that it always holds complete rows.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = checked_path(path)
        self._rows: list[Row] | None = None

    def on_start(self, run: Run) -> None:
        """Write the earlier epochs."""
        if self.path.is_dir():
            raise PathError(f"{type(self).__name__}: {self.path} is a folder; name a file in it")
        ensured_folder(self.path.parent)
        self._write([*run.history])

    def on_epoch(self, run: Run, row: Row) -> None:
        """Add a row."""
        if self._rows is None:
            raise ArgumentError(f"{type(self).__name__}: {self.path} is not open; call on_start(run) first")
        self._write([*self._rows, row])

    def on_end(self, run: Run) -> None:
        """Release the rows."""
        self._rows = None

    def _write(self, rows: list[Row]) -> None:
        text = self._text(rows)
        with replacing(self.path) as file:
            file.write(text.encode())
        self._rows = rows

    def _text(self, rows: list[Row]) -> str:
        """The content of the file."""
        raise NotImplementedError


class CSVLog(_Log):
    """Write the history to the CSV file ``path``, with a header and a row for each epoch; the folder is created.

    A new run starts a new file; a resumed run continues it.

    Raises `ArgumentError` if the columns change, `PathError` if ``path`` is a folder, or its parent is a file.
    """

    def _text(self, rows: list[Row]) -> str:
        text = StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        columns = list(rows[0]) if rows else []
        if rows:
            writer.writerow(columns)
        for row in rows:
            if list(row) != columns:
                raise ArgumentError(
                    f"CSVLog: {self.path} has the columns {', '.join(columns)}, but the new row has {', '.join(row)}; "
                    "use "
                    "JSONLinesLog for rows of any kind"
                )
            writer.writerow(row.values())
        return text.getvalue()


class JSONLinesLog(_Log):
    """Write the history to the file ``path``, with a JSON object for each epoch on a line; NaN and infinity are null.

    A new run starts a new file; a resumed run continues it. Raises `PathError` if ``path`` is a folder, or its parent
    is a file.
    """

    def _text(self, rows: list[Row]) -> str:
        finite = ({name: value if math.isfinite(value) else None for name, value in row.items()} for row in rows)
        return "".join(f"{json.dumps(row)}\n" for row in finite)

"""What holds for every file of weights, whatever its format."""

from __future__ import annotations

import os
from pathlib import Path

from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath, checked_path

__all__ = ["check_readable"]


def check_readable(path: FilePath) -> None:
    """Raise `MissingWeightsError` (a `FileNotFoundError`) or, for a folder, `WeightsError`, with the path."""
    if checked_path(path).is_dir():
        raise WeightsError(f"{os.fspath(path)}: this is a folder; name a file in it")
    if not Path(path).exists():
        raise MissingWeightsError(
            f"{os.fspath(path)}: there is no such file; look at the path, or write the file first"
        )

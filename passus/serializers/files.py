"""What holds for every file of weights, whatever its format."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from passus.errors import WeightsError
from passus.files import FilePath as FilePath
from passus.files import replacing as replacing

__all__ = ["FilePath", "check_readable", "replacing"]


def check_readable(path: FilePath) -> None:
    """Raise `FileNotFoundError` or, for a folder, `WeightsError`, with the path."""
    if Path(path).is_dir():
        raise WeightsError(f"{os.fspath(path)}: this is a folder; name a file in it")
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, "No such file", os.fspath(path))

"""A text corpus that needs no download."""

from __future__ import annotations

import sysconfig
import tokenize
from pathlib import Path
from zlib import crc32

from passus.arguments import checked_flag
from passus.errors import DataError

__all__ = ["standard_library"]

EXCLUDED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings", "pydoc_data"}
"""Folders of other packages, tests and tables."""

HELD_OUT = 20
"""One file in ``HELD_OUT`` is held out."""


def standard_library(train: bool = True) -> str:
    """The source code of Python's standard library, about 10 million characters; ``train=False``: the held-out twentieth.

    Whole files are held out by a checksum of their paths, so a file is in the same split on every machine. Files are sorted
    by path; tests and encoding tables are excluded. The text depends on the version of Python.

    Raises `DataError` if the interpreter is installed without source code, as in some frozen programs.

    >>> "def choose_boundary" in standard_library(train=False)
    False
    """
    train = checked_flag("standard_library", "train", train)
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    selected = [
        root / path
        for path in paths
        if EXCLUDED.isdisjoint(path.split("/")) and (crc32(path.encode()) % HELD_OUT > 0) == train
    ]
    if not selected:
        raise DataError(f"standard_library: no source code in {root}; use another text")
    return "".join(map(_read, selected))


def _read(path: Path) -> str:
    try:
        with tokenize.open(path) as file:  # Honours the encoding declared in the first lines.
            return file.read()
    except (OSError, SyntaxError, UnicodeError) as error:
        raise DataError(f"standard_library: {path} cannot be read ({error})") from error

"""Writing a file so that at every moment either the old one is there or the new one, whole."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from passus.errors import WeightsError

__all__ = ["FilePath", "check_readable", "replacing"]

FilePath: TypeAlias = str | os.PathLike[str]


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the place of ``path`` when the block ends without an error.

    It is written under another name in the same folder, forced to the disk, and then renamed. After an error it is
    removed and the old file is as it was. A symbolic link stays one: the file that it points to is replaced.

    Raises `FileNotFoundError` if there is no such folder, `WeightsError` if ``path`` is itself one.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder to write into; create it first", str(target.parent))
    if target.is_dir():
        raise WeightsError(f"{target}: this is a folder; name a file in it")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def check_readable(path: FilePath) -> None:
    """Raise `FileNotFoundError` or, for a folder, `WeightsError`, with the path."""
    if Path(path).is_dir():
        raise WeightsError(f"{os.fspath(path)}: this is a folder; name a file in it")
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, "No such file", os.fspath(path))


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk as well, on systems where a folder can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

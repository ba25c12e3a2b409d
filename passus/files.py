"""Files: writing them so that at every moment either the old one is there or the new one, whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from passus.errors import DTypeError, PathError

__all__ = ["FilePath", "checked_path", "made_folder", "replacing"]

FilePath: TypeAlias = str | os.PathLike[str]


def checked_path(path: FilePath) -> Path:
    """``path`` as an object. Raises `DTypeError` for what is neither a string nor a path.

    >>> checked_path("weights.npz").suffix
    '.npz'
    """
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(f"a {type(path).__name__} ({path!r}) is no path; give a string or a pathlib.Path")
    return Path(path)


def made_folder(path: Path) -> Path:
    """The folder itself, created with those above it. Raises `PathError` where a file is in its way.

    >>> made_folder(Path()).is_dir()
    True
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise PathError(f"{path}: this cannot be a folder, for there is a file in its place; choose another") from None
    return path


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the place of ``path`` when the block ends without an error.

    It is written under another name in the same folder, forced to the disk, and then renamed. After an error it is
    removed and the old file is as it was. A symbolic link stays one: the file that it points to is replaced.

    Raises `PathError` if there is no such folder, or if ``path`` is itself one.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new.txt"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(checked_path(path)))
    if target.is_dir():
        raise PathError(f"{target}: this is a folder; name a file in it")
    if not target.parent.is_dir():
        raise PathError(f"{target}: there is no such folder to write into; create it first: {target.parent}")
    part = target.with_name(f".{target.name}.{secrets.token_hex(16)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk as well, where the system lets a folder be opened and forced."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Atomic file writes: at every moment, either the complete old file exists or the complete new one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeAlias

from passus.errors import ArgumentError, DTypeError, PassusError, PathError, kind_of

if sys.platform != "win32":
    import fcntl

__all__ = ["FilePath", "checked_file", "checked_path", "ensured_folder", "remove_abandoned", "replacing"]

FilePath: TypeAlias = str | os.PathLike[str]

PART_PREFIX = 100
"""Number of characters of a file's name in that of its temporary file, which must not exceed the limit of the system."""


def checked_path(path: FilePath) -> Path:
    """``path`` as a `pathlib.Path`. Raises `DTypeError` for other types than strings and paths, `ArgumentError` for characters
    that file names cannot have.

    >>> checked_path("weights.npz").suffix
    '.npz'
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise DTypeError(f"{kind_of(path)} ({path!r}) is not a path; give a string or a pathlib.Path")
    name = os.fspath(path)
    try:
        possible = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ArgumentError(f"{name[:80]!r} is not a valid path: it contains a character that file names cannot have")
    return Path(path)


def checked_file(path: FilePath, missing: type[PassusError], wrong: type[PassusError]) -> Path:
    """The path of an existing regular file, not a folder, pipe or device.

    Raises the error ``missing`` for a missing file, ``wrong`` for other problems.

    >>> from passus.errors import MissingWeightsError, WeightsError
    >>> checked_file("never-saved.npz", MissingWeightsError, WeightsError)
    Traceback (most recent call last):
        ...
    passus.errors.MissingWeightsError: never-saved.npz: no such file; check the path
    """
    known = checked_path(path)
    try:
        mode = known.stat().st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise wrong(f"{known}: cannot be accessed ({error.strerror})") from error
        raise missing(f"{_shortened(known)}: no such file; check the path") from None
    if stat.S_ISDIR(mode):
        raise wrong(f"{known}: this is a folder; give the path of a file in it")
    if not stat.S_ISREG(mode):
        raise wrong(f"{known}: this is a pipe or a device, not a file; copy its content into a file first")
    return known


def ensured_folder(path: Path) -> Path:
    """Create a folder and its parents if necessary, sync them to disk, and return the path.

    Raises `PathError` if a file of this name exists.

    >>> ensured_folder(Path()).is_dir()
    True
    """
    absent = []
    folder = path.absolute()
    while not _exists(folder):
        absent.append(folder)
        folder = folder.parent
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise PathError(f"{path}: cannot create this folder, because a file of this name exists") from None
    for new in reversed(absent):
        _sync_folder(new.parent)
    return path


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A new file, open for writing, that replaces ``path`` when the block ends without an error.

    It is written under a temporary name in the same folder, synced to disk, and renamed; it gets the owner and permissions
    of the old file. After an error it is removed and the old file is unchanged. Temporary files of killed processes are
    removed. A symbolic link is preserved: its target is replaced.

    Raises `PathError` if the folder does not exist, or if ``path`` is not a regular file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new.txt"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(checked_path(path)))
    old = _checked_target(target)
    remove_abandoned(target.parent, re.escape(target.name[:PART_PREFIX]))
    part, file = _new_part(target)
    try:
        with file:
            if old is not None:
                _copy_permissions(part, old)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # Windows cannot rename open files; elsewhere the lock is held until the rename.
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def remove_abandoned(folder: Path, names: str) -> None:
    """Remove the temporary files of killed processes; ``names``: a pattern of their final names.

    Files that are still being written are locked, and not removed.

    >>> import tempfile
    >>> remove_abandoned(Path(tempfile.mkdtemp()), "run")
    """
    pattern = re.compile(rf"\.{names}\.[0-9a-f]{{32}}\.part")
    with suppress(OSError), os.scandir(folder) as entries:
        parts = [Path(e) for e in entries if pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
        for part in parts:
            with suppress(OSError):  # Another owner, or a file that is being written; leftovers are harmless.
                _remove_if_abandoned(part)


def _checked_target(target: Path) -> os.stat_result | None:
    """The status of the file that will be replaced, or None if there is none."""
    if not _exists(target.parent) or not target.parent.is_dir():
        raise PathError(f"{_shortened(target)}: no such folder; create it first: {_shortened(target.parent)}")
    try:
        old = target.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PathError(f"{_shortened(target)}: cannot be written: {error.strerror}") from error
    if stat.S_ISDIR(old.st_mode):
        raise PathError(f"{target}: this is a folder; give the path of a file in it")
    if not stat.S_ISREG(old.st_mode):
        raise PathError(f"{target}: this is a pipe or a device, which cannot be replaced; name a file")
    return old


def _new_part(target: Path) -> tuple[Path, BinaryIO]:
    """Create a temporary file beside ``target``, locked while it is open."""
    while True:
        part = target.with_name(f".{target.name[:PART_PREFIX]}.{secrets.token_hex(16)}.part")
        file = part.open("xb")
        with suppress(OSError):  # File systems without locks: `remove_abandoned` leaves their files.
            _lock(file, wait=True)
        if part.exists():
            return part, file
        file.close()  # Another process removed it before it was locked.


def _remove_if_abandoned(part: Path) -> None:
    if sys.platform == "win32":
        part.unlink()  # Impossible while it is open.
        return
    with part.open("rb") as file:
        _lock(file, wait=False)
        part.unlink()


def _lock(file: BinaryIO, wait: bool) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _copy_permissions(part: Path, old: os.stat_result) -> None:
    """Copy owner, group and permissions from the old file, as far as the process is allowed to."""
    if hasattr(os, "chown"):
        for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
            with suppress(OSError):
                os.chown(part, owner, group)
    with suppress(OSError):
        part.chmod(stat.S_IMODE(old.st_mode))


def _exists(path: Path) -> bool:
    """Whether the path exists; False for a name that is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-40:]}"


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

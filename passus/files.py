"""Files: writing them so that at every moment either the old one is there or the new one, whole."""

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

__all__ = ["FilePath", "check_file_is_there", "checked_path", "made_folder", "remove_abandoned", "replacing"]

FilePath: TypeAlias = str | os.PathLike[str]

PREFIX = 100
"""How much of a file's name its unfinished copy bears: with the rest, the name would be too long for some."""


def checked_path(path: FilePath) -> Path:
    """``path`` as an object. Raises `DTypeError` for what is neither a string nor a path, `ArgumentError` for a name that
    no file can have.

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


def check_file_is_there(path: FilePath, missing: type[PassusError], wrong: type[PassusError]) -> Path:
    """The path of a file that can be read to its end: no folder, no pipe and no device.

    Raises the error ``missing`` if there is no such file, ``wrong`` for anything else.

    >>> from passus.errors import MissingWeightsError, WeightsError
    >>> check_file_is_there("never-saved.npz", MissingWeightsError, WeightsError)
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


def made_folder(path: Path) -> Path:
    """The folder itself, created with those above it, all of them forced to the disk.

    Raises `PathError` where a file is in its way.

    >>> made_folder(Path()).is_dir()
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
        raise PathError(f"{path}: this cannot be a folder, for there is a file in its place; choose another") from None
    for new in reversed(absent):
        _sync_folder(new.parent)
    return path


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the place of ``path`` when the block ends without an error.

    It is written under another name in the same folder, forced to the disk, and then renamed; it has the owner and the
    permissions of the old one. After an error it is removed and the old file is as it was. What processes that were
    killed here have left behind is removed. A symbolic link stays one: the file that it points to is replaced.

    Raises `PathError` if there is no such folder, or if ``path`` is itself one, or no file at all.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new.txt"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(checked_path(path)))
    old = _checked_target(target)
    remove_abandoned(target.parent, re.escape(target.name[:PREFIX]))
    part, file = _new_part(target)
    try:
        with file:
            if old is not None:
                _keep_owner(part, old)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":
                file.close()  # Windows renames no file that is open; elsewhere it must be locked until it has its name.
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def remove_abandoned(folder: Path, names: str) -> None:
    """Remove the unfinished files of processes that were killed; ``names``: a pattern of the names they were to get.

    A file that somebody is still writing is locked, and stays.

    >>> import tempfile
    >>> remove_abandoned(Path(tempfile.mkdtemp()), "run")
    """
    pattern = re.compile(rf"\.{names}\.[0-9a-f]{{32}}\.part")
    with suppress(OSError), os.scandir(folder) as entries:
        parts = [Path(e) for e in entries if pattern.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
        for part in parts:
            with suppress(OSError):  # Another owner, a file that is being written: what is left behind does no harm.
                _remove_if_abandoned(part)


def _checked_target(target: Path) -> os.stat_result | None:
    """What is to be replaced, if there is something."""
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
    """A new file beside ``target``, locked for as long as it is open."""
    while True:
        part = target.with_name(f".{target.name[:PREFIX]}.{secrets.token_hex(16)}.part")
        file = part.open("xb")
        with suppress(OSError):  # Not every file system has locks; one without keeps what was left behind.
            _lock(file, wait=True)
        if part.exists():
            return part, file
        file.close()  # Somebody who was cleaning up found it before it was locked.


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


def _keep_owner(part: Path, old: os.stat_result) -> None:
    """Give a new file the owner, the group and the permissions of the old one, as far as we may."""
    if hasattr(os, "chown"):
        for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
            with suppress(OSError):
                os.chown(part, owner, group)
    with suppress(OSError):
        part.chmod(stat.S_IMODE(old.st_mode))


def _exists(path: Path) -> bool:
    """Whether there is something; a name that is too long is none."""
    try:
        return path.exists()
    except OSError:
        return False


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-40:]}"


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk as well, where the system lets a folder be opened and forced."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

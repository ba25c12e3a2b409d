"""Downloads into a cache folder: a file appears there complete and with a verified checksum, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from passus.arguments import checked_count, checked_number
from passus.datasets.transfer import TransferError, fetched
from passus.errors import ArgumentError, DataError, DTypeError, kind_of
from passus.files import checked_file, checked_path, ensured_folder, replacing
from passus.optional import import_optional

__all__ = ["cache_folder", "check_file", "damaged", "get_file", "show_progress"]

SCHEMES = ("http://", "https://")
MAX_NAME_BYTES = 255
"""The longest file name that common file systems allow, in bytes."""
TIMEOUT = 30.0
"""Seconds without data after which a download is aborted."""
DEADLINE = 3600.0
"""Seconds after which a download is aborted."""
MAX_SIZE = 4 << 30
"""The default limit of a download, in bytes."""


def cache_folder() -> Path:
    """The folder of downloads: the environment variable ``PASSUS_CACHE``, or ``~/.cache/passus``.

    A user without a home folder, as in some containers, has a folder in that for temporary files.

    >>> cache_folder().is_absolute()
    True
    """
    try:
        return Path(os.environ.get("PASSUS_CACHE") or "~/.cache/passus").expanduser().absolute()
    except RuntimeError:  # There is no home folder.
        user = os.getuid() if hasattr(os, "getuid") else "cache"  # Windows has no numbers of users.
        return Path(tempfile.gettempdir()) / f"passus-{user}"


def get_file(
    url: str,
    file_name: str | None = None,
    *,
    checksum: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    deadline: float = DEADLINE,
    max_size: int = MAX_SIZE,
) -> Path:
    """The path of a file in the cache folder; a missing file is downloaded first.

    ``checksum``: md5 (32 hexadecimal digits) or sha256 (64) of the file, verified on every call. The file is renamed into
    place once it is complete, so an interrupted download leaves nothing behind, and several processes may download the
    same file at once. ``deadline``: maximum duration of the download in seconds; ``max_size``: maximum size in bytes.

    Raises `DataError` if the download fails, takes too long, is too large, is redirected to anything but ``http(s)://``,
    or if the checksum differs; `ArgumentError` for a name that contains a folder, and for any scheme but ``http(s)://``.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "here.txt").write_text("cached")
    >>> get_file("https://example.org/here.txt", folder=folder).read_text()
    'cached'
    """
    if not isinstance(url, str):
        raise DTypeError(f"get_file: {kind_of(url)} is not a URL; give a string")
    if not url.startswith(SCHEMES):
        raise ArgumentError(f"get_file: {url!r} is not supported; give a URL that starts with http:// or https://")
    limits = (
        checked_number("get_file", "deadline", deadline, open_low=True),
        checked_count("get_file", "max_size", max_size),
    )
    name = url.rpartition("/")[2] if file_name is None else file_name
    if (
        not isinstance(name, str)
        or name in ("", "..")
        or Path(name).name != name
        or len(os.fsencode(name)) > MAX_NAME_BYTES
    ):
        raise ArgumentError(f"get_file: {name!r} is not a valid file name; pass file_name, without a folder")
    path = checked_path((cache_folder() if folder is None else Path(folder)) / name)
    if os.path.lexists(path):
        check_file(path, checksum)
    else:
        _download(url, path, checksum, *limits)
    return path


def check_file(path: Path, checksum: str | None) -> None:
    """Raise `DataError` if the path is not a file, or if its checksum differs.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> check_file(path, "d41d8cd98f00b204e9800998ecf8427e")
    """
    checked_file(path, DataError, DataError)
    if checksum is not None:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, lambda: _digest(checksum)).hexdigest()
        _compare(path, actual, checksum, "delete the file to download it again")


def damaged(path: Path, what: str) -> DataError:
    """The error for a downloaded file that cannot be used.

    >>> str(damaged(Path("train.gz"), "is empty"))
    'train.gz: is empty; delete the file to download it again'
    """
    return DataError(f"{path}: {what}; delete the file to download it again")


def show_progress(block_num: int, block_size: int, total_size: int) -> None:
    r"""Draw the progress of a download on one line; a report hook for `urllib.request.urlretrieve`.

    >>> import contextlib, io
    >>> with contextlib.redirect_stdout(io.StringIO()) as screen:
    ...     show_progress(1, 50, 200)
    >>> screen.getvalue()
    '\r[#######                       ] 25.00%'
    """
    done = min(1.0, block_num * block_size / total_size) if total_size > 0 else 0.0
    print(f"\r[{'#' * int(30 * done):30}] {done:.2%}", end="")


def _download(url: str, path: Path, checksum: str | None, deadline: float, max_size: int) -> None:
    digest = _digest(checksum)
    ensured_folder(path.parent)
    tqdm = import_optional("tqdm.auto", "tqdm", "datasets.get_file").tqdm
    try:
        with replacing(path) as file, fetched(url, TIMEOUT, deadline, max_size) as (size, chunks):
            with tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, desc=path.name) as bar:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                    bar.update(len(chunk))
            if checksum is not None:
                _compare(url, digest.hexdigest(), checksum, "the source has changed; pass the URL of a mirror")
    except TransferError as error:
        raise DataError(
            f"{path.name}: {url} {error}; try again, pass the URL of a mirror, or put the file into {path.parent} by hand"
        ) from error


def _digest(checksum: str | None) -> Any:
    kinds = {32: "md5", 64: "sha256"}
    if checksum is not None and len(checksum) not in kinds:
        raise ArgumentError(f"checksum: {checksum!r} is neither md5 (32 digits) nor sha256 (64 digits)")
    return hashlib.new(kinds[len(checksum)] if checksum else "sha256", usedforsecurity=False)


def _compare(source: str | Path, actual: str, checksum: str, fix: str) -> None:
    if actual != checksum.lower():
        kind = "md5" if len(checksum) == 32 else "sha256"
        raise DataError(f"{source}: {kind} is {actual}, expected {checksum}; {fix}")

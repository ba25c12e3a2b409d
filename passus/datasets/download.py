"""Files from the network, kept in a cache folder: whole, with the right checksum, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from passus.arguments import checked_count, checked_number
from passus.datasets.transfer import TransferError, fetched
from passus.errors import ArgumentError, DataError, DTypeError, kind_of
from passus.files import check_file_is_there, checked_path, made_folder, replacing
from passus.optional import import_optional

__all__ = ["cache_folder", "check_file", "get_file", "show_progress"]

SCHEMES = ("http://", "https://")
LONGEST_NAME = 255
"""How many bytes the name of a file can have."""
TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
DEADLINE = 3600.0
"""Seconds after which a download is given up in any case."""
LARGEST = 4 << 30
"""How many bytes a download may have."""


def cache_folder() -> Path:
    """Where downloads are kept: the environment variable ``PASSUS_CACHE``, or ``~/.cache/passus``.

    >>> cache_folder().is_absolute()
    True
    """
    return Path(os.environ.get("PASSUS_CACHE") or "~/.cache/passus").expanduser().absolute()


def get_file(
    url: str,
    file_name: str | None = None,
    *,
    checksum: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    deadline: float = DEADLINE,
    max_size: int = LARGEST,
) -> Path:
    """The path of a file in the cache folder, which is downloaded if it is not there yet.

    ``checksum``: md5 (32 hexadecimal digits) or sha256 (64) of the file; it is compared each time. The file appears
    under its name once it is complete, so that an interrupted download leaves nothing, and several programs may ask
    for the same file at once. ``deadline``: seconds that a download may take, from the first to the last byte;
    ``max_size``: bytes that it may have.

    Raises `DataError` if the download fails, takes too long, is too large, leads elsewhere than to ``http(s)://``, or the
    file is not what its checksum says; `ArgumentError` for a name with a folder in it, and for anything but ``http(s)://``.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "here.txt").write_text("kept")
    >>> get_file("https://example.org/here.txt", folder=folder).read_text()
    'kept'
    """
    if not isinstance(url, str):
        raise DTypeError(f"get_file: {kind_of(url)} is not a URL; give a string")
    if not url.startswith(SCHEMES):
        raise ArgumentError(f"get_file: {url!r} is no address that begins with http:// or https://")
    limits = (
        checked_number("get_file", "deadline", deadline, open_low=True),
        checked_count("get_file", "max_size", max_size),
    )
    name = url.rpartition("/")[2] if file_name is None else file_name
    if (
        not isinstance(name, str)
        or name in ("", "..")
        or Path(name).name != name
        or len(os.fsencode(name)) > LONGEST_NAME
    ):
        raise ArgumentError(f"get_file: {name!r} is no name of a file; give file_name, without a folder")
    path = checked_path((cache_folder() if folder is None else Path(folder)) / name)
    if os.path.lexists(path):
        check_file(path, checksum)
    else:
        _download(url, path, checksum, *limits)
    return path


def check_file(path: Path, checksum: str | None) -> None:
    """Raise `DataError` for what is no file, or if it is not what its checksum says.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> check_file(path, "d41d8cd98f00b204e9800998ecf8427e")
    """
    check_file_is_there(path, DataError, DataError)
    if checksum is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: _digest(checksum)).hexdigest()
        _compare(path, found, checksum, "delete the file to download it again")


def show_progress(block_num: int, block_size: int, total_size: int) -> None:
    r"""Draw how far a download is, on one line; a hook for `urllib.request.urlretrieve`.

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
    made_folder(path.parent)
    tqdm = import_optional("tqdm.auto", "tqdm", "datasets.get_file").tqdm
    try:
        with replacing(path) as file, fetched(url, TIMEOUT, deadline, max_size) as (size, chunks):
            with tqdm(total=size, unit="B", unit_scale=True, unit_divisor=1024, desc=path.name) as bar:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                    bar.update(len(chunk))
            if checksum is not None:
                _compare(url, digest.hexdigest(), checksum, "the source has changed; give the address of a mirror")
    except TransferError as error:
        raise DataError(
            f"{path.name}: {url} {error}; try again, give the address of a mirror, or put the file into {path.parent} by hand"
        ) from error


def _digest(checksum: str | None) -> Any:
    kinds = {32: "md5", 64: "sha256"}
    if checksum is not None and len(checksum) not in kinds:
        raise ArgumentError(f"checksum: {checksum!r} is neither md5 (32 digits) nor sha256 (64 digits)")
    return hashlib.new(kinds[len(checksum)] if checksum else "sha256", usedforsecurity=False)


def _compare(what: str | Path, found: str, checksum: str, way_out: str) -> None:
    if found != checksum.lower():
        kind = "md5" if len(checksum) == 32 else "sha256"
        raise DataError(f"{what}: its {kind} is {found}, and should be {checksum}; {way_out}")

"""Data files that the wheels of other packages contain; the packages need not be installed."""

from __future__ import annotations

from pathlib import Path

from passus.errors import DataError

__all__ = ["file_or_wheel"]


def file_or_wheel(dataset: str, path: Path, name: str, wheels: str, command: str) -> Path:
    """The path of a data file, or of a wheel that contains it.

    ``path``: the file, the wheel, or a folder with one of them; ``name``: the file name, ``wheels``: a glob pattern of
    wheels to look for in a folder; ``command``: the command that downloads the wheel, for the message.

    Raises `DataError` if there is neither.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "aeon-1.6.0.whl").touch()
    >>> file_or_wheel("JapaneseVowels", folder, "train.ts", "aeon-*.whl", "pip download aeon -d").name
    'aeon-1.6.0.whl'
    """
    try:
        if path.is_dir():
            candidates = [path / name, *sorted(path.glob(wheels))]
            path = next((candidate for candidate in candidates if candidate.is_file()), path)
        is_file = path.is_file()
    except OSError as error:
        raise DataError(f"{dataset}: {str(path)[:200]} cannot be read: {error.strerror}") from error
    if is_file:
        return path
    folder = path.parent if path.suffix else path
    raise DataError(f"{dataset}: {path} holds no {name}; download it with: {command} {folder}")

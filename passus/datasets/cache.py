"""Arrays kept in one npz file of the cache folder."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np

from passus.backend import Array
from passus.datasets.download import cache_folder
from passus.errors import DataError, DTypeError
from passus.files import checked_path, replacing

__all__ = ["load_cache_npz", "save_cache_npz"]


def save_cache_npz(data: Array, label: Array, file_name: str | os.PathLike[str]) -> Path:
    """Keep data and labels in a file of the cache folder, or at a full path; whole or not at all.

    Raises `DTypeError` for arrays of objects, which could only be pickled.

    >>> import tempfile
    >>> path = save_cache_npz(np.zeros((2, 3)), np.array([0, 1]), Path(tempfile.mkdtemp()) / "two.npz")
    >>> load_cache_npz(path)[1]
    array([0, 1])
    """
    if np.asarray(data).dtype.hasobject or np.asarray(label).dtype.hasobject:
        raise DTypeError("save_cache_npz: arrays of objects cannot be kept; convert them to numbers")
    path = cache_folder() / checked_path(file_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, data=data, label=label)
    return path


def load_cache_npz(file_name: str | os.PathLike[str]) -> tuple[Array, Array] | tuple[None, None]:
    """What `save_cache_npz` kept, or (None, None) if there is no such file.

    Raises `DataError` for a file that is broken or has other arrays.

    >>> load_cache_npz("never-saved.npz")
    (None, None)
    """
    from zipfile import BadZipFile  # Not at the top: slow to import, and for few to use.

    path = cache_folder() / checked_path(file_name)
    if not path.exists():
        return None, None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["data"], arrays["label"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: no data and label can be read ({error}); delete the file and save it anew") from error

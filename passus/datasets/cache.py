"""Data and labels in one npz file of the cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from passus.backend import Array
from passus.datasets.download import cache_folder
from passus.errors import DataError, DTypeError, PathError
from passus.files import checked_file, checked_path, ensured_folder, replacing
from passus.unpacking import BROKEN, max_unpacked_size, read_npz_arrays

__all__ = ["load_cache_npz", "save_cache_npz"]


def save_cache_npz(data: Array, label: Array, file_name: str | os.PathLike[str]) -> Path:
    """Write data and labels to a file in the cache folder, or at an absolute path, and return the path.

    The file is replaced atomically. Raises `DTypeError` for arrays of objects, which could only be pickled.

    >>> import tempfile
    >>> path = save_cache_npz(np.zeros((2, 3)), np.array([0, 1]), Path(tempfile.mkdtemp()) / "two.npz")
    >>> load_cache_npz(path)[1]
    array([0, 1])
    """
    if np.asarray(data).dtype.hasobject or np.asarray(label).dtype.hasobject:
        raise DTypeError("save_cache_npz: arrays of objects cannot be saved; convert them to numbers")
    path = cache_folder() / checked_path(file_name)
    ensured_folder(path.parent)
    with replacing(path) as file:
        np.savez_compressed(file, data=data, label=label)
        if np.asarray(data).nbytes + np.asarray(label).nbytes > max_unpacked_size(file.tell()):
            # Mostly zeros: load_cache_npz would reject the compression ratio, so the arrays are stored uncompressed.
            file.seek(0)
            file.truncate()
            np.savez(file, data=data, label=label)
    return path


def load_cache_npz(file_name: str | os.PathLike[str]) -> tuple[Array, Array] | tuple[None, None]:
    """The data and labels that `save_cache_npz` wrote, or (None, None) if there is no such file.

    Raises `DataError` for a file that is damaged, lacks one of the arrays, or unpacks to more than 100 times its size.

    >>> load_cache_npz("never-saved.npz")
    (None, None)
    """
    path = cache_folder() / checked_path(file_name)
    try:
        checked_file(path, PathError, DataError)
    except PathError:
        return None, None
    try:
        arrays = read_npz_arrays(path)
        return arrays["data"], arrays["label"]
    except BROKEN as error:
        raise DataError(f"{path}: cannot read data and label ({error}); delete the file and save it again") from error

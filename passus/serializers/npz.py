"""Arrays in NumPy's npz format: a zip archive with an ``npy`` entry for each array."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN, read_npz_arrays

__all__ = ["read_npz", "write_npz"]


def write_npz(path: FilePath, arrays: Mapping[str, Array]) -> None:
    """Write NumPy arrays by name; the file is replaced atomically."""
    # Not np.savez, which does not accept its parameter names (file, allow_pickle) as array names.
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read_npz(path: FilePath) -> dict[str, Array]:
    """Read all arrays by name; DeZero's ``l1/W`` becomes ``l1.W``. Nothing is unpickled.

    An archive may unpack to 100 times its size, or to 16 MiB if it is small. Raises `WeightsError` for a file that exceeds
    this limit, is damaged or has another format; `FileNotFoundError` for a missing file.
    """
    check_readable(path)
    try:
        entries = read_npz_arrays(path)
        arrays = {name.replace("/", "."): array for name, array in entries.items()}
        if len(arrays) < len(entries):
            raise ValueError("two names differ only in dots and slashes")
        for name, array in arrays.items():
            if array.dtype.kind not in "fiub":
                raise ValueError(f"{name[:80]} is an array of {array.dtype}")
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable npz file of numbers: {error}") from error
    return arrays

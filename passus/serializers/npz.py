"""Arrays in a file of NumPy's own: a zip archive with an entry in the format ``npy`` for each array."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.serializers.files import check_readable

__all__ = ["read_npz", "write_npz"]


def write_npz(path: FilePath, arrays: Mapping[str, Array]) -> None:
    """Write NumPy arrays by their names; the file appears whole or not at all."""
    # Not np.savez, whose own parameters (file, allow_pickle) would be lost as names.
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def read_npz(path: FilePath) -> dict[str, Array]:
    """Read all arrays by their names; DeZero's ``l1/W`` is called ``l1.W`` here. Nothing is unpickled.

    Raises `WeightsError` for a file that is broken or no such archive, `FileNotFoundError` if there is none.
    """
    check_readable(path)
    try:
        # Any other kind of file, np.load would try to unpickle, or map as a single array.
        with zipfile.ZipFile(path) as archive:
            return {_path(name): _array(archive, name) for name in archive.namelist()}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise WeightsError(f"{path}: not a readable npz file of numbers: {error}") from error


def _array(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as entry:
        array = np.lib.format.read_array(entry, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # Written where bytes have another order.


def _path(name: str) -> str:
    return name.removesuffix(".npy").replace("/", ".")

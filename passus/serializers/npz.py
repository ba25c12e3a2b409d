"""Arrays in a file of NumPy's own: a zip archive with an entry in the format ``npy`` for each array."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping

import numpy as np

from passus.backend import Array
from passus.errors import WeightsError
from passus.files import FilePath, replacing
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN, read_arrays

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

    An archive may unfold to 100 times its size, or to 16 MiB if it is small. Raises `WeightsError` for a file that claims
    more, is broken, or no such archive; `FileNotFoundError` if there is none.
    """
    check_readable(path)
    try:
        found = read_arrays(path)
        arrays = {name.replace("/", "."): array for name, array in found.items()}
        if len(arrays) < len(found):
            raise ValueError("two arrays have one name, once with a dot and once with a slash")
        for name, array in arrays.items():
            if array.dtype.kind not in "fiub":
                raise ValueError(f"{name[:80]} is an array of {array.dtype}")
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable npz file of numbers: {error}") from error
    return arrays

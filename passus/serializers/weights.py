"""Files of weights: arrays by path, in the format of the file name's suffix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passus.backend import Array, backend_of, is_array
from passus.errors import ArgumentError, DTypeError, WeightsError
from passus.files import FilePath, checked_path
from passus.serializers.npz import read_npz, write_npz
from passus.serializers.safetensors import read_safetensors, shapes_in_safetensors, write_safetensors
from passus.serializers.shards import INDEX, read_shards, shapes_in_shards

__all__ = ["read_weights", "shapes_in_weights", "write_weights"]


def write_weights(path: FilePath, arrays: Mapping[str, Array | None]) -> None:
    """Write arrays by path to a ``.safetensors`` or ``.npz`` file, which is replaced atomically.

    Arrays on a device are copied to main memory. Raises `WeightsError` for None, an array without a shape yet, `DTypeError`
    for other values than numeric arrays, `ArgumentError` for another suffix.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "model.npz"
    >>> write_weights(path, {"l1.W": np.ones((2, 3))})
    >>> path.exists()
    True
    """
    kind = _kind(path)
    for name, array in arrays.items():
        _check_numbers(path, name, array)
    missing = [name for name, array in arrays.items() if array is None]
    if missing:
        raise WeightsError(
            f"{path}: not written: no shape before the first call of the model: {', '.join(missing)}; "
            "call it once, or pass in_size to the layers"
        )
    on_host = {name: backend_of(array).to_numpy(array) for name, array in arrays.items()}
    if kind == ".npz":
        write_npz(path, on_host)
    else:
        write_safetensors(path, on_host)


def read_weights(path: FilePath) -> dict[str, Array]:
    """Read the arrays of a ``.safetensors`` or ``.npz`` file by path, or those of the shards that an index
    ``.safetensors.index.json`` lists.

    bfloat16 is read as float32, which is exact.

    Raises `WeightsError` for a file that is damaged or has types that NumPy does not support, and for an index that does not
    match its shards; `FileNotFoundError` for a missing file or shard; `ArgumentError` for another suffix.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> write_weights(path, {"l1.W": np.ones(3)})
    >>> read_weights(path)
    {'l1.W': array([1., 1., 1.])}
    """
    if _is_index(path):
        return read_shards(path)
    return read_npz(path) if _kind(path) == ".npz" else read_safetensors(path)[0]


def shapes_in_weights(path: FilePath) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays in a ``.safetensors`` file, or in the shards of an index, by name; no array is read.

    Raises the errors of `read_weights`.
    """
    return shapes_in_shards(path) if _is_index(path) else shapes_in_safetensors(path)


def _is_index(path: FilePath) -> bool:
    return checked_path(path).name.lower().endswith(INDEX)


def _check_numbers(path: FilePath, name: str, array: Any) -> None:
    if array is not None and (not is_array(array) or array.dtype.kind not in "fiub"):
        raise DTypeError(
            f"{path}: not written: {name} is not a numeric array; give a NumPy array (x.data for a Variable)"
        )


def _kind(path: FilePath) -> str:
    kind = checked_path(path).suffix.lower()
    if kind not in (".npz", ".safetensors"):
        torch = "; read a PyTorch file with passus.serializers.load_torch" if kind in (".pt", ".pth", ".bin") else ""
        raise ArgumentError(f"{path}: the name of a weights file must end in .safetensors or .npz{torch}")
    return kind

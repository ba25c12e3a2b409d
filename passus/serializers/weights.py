"""Weights: arrays by their paths, in a file whose format its name tells."""

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
    """Write arrays by their paths to a file ``.safetensors`` or ``.npz``; it appears whole or not at all.

    Arrays elsewhere than in main memory are copied, not moved. Raises `WeightsError` for an array that is not there
    yet (None), `DTypeError` for what is no array of numbers, `ArgumentError` for a file of another kind.

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
    absent = [name for name, array in arrays.items() if array is None]
    if absent:
        raise WeightsError(
            f"{path}: not written, for {', '.join(absent)} has no shape before the first call of the model; "
            "call it once, or pass in_size to the layers"
        )
    here = {name: backend_of(array).to_numpy(array) for name, array in arrays.items()}
    if kind == ".npz":
        write_npz(path, here)
    else:
        write_safetensors(path, here)


def read_weights(path: FilePath) -> dict[str, Array]:
    """Read the arrays of a file ``.safetensors`` or ``.npz`` by their paths, or of the shards ``.safetensors`` that an index
    ``.safetensors.index.json`` beside them names.

    Numbers in bfloat16 are read as float32, which holds each exactly.

    Raises `WeightsError` for a file that is broken, or that holds numbers of a type that NumPy does not have, and for an index that
    does not agree with its shards; `FileNotFoundError` if there is no such file, or a shard is missing; `ArgumentError` for a
    name that ends otherwise.

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
    """The shapes of the arrays in a file ``.safetensors``, or in the shards of an index, by their names; no array is read.

    Raises what `read_weights` raises.
    """
    return shapes_in_shards(path) if _is_index(path) else shapes_in_safetensors(path)


def _is_index(path: FilePath) -> bool:
    return checked_path(path).name.lower().endswith(INDEX)


def _check_numbers(path: FilePath, name: str, array: Any) -> None:
    if array is not None and (not is_array(array) or array.dtype.kind not in "fiub"):
        raise DTypeError(
            f"{path}: not written, for {name} is not a numeric array; give a NumPy array (x.data for a Variable)"
        )


def _kind(path: FilePath) -> str:
    kind = checked_path(path).suffix.lower()
    if kind not in (".npz", ".safetensors"):
        torch = "; read a PyTorch file with passus.serializers.load_torch" if kind in (".pt", ".pth", ".bin") else ""
        raise ArgumentError(f"{path}: the name of a weights file ends in .safetensors or .npz{torch}")
    return kind

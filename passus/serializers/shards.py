"""Weights in several safetensors files (shards), with an index of which file holds which array.

The index is a JSON file in the same folder, ``model.safetensors.index.json``; its ``weight_map`` maps array names to file names.
"""

from __future__ import annotations

from pathlib import Path

from passus.arguments import shown
from passus.backend import Array
from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath
from passus.serializers.json_files import json_object
from passus.serializers.safetensors import read_safetensors, shapes_in_safetensors
from passus.tree import MAX_LISTED

__all__ = ["INDEX", "files_of_shards", "read_shards", "shapes_in_shards"]

INDEX = ".safetensors.index.json"
"""The suffix of index files."""


def read_shards(path: FilePath) -> dict[str, Array]:
    """Read the arrays that an index lists from the shards in its folder.

    All shards are verified before an array is read: each must be in the folder of the index, be complete, and hold exactly the
    arrays that the index lists. Raises `WeightsError` otherwise, `MissingWeightsError` (a `FileNotFoundError`) for a missing
    shard.
    """
    shapes_in_shards(path)
    arrays: dict[str, Array] = {}
    for file in _index(path):
        arrays |= read_safetensors(file)[0]
    return arrays


def shapes_in_shards(path: FilePath) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays that an index lists, verified as in `read_shards`; no array is read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file, names in _index(path).items():
        shapes |= _verified(path, file, names)
    return shapes


def files_of_shards(path: FilePath) -> list[Path]:
    """The files that an index lists. Raises `WeightsError` for an invalid index; the files are not opened."""
    return list(_index(path))


def _index(path: FilePath) -> dict[Path, list[str]]:
    """The names of the arrays in each file."""
    weight_map = json_object(path, "index of weights").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{path}: not an index of weights; it has no weight_map from names to files")
    index: dict[Path, list[str]] = {}
    for name, file in weight_map.items():
        # A plain name cannot lead out of the folder, except by a symbolic link that the owner of the folder made.
        if not isinstance(file, str) or not file.endswith(".safetensors") or any(c in file for c in "/\\:\0"):
            raise WeightsError(
                f"{path}: {name[:200]} is mapped to {shown(file)}; expected a file in the same folder, such as "
                "model-00001-of-00002.safetensors"
            )
        index.setdefault(Path(path).parent / file, []).append(name)
    return index


def _verified(path: FilePath, file: Path, expected: list[str]) -> dict[str, tuple[int, ...]]:
    """The shapes in a shard. Raises `WeightsError` unless it holds exactly the arrays that the index lists."""
    try:
        shapes = shapes_in_safetensors(file)
    except MissingWeightsError:
        raise MissingWeightsError(
            f"{file}: no such file; {Path(path).name} lists {len(expected)} arrays in it, such as {expected[0][:200]}; "
            "download this file, too"
        ) from None
    missing, extra = [name for name in expected if name not in shapes], sorted(shapes.keys() - expected)
    if missing:
        raise WeightsError(f"{file}: missing arrays that {Path(path).name} lists: {_listed(missing)}")
    if extra:
        raise WeightsError(
            f"{file}: arrays that {Path(path).name} does not list in this file: {_listed(extra)}; each array must be in "
            "exactly the file of the index"
        )
    return shapes


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(name[:200] for name in names[:MAX_LISTED]) + more

"""Weights in several files of the format safetensors, and the index that says in which file each array is.

The index is a JSON file beside them, ``model.safetensors.index.json``: its ``weight_map`` gives for each name the name of a file.
"""

from __future__ import annotations

from pathlib import Path

from passus.arguments import shown
from passus.backend import Array
from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath
from passus.serializers.json_files import json_object
from passus.serializers.safetensors import read_safetensors, shapes_in_safetensors
from passus.tree import SHOWN

__all__ = ["INDEX", "read_shards", "shapes_in_shards"]

INDEX = ".safetensors.index.json"
"""What the name of an index ends in."""


def read_shards(path: FilePath) -> dict[str, Array]:
    """Read the arrays that an index names, from the files beside it.

    Before an array is read, all files are verified: each is in the folder of the index, is whole, and holds exactly the arrays that
    the index says. Raises `WeightsError` if one is not, `MissingWeightsError` (a `FileNotFoundError`) if one is not there.
    """
    shapes_in_shards(path)
    arrays: dict[str, Array] = {}
    for file in _index(path):
        arrays |= read_safetensors(file)[0]
    return arrays


def shapes_in_shards(path: FilePath) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays that an index names. Verifies and raises what `read_shards` does; reads no array."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file, names in _index(path).items():
        shapes |= _verified(path, file, names)
    return shapes


def _index(path: FilePath) -> dict[Path, list[str]]:
    """The names of the arrays in each file."""
    weight_map = json_object(path, "index of weights").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{path}: not an index of weights, for it has no weight_map from names to files")
    index: dict[Path, list[str]] = {}
    for name, file in weight_map.items():
        # A plain name cannot lead out of the folder. A link may, if the owner of the folder has made one.
        if not isinstance(file, str) or not file.endswith(".safetensors") or any(c in file for c in "/\\:\0"):
            raise WeightsError(
                f"{path}: {name[:200]} is said to be in {shown(file)}; a file of the same folder is expected, such as "
                "model-00001-of-00002.safetensors"
            )
        index.setdefault(Path(path).parent / file, []).append(name)
    return index


def _verified(path: FilePath, file: Path, expected: list[str]) -> dict[str, tuple[int, ...]]:
    """The shapes in a file. Raises `WeightsError` if it does not hold exactly the arrays that the index says."""
    try:
        found = shapes_in_safetensors(file)
    except MissingWeightsError:
        raise MissingWeightsError(
            f"{file}: no such file, and {Path(path).name} says that {len(expected)} arrays are in it, {expected[0][:200]} "
            "among them; get this file, too"
        ) from None
    absent, more = [name for name in expected if name not in found], sorted(found.keys() - expected)
    if absent:
        raise WeightsError(f"{file}: {Path(path).name} says that {_listed(absent)} is in it, and it is not")
    if more:
        raise WeightsError(
            f"{file}: {_listed(more)} is in it, and {Path(path).name} does not say so; each array must be in one file, that of "
            "the index"
        )
    return found


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:200] for name in names[:SHOWN]) + more

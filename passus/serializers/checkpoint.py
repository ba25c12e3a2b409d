"""Checkpoints: the complete state of a training run in one file, for resuming bit for bit.

The file has the safetensors format. Arrays are stored by path; everything else (numbers, strings, lists, and the position
of each array in the state) is JSON in the metadata of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeAlias

import numpy as np

from passus.arguments import shown
from passus.backend import Array, backend_of, is_array
from passus.errors import DTypeError, WeightsError, kind_of
from passus.files import FilePath
from passus.kernels.dispatch import in_use, restore_use
from passus.loading import Loading
from passus.random import get_rng, rng_state, verify_rng_state
from passus.serializers.safetensors import read_safetensors, write_safetensors
from passus.tree import Stateful, Tree, check_tree

__all__ = ["apply_checkpoint", "load_checkpoint", "read_checkpoint", "save_checkpoint"]

Part: TypeAlias = Stateful | np.random.Generator
"""A member of a checkpoint: any object with a state, or a random generator."""

KEY = "passus.checkpoint"
"""The metadata key of the JSON text."""

SECTIONS = ("parts", "rng", "kernels", "metadata")
"""The sections of the JSON text."""

ARRAY, TUPLE = "$array", "$tuple"
"""In the JSON text, {"$array": name} replaces an array, and {"$tuple": [...]} a tuple."""


def save_checkpoint(path: FilePath, *, metadata: Mapping[str, Any] | None = None, **parts: Part) -> None:
    """Write the states of all parts and of the current random generator, and ``metadata``, to a file, atomically.

    ``parts``: models, optimizers, schedules, loaders and random generators, by name. ``metadata``: a dict of numbers,
    strings, lists and dicts.

    Raises `DTypeError` for a part without state, for values other than arrays, numbers, strings, lists and dicts, and for
    metadata that are not a dict; `WeightsError` for a state that contains itself.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> save_checkpoint(path, shuffle=np.random.default_rng(0), metadata={"epoch": 3})
    """
    if not isinstance(metadata, (Mapping, NoneType)):
        raise DTypeError(f"save_checkpoint: metadata is {kind_of(metadata)}; give a dict, and parts by name")
    arrays: dict[str, Array] = {}
    content = {
        "parts": {name: _packed_tree(_state(name, part), name, arrays) for name, part in parts.items()},
        "rng": _packed_tree(rng_state(), "rng", arrays),
        "kernels": {"in_use": in_use()},
        "metadata": _packed_tree(dict(metadata or {}), "metadata", arrays),
    }
    write_safetensors(path, arrays, {KEY: json.dumps(content)})


def read_checkpoint(path: FilePath) -> Tree:
    """Read a checkpoint without loading it: ``{"parts": {name: state}, "rng": state, "kernels": ..., "metadata": {...}}``.

    ``"kernels"``: whether compiled kernels were in use. To load a single part, write
    ``model.load_state_dict(read_checkpoint(path)["parts"]["model"])``. Raises `WeightsError` for a file that is damaged or
    not a checkpoint, `FileNotFoundError` for a missing file.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> save_checkpoint(path, metadata={"epoch": 3})
    >>> read_checkpoint(path)["metadata"]
    {'epoch': 3}
    """
    arrays, texts = read_safetensors(path, must_be_checked=KEY)
    if KEY not in texts:
        raise WeightsError(f"{path}: a file of weights, not a checkpoint; use model.load_weights(path)")
    try:
        content = _unpacked(json.loads(texts[KEY]), arrays)
        check_tree("the text", content, SECTIONS)
        for name in SECTIONS:
            check_tree(name, content[name])
        if type(content["kernels"].get("in_use")) is not bool:
            raise ValueError('"kernels" has no boolean "in_use"')
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged checkpoint: {shown(error)}") from error
    return {name: content[name] for name in SECTIONS}


def load_checkpoint(path: FilePath, **parts: Part) -> Tree:
    """Load the states of all parts and of the current random generator from a checkpoint; return its metadata.

    The names of the parts must be those that were saved. All states are verified before any is loaded: if one does not fit,
    nothing is changed, and the error names it.

    Raises `WeightsError` for parts or states that do not fit and for a damaged file; `FileNotFoundError` for a missing
    file.

    >>> import tempfile
    >>> path, shuffle = tempfile.mkdtemp() + "/run.safetensors", np.random.default_rng(0)
    >>> save_checkpoint(path, shuffle=shuffle, metadata={"epoch": 3})
    >>> first = shuffle.random()
    >>> load_checkpoint(path, shuffle=shuffle)
    {'epoch': 3}
    >>> shuffle.random() == first
    True
    """
    return apply_checkpoint(path, read_checkpoint(path), parts)


def apply_checkpoint(path: FilePath, saved: Tree, parts: Mapping[str, Part]) -> Tree:
    """Load parts from the result of `read_checkpoint`, all or none; return the metadata.

    Raises `WeightsError` if the parts or their states do not fit.
    """
    for name, part in parts.items():
        _check_part(name, part)
    if set(parts) != set(saved["parts"]):
        raise WeightsError(
            f"{path}: the checkpoint holds {_listed(saved['parts'])}, not {_listed(parts)}. Use the names of the saved "
            "parts, or load single ones from read_checkpoint(path). Nothing was changed"
        )
    loading = Loading()
    verify_rng_state(saved["rng"], get_rng(), loading)
    for name, part in parts.items():
        if isinstance(part, np.random.Generator):
            verify_rng_state(saved["parts"][name], part, loading, name)
        else:
            loading.verify(part, saved["parts"][name], name)
    loading.commit()
    restore_use(saved["kernels"]["in_use"])
    metadata: Tree = saved["metadata"]
    return metadata


def _check_part(name: str, part: Any) -> None:
    if not isinstance(part, (np.random.Generator, Stateful)):
        raise DTypeError(f"checkpoint: {name}= is {kind_of(part)}, which has no state_dict() and load_state_dict()")


def _state(name: str, part: Part) -> Tree:
    _check_part(name, part)
    return rng_state(part) if isinstance(part, np.random.Generator) else part.state_dict()


def _packed_tree(tree: Any, path: str, arrays: dict[str, Array]) -> Any:
    check_tree(f"save_checkpoint: {path}", tree)
    return _packed(tree, path, arrays)


def _packed(node: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Convert a tree to JSON values; its arrays are moved to ``arrays``."""
    if isinstance(node, np.generic):
        node = node.item()
    if node is None or (isinstance(node, (bool, int, float, str)) and not _is_huge(node)):
        return node
    if is_array(node):
        while path in arrays:
            path += "'"  # Two arrays can have the same path if names contain dots.
        arrays[path] = backend_of(node).to_numpy(node)
        return {ARRAY: path}
    if isinstance(node, (list, tuple)):
        items = [_packed(child, f"{path}.{i}", arrays) for i, child in enumerate(node)]
        return items if isinstance(node, list) else {TUPLE: items}
    if isinstance(node, Mapping) and all(isinstance(name, str) and name not in (ARRAY, TUPLE) for name in node):
        return {name: _packed(child, f"{path}.{name}", arrays) for name, child in node.items()}
    raise DTypeError(
        f"checkpoint: {path} is {kind_of(node)}; only arrays, numbers, strings, lists, and dicts whose keys are "
        "strings can be saved"
    )


def _is_huge(node: Any) -> bool:
    """Whether the value is an integer with more digits than Python converts to and from text."""
    return isinstance(node, int) and node.bit_length() > 14_000


def _unpacked(node: Any, arrays: Mapping[str, Array]) -> Any:
    """The inverse of `_packed`."""
    if isinstance(node, list):
        return [_unpacked(child, arrays) for child in node]
    if not isinstance(node, dict):
        return node
    if ARRAY in node:
        return arrays[node[ARRAY]]
    if TUPLE in node:
        return tuple(_unpacked(node[TUPLE], arrays))
    return {name: _unpacked(child, arrays) for name, child in node.items()}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "nothing"

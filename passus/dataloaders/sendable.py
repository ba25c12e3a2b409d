"""Pickling what worker processes read batches with: a dataset with its transforms, and a collate function."""

from __future__ import annotations

import functools
import mmap
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

from passus.arguments import shown
from passus.dataloaders.parcels import Pickled, pickled
from passus.dataloaders.reading import Reader
from passus.errors import DTypeError, kind_of

__all__ = ["pickled_reader"]

MAX_DEPTH = 20
"""Maximum number of attributes in the path that a message names."""


def pickled_reader(reader: Reader) -> Pickled:
    """Pickle a reader. Raises `DTypeError` with the path of an object that cannot be pickled.

    >>> pickled_reader(Reader("DataLoader", ["a", "b"], lambda examples: examples))
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: DataLoader: collate cannot be sent to processes: it is the function <lambda>...
    """
    try:
        return pickled(reader, _Pickler)
    except Exception as error:
        path, node = _culprit("collate", reader.collate)
        if _is_sendable(reader.collate):
            path, node = _culprit("dataset", reader.dataset)
        name = getattr(node, "__qualname__", None)
        what = f"{kind_of(node)}, {shown(node)}" if name is None else f"the function {name}"
        raise DTypeError(
            f"{reader.name}: {path} cannot be sent to processes: it is {what} ({error}). Define functions and classes with "
            "def and class in the outermost scope of a module, open files when an example is read, or leave out processes "
            "to use threads"
        ) from error


class _Pickler(pickle.Pickler):
    """Leaves out what each batch replaces, and the content of mapped files."""

    def reducer_override(self, node: Any) -> Any:
        if type(node) is np.random.Generator:
            return _new_generator, (type(node.bit_generator),)
        if isinstance(node, np.memmap) and node.filename is not None and node.mode != "c" and _is_whole(node):
            mode, order = "r" if node.mode == "r" else "r+", "C" if node.flags.c_contiguous else "F"
            return np.memmap, (node.filename, node.dtype, mode, node.offset, node.shape, order)
        return NotImplemented


def _is_whole(array: Any) -> bool:
    """Whether a mapped array is all that was mapped; the attributes of a part do not tell where it lies."""
    return isinstance(array.base, mmap.mmap)


def _new_generator(kind: type[np.random.BitGenerator]) -> np.random.Generator:
    """A generator that is seeded for each batch; its state of the moment is of no interest."""
    return np.random.Generator(kind(0))


def _culprit(path: str, node: Any) -> tuple[str, Any]:
    """The innermost object that cannot be pickled, with its path."""
    for _ in range(MAX_DEPTH):
        inner = next(((name, child) for name, child in _children(node) if not _is_sendable(child)), None)
        if inner is None:
            break
        path, node = f"{path}{inner[0]}", inner[1]
    return path, node


def _is_sendable(node: Any) -> bool:
    try:
        pickled(node, _Pickler)
    except Exception:  # Any class may define how it is pickled.
        return False
    return True


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, (list, tuple)):
        yield from ((f"[{i}]", child) for i, child in enumerate(node))
    elif isinstance(node, dict):
        yield from ((f"[{name!r}]", child) for name, child in node.items())
    elif isinstance(node, functools.partial):
        yield from ((".func", node.func), (".args", node.args), (".keywords", node.keywords))
    elif not isinstance(node, type):
        yield from ((f".{name}", child) for name, child in getattr(node, "__dict__", {}).items())

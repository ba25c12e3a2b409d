"""The random generators that a dataset, its transforms and a collate function refer to, reseeded for each batch.

Thread timing is random, so batches must not share a generator: the random numbers of a batch depend only on the
generator, the epoch and the index of the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import RLock
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np

from passus.loading import Loading
from passus.random import get_rng, load_rng_state, replaced_generators, restored_generators, rng_state, verify_rng_state

__all__ = ["Generators"]

Y = TypeVar("Y")

MAX_ITEMS = 64
"""Longer lists and dicts are treated as data and not searched."""

MAX_OBJECTS = 10_000
"""Maximum number of objects searched."""
LEAF_TYPES = frozenset([bool, int, float, str, bytes, type(None), np.ndarray, type, ModuleType])
"""Types whose instances refer to no generator."""


@dataclass
class _Reference:
    """A generator and how its owners use it."""

    rng: np.random.Generator
    is_replaceable: bool
    """Whether all owners draw through `passus.random.get_rng`, as the transforms of passus do."""


class Generators:
    """The generators that some objects refer to, by the path of attributes to each.

    Generators of passus' transforms are replaced in each batch, so threads run in parallel. Other owners may draw directly;
    then their generators are seeded and restored for each batch, and batches are prepared one at a time.

    ``shared``: generators that the program draws from elsewhere, such as the current one. They are left out: transforms of
    passus draw from the generator of the batch instead.

    >>> from passus.transforms import RandomHorizontalFlip
    >>> list(Generators({"transform": RandomHorizontalFlip(rng=3)}).all)
    ['transform.rng']
    """

    def __init__(self, owners: Mapping[str, Any], shared: Sequence[np.random.Generator] = ()) -> None:
        self.all: dict[str, np.random.Generator] = {}
        self._shared = shared
        references: dict[int, _Reference] = {}
        for path, rng, is_replaceable in _walk(owners):
            if any(rng is other for other in shared):
                continue
            if id(rng) in references:
                references[id(rng)].is_replaceable &= is_replaceable
            else:
                references[id(rng)] = _Reference(rng, is_replaceable)
                self.all[path] = rng
        self._replaceable = [path for path, rng in self.all.items() if references[id(rng)].is_replaceable]
        self._direct = [path for path in self.all if path not in self._replaceable]

    def new_seeds(self) -> dict[str, int]:
        """Draw a seed from each generator for the batches of one epoch."""
        with self._locked():
            return {path: int(rng.integers(2**63)) for path, rng in self.all.items()}

    def states(self) -> dict[str, Any]:
        """The state of each generator."""
        with self._locked():
            return {path: rng_state(rng) for path, rng in self.all.items()}

    def load_states(self, states: Mapping[str, Any]) -> None:
        """Restore the state of each generator."""
        with self._locked():
            for path, rng in self.all.items():
                load_rng_state(states[path], rng)

    def verify_states(self, states: Mapping[str, Any], loading: Loading) -> None:
        """Raise `ArgumentError` for a state of another kind of generator; otherwise schedule loading all of them."""
        for path, rng in self.all.items():
            verify_rng_state(states[path], rng, Loading(), path)
        loading.assign(self, "_states", states)

    # A property, because `Loading` assigns attributes.
    _states = property(lambda self: self.states(), load_states)

    def run(self, seeds: Mapping[str, int], i: int, function: Callable[[], Y]) -> Y:
        """Call ``function()`` with each generator that has a seed seeded for batch ``i``."""
        batch = {path: _seeded_like(rng, [seeds[path], i]) for path, rng in self.all.items() if path in seeds}
        direct = {self.all[path]: rng.bit_generator.state for path, rng in batch.items() if path in self._direct}
        replaced = {self.all[path]: rng for path, rng in batch.items() if path in self._replaceable}
        with (
            self._locked(),
            restored_generators(direct),
            replaced_generators(dict.fromkeys(self._shared, get_rng()) | replaced),
        ):
            return function()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the locks of the generators that are drawn from directly."""
        with ExitStack() as stack:
            for key in sorted(id(self.all[path]) for path in self._direct):
                stack.enter_context(_locks.setdefault(key, RLock()))
            yield


_locks: dict[int, RLock] = {}
"""One lock for each generator that is drawn from directly, shared by all loaders."""


def _seeded_like(rng: np.random.Generator, seed: list[int]) -> np.random.Generator:
    """A new generator of the same kind."""
    return np.random.Generator(type(rng.bit_generator)(seed))


def _walk(owners: Mapping[str, Any]) -> Iterator[tuple[str, np.random.Generator, bool]]:
    """Every generator with its path, and whether its owner draws through `get_rng`; depth first."""
    stack = [(path, owner, False) for path, owner in reversed(list(owners.items()))]
    seen: set[int] = set()
    while stack and len(seen) < MAX_OBJECTS:
        path, node, is_replaceable = stack.pop()
        if isinstance(node, np.random.Generator):
            yield path, node, is_replaceable
        elif id(node) not in seen:
            seen.add(id(node))
            replaceable = is_replaceable if isinstance(node, (tuple, list, dict)) else _is_own(type(node))
            children = [
                (f"{path}.{name}", child, replaceable)
                for name, child in _children(node)
                if type(child) not in LEAF_TYPES
            ]
            stack += reversed(children)


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    """The objects that a node refers to and that may lead to a generator, by name."""
    if isinstance(node, FunctionType):
        if _is_own(node):
            return
        names, cells = node.__code__.co_freevars, node.__closure__ or ()
        yield from ((name, cell.cell_contents) for name, cell in zip(names, cells) if _is_filled(cell))
        yield from ((name, node.__globals__[name]) for name in node.__code__.co_names if name in node.__globals__)
        yield from enumerate(node.__defaults__ or ())
    elif isinstance(node, MethodType):
        yield from (("self", node.__self__), ("function", node.__func__))
    elif isinstance(node, functools.partial):
        yield from (("function", node.func), ("args", node.args), ("keywords", node.keywords))
    elif isinstance(node, (tuple, list)):
        yield from enumerate(node if len(node) <= MAX_ITEMS else ())
    elif isinstance(node, dict):
        yield from node.items() if len(node) <= MAX_ITEMS else ()
    elif not isinstance(node, (type, ModuleType)):
        yield from _attributes(node)
        for cls in type(node).__mro__:
            if cls is not object and not _is_own(cls):
                yield from (
                    (name, f) for name, f in vars(cls).items() if isinstance(f, (FunctionType, np.random.Generator))
                )


def _attributes(node: Any) -> list[tuple[str, Any]]:
    """The instance attributes of an object; a ``__getattr__`` that proxies another object is bypassed."""
    try:
        return list(object.__getattribute__(node, "__dict__").items())
    except AttributeError:
        return []


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _is_own(value: Any) -> bool:
    """Whether a class or function is defined by passus or NumPy."""
    return str(getattr(value, "__module__", "")).split(".")[0] in ("passus", "numpy")

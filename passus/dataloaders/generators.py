"""The random generators that a dataset, its transforms and a collate function hold, and their numbers for one batch.

Threads take turns by chance. So no batch draws from a generator that others draw from, too: it is given numbers that
depend on the generator, the epoch and the number of the batch alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import RLock
from types import FunctionType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np

from passus.loading import Loading
from passus.random import get_rng, load_rng_state, rewound, rng_state, standing_in, verify_rng_state

__all__ = ["Generators"]

Y = TypeVar("Y")

MANY = 64
"""Longer lists and dicts are data, and not looked through."""

FAR = 10_000
"""How many objects are looked at, at most."""


PLAIN = frozenset([bool, int, float, str, bytes, type(None), np.ndarray, type, ModuleType])
"""Types of what holds no generator."""


@dataclass
class _Found:
    """A generator that was found."""

    rng: np.random.Generator
    is_asked_for: bool
    """Whether all that hold it ask `passus.random.get_rng` before they draw, as the transforms of passus do."""


class Generators:
    """The generators that some objects hold, by the way that leads to each.

    Those of passus' own transforms are replaced for each batch, and threads work side by side. What else holds one may
    draw from it directly; then one batch is prepared at a time. Left out are the current generator, from which the whole
    program draws, and ``but``.

    >>> from passus.transforms import RandomHorizontalFlip
    >>> list(Generators({"transform": RandomHorizontalFlip(rng=3)}).all)
    ['transform.rng']
    """

    def __init__(self, holders: Mapping[str, Any], but: np.random.Generator | None = None) -> None:
        self.all: dict[str, np.random.Generator] = {}
        found: dict[int, _Found] = {}
        for path, rng, is_asked_for in _walk(holders):
            if rng is get_rng() or rng is but:
                continue
            if id(rng) in found:
                found[id(rng)].is_asked_for &= is_asked_for
            else:
                found[id(rng)] = _Found(rng, is_asked_for)
                self.all[path] = rng
        self._asked_for = [path for path, rng in self.all.items() if found[id(rng)].is_asked_for]
        self._others = [path for path in self.all if path not in self._asked_for]

    def new_seeds(self) -> dict[str, int]:
        """A number from each generator, from which it is seeded for the batches of one epoch."""
        with self._in_turn():
            return {path: int(rng.integers(2**63)) for path, rng in self.all.items()}

    def states(self) -> dict[str, Any]:
        """The state of each."""
        with self._in_turn():
            return {path: rng_state(rng) for path, rng in self.all.items()}

    def load_states(self, states: Mapping[str, Any]) -> None:
        """Put each back into a state."""
        with self._in_turn():
            for path, rng in self.all.items():
                load_rng_state(states[path], rng)

    def verify_states(self, states: Mapping[str, Any], loading: Loading) -> None:
        """Raise `ArgumentError` for a state that is not one of its generator; else all are to be put into theirs."""
        for path, rng in self.all.items():
            verify_rng_state(states[path], rng, Loading(), path)
        loading.put(self, "_states", states)

    # As an attribute, for what is loaded is assigned.
    _states = property(lambda self: self.states(), load_states)

    def run(self, seeds: Mapping[str, int], i: int, function: Callable[[], Y]) -> Y:
        """``function()``, for which each generator has the numbers of batch ``i``."""
        if not self.all:
            return function()
        batch = {path: _seeded_like(rng, [seeds[path], i]) for path, rng in self.all.items()}
        with (
            self._in_turn(),
            rewound({self.all[path]: batch[path].bit_generator.state for path in self._others}),
            standing_in({self.all[path]: batch[path] for path in self._asked_for}),
        ):
            return function()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Wait until no batch is prepared with the generators that are drawn from directly, and let none begin."""
        with ExitStack() as stack:
            for key in sorted(id(self.all[path]) for path in self._others):
                stack.enter_context(_locks.setdefault(key, RLock()))
            yield


_locks: dict[int, RLock] = {}
"""One for each generator that was drawn from directly, whatever loaders have it."""


def _seeded_like(rng: np.random.Generator, seed: list[int]) -> np.random.Generator:
    """A new generator of the same kind."""
    return np.random.Generator(type(rng.bit_generator)(seed))


def _walk(holders: Mapping[str, Any]) -> Iterator[tuple[str, np.random.Generator, bool]]:
    """Every generator, the way to it, and whether its holder asks for it."""
    waiting = [(path, holder, False) for path, holder in reversed(list(holders.items()))]
    seen: set[int] = set()
    while waiting and len(seen) < FAR:
        path, node, is_asked_for = waiting.pop()
        if isinstance(node, np.random.Generator):
            yield path, node, is_asked_for
        elif id(node) not in seen:
            seen.add(id(node))
            asks = is_asked_for if isinstance(node, (tuple, list, dict)) else _is_known(type(node))
            parts = [(f"{path}.{name}", part, asks) for name, part in _parts(node) if type(part) not in PLAIN]
            waiting += reversed(parts)


def _parts(node: Any) -> Iterator[tuple[Any, Any]]:
    """What an object refers to, as far as a generator may hide there."""
    if isinstance(node, FunctionType):
        if _is_known(node):
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
        yield from enumerate(node if len(node) <= MANY else ())
    elif isinstance(node, dict):
        yield from node.items() if len(node) <= MANY else ()
    elif not isinstance(node, (type, ModuleType)):
        yield from _attributes(node)
        for cls in type(node).__mro__:
            if cls is not object and not _is_known(cls):
                yield from (
                    (name, f) for name, f in vars(cls).items() if isinstance(f, (FunctionType, np.random.Generator))
                )


def _attributes(node: Any) -> list[tuple[str, Any]]:
    """What an object holds by itself, past a ``__getattr__`` that stands for another object."""
    try:
        return list(object.__getattribute__(node, "__dict__").items())
    except AttributeError:
        return []


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _is_known(what: Any) -> bool:
    return str(getattr(what, "__module__", "")).split(".")[0] in ("passus", "numpy")

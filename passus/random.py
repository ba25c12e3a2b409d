"""Where random numbers come from: generators that are seeded, passed on and saved, never NumPy's global one.

Everything random in passus takes ``rng``: a generator, a seed, or None for the current generator. That one is seeded
with `seed`, exchanged for the length of a block with `using_rng`, and part of every checkpoint.

>>> seed(0)
>>> a = get_rng().random(2)
>>> seed(0)
>>> bool((a == get_rng().random(2)).all())
True
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from passus.arguments import shown
from passus.errors import ArgumentError, DTypeError
from passus.loading import Loading
from passus.scopes import Scope, collected_notes, current
from passus.tree import check_tree

__all__ = [
    "RNG",
    "get_rng",
    "load_rng_state",
    "noted_generators",
    "rewound",
    "rng_state",
    "seed",
    "standing_in",
    "using_rng",
    "verify_rng_state",
]

RNG: TypeAlias = np.random.Generator | int | None
"""A generator, a seed for a new one, or None for the current one."""

_shared = [np.random.default_rng()]
"""The generator of all threads and contexts that are not inside a block of `using_rng`."""

_current: ContextVar[np.random.Generator | None] = ContextVar("rng", default=None)

States: TypeAlias = dict[np.random.Generator, Mapping[str, Any]]
"""Generators, each with a state that it had."""

_noted: ContextVar[States | None] = ContextVar("generators noted", default=None)

_stand_ins: ContextVar[Mapping[np.random.Generator, np.random.Generator]] = ContextVar(
    "generators in place of others", default=MappingProxyType({})
)


def get_rng(rng: RNG = None) -> np.random.Generator:
    """The generator that ``rng`` means.

    Raises `ArgumentError` for a negative seed, `DTypeError` for anything that is no seed.

    >>> bool(get_rng(7).integers(10) == get_rng(7).integers(10))
    True
    """
    if rng is None:
        return current(_current.get()) or _shared[0]
    if isinstance(rng, np.random.Generator):
        rng = _stand_ins.get().get(rng, rng)
        noted = _noted.get()
        if noted is not None and rng not in noted:
            noted[rng] = rng.bit_generator.state
        return rng
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise DTypeError(f"rng: {type(rng).__name__} is neither a seed nor a np.random.Generator")
    if rng < 0:
        raise ArgumentError(f"rng: a seed must not be negative, and {rng} is")
    return np.random.default_rng(rng)


def seed(value: int) -> None:
    """Seed the current generator anew: inside `using_rng` that of the block, else the one that all of the process shares.

    So it holds in other threads, and in the cells of a notebook that come later. Threads that share a generator draw in
    the order in which they happen to come; one whose numbers are to be the same each time has ``using_rng(SEED)``.

    >>> seed(7)
    >>> bool(get_rng().random() == np.random.default_rng(7).random())
    True
    """
    if current(_current.get()) is None:
        _shared[0] = get_rng(value)
    else:
        _current.set(get_rng(value))


def using_rng(rng: RNG) -> Scope:
    """Let ``rng`` be the current generator inside a block or a decorated function; see `passus.config.using_config`.

    >>> with using_rng(0) as rng:
    ...     get_rng() is rng
    True
    """
    return Scope(_current, lambda: get_rng(rng))


def standing_in(stand_ins: Mapping[np.random.Generator, np.random.Generator]) -> Scope:
    """Let `get_rng` return other generators in place of those that it is given, inside a block.

    >>> a, b = np.random.default_rng(0), np.random.default_rng(0)
    >>> with standing_in({a: b}):
    ...     get_rng(a) is b
    True
    """
    return Scope(_stand_ins, lambda: stand_ins)


@contextmanager
def noted_generators() -> Iterator[States]:
    """Note each generator that `get_rng` is given inside a block, with the state it has then, for `rewound`.

    >>> generator = np.random.default_rng(0)
    >>> with noted_generators() as noted:
    ...     x = get_rng(generator).random()
    >>> list(noted) == [generator]
    True
    """
    with collected_notes(_noted) as noted:
        yield noted


@contextmanager
def rewound(states: States) -> Iterator[None]:
    """Let generators draw once more from earlier states inside a block; after it they are where they were before.

    >>> generator = np.random.default_rng(0)
    >>> states = {generator: rng_state(generator)}
    >>> first = generator.random()
    >>> with rewound(states):
    ...     generator.random() == first
    True
    >>> generator.random() == first
    False
    """
    now: States = {generator: generator.bit_generator.state for generator in states}
    try:
        _put(states)
        yield
    finally:
        _put(now)


def _put(states: States) -> None:
    for generator, state in states.items():
        generator.bit_generator.state = state


def rng_state(rng: RNG = None) -> dict[str, Any]:
    """The state of a generator: a nested dict of numbers and names, which JSON can hold.

    >>> rng_state(7)["bit_generator"]
    'PCG64'
    """
    return dict(get_rng(rng).bit_generator.state)


def load_rng_state(state: dict[str, Any], rng: RNG = None) -> None:
    """Put a generator back into a state that `rng_state` gave.

    Raises `ArgumentError` if the state is not one of this kind of generator; the generator is then as it was.

    >>> state = rng_state()
    >>> a = get_rng().random()
    >>> load_rng_state(state)
    >>> a == get_rng().random()
    True
    """
    loading = Loading()
    verify_rng_state(state, get_rng(rng), loading)
    loading.commit()


def verify_rng_state(
    state: Any, generator: np.random.Generator, loading: Loading, name: str = "load_rng_state"
) -> None:
    """Let a generator be put into a state, if it is one of this kind of generator. Raises `ArgumentError` if not.

    ``name``: what it is called in the message.

    >>> generator, loading = np.random.default_rng(0), Loading()
    >>> verify_rng_state(rng_state(1), generator, loading)
    >>> loading.commit()
    >>> bool(generator.random() == np.random.default_rng(1).random())
    True
    """
    kind = type(generator.bit_generator)
    trial = copy.deepcopy(generator).bit_generator
    try:
        check_tree(f"a state of {kind.__name__}", state)
        trial.state = state
        taken = _same(trial.state, state) and _inside(state)
        reason = "NumPy understands another state by it"
    except Exception as error:  # NumPy raises whatever comes of what it finds.
        taken, reason = False, shown(error)
    if not taken:
        raise ArgumentError(f"{name}: not a state of {kind.__name__}: {reason}")
    loading.put(generator.bit_generator, "state", trial.state)


def _same(a: Any, b: Any) -> bool:
    """Whether two states are equal, to the types of their numbers."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, np.ndarray):
        if isinstance(b, list):  # As JSON gives it.
            return all(type(n) is int for n in b) and a.tolist() == b
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def _inside(state: Mapping[str, Any]) -> bool:
    """Whether a state says to go on within its own numbers; NumPy would read what lies behind them in memory."""
    inner = state.get("state", {})
    numbers = inner if isinstance(inner, Mapping) else {}
    places = [
        (numbers.get("pos", 0), np.size(numbers.get("key", 0)) if "pos" in numbers else 0),
        (state.get("buffer_pos", 0), np.size(state.get("buffer", 0))),
        (state.get("has_uint32", 0), 1),
    ]
    return all(0 <= place <= end for place, end in places)

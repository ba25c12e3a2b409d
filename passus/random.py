"""Random number generators that can be seeded, passed and saved; NumPy's global generator is never used.

All random functions of passus take ``rng``: a generator, a seed, or None for the current generator. `seed` seeds the current
generator, `using_rng` replaces it inside a block, and checkpoints include it.

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
from passus.errors import ArgumentError, DTypeError, RecordingError
from passus.loading import Loading
from passus.scopes import Scope, collected_records, current
from passus.tree import check_tree

__all__ = [
    "RNG",
    "generator_snapshots",
    "get_rng",
    "load_rng_state",
    "replaced_generators",
    "restored_generators",
    "rng_state",
    "seed",
    "using_rng",
    "verify_rng_state",
]

RNG: TypeAlias = np.random.Generator | int | None
"""A generator, a seed for a new one, or None for the current one."""

_shared = [np.random.default_rng()]
"""The generator of all threads and contexts outside of `using_rng` blocks."""

_current: ContextVar[np.random.Generator | None] = ContextVar("rng", default=None)

States: TypeAlias = dict[np.random.Generator, Any]
"""Earlier states of generators."""

_snapshots: ContextVar[States | None] = ContextVar("generator snapshots", default=None)

_replacements: ContextVar[Mapping[np.random.Generator, np.random.Generator]] = ContextVar(
    "replacements of generators", default=MappingProxyType({})
)


def get_rng(rng: RNG = None) -> np.random.Generator:
    """The generator for ``rng``.

    Raises `ArgumentError` for a negative seed, `DTypeError` for other types.

    >>> bool(get_rng(7).integers(10) == get_rng(7).integers(10))
    True
    """
    if rng is None:
        return current(_current.get()) or _shared[0]
    if isinstance(rng, np.random.Generator):
        rng = _replacements.get().get(rng, rng)
        states = _snapshots.get()
        if states is not None and rng not in states:
            states[rng] = _state_of(rng)
        return rng
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)):
        raise DTypeError(f"rng: {type(rng).__name__} is neither a seed nor a np.random.Generator")
    if rng < 0:
        raise ArgumentError(f"rng: the seed {rng} is negative; give 0 or more")
    return np.random.default_rng(rng)


def seed(value: int) -> None:
    """Seed the current generator: inside `using_rng` that of the block, otherwise the generator shared by the process.

    The shared generator is the same in all threads and in later notebook cells. Threads that share a generator draw in
    unpredictable order; for reproducible numbers, use ``using_rng(SEED)`` in each thread.

    >>> seed(7)
    >>> bool(get_rng().random() == np.random.default_rng(7).random())
    True
    """
    if hasattr(get_rng(), "_position"):
        raise RecordingError(
            "seed: a step that is recorded would seed its generator at no later call; seed it before the step"
        )
    if current(_current.get()) is None:
        _shared[0] = get_rng(value)
    else:
        _current.set(get_rng(value))


def using_rng(rng: RNG) -> Scope:
    """Make ``rng`` the current generator inside a block or a decorated function; see `passus.config.using_config`.

    >>> with using_rng(0) as rng:
    ...     get_rng() is rng
    True
    """
    return Scope(_current, lambda: get_rng(rng))


def replaced_generators(replacements: Mapping[np.random.Generator, np.random.Generator]) -> Scope:
    """Make `get_rng` return replacements of generators inside a block.

    >>> a, b = np.random.default_rng(0), np.random.default_rng(0)
    >>> with replaced_generators({a: b}):
    ...     get_rng(a) is b
    True
    """
    return Scope(_replacements, lambda: replacements)


@contextmanager
def generator_snapshots() -> Iterator[States]:
    """Collect each generator passed to `get_rng` inside a block, with its state at that time, for `restored_generators`.

    >>> generator = np.random.default_rng(0)
    >>> with generator_snapshots() as states:
    ...     x = get_rng(generator).random()
    >>> list(states) == [generator]
    True
    """
    with collected_records(_snapshots) as states:
        yield states


@contextmanager
def restored_generators(states: States) -> Iterator[None]:
    """Restore earlier states of generators inside a block; afterwards, restore their current states.

    >>> generator = np.random.default_rng(0)
    >>> states = {generator: rng_state(generator)}
    >>> first = generator.random()
    >>> with restored_generators(states):
    ...     generator.random() == first
    True
    >>> generator.random() == first
    False
    """
    current_states: States = {generator: _state_of(generator) for generator in states}
    try:
        _restore(states)
        yield
    finally:
        _restore(current_states)


def _restore(states: States) -> None:
    for generator, state in states.items():
        if isinstance(state, int):
            generator._position = state  # type: ignore[attr-defined]
        else:
            generator.bit_generator.state = state


def _state_of(generator: np.random.Generator) -> Any:
    """The state of a generator; while a step is recorded, the number of its next draw."""
    position = getattr(generator, "_position", None)
    return generator.bit_generator.state if position is None else position


def rng_state(rng: RNG = None) -> dict[str, Any]:
    """The state of a generator, a nested dict that can be written as JSON.

    >>> rng_state(7)["bit_generator"]
    'PCG64'
    """
    return dict(get_rng(rng).bit_generator.state)


def load_rng_state(state: dict[str, Any], rng: RNG = None) -> None:
    """Restore a generator to a state that `rng_state` returned.

    Raises `ArgumentError` for the state of another kind of generator; the generator is then unchanged.

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
    """Schedule loading a state into a generator. Raises `ArgumentError` for the state of another kind of generator.

    ``name``: the caller, for the message.

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
        is_valid = _same(trial.state, state) and _in_bounds(state)
        reason = "NumPy interprets it as a different state"
    except Exception as error:  # NumPy raises arbitrary errors for invalid states.
        is_valid, reason = False, shown(error)
    if not is_valid:
        raise ArgumentError(f"{name}: not a state of {kind.__name__}: {reason}")
    loading.assign(generator.bit_generator, "state", trial.state)


def _same(a: Any, b: Any) -> bool:
    """Whether two states are equal, including the types of their numbers."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, np.ndarray):
        if isinstance(b, list):  # From JSON.
            return all(type(n) is int for n in b) and a.tolist() == b
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)


def _in_bounds(state: Mapping[str, Any]) -> bool:
    """Whether the positions of a state are within its buffers; NumPy does not check, and would read beyond them."""
    inner = state.get("state", {})
    numbers = inner if isinstance(inner, Mapping) else {}
    positions = [
        (numbers.get("pos", 0), np.size(numbers.get("key", 0)) if "pos" in numbers else 0),
        (state.get("buffer_pos", 0), np.size(state.get("buffer", 0))),
        (state.get("has_uint32", 0), 1),
    ]
    return all(0 <= position <= end for position, end in positions)

"""The comparison of a recorded step with the eager step, bit by bit, over several calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from passus.backend.trace import Traced
from passus.core import Variable
from passus.errors import PassusWarning
from passus.kernels.dispatch import start_using
from passus.layers import Layer
from passus.layers.nodes import TRANSIENT
from passus.random import using_rng
from passus.recording import compile

__all__ = ["World", "assert_same", "assert_untraced", "compared", "exactly", "frozen", "images", "numbers"]


class World:
    """A step, and all that it may change: layers, optimizers, generators, arrays, Variables, and dicts and lists of them."""

    def __init__(self, step: Callable[..., Any], *parts: Any, **named: Any) -> None:
        self.step, self.parts = step, parts
        self.rng = np.random.default_rng(7)
        """The current generator of each call."""
        self.__dict__.update(named)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # For mypy: tests name the parts as they like.

    def call(self, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Call the step on copies of the arguments. Returns the result, and the arguments after the call."""
        args, options = copied(list(args)), copied(dict(options))
        with using_rng(self.rng):
            return frozen(self.step(*args, **options)), frozen(args), frozen(options)

    def state(self) -> Any:
        """All numbers of the parts, as they are now."""
        return [frozen(part) for part in (*self.parts, self.rng)]


exactly = partial(compile, exact=True)
"""Compile a step so that its results have the bits of the eager step."""

Event = Callable[[World], Any]


def compared(
    make: Callable[[], World],
    calls: Sequence[Any],
    events: Mapping[int, Event] | None = None,
    *,
    programs: int | None = 1,
    compile: Callable[[Any], Any] = exactly,
    exact_only: bool = False,
    fault: str = "",
) -> World:
    """Run an eager and a recorded copy of a step on the same calls, and require equal bits after each.

    ``make``: a new copy, with the same numbers each time. ``calls``: the arguments of each call. ``events``: what happens to both
    copies before a call, by its number. ``programs``: how many programs are checked and ready in the end; None: any number.
    ``exact_only``: the step enlarges small differences, as Adam does those of gradients that are nearly 0. ``fault``: what is
    known to be wrong on the machine. Returns the recorded copy.
    """
    start_using()  # As `compile` does: the first kernel changes the thresholds of the others.
    eager, recorded = make(), make()
    recorded.eager, recorded.step = recorded.step, compile(recorded.step)
    for i, call in enumerate(calls):
        args = call if isinstance(call, (tuple, list)) else (call,)
        for world in (eager, recorded):
            if events and i in events:
                events[i](world)
        expected, result = eager.call(args, {}), recorded.call(args, {})
        assert_same(result, expected, f"call {i}: result")
        assert_same(recorded.state(), eager.state(), f"call {i}: state")
        for part in recorded.parts:
            assert_untraced(part)
    if fault:
        with pytest.raises((AssertionError, StopIteration)):
            compared_closely(make, calls, events or {})
    elif not exact_only:
        compared_closely(make, calls, events or {})
    if programs is not None:
        ready = [version for version in recorded.step.versions if version.is_checked]
        assert len(ready) == programs, f"{len(ready)} programs, expected {programs}"
    return recorded


def compared_closely(make: Callable[[], World], calls: Sequence[Any], events: Mapping[int, Event]) -> None:
    """The same on the machine, whose sums have another order: the numbers are close."""
    eager, recorded = make(), make()
    recorded.step = compile(recorded.step, fallback=True)
    for i, call in enumerate(calls):
        args = call if isinstance(call, (tuple, list)) else (call,)
        for world in (eager, recorded):
            if i in events:
                events[i](world)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PassusWarning)  # Of steps that cannot be recorded, or in too many ways.
            expected, result = eager.call(args, {}), recorded.call(args, {})
        assert_same(result, expected, f"machine, call {i}: result", close)
        assert_same(recorded.state(), eager.state(), f"machine, call {i}: state", close)


def equal(a: Any, b: Any) -> bool:
    """Whether two arrays have equal bits."""
    return bool(a.tobytes() == b.tobytes())


def close(a: Any, b: Any) -> bool:
    """Whether two arrays are equal, up to the errors of a few steps if they are of floating-point numbers."""
    return bool(np.allclose(a, b, rtol=2e-3, atol=2e-4, equal_nan=True)) if a.dtype.kind == "f" else equal(a, b)


def copied(value: Any) -> Any:
    """Copies of arrays with their memory order, and of Variables without a graph; other values themselves."""
    if isinstance(value, np.ndarray):
        copy = value.astype(value.dtype)
        if not value.flags.c_contiguous and not value.flags.f_contiguous and value.base is not None:
            return value  # A view with steps: its memory order is part of the test.
        copy.flags.writeable = value.flags.writeable
        return copy
    if isinstance(value, Variable):
        copy = type(value)(copied(value.data), value.name)
        copy._grad, copy.requires_grad = copied(value._grad), value.requires_grad
        return copy
    if type(value) in (list, tuple):
        return type(value)([copied(v) for v in value])
    if type(value) is dict:
        return {name: copied(v) for name, v in value.items()}
    return value


def frozen(value: Any) -> Any:
    """A value with copies of all numbers in it, for `assert_same`."""
    if isinstance(value, Layer):
        return {f"{path} {name}": frozen(v) for path, layer in value.named_layers() for name, v in attributes(layer)}
    if isinstance(value, Variable):
        return (
            type(value).__name__,
            array_of(value._data),
            None if value._grad is None else array_of(value._grad._data),
        )
    if isinstance(value, (np.ndarray, np.generic)):
        return value.copy()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *[frozen(v) for v in value]]
    if isinstance(value, Mapping):
        return {name: frozen(v) for name, v in value.items()}
    if hasattr(value, "state_dict"):
        return frozen(value.state_dict())
    return value


def attributes(layer: Layer) -> list[tuple[str, Any]]:
    """The attributes of a layer that are no layers."""
    return [(n, v) for n, v in vars(layer).items() if n not in TRANSIENT and not isinstance(v, Layer)]


def array_of(data: Any) -> Any:
    """The array of a Variable, which may hold a scalar of NumPy."""
    return None if data is None else np.array(data)


def assert_same(a: Any, b: Any, where: str, same: Callable[[Any, Any], bool] = equal) -> None:
    """Require equal structure, types, dtypes, shapes, and bits."""
    assert type(a) is type(b), f"{where}: {type(a).__name__} {a!r}, expected {type(b).__name__} {b!r}"
    if isinstance(a, dict):
        assert list(a) == list(b), f"{where}: {list(a)}, expected {list(b)}"
        for name in a:
            assert_same(a[name], b[name], f"{where}, {name}", same)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), f"{where}: {len(a)} items, expected {len(b)}"
        for i, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f"{where}, {i}", same)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{where}: {a.dtype} {a.shape}, expected {b.dtype} {b.shape}"
        assert same(a, b), f"{where}: {a}, expected {b}"
    elif isinstance(a, float):
        assert same(np.float64(a), np.float64(b)), f"{where}: {a}, expected {b}"
    elif isinstance(a, (bool, int, str, bytes, type(None))):
        assert a == b, f"{where}: {a}, expected {b}"


def assert_untraced(value: Any) -> None:
    """Require that no traced array is left in a model, an optimizer, or a tree."""
    assert type(value) is not Traced
    if isinstance(value, Variable):
        assert type(value._data) is not Traced
        assert value._grad is None or type(value._grad._data) is not Traced
    elif isinstance(value, Layer):
        for _, layer in value.named_layers():
            for _, attribute in attributes(layer):
                assert_untraced(attribute)
    elif isinstance(value, (list, tuple)):
        for v in value:
            assert_untraced(v)
    elif isinstance(value, dict):
        assert_untraced(list(value.values()))


def numbers(count: int, *shapes: tuple[int, ...], dtype: Any = np.float32, seed: int = 0) -> list[tuple[Any, ...]]:
    """The arguments of some calls: normal random numbers of these shapes."""
    rng = np.random.default_rng(seed)
    return [tuple([rng.normal(size=shape).astype(dtype) for shape in shapes]) for _ in range(count)]


def images(count: int, shape: tuple[int, ...], classes: int, seed: int = 0) -> list[tuple[Any, ...]]:
    """The arguments of some calls: images (N, C, H, W) and labels (N,)."""
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=shape).astype(np.float32), rng.integers(0, classes, shape[0])) for _ in range(count)]

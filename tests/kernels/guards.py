"""Calls with arguments changed in every way, compared with and without kernels.

Every array lies between guards: a number that is read there is NaN, and bytes that are written there are found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from passus import using_config

GUARD = 1 << 12
"""Bytes on either side."""


class Subclass(np.ndarray):
    pass


def misaligned(x: np.ndarray) -> np.ndarray:
    y = np.frombuffer(bytearray(x.nbytes + 1), x.dtype, x.size, offset=1).reshape(x.shape)
    y[...] = x
    return y


def read_only(x: np.ndarray) -> np.ndarray:
    y = x.copy(order="K")
    y.flags.writeable = False
    return y


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=-1)[..., ::2]


def reversed_in_memory(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


CHANGES: dict[str, Callable[[np.ndarray], Any]] = {
    "dropped axis": lambda x: x[0],
    "one more axis": lambda x: x[None],
    "one more axis at the end": lambda x: x[..., None],
    "flat": lambda x: x.reshape(-1),
    "transposed": lambda x: x.T,
    "transposed in memory": lambda x: np.ascontiguousarray(x.T).T,
    "C order": np.ascontiguousarray,
    "channels last": lambda x: np.moveaxis(
        np.ascontiguousarray(np.moveaxis(x, min(1, x.ndim - 1), -1)), -1, min(1, x.ndim - 1)
    ),
    "strided": strided,
    "reversed": reversed_in_memory,
    "one number stretched": lambda x: np.broadcast_to(x.reshape(-1)[:1].reshape((1,) * x.ndim), x.shape),
    "misaligned": misaligned,
    "read-only": read_only,
    "a subclass": lambda x: x.view(Subclass),
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "another byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "int32": lambda x: x.astype(np.int32),
    "uint8": lambda x: x.astype(np.uint8),
    "one number": lambda x: x.reshape(-1)[0],
    "no axes": lambda x: x.reshape(-1)[:1].reshape(()),
    "None": lambda x: None,
}


def resized(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The array with one axis smaller, larger, or empty."""
    for axis, n in enumerate(x.shape):
        for size in sorted({0, 1, n - 1, n + 1, 2 * n, 40 * n} - {n}):
            yield f"axis {axis} of {size}", np.take(x, np.arange(size) % n, axis=axis)


def changed(x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, np.ndarray):
        yield from ((name, change(x)) for name, change in CHANGES.items())
        yield from resized(x)
    elif isinstance(x, int):
        yield from ((str(n), n) for n in (-1, 0, x - 1, x + 1, x + 7, 40 * x) if n != x)
    elif hasattr(x, "_replace"):
        if not any(isinstance(n, float) for n in x):
            for field, value in x._asdict().items():
                yield from ((f"{field}: {name}", x._replace(**{field: other})) for name, other in changed(value))
    elif isinstance(x, tuple) and x and not any(isinstance(n, float) for n in x):
        yield from (("shorter", x[:-1]), ("longer", (*x, x[-1])))
        for i, item in enumerate(x):
            yield from ((f"{i}: {name}", (*x[:i], other, *x[i + 1 :])) for name, other in changed(item))


def cases(arguments: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    yield "unchanged", arguments
    for i, x in enumerate(arguments):
        for name, other in changed(x):
            yield f"argument {i}: {name}", (*arguments[:i], other, *arguments[i + 1 :])


def guarded(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, slice]:
    """The same numbers at the same distances, with guards around them; the memory, and where in it they are."""
    low, high = np.lib.array_utils.byte_bounds(x)
    first = x.ctypes.data
    begin = GUARD + low % 64
    memory = np.full(begin + high - low + GUARD, 0xFF, np.uint8)
    inside = slice(begin, begin + high - low)
    memory[inside] = np.frombuffer(ctypes.string_at(low, high - low), np.uint8)
    y = np.ndarray(x.shape, x.dtype, memory.data, begin + first - low, x.strides).view(type(x))
    y.flags.writeable = x.flags.writeable
    return y, memory, inside


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...], native: bool) -> Any:
    """What a call returns and leaves in its arguments, or its error."""
    guards: list[Any] = []

    def guard(x: Any) -> Any:
        if hasattr(x, "_replace"):
            return type(x)(*[guard(field) for field in x])
        if isinstance(x, np.ndarray) and x.size:
            x, *memory = guarded(x)
            guards.append(memory)
        return x

    given = tuple([guard(x) for x in arguments])
    try:
        with using_config("native", native):
            result: Any = function(*given)
        result = [x.copy() if isinstance(x, np.ndarray) else x for x in (*all_arrays(result), *all_arrays(given))]
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in result):  # NumPy takes None for an object.
            result = TypeError("no array of numbers")
    except Exception as error:
        result = error
    for memory, inside in guards:
        assert (memory[: inside.start] == 0xFF).all()
        assert (memory[inside.stop :] == 0xFF).all()
    return result


def all_arrays(result: Any) -> tuple[Any, ...]:
    """The arrays of a result, those of a tuple in it among them."""
    if not isinstance(result, tuple):
        return (result,)
    return tuple([x for item in result for x in (all_arrays(item) if isinstance(item, tuple) else (item,))])


def compare(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    found, expected = outcome(function, arguments, True), outcome(function, arguments, False)
    if isinstance(expected, Exception):
        assert isinstance(found, Exception), "no error"
        return
    assert not isinstance(found, Exception), f"{found!r} where there is a result"
    for x, y in zip(found, expected, strict=True):
        if isinstance(y, np.ndarray) and x is not None:
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            scale = np.abs(y[np.isfinite(y)]).max(initial=0.1) if y.dtype.kind == "f" else 0
            # A number of float16 is rounded once, from float32 numbers that differ in their last digits.
            rtol = max(1e-4, float(np.finfo(y.dtype).eps)) if y.dtype.kind == "f" else 0
            np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-4 * scale)


def compare_all(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    wrong = []
    for name, others in cases(arguments):
        try:
            compare(function, others)
        except AssertionError as error:
            wrong.append(f"{name}: {str(error).strip()[:300]}")
    assert not wrong, "\n".join(wrong)

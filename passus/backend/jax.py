"""JAX: arrays on processors, GPUs and TPUs, whose operations XLA compiles.

Functions are the same array code as for NumPy, with `jax.numpy` in place of `numpy`. What JAX lacks or does in another way is
here. Arrays of NumPy beside arrays of JAX are constants: they are copied to the device.

Inside ``jax.jit`` arrays have shapes but no numbers. A check of numbers is skipped there, or made after the step
(`passus.backend.values`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from passus.backend.base import Array
from passus.backend.trace import has_own_rules, leaves

__all__ = ["JAX"]


class JAX:
    """Arrays of JAX on any device."""

    name: ClassVar[str] = "jax"

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax
        self.xp: Any = JaxNumPy(jax)

    @property
    def intp(self) -> Any:
        return np.dtype(np.int64 if self.jax.config.jax_enable_x64 else np.int32)

    def is_array(self, x: object) -> bool:
        return isinstance(x, self.jax.Array)

    def asarray(self, x: Any) -> Array:
        return self.jax.numpy.asarray(x)

    def to_numpy(self, x: Array) -> Array:
        return np.array(x)  # np.asarray would return a read-only view of the memory of JAX.

    def has_values(self, x: Array) -> bool:
        return not isinstance(x, self.jax.core.Tracer)

    def wide(self, dtype: Any) -> Any:
        return dtype  # XLA adds in pairs, and devices are slow with float64.

    def chosen(self, condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
        return self.jax.lax.cond(condition, if_true, if_false)

    def random_bits(self, rng: Any, shape: tuple[int, ...], like: Array | None = None) -> Array:
        key = self.jax.random.key(int(rng.integers(1 << 32)))
        return self.jax.random.bits(key, shape, "uint32")

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        return self.add_at(self.xp.zeros(shape, values.dtype), index, values)

    def maximum_at(self, x: Array, index: Array, values: Array) -> Array:
        return x.at[index].max(values)

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        return x.at[index].add(values)


class JaxNumPy:
    """`jax.numpy` with the functions of NumPy that it lacks, or whose arguments it restricts.

    Given Variables, as in a rule that is recorded, a function of NumPy is called, which leaves the call to them.
    """

    constants = np
    """The module that creates arrays which are never written to; those of JAX would be bound to one trace if they were cached."""

    def __init__(self, jax: Any) -> None:
        self._jax, self._np = jax, jax.numpy
        self.lib = SimpleNamespace(stride_tricks=SimpleNamespace(sliding_window_view=self._windows))

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._np, name)
        if isinstance(function, (type, ModuleType)) or not callable(function):
            return function

        @wraps(function)
        def called(*args: Any, **options: Any) -> Any:
            has_variables = any(has_own_rules(type(x)) for x in leaves((*args, *options.values())))
            return (getattr(np, name) if has_variables else function)(*args, **options)

        setattr(self, name, called)
        return called

    def ascontiguousarray(self, x: Any, dtype: Any = None) -> Array:
        return self._np.asarray(x, dtype)  # Arrays of JAX have no order that Python sees.

    def split(self, x: Array, indices: Any, axis: int = 0) -> list[Array]:
        if isinstance(indices, int):
            return list(self._np.split(x, indices, axis))
        n, before = x.shape[axis], (slice(None),) * (axis % x.ndim)
        bounds = [range(n)[slice(*pair)] for pair in pairwise([0, *indices, n])]  # Indices may be in any order.
        return [x[(*before, slice(b.start, max(b.start, b.stop)))] for b in bounds]

    def _windows(self, x: Array, window: Any, axis: Any) -> Array:
        """The windows of numpy.lib.stride_tricks.sliding_window_view, as a copy."""
        for n, a in zip(window, axis):
            starts = np.arange(x.shape[a] - n + 1)
            x = self._np.moveaxis(self._np.take(x, starts[:, None] + np.arange(n), a), a + 1, -1)
        return x

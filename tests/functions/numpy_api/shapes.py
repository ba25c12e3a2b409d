"""Calls of elementwise functions, and of functions that rearrange elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.functions.numpy_api.calls import EMPTY, GAPS, MASK, SQUARE, ZERO, M, N, P, T, V, W, call

ELEMENTS = [
    *[
        call(f, x)
        for f in (np.exp2, np.sinh, np.arcsinh, np.sinc, np.deg2rad, np.rad2deg, np.degrees, np.radians)
        for x in (M, ZERO, EMPTY)
    ],
    *[call(f, x) for f in (np.log2, np.log10, np.cbrt, np.reciprocal) for x in (P, ZERO, EMPTY)],
    call(np.arccosh, P + 1),
    call(np.arctanh, M / 3),
    *[call(f, M) for f in (np.absolute, np.fabs, np.sign, np.trunc, np.fix, np.rint, np.floor, np.ceil, np.positive)],
    *[call(f, M) for f in (np.real, np.real_if_close, np.conj, np.conjugate, np.imag, np.angle, np.unwrap, np.copy)],
    *[call(f, M, N[:1]) for f in (np.logaddexp, np.logaddexp2, np.arctan2, np.hypot, np.fmax, np.fmin, np.copysign)],
    *[call(f, M, 0.3) for f in (np.maximum, np.minimum, np.heaviside, np.fmax, np.hypot, np.logaddexp, np.true_divide)],
    *[call(f, M, P[0]) for f in (np.mod, np.remainder, np.fmod, np.floor_divide, np.divmod)],
    call(np.mod, M, 0.4),
    call(np.mod, 0.4, M),
    call(np.float_power, P, 2),
    call(np.float_power, P, P),
    call(np.ldexp, M, 3),
    call(np.frexp, M),
    call(np.modf, M),
    call(np.round, M, 1),
    call(np.around, M, decimals=1),
    call(np.nan_to_num, GAPS, nan=2.0),
    call(np.nan_to_num, np.array([np.inf, 1.0, -np.inf, np.nan]), posinf=3.0, neginf=-2.0),
    call(np.clip, M, -0.5, 0.5),
    call(np.clip, M, None, 0.5),
    call(np.clip, M, N - 0.5, N + 0.5),
    call(np.clip, M, min=N[0] - 1, max=2.0),
    call(np.clip, M, 0.5, -0.5),
    call(np.clip, M, None, None),
    call(np.exp, M, dtype=np.float64),
    call(np.add, M, 1.0, casting="unsafe", order="K"),
]

SHAPES = [
    *[call(f, x) for f in (np.atleast_1d, np.atleast_2d, np.atleast_3d) for x in (ZERO, V, M, T)],
    call(np.atleast_1d, ZERO, M),
    call(np.reshape, M, (4, 3), order="F"),
    call(np.reshape, T, (-1, 4), order="F"),
    call(np.reshape, M, -1, order="F"),
    call(np.reshape, M, (2, 6), copy=True),
    call(np.ravel, M, order="F"),
    call(np.ravel, M, "K"),
    call(np.transpose, T, (1, 2, 0)),
    *[call(np.rollaxis, T, axis, start) for axis in (0, 1, 2, -1) for start in (0, 1, 2, 3, -1)],
    call(np.moveaxis, T, [0, 1], [-1, 0]),
    call(np.matrix_transpose, T),
    call(np.linalg.matrix_transpose, T),
    call(np.permute_dims, T, (2, 0, 1)),
    call(np.expand_dims, M, (0, -1)),
    call(np.squeeze, M[None], axis=0),
    call(np.broadcast_to, V, (2, 5)),
    call(np.broadcast_arrays, M, N[0]),
    call(np.flip, M),
    call(np.flip, T, (0, -1)),
    call(np.fliplr, T),
    call(np.flipud, M),
    *[call(np.rot90, M, k) for k in (-1, 0, 1, 2, 3, 6)],
    call(np.rot90, T, 1, (2, 0)),
    call(np.roll, M, 1, -1),
    call(np.tile, M, (2, 1)),
    call(np.repeat, M, 2),
    call(np.repeat, M, [1, 0, 2], axis=0),
    call(np.pad, M, 1, constant_values=2.0),
    call(np.pad, M, ((1, 2), (0, 1)), constant_values=(2.0, 3.0)),
    call(np.pad, M, (1, 2), mode="reflect"),
    call(np.pad, M, 1, constant_values=ZERO),
    *[call(np.diag, x, k) for x in (V, SQUARE, M) for k in (-1, 0, 2)],
    call(np.diagflat, M, 1),
    call(np.diagonal, T, 0, -1, -2),
    call(np.trace, T, offset=1),
    call(np.tril, M, 1),
    call(np.triu, T, -1),
    call(np.resize, M, (2, 7)),
    call(np.full_like, M, ZERO),
    *[call(np.meshgrid, V, W[:3], indexing=i, sparse=s) for i in ("xy", "ij") for s in (True, False)],
    call(np.meshgrid, V, W[:3], V[:2]),
    call(np.swapaxes, T, 0, -1),
    call(np.astype, M, np.float64),
]


def like(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes arrays, called with one of its arguments as what the array shall be like."""

    def made(x: Any, *args: Any, **kwargs: Any) -> Any:
        return function([[x, 2.0 * x], [x, 1.0 + x]], *args, **kwargs, like=x)

    made.__qualname__ = f"{function.__name__}-like"
    return made


def filled(x: Any) -> Any:
    return np.full((2, 3), x, like=x)


def length(row: Any, p: Any = 2) -> Any:
    return (abs(row) ** p).sum()


def doubled(row: Any) -> Any:
    return row[::-1] * 2.0


MAKING = [
    *[call(like(f), ZERO) for f in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray)],
    call(like(np.array), V, ndmin=4),
    call(filled, ZERO),
    call(np.geomspace, ZERO, 3.0, 4),
    call(np.geomspace, P[0], 2.0, 5, endpoint=False, axis=-1),
    call(np.vander, V),
    call(np.vander, V, 3, increasing=True),
    *[call(np.apply_along_axis, f, a, T) for f in (length, doubled, np.diag) for a in (0, 1, -1)],
    call(np.apply_along_axis, length, 0, M, 3),
    call(np.piecewise, M, [M < -1, M > 1], [lambda x: x**2, lambda x: 3.0 * x, 0.5]),
    call(np.piecewise, V, [MASK[0, 0] & (V > 0), V > 1], [np.sqrt, np.log]),
    call(np.piecewise, V, V > 0, [np.sqrt, -1.0]),
]

JOINING = [
    *[call(f, [V, W]) for f in (np.hstack, np.vstack, np.dstack, np.column_stack, np.stack, np.concatenate)],
    *[call(f, (M, N)) for f in (np.hstack, np.vstack, np.dstack, np.column_stack, np.concatenate)],
    *[call(f, [T, T]) for f in (np.hstack, np.vstack, np.dstack, np.column_stack)],
    call(np.hstack, [ZERO, 1.0, V]),
    call(np.vstack, [ZERO, [2.0]]),
    call(np.vstack, M),
    call(np.concatenate, [M, [[1.0, 2.0, 3.0, 4.0]]]),
    call(np.concatenate, [M, N], axis=-1, dtype=np.float64),
    call(np.concatenate, [M, V], axis=None),
    call(np.concat, [M, N], axis=1),
    call(np.stack, [M, N], -1),
    call(np.append, M, N[0]),
    call(np.append, M, N[:1], axis=0),
    call(np.append, [1.0, 2.0], V),
    call(np.block, [[M, M], [N, N]]),
    call(np.block, [V, ZERO]),
    call(np.split, M, 2, axis=1),
    call(np.split, V, [2, 1]),
    call(np.split, V, [-2, 9]),
    call(np.split, M, [1, 1, 3], axis=-1),
    call(np.array_split, V, 3),
    call(np.array_split, M, [1, 3], axis=1),
    call(np.hsplit, M, 2),
    call(np.hsplit, V, [2]),
    call(np.vsplit, M, 3),
    call(np.dsplit, T, [1, 2]),
    call(np.unstack, M, axis=1),
]

CHOOSING = [
    call(np.where, M > 0, M, N),
    call(np.where, MASK.astype(int), M, 1.0),
    call(np.select, [M > 1, M < -1], [M, N]),
    call(np.select, [MASK, ~MASK], [M, N * 2], default=1.5),
    call(np.choose, np.array([0, 2, 1, 0]), [M[0], M[1], N[2]]),
    call(np.choose, np.array([0, 4, -1, 1]), M, mode="clip"),
    call(np.choose, np.array([0, 4, -1, 1]), M, mode="wrap"),
    call(np.take, M, [0, 5, -1]),
    call(np.take, M, np.array([[0, 2], [1, 1]]), axis=1),
    call(np.take, M, 1, axis=-1),
    call(np.take, V, [7, -9], mode="wrap"),
    call(np.take, V, [7, -9], mode="clip"),
    call(np.take_along_axis, M, np.argsort(M, 1), axis=1),
    call(np.compress, [True, False, True], M, axis=0),
    call(np.compress, [True, False, True], V),
    call(np.extract, MASK, M),
    call(np.delete, M, 1, axis=1),
    call(np.delete, M, [0, -1]),
    call(np.insert, V, 2, 0.5),
    call(np.insert, V, [1, 3], W[:2]),
    call(np.insert, M, 1, N[:, 0], axis=1),
    call(np.insert, M, 1, V[0], axis=0),
    call(np.insert, M, [0, 2], N[:2], axis=0),
    call(np.sort, M),
    call(np.sort, T, axis=0, kind="stable"),
    call(np.sort, M, axis=None),
    call(np.partition, V, 2),
    call(np.unique, V),
    call(np.unique_values, V),
    call(np.unique, np.array([2.0, 1.0, 2.0]), max_order=0),
    call(np.unique, np.array([2.0, 1.0, 2.0]), return_index=True, return_counts=True, return_inverse=True, max_order=0),
    call(np.trim_zeros, np.array([0.0, 1.0, 0.0, 2.0, 0.0]), max_order=0),
]

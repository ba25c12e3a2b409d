"""Matrix products, linear systems, decompositions and norms, with NumPy's arguments."""

from __future__ import annotations

import builtins
from functools import reduce
from itertools import pairwise
from math import inf, prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from passus.arguments import checked_integer
from passus.core import Result
from passus.errors import ArgumentError
from passus.functions.arrays import contractions, decompositions, extremes, linalg, products, shapes, statistics
from passus.functions.arrays import reductions as r
from passus.functions.arrays.arithmetic import add, div, mul, pow, sub
from passus.functions.arrays.arrangement import tril, triu
from passus.functions.arrays.elementwise import abs, sqrt, square
from passus.functions.arrays.joining import stack
from passus.functions.arrays.selection import where
from passus.functions.numpy_api.elements import same
from passus.functions.numpy_api.operands import array_in, cast, operand, refuse, without_gradient

__all__: list[str] = []

ALL_MATRIX_ORDERS = "'fro', 'nuc', 1, -1, 2, -2, inf or -inf"


def dot(a: Any, b: Any, out: Any = None) -> Result:
    refuse("np.dot", out=out)
    return products.dot(operand(a), operand(b))


def outer(a: Any, b: Any, out: Any = None) -> Result:
    refuse("np.outer", out=out)
    return products.outer(operand(a), operand(b))


def inner(a: Any, b: Any, /) -> Result:
    a, b = operand(a), operand(b)
    return contractions.tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else mul(a, b)


def vdot(a: Any, b: Any, /) -> Result:
    return products.dot(shapes.ravel(operand(a)), shapes.ravel(operand(b)))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, keepdims: bool = False) -> Result:
    return r.sum(mul(operand(x1), operand(x2)), axis, keepdims)


def matvec(x1: Any, x2: Any, /) -> Result:
    x2 = operand(x2)
    return products.matmul(operand(x1), shapes.expand_dims(x2, -1))[..., 0]


def vecmat(x1: Any, x2: Any, /) -> Result:
    return products.matmul(shapes.expand_dims(operand(x1), -2), operand(x2))[..., 0, :]


def kron(a: Any, b: Any) -> Result:
    a, b = operand(a), operand(b)
    ndim = max(a.ndim, b.ndim)
    shape_a, shape_b = (1,) * (ndim - a.ndim) + a.shape, (1,) * (ndim - b.ndim) + b.shape
    spaced_a = shapes.reshape(a, [n for m in shape_a for n in (m, 1)])
    spaced_b = shapes.reshape(b, [n for m in shape_b for n in (1, m)])
    return shapes.reshape(mul(spaced_a, spaced_b), [m * n for m, n in zip(shape_a, shape_b)])


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Result:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = shapes.moveaxis(operand(a), axisa, -1), shapes.moveaxis(operand(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ArgumentError(f"np.cross: vectors of three elements are needed, not of {a.shape[-1]} and {b.shape[-1]}")
    (a0, a1, a2), (b0, b1, b2) = [[x[..., i] for i in range(3)] for x in (a, b)]
    components = [sub(mul(a1, b2), mul(a2, b1)), sub(mul(a2, b0), mul(a0, b2)), sub(mul(a0, b1), mul(a1, b0))]
    return stack(components, axisc)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Result:
    return contractions.tensordot(operand(a), operand(b), axes)


def einsum(*operands: Any, out: Any = None, dtype: Any = None, optimize: Any = False) -> Result:
    refuse("np.einsum", out=out)
    if isinstance(operands[0], str):
        subscripts, xs = operands[0], list(operands[1:])
    else:  # Operands alternate with their lists of axes; the list of the result may follow.
        pairs, last = list(zip(operands[::2], operands[1::2])), operands[-1] if len(operands) % 2 else None
        xs = [x for x, _ in pairs]
        subscripts = ",".join([_letters(axes) for _, axes in pairs])
        subscripts += "" if last is None else f"->{_letters(last)}"
    return contractions.einsum(subscripts, *[cast(x, dtype) for x in xs])


def _letters(axes: Any) -> str:
    return "".join(["..." if p is Ellipsis else chr(ord("A") + p) if p < 26 else chr(ord("a") + p - 26) for p in axes])


def multi_dot(arrays: Any, *, out: Any = None) -> Result:
    refuse("np.linalg.multi_dot", out=out)
    xs = [operand(x) for x in arrays]
    if xs[-1].ndim == 1:  # Products with a vector are cheap from the right.
        return reduce(lambda y, x: products.dot(x, y), xs[::-1])
    return _chain(xs)


def _chain(xs: list[Any]) -> Any:
    """The product of matrices in the cheapest order."""
    while len(xs) > 1:
        costs = [a.shape[0] * a.shape[1] * b.shape[1] if a.ndim > 1 else 0 for a, b in pairwise(xs)]
        i = int(np.argmin(costs))
        xs = [*xs[:i], products.dot(xs[i], xs[i + 1]), *xs[i + 2 :]]
    return xs[0]


def matrix_power(a: Any, n: int) -> Result:
    n = checked_integer("np.linalg.matrix_power", "n", n)
    x, n = linalg.inv(a) if n < 0 else a, builtins.abs(n)
    if not n:
        return add(mul(x, 0.0), np.eye(x.shape[-1], dtype=x.dtype))
    y: Any = None
    while n:
        if n % 2:
            y = x if y is None else products.matmul(y, x)
        n //= 2
        if n:
            x = products.matmul(x, x)
    return same(y)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Result:
    return linalg.trace(cast(x, dtype), offset, -2, -1)


def numpy_trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Result:
    refuse("np.trace", out=out)
    return linalg.trace(cast(a, dtype), offset, axis1, axis2)


def diagonal(x: Any, /, *, offset: int = 0) -> Result:
    return linalg.diagonal(x, offset, -2, -1)


def cholesky(a: Any, /, *, upper: bool = False) -> Result:
    """The Cholesky factor of a triangle, as in NumPy; `passus.functions.cholesky` takes the symmetric part."""
    y = linalg.cholesky(_symmetric(a, upper))
    return shapes.swapaxes(y, -1, -2) if upper else y


def _symmetric(x: Any, upper: bool) -> Any:
    """The symmetric matrix with this triangle of ``x``."""
    x = operand(x)
    half, rest = (triu(x), triu(x, 1)) if upper else (tril(x), tril(x, -1))
    return add(half, shapes.swapaxes(rest, -1, -2))


def eigh(a: Any, UPLO: str = "L") -> Any:
    return decompositions.eigh(_symmetric(a, UPLO.upper() == "U"), UPLO)


def eigvalsh(a: Any, UPLO: str = "L") -> Result:
    return decompositions.eigvalsh(_symmetric(a, UPLO.upper() == "U"))


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    x = _symmetric(a, False) if hermitian else operand(a)
    if not compute_uv:
        return decompositions.svdvals(x)
    if full_matrices and x.ndim > 1 and x.shape[-1] != x.shape[-2]:
        refuse("np.linalg.svd of a matrix that is not square (use full_matrices=False)", full_matrices=True)
    return decompositions.svd(x)


def svdvals(x: Any, /) -> Result:
    return decompositions.svdvals(x)


def qr(a: Any, mode: str = "reduced") -> Any:
    m, n = a.shape[-2:] if a.ndim > 1 else (0, 0)
    if mode not in ("reduced", "r", "complete") or (mode == "complete" and m > n):
        refuse("np.linalg.qr (use mode 'reduced' or 'r')", mode=mode)
    result = decompositions.qr(a)
    return result[1] if mode == "r" else result


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Result:
    return decompositions.pinv(_symmetric(a, False) if hermitian else operand(a), rcond if rtol is None else rtol)


def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, int, Any]:
    a, b = operand(a), operand(b)
    rtol = float(np.finfo(a.dtype).eps * max(a.shape) if rcond is None else rcond)
    x = products.matmul(decompositions.pinv(a, rtol), b)
    values = decompositions.svdvals(a)
    numbers = array_in(values)
    rank = int((numbers > rtol * numbers.max(initial=0)).sum())
    residuals: Any = np.zeros(0, a.dtype)
    if rank == a.shape[1] < a.shape[0]:
        residuals = r.sum(square(sub(b, products.matmul(a, x))), 0)
        residuals = residuals if residuals.ndim else shapes.reshape(residuals, (1,))
    return x, residuals, rank, values


def tensorinv(a: Any, ind: int = 2) -> Result:
    n = int(np.prod(a.shape[ind:]))
    return shapes.reshape(linalg.inv(shapes.reshape(a, (-1, n))), a.shape[ind:] + a.shape[:ind])


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Result:
    a, b = operand(a), operand(b)
    if axes is not None:
        a = shapes.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    shape = a.shape[b.ndim :]
    return shapes.reshape(linalg.solve(shapes.reshape(a, (b.size, prod(shape))), shapes.ravel(b)), shape)


# Norms.


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Result:
    x = operand(x)
    if ord is not None and axis is None:
        axis = tuple(range(x.ndim))
    if isinstance(axis, (tuple, list)):
        axis = axis[0] if len(axis) == 1 else tuple(axis)
    if isinstance(axis, tuple):
        return _matrix_norm(x, "fro" if ord is None else ord, axis, keepdims)
    return _vector_norm(x, 2 if ord is None else ord, axis, keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Result:
    return _vector_norm(operand(x), ord, axis, keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Result:
    return _matrix_norm(operand(x), ord, (-2, -1), keepdims)


def _vector_norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Result:
    if isinstance(ord, str):
        raise ArgumentError(
            f"np.linalg.norm: the order of a vector's norm is a number, not {ord!r}; name two axes for a matrix"
        )
    if ord == -inf:
        return extremes.min(abs(x), axis, keepdims)
    if ord == 0:
        return r.sum(mul(x, 0.0), axis, keepdims) + (array_in(x) != 0).sum(axis=axis, keepdims=keepdims)
    if ord >= 1:
        return statistics.norm(x, ord, axis, keepdims)
    return pow(r.sum(pow(abs(x), ord), axis, keepdims), 1 / ord)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Result:
    if len(axes) != 2:
        raise ArgumentError(
            f"np.linalg.norm: a norm of matrices needs two axes, not {axes}; ord=None takes all elements"
        )
    row, column = [normalize_axis_index(a, x.ndim) for a in axes]
    if ord in ("fro", "f"):
        return statistics.norm(x, 2, axes, keepdims)
    if ord in (1, -1, inf, -inf):
        added, left = (row, column) if ord in (1, -1) else (column, row)
        extreme = extremes.max if ord > 0 else extremes.min
        return extreme(r.sum(abs(x), added, True), (added, left), keepdims)
    values = {"nuc": r.sum, 2: extremes.max, -2: extremes.min}.get(ord)
    if values is None:
        raise ArgumentError(f"np.linalg.norm: the order of a matrix' norm is {ALL_MATRIX_ORDERS}, not {ord!r}")
    y = values(decompositions.svdvals(shapes.moveaxis(x, (row, column), (-2, -1))), -1)
    return shapes.expand_dims(y, (row, column)) if keepdims else y


def cond(x: Any, p: Any = None) -> Result:
    x = operand(x)
    if p in (None, 2, -2):
        values = decompositions.svdvals(x)
        first, last = values[..., 0], values[..., -1]
        return div(last, first) if p == -2 else div(first, last)
    return mul(_matrix_norm(x, p, (-2, -1), False), _matrix_norm(linalg.inv(x), p, (-2, -1), False))


# Statistics of several variables.


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Result:
    rows = [_rows(cast(x, dtype), rowvar) for x in (m, y) if x is not None]
    x = np.concatenate(rows, 0) if len(rows) > 1 else rows[0]
    w = None if aweights is None else without_gradient("np.cov", "aweights", aweights)
    if fweights is not None:
        w = without_gradient("np.cov", "fweights", fweights) * (1 if w is None else w)
    ddof = int(not bias) if ddof is None else ddof
    if w is None:
        total, centre = x.shape[1], r.mean(x, 1, True)
        weighted = sub(x, centre)
        rest = total - ddof
    else:
        total = w.sum()
        centre = div(r.sum(mul(x, w), 1, True), total)
        weighted = mul(sub(x, centre), w)
        rest = total - ddof * (1.0 if aweights is None else (w * array_in(aweights)).sum() / total)
    y = div(products.matmul(sub(x, centre), shapes.transpose(weighted)), float(rest))
    return np.squeeze(y)


def _rows(x: Any, rowvar: bool) -> Any:
    """The data with one row per variable."""
    x = shapes.reshape(x, (1, -1)) if x.ndim < 2 else x
    return x if rowvar or x.shape[0] == 1 else shapes.transpose(x)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Result:
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return div(c, c)
    deviations = sqrt(linalg.diagonal(c))
    correlation = div(div(c, shapes.reshape(deviations, (-1, 1))), deviations)
    numbers = array_in(correlation)
    return where(np.abs(numbers) > 1, np.sign(numbers), correlation)

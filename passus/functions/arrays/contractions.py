"""Sums of products in Einstein notation: each axis has a letter, and letters missing in the result are summed over.

The gradient of one operand is again such a sum, over the gradient of the result and all other operands.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from typing import Any

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.backend.trace import constants_of
from passus.core import HALF, Function, Operand, Result, Variable
from passus.core.basic import sum_to
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.kernels.elementwise import masked
from passus.kernels.sums import MAX_SEQUENTIAL

__all__ = ["Einsum", "einsum", "tensordot"]


class Einsum(Function):
    upcast_dtypes = HALF

    def __init__(self, terms: list[str], result: str) -> None:
        self.terms, self.result = terms, result

    def forward(self, *xs: Array) -> Array:
        dtype = self.xp.result_type(*xs)
        if dtype.kind == "f":  # NumPy sums some integers in their own dtype before it multiplies them.
            xs = tuple([x.astype(dtype, copy=False) for x in xs])
        upcast = [x.astype(np.float64) for x in xs] if self._sums_sequentially(xs) else xs
        y: Array = self.xp.einsum(f"{','.join(self.terms)}->{self.result}", *upcast, optimize=True)
        return y if upcast is xs else y.astype(np.float32)

    def _sums_sequentially(self, xs: tuple[Array, ...]) -> bool:
        """Whether NumPy would sum many float32 numbers sequentially. A product of two matrices goes to BLAS, which does
        not.
        """
        if constants_of(self.xp) is not np or all(x.size <= MAX_SEQUENTIAL for x in xs) or xs[0].dtype != np.float32:
            return False
        lengths: dict[str, int] = {}
        for term, x in zip(self.terms, xs):
            for letter, n in zip(term, x.shape):
                lengths[letter] = max(n, lengths.get(letter, 1))
        if math.prod([n for letter, n in lengths.items() if letter not in self.result]) <= MAX_SEQUENTIAL:
            return False
        times = Counter("".join(self.terms))
        return len(xs) != 2 or any(times[letter] != (1 if letter in self.result else 2) for letter in lengths)

    def backward(self, gy: Any) -> Any:
        xs = [self.saved(x) for x in self.operands]
        return tuple([self._gradient(gy, xs, i) if needed else None for i, needed in enumerate(self.needs)])

    def _gradient(self, gy: Any, xs: list[Any], i: int) -> Any:
        x, xp = xs[i], self.xp
        terms = [self.result, *self.terms[:i], *self.terms[i + 1 :]]
        operands = [gy, *xs[:i], *xs[i + 1 :]]
        lengths: dict[str, int] = {}
        for letter, n in zip(self.terms[i], x.shape):
            if lengths.get(letter, 1) == 1:
                lengths[letter] = n
        for letter, n in lengths.items():
            if all(m == 1 for m in _lengths(letter, terms, operands)):
                # Summed alone, or with broadcast operands: the gradient is the same for all indices.
                terms.append(letter)
                operands.append(xp.ones(n, x.dtype))
        gx = Einsum(terms, "".join(lengths))(*operands)
        return sum_to(
            _scatter_to_diagonals(gx, self.terms[i], xp), x.shape
        )  # An axis of length 1 may have been broadcast.


def _scatter_to_diagonals(x: Any, term: str, xp: Any) -> Any:
    """Place the elements of an array with one axis per letter on the diagonals of the letters that repeat in
    ``term``.
    """
    if len(set(term)) == len(term):
        return x
    lengths = dict(zip(dict.fromkeys(term), x.shape))
    firsts = [term.index(letter) for letter in term]
    mask: Any = True
    for axis, (letter, first) in enumerate(zip(term, firsts)):
        if first < axis:
            indices = xp.arange(lengths[letter])
            along = [indices.reshape([-1 if a == b else 1 for b in range(len(term))]) for a in (first, axis)]
            mask = (along[0] == along[1]) & mask
    expanded = x.reshape(
        [lengths[letter] if first == axis else 1 for axis, (letter, first) in enumerate(zip(term, firsts))]
    )
    return masked(expanded, mask)


def _lengths(letter: str, terms: list[str], operands: list[Any]) -> list[int]:
    return [n for term, x in zip(terms, operands) for a, n in zip(term, x.shape) if a == letter]


def einsum(subscripts: str, *operands: Operand) -> Result:
    """The sum of products given by ``subscripts``, as in ``np.einsum``: "ij,jk->ik" is the product of matrices.

    A letter may repeat within an operand (a diagonal); "..." represents axes that broadcast; without "->" the result
    has the letters that occur once, in the order of the alphabet.
    Raises `ArgumentError` for subscripts that do not fit the operands, `ShapeError` for axes of unequal lengths.

    >>> import numpy as np
    >>> einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    if not isinstance(subscripts, str):
        raise ArgumentError(f'einsum: the subscripts come first, as a string such as "ij,jk->ik", not {subscripts!r}')
    shapes = [array_of("einsum", x).shape for x in operands]
    try:
        terms, result = _parsed(subscripts.replace(" ", ""), [len(shape) for shape in shapes])
    except ValueError as error:
        raise ArgumentError(f"einsum: {subscripts!r} does not fit operands of shapes {shapes}: {error}") from None
    return Einsum(terms, result)(*operands)


def tensordot(x0: Operand, x1: Operand, axes: int | tuple[Any, Any] = 2) -> Result:
    """The product of two arrays, summed over several axes.

    ``axes``: the number n of axes, the last n of ``x0`` and the first n of ``x1``; or a pair of axes or sequences of
    axes, one for each operand. The result has the other axes of ``x0``, then those of ``x1``. Raises `ShapeError` for
    axes of unequal lengths, `ArgumentError` for invalid axes.

    >>> import numpy as np
    >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=((1, 2), (1, 0))).shape
    (2, 5)
    """
    x0, x1 = [x if isinstance(x, Variable) else array_of("tensordot", x) for x in (x0, x1)]
    pairs = _pairs(axes, x0.shape, x1.shape)
    letters0 = string.ascii_letters[: x0.ndim]
    letters1 = list(string.ascii_letters[x0.ndim : x0.ndim + x1.ndim])
    for a0, a1 in pairs:
        letters1[a1] = letters0[a0]
    free = [letter for letter in [*letters0, *letters1] if not (letter in letters0 and letter in letters1)]
    return Einsum([letters0, "".join(letters1)], "".join(free))(x0, x1)


def _pairs(axes: Any, shape0: tuple[int, ...], shape1: tuple[int, ...]) -> list[tuple[int, int]]:
    """The pairs of axes that are summed over, as non-negative numbers."""
    try:
        both = (range(-checked_count("tensordot", "axes", axes, 0), 0), range(axes)) if isinstance(axes, int) else axes
        named0, named1 = [[a] if isinstance(a, int) else list(a) for a in both]
        pairs = [(range(len(shape0))[a0], range(len(shape1))[a1]) for a0, a1 in zip(named0, named1, strict=True)]
    except (TypeError, ValueError, IndexError):
        raise ArgumentError(
            f"tensordot: axes = {axes!r} does not pair axes of x0 {shape0} with axes of x1 {shape1}"
        ) from None
    repeated = any(len(set(side)) < len(side) for side in zip(*pairs))
    if repeated or any(shape0[a0] != shape1[a1] for a0, a1 in pairs):
        raise ShapeError(
            f"tensordot: x0 {shape0} and x1 {shape1} do not fit with axes = {axes!r}: each axis must be named once, and "
            "be as long as the one it is paired with"
        )
    return pairs


def _parsed(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with unused letters in place of "..."."""
    inputs, arrow, result = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"there must be {len(ranks)} groups of letters, separated by commas")
    widths = [_width(term, rank) for term, rank in zip(terms, ranks)]
    free = "".join([a for a in string.ascii_letters if a not in subscripts])
    dots = free[: max(widths)]
    times = Counter("".join(terms).replace("...", ""))
    if not arrow:
        result = "..." + "".join(sorted([letter for letter in times if times[letter] == 1]))
    named = result.replace("...", "", 1)
    if len(set(named)) < len(named) or not set(named) <= set(times):
        raise ValueError(f"the result {result!r} must name each of its letters once, and only letters of the operands")
    return [term.replace("...", dots[len(dots) - w :]) for term, w in zip(terms, widths)], result.replace("...", dots)


def _width(term: str, rank: int) -> int:
    """The number of axes that "..." represents in an operand."""
    if not re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", term):
        raise ValueError(f'{term!r} must consist of letters and at most one "..."')
    width = rank - len(term.replace("...", ""))
    if width < 0 or (width and "..." not in term):
        raise ValueError(f"{term!r} does not name the axes of an array of {rank}")
    return width

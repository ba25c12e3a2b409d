"""The table of NumPy's functions and their implementations for Variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.functions.arrays import (
    angles,
    arithmetic,
    arrangement,
    comparison,
    division,
    elementwise,
    extremes,
    linalg,
    logarithms,
    products,
    rounding,
    shapes,
    trigonometry,
)
from passus.functions.numpy_api import (
    choosing,
    elements,
    fourier,
    making,
    matrices,
    reducing,
    running,
    sampling,
    shaping,
)

__all__ = ["ALTERNATIVES", "NUMPY", "UFUNC_METHODS", "WITHOUT_GRADIENT"]

SAME_ARGUMENTS = (angles, arrangement, elementwise, logarithms, rounding, shapes, trigonometry)
"""Modules whose functions have the names and arguments of NumPy's."""

NUMPYS_ARGUMENTS = (choosing, elements, making, reducing, sampling, shaping)
"""Modules of this package whose functions have NumPy's names."""


def _public(module: Any) -> dict[str, Any]:
    """The functions that a module defines."""
    found = {name: value for name, value in vars(module).items() if callable(value) and not name.startswith("_")}
    return {name: value for name, value in found.items() if getattr(value, "__module__", "") == module.__name__}


NUMPY: dict[Any, Callable[..., Any]] = {
    **{getattr(np, n): getattr(f, n) for f in SAME_ARGUMENTS for n in f.__all__ if hasattr(np, n) and n.islower()},
    **{getattr(np, name): f for m in NUMPYS_ARGUMENTS for name, f in _public(m).items() if hasattr(np, name)},
    **{getattr(np.linalg, name): f for name, f in _public(matrices).items() if hasattr(np.linalg, name)},
    **{
        getattr(np, name): f
        for name, f in _public(matrices).items()
        if hasattr(np, name) and name not in ("trace", "diagonal")
    },
    **fourier.FOURIER,
    **making.CREATION,
    np.add: arithmetic.add,
    np.subtract: arithmetic.sub,
    np.multiply: arithmetic.mul,
    np.divide: arithmetic.div,
    np.power: arithmetic.pow,
    np.negative: arithmetic.neg,
    np.positive: elements.same,
    np.real: elements.same,
    np.conjugate: elements.same,
    np.absolute: elementwise.abs,
    np.fabs: elementwise.abs,
    np.maximum: comparison.maximum,
    np.minimum: comparison.minimum,
    np.fmax: comparison.fmax,
    np.fmin: comparison.fmin,
    np.remainder: division.mod,
    np.fmod: division.fmod,
    np.floor_divide: division.floor_divide,
    np.reciprocal: division.reciprocal,
    np.rint: rounding.round,
    np.around: elements.round,
    np.degrees: angles.rad2deg,
    np.radians: angles.deg2rad,
    np.amax: reducing.max,
    np.amin: reducing.min,
    np.matmul: products.matmul,
    np.diagonal: linalg.diagonal,
    np.trace: matrices.numpy_trace,
    np.linalg.inv: linalg.inv,
    np.linalg.solve: linalg.solve,
    np.linalg.det: linalg.det,
    np.linalg.slogdet: linalg.slogdet,
    np.linalg.matrix_transpose: shaping.matrix_transpose,
    np.linalg.matmul: products.matmul,
}

UFUNC_METHODS: dict[tuple[Any, str], Callable[..., Any]] = {
    (np.add, "reduce"): lambda a, axis=0, *args, **options: reducing.sum(a, axis, *args, **options),
    (np.multiply, "reduce"): lambda a, axis=0, *args, **options: reducing.prod(a, axis, *args, **options),
    (np.maximum, "reduce"): lambda a, axis=0, dtype=None, **options: reducing.max(a, axis, **options),
    (np.minimum, "reduce"): lambda a, axis=0, dtype=None, **options: reducing.min(a, axis, **options),
    (np.fmax, "reduce"): lambda a, axis=0, dtype=None, **options: reducing.nanmax(a, axis, **options),
    (np.fmin, "reduce"): lambda a, axis=0, dtype=None, **options: reducing.nanmin(a, axis, **options),
    (np.logaddexp, "reduce"): lambda a, axis=0, keepdims=False: extremes.logsumexp(a, axis, keepdims),
    (np.add, "accumulate"): lambda a, axis=0, dtype=None: reducing.cumsum(a, axis, dtype),
    (np.multiply, "accumulate"): lambda a, axis=0, dtype=None: reducing.cumprod(a, axis, dtype),
    (np.maximum, "accumulate"): lambda a, axis=0, dtype=None: running.maxima(a, axis),
    (np.minimum, "accumulate"): lambda a, axis=0, dtype=None: running.minima(a, axis),
}
"""The methods of ufuncs with a rule. Binary ufuncs with a rule also have ``outer``."""

ALTERNATIVES = {
    "eig": "F.eigh(x), for symmetric matrices",
    "eigvals": "F.eigvalsh(x), for symmetric matrices",
    "copyto": "F.where(mask, y, x) or F.broadcast_to(x, shape)",
    "place": "F.where(mask, y, x)",
    "putmask": "F.where(mask, y, x)",
    "put": "F.where(mask, y, x)",
    "put_along_axis": "F.where(mask, y, x)",
    "fill_diagonal": "F.where(mask, y, x)",
    "histogram": "np.bincount(indices, weights=x)",
    "at": "np.bincount(indices, weights=x)",
}
"""Alternatives to NumPy's functions without a rule, for messages; those of SciPy are in `passus.foreign`."""

WITHOUT_GRADIENT: set[Any] = {
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isfinite, np.isinf, np.signbit, np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.isneginf, np.isposinf, np.isreal, np.iscomplex, np.isrealobj, np.iscomplexobj),
    *(np.allclose, np.isclose, np.array_equal, np.array_equiv, np.any, np.all),
    *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type),
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift, np.bitwise_count),
    *(np.gcd, np.lcm, np.isnat, np.ravel_multi_index, np.unravel_index),
    *(np.diag_indices_from, np.tril_indices_from, np.triu_indices_from),
    *(np.shares_memory, np.may_share_memory, np.iterable),
    *(np.nonzero, np.count_nonzero, np.flatnonzero, np.argwhere, np.searchsorted, np.digitize, np.isin),
    *(np.argpartition, np.nanargmax, np.nanargmin, np.lexsort, np.einsum_path, np.linalg.matrix_rank),
    np.histogram_bin_edges,
    *(np.zeros_like, np.ones_like, np.empty_like),
    *(np.array_repr, np.array_str, np.array2string),
    *(np.save, np.savez, np.savez_compressed, np.savetxt),
}
"""NumPy's functions whose results have no gradient; they are called with the arrays."""

"""Short texts of arrays: the elements of a small array, and the range of a large one."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import Array, backend_of

__all__ = ["LIMIT", "array_text", "kind_of_array", "numbers"]

LIMIT = 8
"""Number of elements up to which all are shown on a line."""

PAGE = 100
"""Number of elements up to which all are shown on several lines."""


def numbers(array: Array | None, limit: int = LIMIT) -> str:
    """The elements of an array of up to ``limit`` elements; the minimum, mean and maximum of a larger one.

    None, and a large array of texts or objects, give an empty text. Elements that are NaN or infinite are counted, and
    excluded from the range.

    >>> numbers(np.array(2.0)), numbers(np.array([0.5, 1.0])), numbers(np.arange(100.0))
    ('2', '[0.5 1]', 'min 0, mean 49.5, max 99')
    >>> numbers(np.array([np.nan, *range(20)])), numbers(np.ones(20))
    ('min 0, mean 9.5, max 19, 1 not finite', 'all 1')
    """
    if array is None:
        return ""
    array = np.asarray(backend_of(array).to_numpy(array))
    if array.size <= limit:
        return _scalar(array[()]) if array.ndim == 0 else _elements(array)
    if array.dtype.kind == "b":
        return f"{int(array.sum()):,} of {array.size:,} are True"
    return _range(array) if array.dtype.kind in "iuf" else ""


def _elements(array: Array) -> str:
    text = np.array2string(array, formatter={"all": _scalar})
    return "\n".join([line for line in text.splitlines() if line])  # NumPy separates matrices by empty lines.


def _range(array: Array) -> str:
    finite = array[np.isfinite(array)]
    if not finite.size:
        return f"{array.size:,} not finite"
    if finite.size == array.size and finite.min() == finite.max():
        return f"all {_scalar(finite.min())}"
    wide = finite.astype(np.float64)  # The sum of float16 overflows.
    extremes = f"min {_scalar(finite.min())}, mean {_scalar(wide.mean())}, max {_scalar(finite.max())}"
    return extremes if finite.size == array.size else f"{extremes}, {array.size - finite.size:,} not finite"


def array_text(array: Array) -> str:
    """The elements of an array on several lines; of a large one the range, and the elements at the edges of up to 3 axes.

    >>> print(array_text(np.arange(1000.0)))
    min 0, mean 499.5, max 999
    [  0.   1.   2. ... 997. 998. 999.]
    """
    array = np.asarray(backend_of(array).to_numpy(array))
    text = np.array2string(array, threshold=PAGE, edgeitems=3 if array.ndim <= 2 else 1, max_line_width=100)
    if array.size <= PAGE:
        return text
    return "\n".join(filter(None, [numbers(array), text if array.ndim <= 3 else ""]))


def kind_of_array(x: Any) -> str:
    """The dtype and shape of an array or Variable.

    >>> kind_of_array(np.ones((2, 3))), kind_of_array(np.array(1))
    ('float64[2, 3]', 'int64[]')
    """
    return f"{x.dtype}[{', '.join(map(str, x.shape))}]"


def _scalar(value: Any) -> str:
    return f"{float(value):.4g}" if isinstance(value, (float, np.floating)) else str(value)

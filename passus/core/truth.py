"""The comparison of two Variables, ``a == b``: elementwise, and without a truth value.

``v in [a, b]``, ``[a, b].index(v)`` and ``list.remove`` use the truth value of ``a == v``, and mean whether the two are one
Variable. Compared by value, they would find another Variable with equal elements. So ``==`` gives a mask, as it does for
arrays, and a mask of two Variables raises where its truth value is used. A comparison with an array or a number has a truth value,
as in NumPy.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from passus.errors import DTypeError

__all__ = ["ComparedVariables"]


class ComparedVariables(np.ndarray[Any, Any]):
    """The mask that a comparison of two Variables returns. Results computed from it are plain arrays."""

    def __bool__(self) -> NoReturn:
        raise DTypeError(
            "a == b of two Variables has no truth value, because it compares elements. Write a is b for the same "
            "Variable (any(v is x for x in list) in place of v in list), np.array_equal(a, b) or a.item() == b.item() for equal "
            "values, np.equal(a, b) for a mask"
        )

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        array = np.asarray(array)
        return array[()] if return_scalar else array

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()

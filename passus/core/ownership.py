"""The ownership of gradient arrays: ``x.grad`` holds an array that no other Variable, and no function, holds.

A rule may return the gradient that it received, a view of an array that it saved, or one array for two inputs. Python counts
references: an array that is referenced only here is assigned without a copy, and all others are copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import getrefcount
from typing import Any

import numpy as np

from passus.backend import Array
from passus.backend.trace import Traced, created

__all__ = ["EditableGradient", "editable_copies", "owned", "unshared"]

ndarray = np.ndarray

KINDS = np.ndarray, np.generic, Traced
"""Classes of gradients that are copied; those of other libraries are no subclasses of NumPy's."""


def owned(gx: Any, assigned: set[int]) -> Any:
    """A gradient array without other references: ``gx`` itself, or a copy if it is a view or was assigned already.

    ``assigned``: the identities of the arrays that Variables hold already; that of the result is added.
    """
    if (gx.base is not None and not _is_sole_view(gx)) or id(gx) in assigned:
        gx = gx.copy(order="K")  # In the same memory order, which may be channels last.
    assigned.add(id(gx))
    return gx


def unshared(gxs: list[Any]) -> list[Any]:
    """The gradients that a user's rule returned; arrays that are referenced elsewhere are copied.

    The caller must hold no other reference to the arrays than the list.
    """
    shared = [_references_in_list(gxs, i) > IN_LIST_ALONE for i in range(len(gxs))]
    return [
        gx.copy() if isinstance(gx, ndarray) and (elsewhere or not gx.flags.writeable) else gx
        for gx, elsewhere in zip(gxs, shared)
    ]


class EditableGradient(np.ndarray[Any, Any]):
    """The gradient that a user's rule receives: an array with itself in ``data``, for rules that expect a Variable."""

    @property
    def data(self) -> Any:
        """The array itself."""
        return self.view(ndarray)

    @data.setter
    def data(self, value: Any) -> None:
        self[...] = value

    def __repr__(self) -> str:
        return repr(self.view(ndarray))


def editable_copies(gys: Iterable[Any]) -> list[Any]:
    """Copies of the gradients of outputs, which a user's rule may edit in place."""
    return [_editable_copy(gy) if isinstance(gy, KINDS) else gy if gy is None else gy.copy() for gy in gys]


@created
def _editable_copy(gy: Any) -> Any:
    return np.array(gy).view(EditableGradient)


def _is_sole_view(view: Array) -> bool:
    """Whether a writeable view covers a whole array that is referenced by this view alone."""
    if type(view.base) is not ndarray or view.base.size != view.size or not view.flags.writeable:
        return False
    return _references_to_base(view) == BY_VIEW_ALONE


def _references_to_base(view: Array) -> int:
    return getrefcount(view.base)


def _references_in_list(gxs: list[Any], i: int) -> int:
    return getrefcount(gxs[i])


BY_VIEW_ALONE = _references_to_base(np.empty(1)[:])
"""Python's count of references to an array that its view alone refers to; it differs between versions of Python."""

IN_LIST_ALONE = _references_in_list([np.empty(1)], 0)
"""The same for an array that a list alone refers to."""

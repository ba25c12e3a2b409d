"""The generation of a function, which determines the order of the backward pass in the book.

It is the length of the longest path from a leaf. The engine orders functions by ``serial`` instead, which costs nothing to
compute; generations are for learners and drawings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passus.core.function import Function

__all__ = ["generation_of"]


def generation_of(function: Function) -> int:
    """The highest generation among the inputs of a function. No recursion: graphs may be 100,000 calls deep."""
    known: dict[Function, int] = {}
    stack = [function]
    while stack:
        creators = {x.creator for x in stack[-1].operands if getattr(x, "creator", None) is not None}
        unknown = [creator for creator in creators if creator not in known]
        if unknown:
            stack += unknown
        else:
            known[stack.pop()] = max([known[creator] + 1 for creator in creators], default=0)
    return known[function]

"""The layers that a step may use: those that its function refers to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from passus.layers import Layer

__all__ = ["layers_of"]

MAX_MEMBERS = 1000
"""Number of members up to which a list is searched; longer ones hold data."""


def layers_of(function: Any) -> list[Layer]:
    """The layers among the closure, the globals, the defaults and the bound arguments of a function, each once, in order.

    Functions and lists among these are searched, too, and so are the attributes of the object of a method.

    >>> from passus.layers import Linear
    >>> a, b = Linear(2), [Linear(3)]
    >>> layers_of(lambda x: b[0](a(x))) == [a, *b]
    True
    """
    found: dict[int, Layer] = {}
    seen: dict[int, Any] = {}
    waiting = [function]
    while waiting:
        x = waiting.pop(0)
        if id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, Layer):
            found[id(x)] = x
        else:
            waiting += _parts(x)
    return list(found.values())


def _parts(x: Any) -> list[Any]:
    """What an object refers to, as far as a step may use it."""
    if isinstance(x, FunctionType):
        names = list(_names(x.__code__))
        cells = [cell.cell_contents for cell in x.__closure__ or () if _is_full(cell)]
        defaults = [*(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
        return [*cells, *[x.__globals__[name] for name in names if name in x.__globals__], *defaults]
    if isinstance(x, MethodType):
        return [x.__func__, x.__self__, *list(getattr(x.__self__, "__dict__", {}).values())]
    if isinstance(x, partial):
        return [x.func, *x.args, *x.keywords.values()]
    if isinstance(x, (list, tuple, dict)):
        return [] if len(x) > MAX_MEMBERS else list(x.values() if isinstance(x, dict) else x)
    wrapped = getattr(x, "__wrapped__", None)
    return [] if wrapped is None else [wrapped]


def _names(code: CodeType) -> Iterator[str]:
    """The names of globals in a function, and in functions defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True

"""What a step may use besides its arguments: the layers that its function refers to, and whatever its names stand for."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from passus.layers import Layer

__all__ = ["Captured", "layers_of"]

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


class Captured:
    """What the names in a function stand for: in its closure, among its globals, and in the attributes of its object.

    A program is for these. Names that the function assigns, and modules, do not belong to them.

    >>> scale = [2.0]
    >>> captured = Captured(lambda x: x * scale[0])
    >>> captured.changed()
    >>> scale = [3.0]
    >>> captured.changed()
    'scale'
    """

    def __init__(self, function: Any) -> None:
        self._found: list[tuple[str, Callable[[], Any], Any]] = []
        """Names, functions that look up what they stand for, and what that was."""
        seen: dict[int, Any] = {}
        waiting = [function]
        while waiting:
            x = waiting.pop()
            if id(x) not in seen:
                seen[id(x)] = x
                waiting += self._add(x)

    def changed(self) -> str | None:
        """A name that stands for something else now; None if there is none. Numbers are compared by value."""
        for name, look_up, before in self._found:
            now = look_up()
            if now is not before and not _is_same(now, before):
                return name
        return None

    def _add(self, x: Any) -> list[Any]:
        """Note the names of a function or an object. Returns other functions among what they stand for."""
        if isinstance(x, partial):
            return [x.func]
        if isinstance(x, MethodType):
            assigned = _assigned(x.__func__.__code__) if isinstance(x.__func__, FunctionType) else frozenset()
            attributes = getattr(x.__self__, "__dict__", {}) if not isinstance(x.__self__, Layer) else {}
            names = [name for name in _names_of_methods(x) if name in attributes and name not in assigned]
            return [x.__func__, *self._note([(name, partial(attributes.get, name)) for name in names])]
        if isinstance(x, FunctionType):
            assigned, code = _assigned(x.__code__), x.__code__
            cells = [(name, c) for name, c in zip(code.co_freevars, x.__closure__ or ()) if _is_full(c)]
            found: list[tuple[str, Callable[[], Any]]] = [
                (name, partial(getattr, c, "cell_contents", None)) for name, c in cells if name not in assigned
            ]
            names = [name for name in dict.fromkeys(_names(code)) if name in x.__globals__ and name not in assigned]
            found += [(name, partial(x.__globals__.get, name)) for name in names]
            return self._note(found)
        wrapped = getattr(x, "__wrapped__", None)
        return [] if wrapped is None else [wrapped]

    def _note(self, found: list[tuple[str, Callable[[], Any]]]) -> list[Any]:
        values = [(name, look_up, look_up()) for name, look_up in found]
        self._found += [(name, look_up, v) for name, look_up, v in values if not isinstance(v, ModuleType)]
        return [v for _, _, v in values if isinstance(v, (FunctionType, MethodType, partial)) and not _is_internal(v)]


def _names_of_methods(method: MethodType) -> list[str]:
    """The names in a method, and in the other methods and properties of its object that it names."""
    found: dict[str, None] = {}
    waiting: list[Any] = [method.__func__]
    while waiting:
        function = waiting.pop()
        code = getattr(getattr(function, "fget", function), "__code__", None)
        for name in _names(code) if code is not None else ():
            if name not in found:
                found[name] = None
                waiting.append(getattr(type(method.__self__), name, None))
    return list(found)


def _is_internal(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith(("passus.", "numpy."))


def _is_same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and isinstance(a, (bool, int, float, str, bytes)) and repr(a) == repr(b)


def _assigned(code: CodeType) -> frozenset[str]:
    """The names and attributes to which a function assigns, and functions defined in it."""
    inner = [_assigned(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    stores = ("STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR")
    return frozenset([i.argval for i in dis.get_instructions(code) if i.opname in stores]).union(*inner)


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

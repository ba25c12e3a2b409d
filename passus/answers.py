"""Modules and classes that answer for names of other libraries, which they do not have.

Looking one up raises `MissingAttributeError`, which says what to write instead. A class is given descriptors, and no
``__getattr__``: with that, Python would look up every other attribute more slowly. Arguments that a class does not have
are answered for as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from inspect import getattr_static
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from passus.errors import DTypeError, MissingAttributeError
from passus.foreign import OPTIONS

__all__ = ["CheckedOptions", "Foreign", "answers", "answers_for", "check_options", "checked_new", "not_callable"]

Made = TypeVar("Made")


class Foreign:
    """A name that a class does not have; looking it up says what to write instead."""

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise MissingAttributeError(f"{owner.__name__} has no {self.name}; {self.instead}")


def answers(cls: type, names: Mapping[str, str]) -> None:
    """Let a class answer for the names that it does not have; they are no attributes, for `dir` and `hasattr` neither.

    >>> class Tensor: ...
    >>> answers(Tensor, {"numpy": "the array is x.data"})
    >>> hasattr(Tensor(), "numpy"), "numpy" in dir(Tensor())
    (False, False)
    >>> Tensor().numpy
    Traceback (most recent call last):
        ...
    passus.errors.MissingAttributeError: Tensor has no numpy; the array is x.data
    """
    for name, instead in names.items():
        if getattr_static(cls, name, None) is None:
            setattr(cls, name, Foreign(name, instead))
    cls.__dir__ = _dir  # type: ignore[assignment]


def _dir(self: Any) -> Iterable[str]:
    own = vars(self)
    names = object.__dir__(self)
    return [n for n in names if n in own or not isinstance(getattr_static(type(self), n, None), Foreign)]


def answers_for(module: str, names: Mapping[str, str]) -> None:
    """Let a module answer for the names that it does not have.

    >>> import passus.functions as F
    >>> F.cross_entropy
    Traceback (most recent call last):
        ...
    passus.errors.MissingAttributeError: passus.functions has no cross_entropy; write F.softmax_cross_entropy(x, t), ...
    """
    place = sys.modules[module]

    own = place.__dict__.get("__getattr__")

    def missing(name: str) -> Any:
        if name in names:
            raise MissingAttributeError(f"{module} has no {name}; {names[name]}")
        if own is not None:
            return own(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=place)

    place.__dict__["__getattr__"] = missing


class _NotCallable(ModuleType):
    """A module that has the name of a function in it."""

    def __call__(self, *given: Any, **named: Any) -> NoReturn:
        name = self.__name__
        raise DTypeError(f"{name} is a module; write {name}.{name.rpartition('.')[2]}(...)")


def not_callable(module: str) -> None:
    """Let a module say, where it is called, that the function of its name is in it.

    >>> import passus
    >>> passus.grad(lambda x: x**2)
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: passus.grad is a module; write passus.grad.grad(...)
    """
    sys.modules[module].__class__ = _NotCallable


def checked_new(cls: type[Made], *given: Any, **named: Any) -> Made:
    """A ``__new__`` that looks at the arguments of ``__init__``; see `check_options`.

    >>> class Line:
    ...     __new__ = checked_new
    >>> Line(3)
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: Line takes no arguments; make it first, and then call it: Line()(x)
    """
    if given or named:
        check_options(cls, given, named)
    return object.__new__(cls)


class CheckedOptions:
    """The base of classes whose arguments are looked at before they are made."""

    if not TYPE_CHECKING:  # Type checkers read __init__.
        __new__ = checked_new


def check_options(cls: type, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Raise `DTypeError` if a class has no such keyword argument, or was given one by place as well.

    >>> check_options(type("Line", (), {}), (), {"padding": 1})
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: Line has no option padding; it is called pad here
    """
    init: Any = cls.__init__  # type: ignore[misc]
    code = getattr(init, "__code__", None)
    if code is None and init is not object.__init__:
        return
    places, options, takes_any = _parameters(code)
    if given and places[:1] in (("lr",), ("rho",)) and not isinstance(given[0], (int, float, str)):
        _check_no_parameters(cls.__name__, given[0])
    for name in named:
        if name in places[: len(given)]:
            order = f"{cls.__name__}({', '.join(places[: max(len(given), 1)])}, ...)"
            raise DTypeError(
                f"{cls.__name__} got {name} twice, by its place and by its name; the order is {order}{_sizes(places)}"
            )
        if name not in places and name not in options and not takes_any:
            instead = OPTIONS.get(name) or f"it has {', '.join([*places, *options]) or 'none'}"
            raise DTypeError(f"{cls.__name__} has no option {name}; {instead}")
    if code is None and given:
        raise DTypeError(f"{cls.__name__} takes no arguments; make it first, and then call it: {cls.__name__}()(x)")
    if code is not None and len(given) > len(places) and not code.co_flags & 0x04:
        raise DTypeError(
            f"{cls.__name__} takes {', '.join(places) or 'nothing'} by place, and {len(given)} values were given; name the "
            f"others{': ' if options else ''}{', '.join(options)}"
        )


def _check_no_parameters(name: str, first: Any) -> None:
    """Raise `DTypeError` for what other libraries give an optimizer first: the parameters, or the model."""
    if hasattr(first, "named_params") or hasattr(first, "__next__") or isinstance(first, (list, tuple, dict)):
        raise DTypeError(
            f"{name}: an optimizer is made of numbers, and a {type(first).__name__} is none; the model is named after: "
            f"{name}(lr=0.001).setup(model)"
        )


def _parameters(code: CodeType | None) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The parameters of ``__init__`` but self: those with a place, those with a name only, and whether it takes any."""
    if code is None:
        return (), (), False
    n, m = code.co_argcount, code.co_kwonlyargcount
    return code.co_varnames[1:n], code.co_varnames[n : n + m], bool(code.co_flags & 0x08)


def _sizes(places: tuple[str, ...]) -> str:
    unknown = next((name for name in ("in_size", "in_channels") if name in places[1:]), None)
    return f"; {unknown} is found at the first call, so leave it out or name it" if unknown else ""

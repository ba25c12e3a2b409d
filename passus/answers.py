"""Errors for names and arguments of other libraries, which say what to write instead.

A name is a descriptor on the class: ``__getattr__`` would slow down the lookup of every other attribute. Arguments are checked
in ``__new__``, before ``__init__`` runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from inspect import getattr_static
from types import CodeType, ModuleType, NoneType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from passus.errors import DTypeError, MissingAttributeError
from passus.foreign import LAYER, OPTIMIZER, OPTIONS

__all__ = [
    "ASSIGNED",
    "CheckedOptions",
    "Foreign",
    "answers",
    "answers_for",
    "check_assigned",
    "check_options",
    "checked_new",
    "not_callable",
]

Made = TypeVar("Made")


class Foreign:
    """A descriptor for a name of another library: looking it up raises an error that says what to write instead."""

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        raise MissingAttributeError(f"{owner.__name__} has no {self.name}; {self.instead}")


def answers(cls: type, names: Mapping[str, str]) -> None:
    """Let lookups of foreign names on a class raise `MissingAttributeError`; `dir` and `hasattr` do not show the names.

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
    """Let lookups of foreign names in a module, and calls of its submodules, raise errors that say what to write instead.

    >>> import passus.functions as F
    >>> F.cross_entropy
    Traceback (most recent call last):
        ...
    passus.errors.MissingAttributeError: passus.functions has no cross_entropy; write F.softmax_cross_entropy(x, t), ...
    """
    namespace = sys.modules[module]
    getattr_before = namespace.__dict__.get("__getattr__")

    def missing(name: str) -> Any:
        if name in names:
            raise MissingAttributeError(f"{module} has no {name}; {names[name]}")
        if getattr_before is not None:
            return getattr_before(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=namespace)

    namespace.__dict__["__getattr__"] = missing
    for name, submodule in list(sys.modules.items()):
        if name.startswith(f"{module}.") and type(submodule) is ModuleType:
            submodule.__class__ = _NotCallable


class _NotCallable(ModuleType):
    """A module with the name of a function or class in it; calling it raises an error that names the function."""

    def __call__(self, *given: Any, **named: Any) -> NoReturn:
        module, _, own = self.__name__.rpartition(".")
        names = getattr(self, "__all__", [])
        if own in names:
            instead = f"write {self.__name__}.{own}(...)"
        elif (same := [name for name in names if name.lower() == own.replace("_", "")]) or len(names) == 1:
            instead = f"write {module}.{(same or names)[0]}(...)"
        else:
            instead = f"it has {', '.join(names)}"
        raise DTypeError(f"{self.__name__} is a module; {instead}")


def not_callable(module: str) -> None:
    """Let a call of a module raise an error that names the function of the same name in it.

    >>> import passus
    >>> passus.grad(lambda x: x**2)
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: passus.grad is a module; write passus.grad.grad(...)
    """
    sys.modules[module].__class__ = _NotCallable


def checked_new(cls: type[Made], *given: Any, **named: Any) -> Made:
    """A ``__new__`` that checks the arguments of ``__init__``; see `check_options`.

    >>> class Line:
    ...     __new__ = checked_new
    >>> Line(3)
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: Line takes no arguments when it is created; write Line()(x)
    """
    if given or named:
        check_options(cls, given, named)
    return object.__new__(cls)


class CheckedOptions:
    """The base of classes whose constructor arguments are checked first; see `check_options`."""

    if not TYPE_CHECKING:  # Type checkers must read the signature of __init__.
        __new__ = checked_new


def check_options(cls: type, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Raise `DTypeError` for unknown keyword arguments, and for arguments given by position and by name.

    >>> check_options(type("Line", (), {}), (), {"padding": 1})
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: Line has no option padding; it is called pad here
    """
    init: Any = cls.__init__  # type: ignore[misc]
    code = getattr(init, "__code__", None)
    if code is None and init is not object.__init__:
        return
    positional, keywords, takes_any = _parameters(code)
    if given and positional[:1] in (("lr",), ("rho",)) and not isinstance(given[0], (int, float, str)):
        _check_no_parameters(cls.__name__, given[0])
    for name in named:
        if name in positional[: len(given)]:
            order = f"{cls.__name__}({', '.join(positional[: max(len(given), 1)])}, ...)"
            raise DTypeError(
                f"{cls.__name__} got {name} twice, by position and by name; the order is {order}{_sizes(positional)}"
            )
        if name not in positional and name not in keywords and not takes_any:
            instead = OPTIONS.get(name) or f"it has {', '.join([*positional, *keywords]) or 'none'}"
            raise DTypeError(f"{cls.__name__} has no option {name}; {instead}")
    if code is None and given:
        raise DTypeError(f"{cls.__name__} takes no arguments when it is created; write {cls.__name__}()(x)")
    if code is not None and len(given) > len(positional) and not code.co_flags & 0x04:
        raise DTypeError(
            f"{cls.__name__} takes {', '.join(positional) or 'nothing'} by position, but {len(given)} arguments were given"
            + (f"; name the others: {', '.join(keywords)}" if keywords else "")
        )


ASSIGNED = frozenset([*OPTIONS, *LAYER, *OPTIMIZER])
"""Names that users of other libraries assign to, and that passus does not read."""


def check_assigned(owner: Any, name: str) -> None:
    """Raise `MissingAttributeError` for an assignment to a foreign name; subclasses outside passus may assign to any name.

    >>> from passus.optimizers import SGD
    >>> SGD().learning_rate = 0.1
    Traceback (most recent call last):
        ...
    passus.errors.MissingAttributeError: SGD has no learning_rate; write lr
    """
    cls = type(owner)
    found = getattr_static(cls, name, None)
    if not cls.__module__.startswith("passus.") or name in vars(owner) or not isinstance(found, (Foreign, NoneType)):
        return
    instead = OPTIONS.get(name) if found is None else found.instead
    if found is not None or name not in _parameters_of(cls):
        raise MissingAttributeError(f"{cls.__name__} has no {name}; {instead or 'nothing reads it'}")


def _parameters_of(cls: type) -> tuple[str, ...]:
    """The parameters of ``__init__``, whose names it may assign to."""
    positional, keywords, _ = _parameters(getattr(cls.__init__, "__code__", None))  # type: ignore[misc]
    return (*positional, *keywords)


def _check_no_parameters(name: str, first: Any) -> None:
    """Raise `DTypeError` if the first argument of an optimizer is the parameters or the model, as in other libraries."""
    if hasattr(first, "named_params") or hasattr(first, "__next__") or isinstance(first, (list, tuple, dict)):
        raise DTypeError(
            f"{name} takes hyperparameters, not {'a model' if hasattr(first, 'named_params') else 'parameters'}; write "
            f"{name}(lr=0.001).setup(model)"
        )


def _parameters(code: CodeType | None) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The parameters of ``__init__`` without self: positional, keyword-only, and whether it takes any keyword."""
    if code is None:
        return (), (), False
    n, m = code.co_argcount, code.co_kwonlyargcount
    return code.co_varnames[1:n], code.co_varnames[n : n + m], bool(code.co_flags & 0x08)


def _sizes(positional: tuple[str, ...]) -> str:
    unknown = next((name for name in ("in_size", "in_channels") if name in positional[1:]), None)
    return f"; {unknown} is inferred on the first call; leave it out or pass it by name" if unknown else ""

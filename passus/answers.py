"""Errors for names of other libraries, with their replacements.

A name is a descriptor on the class: ``__getattr__`` would slow down the lookup of every other attribute.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from inspect import getattr_static
from opcode import opmap
from types import FrameType, ModuleType, NoneType
from typing import Any, NoReturn, TypeVar

from passus.constructors import parameters_of
from passus.errors import DTypeError, MissingAttributeError, MissingImportError
from passus.foreign import CALL_ARGUMENTS, LAYER, OPTIMIZER, OPTIONS

__all__ = [
    "ASSIGNED",
    "Foreign",
    "answering",
    "answers",
    "answers_for",
    "check_assigned",
    "foreign_argument",
    "not_callable",
]

Called = TypeVar("Called", bound=Callable[..., Any])


class Foreign:
    """A descriptor for a name of another library: looking it up raises an error with the replacement."""

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


def foreign_argument(name: str, function: Callable[..., Any], named: Iterable[str]) -> DTypeError | None:
    """The error for a keyword argument of another library, if ``function`` was called with one; ``name`` begins it.

    >>> foreign_argument("attention", lambda q, mask=None: q, ["attn_mask"])
    DTypeError('attention: there is no argument attn_mask; it is called mask here: True where a query may attend to a key. ...
    """
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & inspect.CO_VARKEYWORDS:
        return None
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    unknown = next((argument for argument in named if argument in CALL_ARGUMENTS and argument not in own), None)
    return None if unknown is None else DTypeError(f"{name}: there is no argument {unknown}; {CALL_ARGUMENTS[unknown]}")


def answering(function: Called) -> Called:
    """A function that raises `DTypeError` with the replacement for keyword arguments of other libraries.

    >>> @answering
    ... def generate(model, rng=None):
    ...     return rng
    >>> generate(None, seed=1)
    Traceback (most recent call last):
        ...
    passus.errors.DTypeError: generate: there is no argument seed; it is called rng here
    """

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except TypeError as error:
            found = foreign_argument(function.__name__, function, named) if type(error) is TypeError else None
            if found is None:
                raise
            raise found from error

    return call  # type: ignore[return-value]


def _dir(self: Any) -> Iterable[str]:
    own = vars(self)
    names = object.__dir__(self)
    return [n for n in names if n in own or not isinstance(getattr_static(type(self), n, None), Foreign)]


def answers_for(module: str, names: Mapping[str, str]) -> None:
    """Let foreign names in a module, and calls of its submodules, raise errors with replacements.

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
            kind = MissingImportError if _imports(sys._getframe(1)) else MissingAttributeError
            raise kind(f"{module} has no {name}; {names[name]}")
        if getattr_before is not None:
            return getattr_before(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name, obj=namespace)

    namespace.__dict__["__getattr__"] = missing
    _submodules.update({f"{module}.{name}": f"{module} has no {name}; {names[name]}" for name in names})
    for name, submodule in list(sys.modules.items()):
        if name.startswith(f"{module}.") and type(submodule) is ModuleType:
            submodule.__class__ = _NotCallable


def _imports(frame: FrameType) -> bool:
    """Whether the code of a frame is executing ``from module import name``."""
    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


_submodules: dict[str, str] = {}
"""The messages for foreign names that are imported as modules, by their paths."""


class _ForeignModules:
    """A finder, asked after all others, that raises an error for modules of other libraries, such as ``passus.nn``."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Raise `MissingImportError` for a foreign name; any other module is not found."""
        if name in _submodules:
            raise MissingImportError(_submodules[name])


sys.meta_path.append(_ForeignModules)


class _NotCallable(ModuleType):
    """A module with the name of a function or class in it; calling it raises an error that names the function."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions are sent to other processes with the modules that they use. Only the type `ModuleType` itself is known there.
        return importlib.import_module, (self.__name__,)

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


ASSIGNED = frozenset([*OPTIONS, *LAYER, *OPTIMIZER])
"""Names that users of other libraries assign to, and that passus does not read."""


def check_assigned(owner: Any, name: str) -> None:
    """Raise `MissingAttributeError` for an assignment to a foreign name, except by subclasses outside passus.

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
    if found is not None or name not in parameters_of(cls):
        raise MissingAttributeError(f"{cls.__name__} has no {name}; {instead or 'nothing reads it'}")

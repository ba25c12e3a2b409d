"""Checks of constructor arguments, with errors that name the argument of this library.

They run in ``__new__``, before ``__init__``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from passus.errors import DTypeError
from passus.foreign import OPTIONS

__all__ = ["CheckedOptions", "check_options", "checked_new", "parameters_of"]

Made = TypeVar("Made")


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
    if given and not (positional or keywords or takes_any or (code is not None and code.co_flags & 0x04)):
        raise DTypeError(f"{cls.__name__} takes no arguments when it is created; write {cls.__name__}()(x)")
    if code is not None and len(given) > len(positional) and not code.co_flags & 0x04:
        raise DTypeError(
            f"{cls.__name__} takes {', '.join(positional) or 'nothing'} by position, but "
            f"{len(given)} {'argument was' if len(given) == 1 else 'arguments were'} given"
            + (f"; name the others: {', '.join(keywords)}" if keywords else "")
        )


def parameters_of(cls: type) -> tuple[str, ...]:
    """The parameters of ``__init__``, and so the names that it may assign to.

    >>> parameters_of(type("Point", (), {"__init__": lambda self, x, *, y=0: None}))
    ('x', 'y')
    """
    positional, keywords, _ = _parameters(getattr(cls.__init__, "__code__", None))  # type: ignore[misc]
    return (*positional, *keywords)


def _check_no_parameters(name: str, first: Any) -> None:
    """Raise `DTypeError` if an optimizer is given the parameters or the model, as in other libraries."""
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

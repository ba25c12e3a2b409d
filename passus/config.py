"""Switches that are local to the current thread or asyncio task.

>>> with using_config("train", False):
...     Config.train
False
>>> Config.train
True
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, overload

from passus.errors import ArgumentError
from passus.scopes import Called, Scope

__all__ = ["Config", "no_grad", "set_switches", "switches", "test_mode", "using_config"]


enable_backprop: ContextVar[bool] = ContextVar("enable_backprop", default=True)
train: ContextVar[bool] = ContextVar("train", default=True)
debug: ContextVar[bool] = ContextVar("debug", default=False)
native: ContextVar[bool] = ContextVar("native", default=True)
details: ContextVar[bool] = ContextVar("details", default=False)

_switches: dict[str, ContextVar[bool]] = {
    switch.name: switch for switch in (enable_backprop, train, debug, native, details)
}


def _switch(name: str) -> ContextVar[bool]:
    if name not in _switches:
        raise ArgumentError(f"using_config: unknown switch {name!r}; use one of {', '.join(_switches)}")
    return _switches[name]


def switches() -> dict[str, bool]:
    """The switches of the current context, for `set_switches` in another process.

    >>> switches()["train"]
    True
    """
    return {name: bool(switch.get()) for name, switch in _switches.items()}


def set_switches(values: Mapping[str, bool]) -> None:
    """Set switches of the current context.

    >>> set_switches(switches())
    """
    for name, value in values.items():
        _switch(name).set(value)


class using_config(Scope):  # noqa: N801 - used like a function, as contextlib's own are
    """Set a switch inside a ``with`` block or a decorated function, and restore it afterwards.

    The switches: ``enable_backprop`` (record the graph), ``train`` (dropout and batch normalization behave as in
    training), ``debug`` (detect arrays edited in place between forward and backward, and add the location of the forward
    call to errors of the backward pass; slower), ``native`` (use compiled kernels), ``details`` (the repr of a Variable
    shows its name, its dtype, and whether gradients flow to it).

    In a generator, the switch is set only while the generator runs, not in the code that consumes its items. In a function
    decorated with `contextlib.contextmanager` it is set for the ``with`` block, and in a pytest fixture for the test.
    ``async`` functions can be decorated, and threads can share one instance.

    Raises `ArgumentError` for an unknown switch, `DTypeError` for decorating a class.

    >>> @using_config("train", False)
    ... def predict():
    ...     return Config.train
    >>> predict(), Config.train
    (False, True)
    """

    def __init__(self, name: str, value: bool) -> None:
        super().__init__(_switch(name), lambda: bool(value))


@overload
def no_grad() -> using_config: ...


@overload
def no_grad(function: Called) -> Called: ...


def no_grad(function: Any = None) -> Any:
    """Disable recording of the graph: results have no history, and intermediate memory is freed immediately.

    Also a decorator, ``@no_grad()`` or ``@no_grad``, also for generators and ``async`` functions; see `using_config`.

    >>> with no_grad():
    ...     Config.enable_backprop
    False
    """
    block = using_config("enable_backprop", False)
    return block if function is None else block(function)


@overload
def test_mode() -> using_config: ...


@overload
def test_mode(function: Called) -> Called: ...


def test_mode(function: Any = None) -> Any:  # noqa: PT028 - no test
    """Make dropout and batch normalization behave as in inference. Also a decorator, like `no_grad`.

    >>> with test_mode():
    ...     Config.train
    False
    """
    block = using_config("train", False)
    return block if function is None else block(function)


test_mode.__test__ = False  # type: ignore[attr-defined]  # Not a test, despite its name.


class _Config:
    """The switches of the current context as attributes, to read and to set.

    >>> Config.enable_backprop
    True
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> bool:
        if name not in _switches:
            raise AttributeError(f"Config has no switch {name!r}; use one of {', '.join(_switches)}")
        return bool(_switches[name].get())

    def __setattr__(self, name: str, value: Any) -> None:
        _switch(name).set(bool(value))

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value}' for name, value in switches().items())})"


Config = _Config()

"""Context variables that are set inside a block only, also in generators.

``token = variable.set(...)`` and ``variable.reset(token)`` are correct for blocks that end in the context and in the order in
which they began. Generators violate both: they are suspended inside a block, resume in another thread or context, and end in
any order. `Scope` handles these cases.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextvars import Context, ContextVar, copy_context
from types import FrameType
from typing import Any, TypeVar

from passus.errors import DTypeError

__all__ = ["Scope", "collected_records", "copied_context", "current"]

Called = TypeVar("Called", bound=Callable[..., Any])

GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

MANAGERS = ("contextlib", "_pytest.fixtures")
"""Modules that run a generator as a context manager: its blocks apply to the ``with`` block."""


class _Block:
    """An entered block. In a generator, it is itself the value of the variable, and active while the generator runs."""

    __slots__ = ("before", "frame", "is_open", "value", "variable")

    def __init__(self, variable: ContextVar[Any], value: Any, frame: FrameType | None) -> None:
        self.variable, self.value, self.frame = variable, value, frame
        self.before = variable.get()
        self.is_open = True

    def now(self) -> Any:
        """The current value."""
        # The frame of a suspended generator has no caller.
        is_running = self.is_open and self.frame is not None and self.frame.f_back is not None
        return self.value if is_running else current(self.before)

    def __bool__(self) -> bool:
        return bool(self.now())


_open: ContextVar[tuple[_Block, ...]] = ContextVar("open blocks", default=())


def current(value: Any) -> Any:
    """Resolve the value of a context variable that is set by a `Scope`.

    >>> current(3)
    3
    """
    return value.now() if type(value) is _Block else value


class Scope:
    """Set ``variable`` to ``make()`` inside a ``with`` block or a decorated function.

    An instance can be reused, nested in itself, and shared by threads. Generators and ``async`` functions can be decorated,
    too. A block in a generator is active while the generator runs, not in the code that consumes its items. Functions
    decorated with `contextlib.contextmanager` and pytest fixtures are exceptions: their blocks apply to the ``with`` block.

    >>> depth = ContextVar("depth", default=0)
    >>> with Scope(depth, lambda: 1) as value:
    ...     value, depth.get()
    (1, 1)
    >>> depth.get()
    0
    """

    def __init__(self, variable: ContextVar[Any], make: Callable[[], Any]) -> None:
        self._variable, self._make = variable, make
        self._blocks: list[_Block] = []

    def __enter__(self) -> Any:
        block = _Block(self._variable, self._make(), _generator_of(sys._getframe(1)))
        self._blocks.append(block)
        _open.set((*[b for b in _open.get() if b.is_open], block))
        self._variable.set(block.value if block.frame is None else block)
        return block.value

    def __exit__(self, *error: object) -> None:
        frame, here = _generator_of(sys._getframe(1)), _open.get()
        candidates = [b for b in list(self._blocks) if (b in here if frame is None else b.frame is frame)]
        if not candidates:  # It was entered in another context.
            return
        block = candidates[-1]
        self._blocks.remove(block)
        block.is_open, block.frame = False, None
        if block not in here:
            return
        later = [b for b in here[here.index(block) + 1 :] if b.variable is self._variable]
        if later:  # A block that began inside this one is still open.
            later[0].before = block.before
        else:
            self._variable.set(block.before)
        _open.set(tuple([b for b in here if b.is_open]))

    def __call__(self, function: Called) -> Called:
        """Decorate ``function``: each call is a block; for a generator, each of its steps.

        Raises `DTypeError` for a class, which would be replaced by a function.
        """
        if isinstance(function, type) or not callable(function):
            raise DTypeError(f"{function!r} cannot be decorated; decorate a function or method")
        variable, make = self._variable, self._make
        call: Any
        if inspect.isgeneratorfunction(function):

            def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                with Scope(variable, make):
                    return (yield from function(*args, **kwargs))
        elif inspect.isasyncgenfunction(function):

            async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
                with Scope(variable, make):
                    async with contextlib.aclosing(function(*args, **kwargs)) as items:
                        async for item in items:
                            yield item
        elif inspect.iscoroutinefunction(function):

            async def call(*args: Any, **kwargs: Any) -> Any:
                with Scope(variable, make):
                    return await function(*args, **kwargs)
        else:

            def call(*args: Any, **kwargs: Any) -> Any:
                with Scope(variable, make):
                    return function(*args, **kwargs)

        decorated: Any = functools.wraps(function)(call)
        return decorated  # type: ignore[no-any-return]


def copied_context() -> Context:
    """A copy of the current context, for another thread; blocks of generators have their current values in it.

    >>> copied_context().run(abs, -1)
    1
    """

    def resolve() -> None:
        for block in _open.get():
            block.variable.set(current(block.variable.get()))

    context = copy_context()
    context.run(resolve)
    return context


def _generator_of(frame: FrameType | None) -> FrameType | None:
    """The frame of the generator in which a block is entered or left; None for a plain function."""
    while frame is not None and (_is_manager(frame) or _is_manager(frame.f_back)):
        frame = frame.f_back
    return frame if frame is not None and frame.f_code.co_flags & GENERATOR else None


def _is_manager(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") in MANAGERS


@contextlib.contextmanager
def collected_records(variable: ContextVar[dict[Any, Any] | None]) -> Iterator[dict[Any, Any]]:
    """Set a variable to an empty dict inside a block; afterwards, merge its records into those of the enclosing block.

    >>> records = ContextVar("records", default=None)
    >>> with collected_records(records) as outer:
    ...     outer["a"] = 1
    ...     with collected_records(records) as inner:
    ...         inner["a"], inner["b"] = 2, 3
    >>> inner, outer
    ({'a': 2, 'b': 3}, {'a': 1, 'b': 3})
    """
    outer, records = variable.get(), dict[Any, Any]()
    token = variable.set(records)
    try:
        yield records
    finally:
        variable.reset(token)
        if outer is not None:
            outer.update(records | outer)  # Earlier records take precedence.

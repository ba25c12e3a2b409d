"""Values of context variables that hold inside a block, and nowhere else.

Python's own way, ``token = variable.set(...)`` and ``variable.reset(token)``, is right for blocks that end where and in
the order in which they began. Generators break both: they are left in the middle of a block, go on in another thread or
context, or end in any order. A `Scope` is right there, too.
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

__all__ = ["Scope", "collected_notes", "copied_context", "current"]

Called = TypeVar("Called", bound=Callable[..., Any])

GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

MANAGERS = ("contextlib", "_pytest.fixtures")
"""Modules that make a block of a generator: what holds in that holds in the block."""


class _Block:
    """A block that was entered. In a generator it is itself the value of the variable, and counts while that runs."""

    __slots__ = ("before", "frame", "is_open", "value", "variable")

    def __init__(self, variable: ContextVar[Any], value: Any, frame: FrameType | None) -> None:
        self.variable, self.value, self.frame = variable, value, frame
        self.before = variable.get()
        self.is_open = True

    def now(self) -> Any:
        """The value that holds at this moment."""
        # The frame of a generator that was left in the middle has nobody above it.
        runs = self.is_open and self.frame is not None and self.frame.f_back is not None
        return self.value if runs else current(self.before)

    def __bool__(self) -> bool:
        return bool(self.now())


_open: ContextVar[tuple[_Block, ...]] = ContextVar("open blocks", default=())


def current(value: Any) -> Any:
    """What a context variable that is set by a `Scope` says, by its value.

    >>> current(3)
    3
    """
    return value.now() if type(value) is _Block else value


class Scope:
    """Give ``variable`` the value that ``make()`` returns, inside a ``with`` block or a decorated function.

    One instance may be used again, inside itself, and by several threads. Generators and functions that are ``async`` can
    be decorated like others. A block in a generator holds while the generator runs, and not for those who take its
    items; but a function with `contextlib.contextmanager`, or a fixture of pytest, is no such generator: what it does
    holds in its block.

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
        mine = [b for b in list(self._blocks) if (b in here if frame is None else b.frame is frame)]
        if not mine:  # It was entered in a context that is not this one.
            return
        block = mine[-1]
        self._blocks.remove(block)
        block.is_open, block.frame = False, None
        if block not in here:
            return
        later = [b for b in here[here.index(block) + 1 :] if b.variable is self._variable]
        if later:  # One that began inside of it goes on.
            later[0].before = block.before
        else:
            self._variable.set(block.before)
        _open.set(tuple([b for b in here if b.is_open]))

    def __call__(self, function: Called) -> Called:
        """``function``, each call of which is a block; of a generator, each of its steps.

        Raises `DTypeError` for a class, which would be none any more.
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
    """A copy of the current context, for another thread; blocks of generators count there as they do now.

    >>> copied_context().run(abs, -1)
    1
    """

    def settle() -> None:
        for block in _open.get():
            block.variable.set(current(block.variable.get()))

    context = copy_context()
    context.run(settle)
    return context


def _generator_of(frame: FrameType | None) -> FrameType | None:
    """The frame of the generator in which a block is entered or left; None where it is in a plain function."""
    while frame is not None and (_makes_blocks(frame) or _makes_blocks(frame.f_back)):
        frame = frame.f_back
    return frame if frame is not None and frame.f_code.co_flags & GENERATOR else None


def _makes_blocks(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") in MANAGERS


@contextlib.contextmanager
def collected_notes(variable: ContextVar[dict[Any, Any] | None]) -> Iterator[dict[Any, Any]]:
    """Let a variable hold an empty dict inside a block; what is noted in it is then noted in that of the block around it, too.

    >>> notes = ContextVar("notes", default=None)
    >>> with collected_notes(notes) as outer:
    ...     outer["a"] = 1
    ...     with collected_notes(notes) as inner:
    ...         inner["a"], inner["b"] = 2, 3
    >>> inner, outer
    ({'a': 2, 'b': 3}, {'a': 1, 'b': 3})
    """
    outer, notes = variable.get(), dict[Any, Any]()
    token = variable.set(notes)
    try:
        yield notes
    finally:
        variable.reset(token)
        if outer is not None:
            outer.update(notes | outer)  # What was noted first counts.

"""Calls that a program makes outside of itself: updates of optimizers, and hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from passus.core.variable import constant_variable
from passus.core.views import read_only
from passus.recording.program import Place

__all__ = ["Host", "Observer"]


class Host:
    """A call that may change the state of a step, such as the update of an optimizer.

    Before it, arrays of the program are written to their places; after it, those that it may have changed are read again.
    """

    def __init__(self, function: Callable[[], Any], writes: list[Place], reads: list[Place], name: str) -> None:
        self.function, self.writes, self.reads, self.__name__ = function, writes, reads, name

    def __call__(self, *arrays: Any) -> list[Any]:
        for place, array in zip(self.writes, arrays):
            place.set(array)
        self.function()
        return [place.get() for place in self.reads]

    def narrowed(self, used: list[bool]) -> Host:
        """The same call, after which only some of the places are read again."""
        return Host(
            self.function, self.writes, [place for place, is_used in zip(self.reads, used) if is_used], self.__name__
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Host) or self.__name__ != other.__name__ or len(self.writes) != len(other.writes):
            return False
        return all(a.is_same(b) for a, b in zip(self.writes, other.writes))

    __hash__ = object.__hash__


class Observer:
    """A call of a hook with arrays of the program, boxed where the hook expects Variables; its result is ignored."""

    def __init__(self, function: Callable[..., Any], boxed: tuple[Any, ...]) -> None:
        self.function, self.boxed, self.__name__ = function, boxed, getattr(function, "__name__", "hook")

    def __call__(self, *args: Any) -> None:
        self.function(*[_box(x, boxed) for x, boxed in zip(args, self.boxed)])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observer) and self.function == other.function

    __hash__ = object.__hash__


def _box(x: Any, boxed: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)([_box(v, b) for v, b in zip(x, boxed)])
    if isinstance(x, dict):
        return {name: _box(v, boxed[name]) for name, v in x.items()}
    return constant_variable(x) if boxed == "Variable" else read_only(x) if boxed else x

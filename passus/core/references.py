"""Weak references of functions to their outputs, so that a graph is freed together with its result."""

from __future__ import annotations

from typing import Any, NoReturn
from weakref import ref

from passus.errors import GraphError

__all__ = ["NOT_CALLED", "NotCalled", "OutputReference"]


class NotCalled(tuple[Any, ...]):
    """The inputs and outputs of a function that was not recorded. Raises `GraphError` where one is read."""

    __slots__ = ()

    def _refuse(self, *args: Any) -> NoReturn:
        raise GraphError(
            "this function has no inputs and outputs yet: call it first, y = f(x), with a Variable that takes a gradient, and not "
            "under no_grad(); backward() comes after"
        )

    __getitem__ = __iter__ = _refuse


NOT_CALLED = NotCalled()


class OutputReference(ref[Any]):
    """A weak reference to an output that has the attributes of the output: ``f.outputs[0].grad`` is ``f.outputs[0]().grad``."""

    __slots__ = ()

    def _output(self) -> Any:
        y = self()
        if y is None:
            raise GraphError("this output is gone; keep a reference to what the call returned")
        return y

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._output(), name, value)

"""What a call changes in a model, noted so that a call that fails leaves the model as it was.

A first call draws lazy parameters, and every call in training moves the averages of batch normalisation. If a layer
further on then refuses its input, all of that is put back by the outermost layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Undo", "changes", "if_this_call_fails", "undoable"]

Undo = Callable[[], object]

changes: ContextVar[list[Undo] | None] = ContextVar("changes of the outermost layer's call", default=None)
"""How to undo what the call of a layer that is under way has changed so far; None outside of calls."""


def if_this_call_fails(undo: Undo) -> None:
    """Let ``undo`` be called if the call under way raises; outside of calls of layers, nothing is noted."""
    noted = changes.get()
    if noted is not None:
        noted.append(undo)


@contextmanager
def undoable() -> Iterator[Undo]:
    """Inside the block and after it, undo all that calls of layers in it have changed; an error in it does so, too."""
    noted: list[Undo] = []

    def undo() -> None:
        while noted:
            noted.pop()()

    token = changes.set(noted)
    try:
        yield undo
    except BaseException:
        undo()
        raise
    finally:
        changes.reset(token)

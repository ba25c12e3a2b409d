"""Undo the changes of a call that fails.

A first call initializes lazy parameters, calls in training update the averages of batch normalization, recurrent layers
carry a state, and attention appends to caches. If a later layer then raises, the outermost layer undoes all of these
changes. Assignments to buffers and carried state are undone for any layer; changes in place are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Undo", "changes", "new_calls", "on_failure", "undoable"]

Undo = Callable[[], object]

changes: ContextVar[list[Undo] | None] = ContextVar("changes of the outermost layer's call", default=None)
"""Functions that undo the changes of the current call so far; None outside of calls."""


def on_failure(undo: Undo) -> None:
    """Call ``undo`` if the current call raises. Does nothing outside of calls of layers."""
    undos = changes.get()
    if undos is not None:
        undos.append(undo)


@contextmanager
def new_calls() -> Iterator[None]:
    """Let calls of layers in the block be outermost ones: each undoes its own changes if it fails."""
    token = changes.set(None)
    try:
        yield
    finally:
        changes.reset(token)


@contextmanager
def undoable() -> Iterator[Undo]:
    """Yield a function that undoes all changes made by calls of layers in the block. An error in the block undoes them,
    too.
    """
    undos: list[Undo] = []

    def undo() -> None:
        for change in undos[::-1]:
            change()
        undos.clear()

    token = changes.set(undos)
    try:
        yield undo
    except BaseException:
        undo()
        raise
    finally:
        changes.reset(token)

"""Short tracebacks: an error of passus shows the user's lines and the message, without the frames inside passus.

Nothing is removed from the error itself: debuggers see every frame. The frames are left out when the traceback is displayed,
by ``sys.excepthook`` and ``threading.excepthook`` in plain Python, by ``_render_traceback_`` in IPython and by
``__tracebackhide__`` in pytest, which still shows the message of an internal cause, and whose option ``--full-trace`` shows
the frames. ``Config.debug = True`` and the environment variable ``PASSUS_TRACEBACK=full`` show all frames. The text that a
pool of processes makes of an error in a worker has all frames.
Errors of other classes are always shown in full, because they may be defects of passus.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from passus.config import debug
from passus.errors import PassusError

__all__ = ["install", "shortened"]

VARIABLE = "PASSUS_TRACEBACK"

MARK = "_is_cause_of_passus_error"
"""An attribute of an error whose frames pytest hides although it is not a `PassusError`."""

INTERNAL = frozenset({"passus", "numpy", "contextlib", "concurrent", "threading"})
"""Top-level modules whose frames are hidden: passus itself, and those between it and the user."""


def install() -> None:
    """Shorten the tracebacks of `PassusError` wherever they are displayed; called by ``import passus``.

    Another call has no effect.

    >>> before = sys.excepthook
    >>> install()
    >>> sys.excepthook is before
    True
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "passus":
            vars(module)["__tracebackhide__"] = _hidden_in_pytest
    PassusError._render_traceback_ = _rendered_in_ipython  # type: ignore[attr-defined]
    if not isinstance(sys.excepthook, _Hook):
        sys.excepthook = _Hook(sys.excepthook)
    if not isinstance(threading.excepthook, _ThreadHook):
        threading.excepthook = _ThreadHook(threading.excepthook)


@contextmanager
def shortened(error: BaseException) -> Iterator[None]:
    """Inside the block, the traceback of an error and of its causes has no frames of passus, unless it has no others.

    A cause that was raised and caught inside passus is left out. Afterwards, the error is as before.

    >>> try:
    ...     raise PassusError("no user's line: nothing is left out")
    ... except PassusError as error:
    ...     with shortened(error):
    ...         error.__traceback__ is not None
    True
    """
    saved = (error.__traceback__, error.__cause__, error.__context__, error.__suppress_context__)
    notes = list(getattr(error, "__notes__", []))
    frames = _frames(error.__traceback__)
    visible = [tb for tb in frames if not _is_internal(tb)]
    if not visible or len(visible) == len(frames):
        yield
        return
    count = len(frames) - len(visible)
    hidden = "1 frame inside passus is" if count == 1 else f"{count} frames inside passus are"
    error.add_note(f"({hidden} hidden; {VARIABLE}=full shows {'it' if count == 1 else 'them'})")
    error.__traceback__ = _linked(visible)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    try:
        if cause is None or _is_internal_error(cause):
            error.__cause__ = error.__context__ = None
            yield
        else:
            with shortened(cause):
                yield
    finally:
        error.__traceback__, error.__cause__, error.__context__, error.__suppress_context__ = saved
        error.__notes__ = notes


class _Hook:
    """The hook of the interpreter for uncaught errors; ``previous`` displays them."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not _is_short(error):
            self.previous(kind, error, trace)
            return
        with shortened(error):
            self.previous(kind, error, error.__traceback__)


class _ThreadHook:
    """The hook for uncaught errors in threads; ``previous`` displays them."""

    def __init__(self, previous: Any) -> None:
        self.previous = previous

    def __call__(self, failure: threading.ExceptHookArgs) -> None:
        error = failure.exc_value
        if error is None or not _is_short(error):
            self.previous(failure)
            return
        with shortened(error):
            short = (failure.exc_type, error, error.__traceback__, failure.thread)
            self.previous(threading.ExceptHookArgs(short))


def _is_short(error: BaseException | None) -> bool:
    return isinstance(error, PassusError) and not debug.get() and os.environ.get(VARIABLE) != "full"


def _is_internal_error(error: BaseException) -> bool:
    """Whether an error was raised and caught inside passus.

    That of a caller has frames of the caller, too. One without frames is the traceback of another process.
    """
    frames = _frames(error.__traceback__)
    return bool(frames) and all(map(_is_internal, frames))


def _rendered_in_ipython(self: PassusError) -> list[str]:
    """The lines of the traceback; IPython calls this method of an error."""
    shell = sys.modules["IPython"].get_ipython()
    if not _is_short(self):
        lines: list[str] = shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__)
        return lines
    with shortened(self):
        lines = shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__)
    return lines


def _hidden_in_pytest(info: Any) -> bool:
    """Whether pytest hides the frames of a module; ``info`` is its description of the error.

    Pytest asks about an error before its cause, whose frames are hidden, too.
    """
    if info is None or not (_is_short(info.value) or hasattr(info.value, MARK)):
        return False
    if info.value.__cause__ is not None:
        setattr(info.value.__cause__, MARK, True)
    return True


def _frames(trace: TracebackType | None) -> list[TracebackType]:
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    return frames


def _is_internal(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] in INTERNAL


def _linked(frames: list[TracebackType]) -> TracebackType | None:
    """A new traceback of these frames."""
    linked: TracebackType | None = None
    for tb in reversed(frames):
        linked = TracebackType(linked, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return linked

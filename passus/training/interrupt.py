"""Ctrl-C and SIGTERM, deferred to the end of the current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["Interrupt", "Terminated"]


class Terminated(KeyboardInterrupt, SystemExit):
    """Raised at the end of a training that received SIGTERM; it is caught like Ctrl-C, and otherwise exits the process.

    >>> Terminated().code
    143
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.code = 128 + signal.SIGTERM  # The convention of shells.


class Interrupt:
    """A block in which the first Ctrl-C only sets ``requested``; a second one interrupts at once.

    SIGTERM, which systems send before they kill a process, sets it as well; a second one has no effect.

    Signals are not handled outside the main thread, nor if they have another handler already.

    >>> with Interrupt() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupt.requested
    True
    """

    def __init__(self) -> None:
        self._received: list[int] = []
        self._installed: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has requested the end of the training."""
        return bool(self._received)

    def error(self) -> KeyboardInterrupt:
        """The exception to raise if the end was requested."""
        return Terminated() if signal.SIGTERM in self._received else KeyboardInterrupt()

    def __enter__(self) -> Interrupt:
        self._received = []
        if threading.current_thread() is threading.main_thread():
            for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is default:
                    signal.signal(number, self._handle)
                    self._installed[number] = default
        return self

    def __exit__(self, *error: object) -> None:
        while self._installed:
            signal.signal(*self._installed.popitem())  # type: ignore[arg-type]  # the handler before

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and signum in self._received:
            signal.default_int_handler(signum, frame)
        self._received.append(signum)

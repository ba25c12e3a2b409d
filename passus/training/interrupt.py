"""Ctrl-C and SIGTERM at a moment when nothing is half done."""

from __future__ import annotations

import signal
import threading
from types import FrameType

__all__ = ["Interrupt", "Terminated"]


class Terminated(KeyboardInterrupt, SystemExit):
    """What a training ends with that was told to end by SIGTERM: who catches Ctrl-C catches it, and who does not exits.

    >>> Terminated().code
    143
    """

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)
        self.code = 128 + signal.SIGTERM  # As a shell puts it.


class Interrupt:
    """Inside this block the first Ctrl-C is only noted, in ``requested``; a second one interrupts at once.

    So is SIGTERM, with which systems tell processes that they will be killed soon; a second one changes nothing.

    In threads other than the main one, and where somebody else handles a signal already, nothing is changed.

    >>> with Interrupt() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupt.requested
    True
    """

    def __init__(self) -> None:
        self._noted: list[int] = []
        self._installed: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether the training is to end."""
        return bool(self._noted)

    def error(self) -> KeyboardInterrupt:
        """What the training ends with, if it was requested."""
        return Terminated() if signal.SIGTERM in self._noted else KeyboardInterrupt()

    def __enter__(self) -> Interrupt:
        self._noted = []
        if threading.current_thread() is threading.main_thread():
            for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is default:
                    signal.signal(number, self._note)
                    self._installed[number] = default
        return self

    def __exit__(self, *error: object) -> None:
        while self._installed:
            signal.signal(*self._installed.popitem())  # type: ignore[arg-type]  # what was there before

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and signum in self._noted:
            signal.default_int_handler(signum, frame)
        self._noted.append(signum)

"""Imported by the fork server of `multiprocessing` before it forks workers, so that these need not import passus.

A Ctrl-C reaches the server and workers that are still importing the program. Neither may end with a traceback.
"""

from __future__ import annotations

import os
import signal
from multiprocessing.process import current_process
from types import FrameType

from passus.dataloaders import serving as serving

__all__ = ["handle_interrupts"]

WORKER = "passus-loader"
"""The beginning of the names of worker processes."""


def handle_interrupts() -> None:
    """In a server that a loader has started, let workers ignore Ctrl-C; other processes that it forks end as usual.

    A loader starts the server with SIGINT blocked. In any other process this does nothing.

    >>> handle_interrupts()
    """
    if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        server = os.getpid()

        def interrupted(number: int, frame: FrameType | None) -> None:
            if os.getpid() != server and not current_process().name.startswith(WORKER):
                signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


handle_interrupts()

"""Starting worker processes, and the reasons for which they cannot start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passus.arguments import shown
from passus.dataloaders import serving
from passus.errors import ArgumentError, LoaderWorkerError
from passus.kernels.interrupts import uninterrupted

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ["UNGUARDED", "checked_start_method", "start_worker", "starting"]

METHODS = ("spawn", "forkserver")

GUARD = 'put the lines that run the program under if __name__ == "__main__":'

UNGUARDED = 64
"""The exit status of a process whose script starts processes when it is imported."""


def checked_start_method(name: str, processes: Any, workers: int) -> str | None:
    """``processes``, the way to start processes, or None for threads. Raises `ArgumentError` for other values.

    >>> checked_start_method("DataLoader", "spawn", workers=2)
    'spawn'
    """
    if processes is None:
        return None
    if not isinstance(processes, str) or processes not in METHODS:
        is_fork = isinstance(processes, str) and processes == "fork"
        why = "; a forked process would lack the threads of kernels, and keep the locks that they hold" * is_fork
        raise ArgumentError(
            f'{name}: processes is {shown(processes)}; give "spawn" or "forkserver", or None for threads{why}'
        )
    if not workers:
        raise ArgumentError(f"{name}: processes={processes!r} needs workers; pass workers=1 or more")
    return processes


@contextmanager
def starting(method: str) -> Iterator[Any]:
    """A context of `multiprocessing` in which workers may be started. Ctrl-C is delivered after the block.

    Raises `ArgumentError` where processes cannot be started, `LoaderWorkerError` if one could not.
    """
    import multiprocessing
    from multiprocessing import resource_tracker

    _check_program(method)
    context = multiprocessing.get_context(method)
    resource_tracker.ensure_running()  # It would unblock signals.
    with uninterrupted():  # A mask is not enough, because other threads receive the signal.
        # A new process inherits the mask, so Ctrl-C cannot end it before it ignores it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if method == "forkserver":
                _start_server()
            yield context
        except (OSError, EOFError) as error:
            raise LoaderWorkerError(
                f"DataLoader: a worker process could not start: {error}. Use fewer workers, or leave out processes to use "
                f"threads; in a script, {GUARD}"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker(context: Any, i: int) -> tuple[BaseProcess, Connection[Any, Any]]:
    """Start a process that runs `serving.main`; returns it with the connection to it."""
    ours, theirs = context.Pipe()
    try:
        process = context.Process(target=serving.main, args=(theirs,), name=f"passus-loader_{i}", daemon=True)
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


def _check_program(method: str) -> None:
    import multiprocessing
    from multiprocessing.process import current_process

    if method not in multiprocessing.get_all_start_methods() or not hasattr(signal, "pthread_sigmask"):
        raise ArgumentError(f"DataLoader: this system cannot share memory with processes={method!r}; use threads")
    if getattr(current_process(), "_inheriting", False):
        # This process imports the script for a worker. It says nothing, because the parent reports the reason.
        os._exit(UNGUARDED)
    if current_process().daemon:
        raise ArgumentError("DataLoader: a worker process of another loader cannot start processes; use threads there")
    path = getattr(sys.modules["__main__"], "__file__", None)
    if getattr(sys.modules["__main__"], "__spec__", None) is None and path is not None and not Path(path).is_file():
        raise ArgumentError(
            f"DataLoader: worker processes import the program, but it was read from {path}; write it to a file, or leave out "
            "processes to use threads"
        )


def _start_server() -> None:
    """Start the fork server, with passus imported unless the program has chosen what it imports."""
    from multiprocessing import forkserver

    server: Any = forkserver._forkserver
    if server._preload_modules == ["__main__"]:  # The default.
        forkserver.set_forkserver_preload(["__main__", "passus.dataloaders.preload"])
    forkserver.ensure_running()

"""A worker process as its loader sees it, and the errors of one that fails."""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from passus.dataloaders.fetching import JOIN_TIMEOUT
from passus.dataloaders.parcels import Parcel
from passus.dataloaders.serving import Failure
from passus.dataloaders.starting import GUARD, UNGUARDED
from passus.errors import LoaderWorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ["Worker", "end_workers", "not_loaded", "restored"]


class Worker:
    """A process, and what it has been asked for."""

    def __init__(self, i: int, process: BaseProcess, connection: Connection[Any, Any]) -> None:
        self.i, self.process, self.connection = i, process, connection
        self.is_ready = False
        self.wanted: set[int] = set()
        """The numbers of orders whose answers are missing."""
        self.cancelled: set[int] = set()
        """Those of orders that it has not been told to leave out."""
        self.answers: dict[int, tuple[Failure | None, Any]] = {}

    def send(self, parcel: Parcel) -> None:
        """Send a message. If the process has ended, nothing is raised before its next answer is awaited."""
        with suppress(ConnectionError):
            parcel.send(self.connection)

    def cancel(self, number: int) -> None:
        """Give an order up. The process learns it with its next order, because this may be called by the garbage collector."""
        self.wanted.discard(number)
        if self.answers.pop(number, None) is None:
            self.cancelled.add(number)

    def ended(self, what: str) -> LoaderWorkerError:
        """The error of a process that has ended before ``what``."""
        self.process.join(JOIN_TIMEOUT)
        status = self.process.exitcode
        name = f"DataLoader: worker process {self.i}"
        if status is None:
            return LoaderWorkerError(f"{name} closed its connection before {what}; a dataset must not close open files")
        if status < 0:
            often = "Often the system ran out of memory: use fewer workers or smaller batches"
            crash = "A compiled library that the dataset uses may have crashed"
            hint = often if -status == signal.SIGKILL else crash
            return LoaderWorkerError(
                f"{name} was killed by signal {-status} ({_signal(-status)}) before {what}. {hint}"
            )
        if self.is_ready:
            return LoaderWorkerError(
                f"{name} exited with status {status} before {what}; the dataset, or a library, ended it"
            )
        if status == UNGUARDED:
            return LoaderWorkerError(f"{name} imports the script, which starts processes when it is imported; {GUARD}")
        return LoaderWorkerError(
            f"{name} exited with status {status} before {what}: importing the program failed, with the error above"
        )


def end_workers(workers: list[Worker], copies: list[Parcel], pid: int) -> None:
    """End processes: by closing their connections, then by SIGTERM, then by SIGKILL. ``pid``: the process that owns them."""
    if os.getpid() != pid:  # In a fork, they are processes of the parent.
        return
    while copies:
        copies.pop().close()
    for worker in workers:
        worker.connection.close()
    _join(workers)
    for worker in workers:
        worker.process.terminate()
    _join(workers)
    for worker in workers:
        worker.process.kill()
    _join(workers)
    for worker in workers:
        with suppress(ValueError):  # The system does not let go of it.
            worker.process.close()
    workers.clear()


def _join(workers: list[Worker]) -> None:
    end = monotonic() + JOIN_TIMEOUT
    for worker in workers:
        worker.process.join(max(0.0, end - monotonic()))


def restored(failure: Failure) -> BaseException:
    """The error that a worker raised, with the worker's traceback as its cause."""
    error: BaseException | None = None
    if failure.error is not None:
        with suppress(Exception):  # Its class may be missing here.
            error = pickle.loads(failure.error)  # noqa: S301 - from a child process
    if error is None:
        error = LoaderWorkerError(
            f"DataLoader: a worker process raised an error that cannot be sent to this one: {failure.description}"
        )
        for note in failure.notes:
            error.add_note(note)
    error.__cause__ = WorkerTraceback(failure.traceback)
    return error


def not_loaded(failure: Failure) -> LoaderWorkerError:
    """The error for a dataset that cannot be unpickled in a worker."""
    error = LoaderWorkerError(
        f"DataLoader: a worker process cannot load the dataset or collate: {failure.description}. Classes and functions of a "
        "notebook or of an interactive session are unknown to other processes; write them to a module, or leave out "
        "processes to use threads"
    )
    error.__cause__ = WorkerTraceback(failure.traceback)
    return error


class WorkerTraceback(Exception):  # noqa: N818 - it is displayed as the cause of an error
    """The traceback of an error in another process, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(f"\n{text.rstrip()}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

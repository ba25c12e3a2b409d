"""What a worker process of a loader does: it prepares batches until the loader closes the connection.

The loader sends a `Reader`, and another one when the dataset has changed; an `Order` for each batch; and `Cancelled` for
orders that it has given up. The worker answers with its orders' numbers in the order in which they came.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
import warnings
from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from passus.config import set_switches, switches
from passus.dataloaders.parcels import Parcel, pickled, receive
from passus.dataloaders.reading import Reader, Task
from passus.dataloaders.unfound import UnfoundGenerators
from passus.errors import LoaderWorkerError, PassusError
from passus.kernels.threads import set_num_threads
from passus.tracebacks import shortened

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["READY", "Cancelled", "Failure", "Order", "Settings", "main", "serve"]

READY = -1
"""The number of the answer to a reader."""


class Settings(NamedTuple):
    """What a thread would inherit: the switches of passus, NumPy's treatment of errors, and the filters of warnings."""

    switches: dict[str, bool]
    errors: dict[str, Any]
    filters: bytes

    @classmethod
    def current(cls) -> Settings:
        """Those of the caller. Filters that cannot be pickled are left out."""
        return cls(switches(), {**np.geterr()}, _pickled_filters(tuple(warnings.filters)))

    def apply(self) -> None:
        """Make them those of this process."""
        set_switches(self.switches)
        np.seterr(**self.errors)
        filters = pickle.loads(self.filters)  # noqa: S301 - from the parent
        if filters != warnings.filters:
            warnings.resetwarnings()
            warnings.filters.extend(filters)  # type: ignore[attr-defined]


class Order(NamedTuple):
    """A batch to prepare."""

    number: int
    task: Task
    settings: Settings


class Cancelled(NamedTuple):
    """Orders that need not be prepared any more."""

    numbers: frozenset[int]


@dataclass
class Failure:
    """An error of a worker; ``error``: the error pickled, or None if that is impossible."""

    error: bytes | None
    description: str
    notes: list[str]
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an error that was raised."""
        with shortened(error) if isinstance(error, PassusError) else nullcontext():
            lines = traceback.format_exception(error)
        description = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return cls(_pickled_error(error), description, list(getattr(error, "__notes__", ())), "".join(lines))


def main(connection: Connection[Any, Any]) -> None:
    """Run a worker process: until the loader closes the connection, or the parent has ended."""
    # Ctrl-C reaches all processes of a terminal; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    Thread(target=_exit_with_parent, daemon=True).start()
    set_num_threads(1)  # The other processors have workers of their own.
    with suppress(EOFError, ConnectionError):
        serve(connection)


def serve(connection: Connection[Any, Any]) -> None:
    """Prepare batches. Raises `EOFError` when the loader closes the connection."""
    reader: Any = None
    generators: Any = None
    waiting: deque[Order] = deque()
    while True:
        while not waiting or connection.poll():
            with receive(connection) as parcel:
                try:
                    message = parcel.load(private=True)
                except Exception as error:  # Only a reader refers to classes of the user.
                    _answer(connection, READY, Failure.of(error))
                    continue
            if isinstance(message, Order):
                waiting.append(message)
            elif isinstance(message, Cancelled):
                waiting = deque(order for order in waiting if order.number not in message.numbers)
            else:
                reader, generators = message, UnfoundGenerators(message.generators.all.values())
                _answer(connection, READY, None)
        order = waiting.popleft()
        order.settings.apply()
        _answer(connection, order.number, *_read(reader, generators, order.task))
        del order


def _read(reader: Reader, generators: UnfoundGenerators, task: Task) -> tuple[Failure | None, Any]:
    try:
        if reader.is_random:
            generators.seed(task.seed, task.i)
        return None, reader(task)
    except BaseException as error:  # It is raised in the parent.
        return Failure.of(error), None


def _answer(connection: Connection[Any, Any], number: int, failure: Failure | None, batch: Any = None) -> None:
    try:
        answer = Parcel(pickled((number, failure, batch)))
    except Exception as error:
        if not isinstance(error, LoaderWorkerError):
            error = _unsendable(error)
        answer = Parcel(pickled((number, Failure.of(error), None)))
    with answer:
        answer.send(connection)


def _unsendable(error: Exception) -> LoaderWorkerError:
    new = LoaderWorkerError(
        f"DataLoader: a batch cannot be sent by its process: {error}. Return arrays, numbers and strings, or leave out "
        "processes to use threads"
    )
    new.__cause__ = error
    return new


def _pickled_error(error: BaseException) -> bytes | None:
    """An error pickled, if it can be restored from that: a constructor may need more than ``args``."""
    try:
        data = pickle.dumps(error)
        return data if type(pickle.loads(data)) is type(error) else None  # noqa: S301 - made here
    except Exception:
        return None


def _pickled_filters(filters: tuple[Any, ...]) -> bytes:
    if filters not in _filters:
        _filters.clear()
        _filters[filters] = pickle.dumps([entry for entry in filters if _pickles(entry)])
    return _filters[filters]


def _pickles(entry: Any) -> bool:
    try:
        pickle.dumps(entry)
    except Exception:
        return False
    return True


_filters: dict[tuple[Any, ...], bytes] = {}
"""The latest filters of warnings, pickled."""


def _exit_with_parent() -> None:
    """End this process when its parent has ended, even while it prepares a batch."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""The worker processes of a loader: they prepare its batches in turn, and end with it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterable
from itertools import count
from threading import RLock
from time import monotonic
from typing import Any

from passus.dataloaders.fetching import in_advance
from passus.dataloaders.parcels import Parcel, pickled, receive
from passus.dataloaders.reading import Reader, Task
from passus.dataloaders.sendable import pickled_reader
from passus.dataloaders.serving import READY, Cancelled, Failure, Order, Settings
from passus.dataloaders.starting import GUARD, start_worker, starting
from passus.dataloaders.worker import Worker, end_workers, not_loaded, restored
from passus.errors import LoaderWorkerError, PassusError

__all__ = ["Processes"]

START_TIMEOUT = 120.0
"""Maximum seconds in which processes import the program and load the dataset."""


class Processes:
    """Worker processes that prepare batches; the first batch starts them, and they are kept for later epochs.

    Batch i is prepared by worker ``i % workers``, which answers in the order of its batches. At the start of an epoch, the
    dataset is compared with the copy that the workers have, and sent again if it differs.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._numbers = count()
        self._reset()

    def _reset(self) -> None:
        self._workers: list[Worker] = []
        self._copies: list[Parcel] = []
        """The reader that the workers have; none before the first."""
        self._key: tuple[int, str, int] | None = None
        self._end: weakref.finalize[Any, Any] | None = None

    def __reduce__(self) -> tuple[type[Processes], tuple[()]]:
        """A copy has no processes; it starts its own."""
        return Processes, ()

    def prefetch(
        self, reader: Reader, tasks: Iterable[Task], workers: int, method: str, timeout: float | None
    ) -> Generator[Any, None, None]:
        """The batches of tasks, in order, prepared up to ``2 * workers`` in advance.

        Raises `LoaderTimeoutError` for a batch that is not ready within ``timeout`` seconds; `LoaderWorkerError` for a
        process that ends or cannot start; what the dataset raises.
        """
        with self._lock:
            self._prepare(reader, workers, method)
            current = tuple(self._workers)
        yield from in_advance(lambda task: _Pending(self, current[task.i % workers], task), tasks, 2 * workers, timeout)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            end = self._end
            self._reset()
            if end is not None:
                end()

    def _prepare(self, reader: Reader, workers: int, method: str) -> None:
        """Start the processes if necessary, and let them have a copy of the reader."""
        value, key = pickled_reader(reader), (workers, method, os.getpid())
        if self._key != key or not all(worker.process.is_alive() for worker in self._workers):
            self.close()
            self._key = key
            self._end = weakref.finalize(self, end_workers, self._workers, self._copies, os.getpid())
        elif self._copies[0].holds(value):
            return
        try:
            if not self._workers:
                with starting(method) as context:
                    for i in range(workers):
                        self._workers.append(Worker(i, *start_worker(context, i)))
            while self._copies:
                self._copies.pop().close()
            self._copies.append(Parcel(value, together=True))
            for worker in self._workers:
                worker.send(self._copies[0])
            end = monotonic() + START_TIMEOUT
            for worker in self._workers:
                while not worker.is_ready:
                    self._receive(worker, end, "it was ready")
        except TimeoutError:
            raise LoaderWorkerError(
                f"DataLoader: a worker process was not ready after {START_TIMEOUT:g} s; check what the program does when it "
                f"is imported; in a script, {GUARD}"
            ) from None
        except BaseException:  # Some may have been started, or sent a copy.
            self.close()
            raise

    def order(self, worker: Worker, task: Task) -> int:
        """Let a worker prepare a batch; return the number of the order."""
        number = next(self._numbers)
        with self._lock:
            self._check_running(worker)
            if worker.cancelled:
                self._send(worker, Cancelled(frozenset(worker.cancelled)))
                worker.cancelled.clear()
            worker.wanted.add(number)
            self._send(worker, Order(number, task, Settings.current()))
        return number

    def answer(self, worker: Worker, number: int, timeout: float | None, what: str) -> tuple[Failure | None, Any]:
        """Wait for the answer to an order. Raises `TimeoutError`, and ends the processes, one of which may hang."""
        with self._lock:
            end = None if timeout is None else monotonic() + timeout
            while number not in worker.answers:
                self._receive(worker, end, f"{what} was ready")
            return worker.answers.pop(number)

    def _receive(self, worker: Worker, end: float | None, what: str) -> None:
        """Receive an answer of a worker. ``what``: what the worker should have done before it ended, for a message."""
        from multiprocessing.connection import wait

        self._check_running(worker)
        timeout = None if end is None else max(0.0, end - monotonic())
        ready = wait([worker.connection, worker.process.sentinel], timeout)
        if not ready:
            self.close()
            raise TimeoutError
        try:
            if worker.connection not in ready and not worker.connection.poll():
                raise EOFError
            with receive(worker.connection) as parcel:
                number, failure, batch = parcel.load()
        except (EOFError, ConnectionError):
            error = worker.ended(what)
            self.close()
            raise error from None
        except BaseException as error:  # The message may be incomplete, after Ctrl-C.
            self.close()
            if isinstance(error, PassusError) or not isinstance(error, Exception):
                raise
            raise LoaderWorkerError(
                f"DataLoader: what worker process {worker.i} has prepared cannot be loaded: {error}. Return arrays, numbers and "
                "strings, or leave out processes to use threads"
            ) from error
        if number == READY:
            worker.is_ready = True
            if failure is not None:
                self.close()
                raise not_loaded(failure)
        elif number in worker.wanted:
            worker.wanted.remove(number)
            worker.answers[number] = failure, batch

    def _check_running(self, worker: Worker) -> None:
        if worker not in self._workers:
            raise LoaderWorkerError(
                "DataLoader: the worker processes of this epoch have been stopped, by close() or by an error of another "
                "loop; begin a new epoch"
            )

    def _send(self, worker: Worker, message: Any) -> None:
        try:
            with Parcel(pickled(message)) as parcel:
                worker.send(parcel)
        except BaseException:  # The message is incomplete, after Ctrl-C.
            self.close()
            raise


class _Pending:
    """A batch that a worker prepares."""

    def __init__(self, processes: Processes, worker: Worker, task: Task) -> None:
        self._processes, self._worker, self._task = processes, worker, task
        self._number = processes.order(worker, task)
        self._is_done = False

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the batch. Raises `TimeoutError`, and what the worker raised."""
        failure, batch = self._processes.answer(self._worker, self._number, timeout, f"batch {self._task}")
        self._is_done = True
        if failure is not None:
            raise restored(failure)
        return batch

    def done(self) -> bool:
        """Whether the worker has answered."""
        return self._is_done

    def cancel(self) -> bool:
        """Give the batch up."""
        self._worker.cancel(self._number)
        return True

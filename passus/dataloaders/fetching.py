"""Fetching batches: as a whole or example by example, optionally ahead of time in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import DTypeError, LoaderTimeoutError, kind_of
from passus.scopes import copied_context

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Examples", "Pending", "Pool", "batch_reader", "checked_length", "in_advance", "prefetch", "read_examples"]

JOIN_TIMEOUT = 1.0
"""Maximum seconds to wait for threads that are still preparing a batch after their pool was closed."""

T = TypeVar("T")
Y = TypeVar("Y")
Result = TypeVar("Result", covariant=True)


class Examples(Protocol):
    """The interface of datasets that a loader needs."""

    def __len__(self) -> int:
        """The number of examples."""

    def __getitem__(self, index: int, /) -> Any:
        """The example at an index."""


def checked_length(name: str, dataset: Any) -> int:
    """The number of examples. Raises `DTypeError` for objects without length, `ArgumentError` for an empty dataset.

    >>> checked_length("DataLoader", "abc")
    3
    """
    try:
        size = len(dataset)
    except TypeError:
        raise DTypeError(
            f"{name}: {kind_of(dataset)} has no length; give a dataset, an array or a list of examples"
        ) from None
    if isinstance(dataset, tuple) and size > 1 and all(isinstance(x, np.ndarray) and x.ndim for x in dataset):
        lengths = {len(x) for x in dataset}
        if len(lengths) == 1 and max(lengths) > size:
            raise DTypeError(
                f"{name}: a tuple of {size} arrays is a dataset of {size} examples; for pairs of rows write "
                "ArrayDataset(x, t)"
            )
    return checked_count(name, "len(dataset)", size)


def batch_reader(dataset: Any) -> Callable[[Array], Any] | None:
    """A function from an array of indices to a batch of examples, or None if the dataset has none.

    >>> batch_reader(np.arange(5) * 10)(np.array([3, 1]))
    array([30, 10])
    """
    if isinstance(dataset, np.ndarray):
        return lambda index: dataset.take(index, axis=0)
    batch = getattr(dataset, "batch", None)
    return batch if callable(batch) else None


def read_examples(dataset: Examples, index: Array) -> list[Any]:
    """The examples of a batch. Errors carry a note with the index of the example.

    >>> read_examples(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    examples = []
    for i in index.tolist():
        try:
            examples.append(dataset[i])
        except Exception as error:
            error.add_note(f"Raised by example {i}: {type(dataset).__name__}[{i}]")
            raise
    return examples


def prefetch(
    function: Callable[[T], Y], tasks: Iterable[T], workers: int, timeout: float | None = None
) -> Generator[Y, None, None]:
    """``map(function, tasks)``, in order, computed by threads up to ``2 * workers`` tasks ahead; a plain map without workers.

    Each task runs in a copy of the caller's context, with its switches (`passus.config`) and generator. Closing the
    iterator, or an error, stops the threads; one that does not finish within `JOIN_TIMEOUT` is abandoned and does not keep
    the interpreter alive. Raises `LoaderTimeoutError` for a result that is not ready within ``timeout`` seconds.

    >>> list(prefetch(abs, [-1, -2, -3], workers=2))
    [1, 2, 3]
    """
    pool = Pool(workers) if workers else None
    if pool is None or not pool.threads:
        for task in tasks:
            yield function(task)
        return
    try:
        yield from in_advance(
            lambda task: pool.submit(copied_context().run, function, task), tasks, 2 * workers, timeout
        )
    finally:
        pool.close()


class Pending(Protocol[Result]):
    """A result that may not exist yet, as `concurrent.futures.Future`."""

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result. Raises `TimeoutError`, and what the task raised."""

    def done(self) -> bool:
        """Whether the task has returned or raised."""

    def cancel(self) -> bool:
        """Leave the task out if it has not begun."""


def in_advance(
    submit: Callable[[T], Pending[Y]], tasks: Iterable[T], count: int, timeout: float | None = None
) -> Generator[Y, None, None]:
    """The results of tasks in order, of which ``count`` have been submitted in advance.

    Raises `LoaderTimeoutError` for a result that is not ready within ``timeout`` seconds.

    >>> pool = Pool(1)
    >>> list(in_advance(lambda x: pool.submit(abs, x), [-1, -2], count=1))
    [1, 2]
    >>> pool.close()
    """
    waiting: deque[tuple[T, Pending[Y]]] = deque()

    def first() -> Y:
        task, pending = waiting.popleft()
        try:
            return pending.result(timeout)
        except TimeoutError:
            if pending.done():  # The task raised it.
                raise
            raise LoaderTimeoutError(
                f"DataLoader: batch {task} was not ready after {timeout:g} s; check what its examples wait for, or increase "
                "timeout"
            ) from None

    try:
        for task in tasks:
            waiting.append((task, submit(task)))
            if len(waiting) > count:
                yield first()
        while waiting:
            yield first()
    finally:
        for _, pending in waiting:
            pending.cancel()


class Pool:
    """A pool of daemon threads that run calls in order; unlike ``concurrent.futures``, the interpreter exits without
    waiting for them.

    >>> pool = Pool(1)
    >>> pool.submit(abs, -1).result()
    1
    >>> pool.close()
    """

    def __init__(self, count: int) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self.threads: list[Thread] = []
        for i in range(count):
            thread = Thread(target=self._work, name=f"passus-loader_{i}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # The system allows no more threads; continue with those that started.
                break
            self.threads.append(thread)

    def submit(self, function: Callable[..., Y], *args: Any) -> Future[Y]:
        """Queue a call and return its future."""
        from concurrent.futures import Future  # Imported here because it is slow to import and rarely needed.

        future: Future[Y] = Future()
        self._calls.put((future, partial(function, *args)))
        return future

    def close(self) -> None:
        """Stop the threads after the running calls."""
        for _ in self.threads:
            self._calls.put(None)
        end = monotonic() + JOIN_TIMEOUT
        for thread in self.threads:
            thread.join(max(0.0, end - monotonic()))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _run(*call)
            del call  # Otherwise an idle thread would keep a batch alive.


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)

"""Fetching batches: as a whole where a dataset can, else example by example, ahead of time in threads if wished."""

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

__all__ = ["Examples", "Pool", "ahead", "checked_length", "one_by_one", "whole_batches"]

PATIENCE = 1.0
"""For how many seconds a thread that is in the middle of a batch is waited for, when nobody wants it any more."""

T = TypeVar("T")
Y = TypeVar("Y")


class Examples(Protocol):
    """What a loader needs of a dataset."""

    def __len__(self) -> int:
        """How many examples there are."""

    def __getitem__(self, index: int, /) -> Any:
        """The example of a number."""


def checked_length(name: str, dataset: Any) -> int:
    """The number of examples. Raises `DTypeError` for what has no length, `ArgumentError` if there is no example.

    >>> checked_length("DataLoader", "abc")
    3
    """
    try:
        size = len(dataset)
    except TypeError:
        raise DTypeError(
            f"{name}: {kind_of(dataset)} has no length; give a dataset, an array or a list of examples"
        ) from None
    if isinstance(dataset, tuple) and size > 1 and all(isinstance(part, np.ndarray) and part.ndim for part in dataset):
        lengths = {len(part) for part in dataset}
        if len(lengths) == 1 and max(lengths) > size:
            raise DTypeError(
                f"{name}: a tuple of {size} arrays is a dataset of {size} examples; for pairs of rows write "
                "ArrayDataset(x, t)"
            )
    return checked_count(name, "len(dataset)", size)


def whole_batches(dataset: Any) -> Callable[[Array], Any] | None:
    """The function that takes many examples of a dataset at once, or None if it has none.

    >>> whole_batches(np.arange(5) * 10)(np.array([3, 1]))
    array([30, 10])
    """
    if isinstance(dataset, np.ndarray):
        return lambda index: dataset.take(index, axis=0)
    batch = getattr(dataset, "batch", None)
    return batch if callable(batch) else None


def one_by_one(dataset: Examples, index: Array) -> list[Any]:
    """The examples of a batch. An error on the way has a note that says which example it was.

    >>> one_by_one(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    examples = []
    for i in index.tolist():
        try:
            examples.append(dataset[i])
        except Exception as error:
            error.add_note(f"This was example {i}: {type(dataset).__name__}[{i}]")
            raise
    return examples


def ahead(
    function: Callable[[T], Y], tasks: Iterable[T], workers: int, timeout: float | None = None
) -> Generator[Y, None, None]:
    """``map(function, tasks)``, in order, computed by threads that are up to ``2 * workers`` tasks ahead.

    Without workers, a plain map. Each task sees the caller's switches (`passus.config`) and generator. Closing the
    iterator, or an error, ends the threads. One that hangs is waited for no longer than `PATIENCE`, then left behind; it
    keeps no program from ending. Raises `LoaderTimeoutError` for a result that does not come within ``timeout`` seconds.

    >>> list(ahead(abs, [-1, -2, -3], workers=2))
    [1, 2, 3]
    """
    pool = Pool(workers) if workers else None
    if pool is None or not pool.threads:
        for task in tasks:
            yield function(task)
        return
    waiting: deque[tuple[T, Future[Y]]] = deque()

    def first() -> Y:
        task, future = waiting.popleft()
        try:
            return future.result(timeout)
        except TimeoutError:
            if future.done():  # The task raised it.
                raise
            raise LoaderTimeoutError(
                f"DataLoader: batch {task} was not ready after {timeout:g} s; check what its examples wait for, or use "
                "a longer timeout"
            ) from None

    try:
        for task in tasks:
            waiting.append((task, pool.submit(copied_context().run, function, task)))
            if len(waiting) > 2 * workers:
                yield first()
        while waiting:
            yield first()
    finally:
        for _, future in waiting:
            future.cancel()
        pool.close()


class Pool:
    """Threads that work off calls, in the order in which they come; unlike those of ``concurrent.futures``, no program
    waits for one at its end.

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
            except RuntimeError:  # The system has no more. Those that there are do the work.
                break
            self.threads.append(thread)

    def submit(self, function: Callable[..., Y], *args: Any) -> Future[Y]:
        """What a thread will compute."""
        from concurrent.futures import Future  # Not at the top: slow to import, and for few to use.

        future: Future[Y] = Future()
        self._calls.put((future, partial(function, *args)))
        return future

    def close(self) -> None:
        """End the threads after the calls under way."""
        for _ in self.threads:
            self._calls.put(None)
        end = monotonic() + PATIENCE
        for thread in self.threads:
            thread.join(max(0.0, end - monotonic()))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _carry_out(*call)
            del call  # Else an idle thread keeps a batch alive.


def _carry_out(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)

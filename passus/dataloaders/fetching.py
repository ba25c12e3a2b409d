"""Fetching batches: as a whole where a dataset can, else example by example, ahead of time in threads if wished."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import DTypeError
from passus.scopes import copied_context

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Examples", "ahead", "checked_length", "one_by_one", "whole_batches"]

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
            f"{name}: a {type(dataset).__name__} has no length; give a dataset, an array or a list of examples"
        ) from None
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


def ahead(function: Callable[[T], Y], tasks: Iterable[T], workers: int) -> Generator[Y, None, None]:
    """``map(function, tasks)``, in order, computed by threads that are up to ``2 * workers`` tasks ahead.

    Without workers, a plain map. Each task sees the caller's switches (`passus.config`) and generator. Closing the
    iterator, or an error, ends the threads.

    >>> list(ahead(abs, [-1, -2, -3], workers=2))
    [1, 2, 3]
    """
    if not workers:
        yield from map(function, tasks)
        return
    from concurrent.futures import ThreadPoolExecutor  # Not at the top: slow to import, and for few to use.

    waiting: deque[Future[Y]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="passus-loader")
    try:
        for task in tasks:
            waiting.append(pool.submit(copied_context().run, function, task))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

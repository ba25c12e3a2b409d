"""Threads that share the work on large arrays.

Kernels release Python's lock while they compute, so plain threads are enough. A call hands the pieces of its work to
whichever thread is free and takes the next one itself: when all others are busy it does everything alone, so calls from
several threads, and calls inside calls, never wait for each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TypeVar, cast

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import ArgumentError

__all__ = ["added", "collected", "get_num_threads", "pieces_of", "set_num_threads", "split"]

T = TypeVar("T")

VARIABLE = "PASSUS_NUM_THREADS"


class _Job:
    """Pieces of one piece of work, taken by the threads one after the other."""

    def __init__(self, work: Callable[..., object], pieces: list[tuple[int, int]]) -> None:
        self.work, self.pieces = work, pieces
        self.processor = _processor()
        self.outcomes: SimpleQueue[BaseException | None] = SimpleQueue()

    def take(self) -> None:
        """Do pieces until none is left."""
        while self.pieces:
            try:
                piece = self.pieces.pop()
            except IndexError:  # Another thread was faster.
                return
            try:
                self.work(*piece)
            except BaseException as error:  # It is raised where the work was asked for.
                self.outcomes.put(error)
            else:
                self.outcomes.put(None)


class _Pool:
    """Threads that wait for jobs; they are started when there is a job for them."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.started, self.lock = 0, Lock()

    def at_least(self, count: int) -> None:
        with self.lock:
            while self.started < count:
                self.started += 1
                Thread(target=self._serve, name=f"passus-{self.started}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            job = self.jobs.get()
            _keep_off(job.processor)
            job.take()


def _keep_off(processor: int) -> None:
    """Let the calling thread run on any processor but this one.

    Linux likes to wake a thread on the processor of the one that woke it, where it waits for some milliseconds while
    another stands idle: longer than most kernels take.
    """
    if processor >= 0 and processor == _processor():
        others = _allowed() - {processor}
        if others:
            os.sched_setaffinity(0, others)


@cache
def _allowed() -> frozenset[int]:
    """The processors on which this process may run."""
    return frozenset(os.sched_getaffinity(0))


def _find_processor() -> Callable[[], int]:
    """A function that tells on which processor the calling thread runs; always -1 where there is no way to know."""
    try:
        import ctypes

        find = ctypes.CDLL(None).sched_getcpu
    except (ImportError, OSError, AttributeError, TypeError):
        return lambda: -1
    return cast("Callable[[], int]", find)


_processor = _find_processor()
_pool = _Pool()
_count: int | None = None


def _forget_threads() -> None:
    """After a fork: the child has none of the parent's threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def get_num_threads() -> int:
    """How many threads share the work on a large array: what was set, else ``PASSUS_NUM_THREADS``, else all processors.

    >>> get_num_threads() >= 1
    True
    """
    global _count
    if _count is None:
        _count = _from_environment()
    return _count


def set_num_threads(count: int) -> None:
    """Let ``count`` threads share the work on a large array; 1 uses none but the caller's.

    Sums over a batch are taken piece by piece, so the last digits of a gradient depend on this number.
    Raises `ArgumentError` for a number below 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _count
    _count = checked_count("set_num_threads", "count", count)


def split(work: Callable[[int, int], object], count: int, smallest: int = 1) -> int:
    """Call ``work(start, stop)`` on pieces that make up ``range(count)``, at once; return how many pieces there were.

    ``smallest``: how many items are worth a piece of their own. Raises what ``work`` raises.

    >>> squares = [0] * 6
    >>> pieces = split(lambda start, stop: squares.__setitem__(slice(start, stop), [i * i for i in range(start, stop)]), 6)
    >>> squares
    [0, 1, 4, 9, 16, 25]
    """
    pieces = pieces_of(count, smallest)
    if len(pieces) == 1:
        work(*pieces[0])
        return 1
    job = _Job(work, pieces[::-1])
    _pool.at_least(len(pieces) - 1)
    for _ in pieces[1:]:
        _pool.jobs.put(job)
    job.take()
    errors = [error for error in [job.outcomes.get() for _ in pieces] if error is not None]
    if errors:
        raise errors[0]
    return len(pieces)


def collected(work: Callable[[int, int], T], count: int, smallest: int = 1) -> list[T]:
    """What ``work`` returns for each piece, in the order of the pieces, whoever was faster.

    >>> sum(collected(lambda start, stop: stop - start, 10))
    10
    """
    results: dict[int, T] = {}

    def one(start: int, stop: int) -> None:
        results[start] = work(start, stop)

    split(one, count, smallest)
    return [results[start] for start in sorted(results)]


def added(parts: list[Array]) -> Array:
    """The sum of arrays, in the first of them; always in their order, so that the last digits do not depend on who was faster.

    >>> import numpy as np
    >>> added([np.ones(2), np.ones(2), np.ones(2)])
    array([3., 3.])
    """
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def pieces_of(count: int, smallest: int = 1) -> list[tuple[int, int]]:
    """Equal pieces of ``range(count)``, as many as there are threads, if that leaves them large enough."""
    number = max(1, min(get_num_threads(), count // max(1, smallest)))
    edges = [count * i // number for i in range(number + 1)]
    return list(pairwise(edges))


def _from_environment() -> int:
    given = os.environ.get(VARIABLE)
    if given is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise ArgumentError(f"{VARIABLE}={given!r}: give a whole number from 1")
    return int(given)

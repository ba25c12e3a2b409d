"""Threads that share the work on large arrays.

Kernels release the GIL, so plain threads are enough. A call offers the pieces of its work to free threads and computes the
next one itself. If all other threads are busy, it computes everything, so calls from several threads and nested calls never wait
for each other. An idle thread polls for work before it sleeps, because the time between two kernels is shorter than waking up.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from itertools import pairwise
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar, cast

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array
from passus.errors import ArgumentError, PassusWarning
from passus.kernels.dispatch import native_module

__all__ = ["added", "collected", "get_num_threads", "pieces_of", "set_num_threads", "split", "summed"]

T = TypeVar("T")

VARIABLE = "PASSUS_NUM_THREADS"

POLL_SECONDS = 2e-4
"""Seconds for which a thread polls for work, or for its completion, before it sleeps: longer than the time between two kernels,
and short enough to leave the processor to other programs.
"""

DELAY = 2e-6
"""Seconds after a call at which a thread requests the GIL: by then, the kernel of the caller has begun."""


class _Job:
    """The pieces of one call's work, taken by threads one after the other."""

    def __init__(self, work: Callable[..., object], pieces: list[tuple[int, int]]) -> None:
        self.work, self.pieces = work, pieces
        self.processor = _processor()
        self.errors: list[BaseException] = []
        # Number of pieces that other threads have completed: in total for a caller that polls, per thread for one that sleeps.
        self.done = np.zeros(1, np.int64)
        self.parts: SimpleQueue[int] = SimpleQueue()

    def take(self) -> int:
        """Compute pieces until none is left; return their number."""
        count = 0
        while self.pieces:
            try:
                piece = self.pieces.pop()
            except IndexError:  # Another thread was faster.
                break
            count += 1
            try:
                self.work(*piece)
            except BaseException as error:  # It is raised in the caller.
                self.errors.append(error)
        return count

    def wait(self, count: int) -> None:
        """Wait until other threads have computed ``count`` pieces."""
        if count and not _waiting_module().wait_for(self.done, count, _waiting_module().polls_in(POLL_SECONDS)):
            while count:
                count -= self.parts.get()


class _Pool:
    """Threads that wait for jobs; they are started on demand."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.flags: list[Array] = []  # One for each thread.
        self.lock = Lock()
        self.full = False  # Whether the system refused one more thread.

    def submit(self, job: _Job, count: int) -> None:
        """Offer a job to ``count`` free threads."""
        with self.lock:
            while len(self.flags) < count and not self.full:
                self._start()
            count = min(count, len(self.flags))
        for _ in range(count):
            self.jobs.put(job)
        called, call = 0, _waiting_module().call
        for flag in self.flags:
            called += call(flag)
            if called == count:
                break

    def _start(self) -> None:
        flag, name = np.zeros(1, np.int64), f"passus-{len(self.flags) + 1}"
        try:
            Thread(target=self._serve, args=(flag,), name=name, daemon=True).start()
        except RuntimeError as error:
            self.full = True
            warnings.warn(
                f"passus computes on {len(self.flags) + 1} threads instead of {get_num_threads()}: {error}. Raise the limit of "
                "the system (ulimit -u), or set a smaller number with set_num_threads",
                PassusWarning,
                stacklevel=4,
            )
        else:
            self.flags.append(flag)

    def _serve(self, flag: Array) -> None:
        wait, polls, delay = (
            _waiting_module().add_and_wait,
            _waiting_module().polls_in(POLL_SECONDS),
            _waiting_module().polls_in(DELAY),
        )
        while True:
            job = self.jobs.get()
            _avoid_processor(job.processor)
            count = job.take()
            job.parts.put(count)
            # Jobs that the caller has completed alone are removed before this thread waits.
            wait(job.done, count, flag, polls if self.jobs.empty() else 0, delay)
            del job  # Otherwise its arrays would live until the next job.


def _no_work(start: int, stop: int) -> None:
    """The work of a completed job: none."""


@cache
def _waiting_module() -> Any:
    """The module for busy waiting. Imported on first use, because it needs Numba, which is present if there is a kernel."""
    return native_module("waiting")


def _avoid_processor(processor: int) -> None:
    """Move the calling thread off this processor.

    Linux tends to wake a thread on the processor of the thread that woke it, where it waits for some milliseconds while another
    processor is idle: longer than most kernels take.
    """
    if processor >= 0 and processor == _processor():
        others = _allowed() - {processor}
        if others:
            with suppress(OSError):  # Some containers do not allow it.
                os.sched_setaffinity(0, others)


@cache
def _allowed() -> frozenset[int]:
    """The processors on which this process may run."""
    return frozenset(os.sched_getaffinity(0))


def _find_processor() -> Callable[[], int]:
    """A function that returns the processor of the calling thread, or -1 where that is unknown."""
    try:
        import ctypes

        find = ctypes.PyDLL(None).sched_getcpu  # It keeps the GIL, which a thread that ends its part would take.
    except (ImportError, OSError, AttributeError, TypeError):
        return lambda: -1
    return cast("Callable[[], int]", find)


_processor = _find_processor()
_pool = _Pool()
_count: int | None = None


def _forget_threads() -> None:
    """Reset the pool after a fork: the child has none of the parent's threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def get_num_threads() -> int:
    """Number of threads that share the work on a large array: the number set, else ``PASSUS_NUM_THREADS``, else all processors.

    >>> get_num_threads() >= 1
    True
    """
    global _count
    if _count is None:
        _count = _initial_count()
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
    """Call ``work(start, stop)`` on pieces that make up ``range(count)``, in parallel; return the number of pieces.

    ``smallest``: number of items that are worth a separate piece. Raises what ``work`` raises.

    >>> squares = [0] * 6
    >>> pieces = split(lambda start, stop: squares.__setitem__(slice(start, stop), [i * i for i in range(start, stop)]), 6)
    >>> squares
    [0, 1, 4, 9, 16, 25]
    """
    pieces = pieces_of(count, smallest)
    if len(pieces) == 1 or _waiting_module() is None:
        for piece in pieces:
            work(*piece)
        return len(pieces)
    job = _Job(work, [*pieces[::-1]])
    _pool.submit(job, len(pieces) - 1)
    job.wait(len(pieces) - job.take())
    job.work = _no_work  # Threads that poll for the next job still refer to this one, and so to its arrays.
    if job.errors:
        raise job.errors[0]
    return len(pieces)


def collected(work: Callable[[int, int], T], count: int, smallest: int = 1) -> list[T]:
    """The results of ``work`` for each piece, in the order of the pieces.

    >>> sum(collected(lambda start, stop: stop - start, 10))
    10
    """
    results: dict[int, T] = {}

    def collect(start: int, stop: int) -> None:
        results[start] = work(start, stop)

    split(collect, count, smallest)
    return [results[start] for start in sorted(results)]


def added(parts: list[Array]) -> Array:
    """The sum of arrays, in the first of them; always in this order, so that the last digits do not depend on timing.

    >>> import numpy as np
    >>> added([np.ones(2), np.ones(2), np.ones(2)])
    array([3., 3.])
    """
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def summed(
    add_to: Callable[[Array, int, int], None], zeros: Callable[[], Array], count: int, smallest: int, block: int
) -> Array:
    """The sum over pieces of ``range(count)``, computed by ``add_to(total, start, stop)`` from ``zeros()``.

    Of at most ``block`` items the sum is taken in float32, and in float64 over these sums.

    >>> import numpy as np
    >>> def add_to(total, start, stop):
    ...     total += stop - start
    >>> summed(add_to, lambda: np.zeros(2, np.float32), 10, 1, 2)
    array([10., 10.], dtype=float32)
    """

    def work(start: int, stop: int) -> Array:
        total = zeros()
        add_to(total, start, min(start + block, stop))
        if stop - start > block:
            total = total.astype("d")
        for first in range(start + block, stop, block):
            part = zeros()
            add_to(part, first, min(first + block, stop))
            total += part
        return total

    return added(collected(work, count, smallest)).astype("f", copy=False)


def pieces_of(count: int, smallest: int = 1) -> tuple[tuple[int, int], ...]:
    """Equal pieces of ``range(count)``, as many as there are threads, if that leaves them large enough."""
    return _equal_pieces(count, max(1, min(get_num_threads(), count // max(1, smallest))))


@lru_cache(maxsize=1 << 10)
def _equal_pieces(count: int, number: int) -> tuple[tuple[int, int], ...]:
    edges = [count * i // number for i in range(number + 1)]
    return tuple(pairwise(edges))


def _initial_count() -> int:
    given = os.environ.get(VARIABLE)
    if given is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise ArgumentError(f"{VARIABLE}={given!r}: give a whole number from 1")
    return int(given)

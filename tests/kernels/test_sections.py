"""Operations of a table that threads share: each is called once in a run, in the order of the sections."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="kernels need Numba")

from passus.kernels.native import machine
from passus.kernels.native.addresses import integer_at, numbers_at
from passus.kernels.native.compiling import INTEGER, compiled
from passus.kernels.native.sections import run_sections, sections_of
from passus.recording.layout import address
from passus.recording.table import Part, Table

PARTS = [Part(0, 2, 1), Part(2, 7, 5), Part(7, 9, 2), Part(9, 10, 1)]
POLLS = 1 << 40


@compiled(INTEGER(INTEGER), allocates=False)
def add_one(arguments: Any) -> Any:
    """Add one to a count unless the count before it, of the section before, is behind; fails there and at a last count."""
    count, before, last = numbers_at(integer_at(arguments)), numbers_at(integer_at(arguments + 8)), arguments + 16
    count[0] += 1
    return before[0] < count[0] or count[0] == integer_at(last)


class Counts:
    """A table of operations that count their calls, each after an operation of the section before."""

    def __init__(self, last: dict[int, int] | None = None) -> None:
        self.counts = np.zeros(10, np.float32)
        before = [0, 0, *[1] * 5, *[4] * 2, 8]
        self.words = np.array(
            [
                [address(self.counts) + 4 * i, address(self.counts) + 4 * k, (last or {}).get(i, -1)]
                for i, k in enumerate(before)
            ],
            np.int64,
        )
        rows = [(add_one.address, address(self.words) + 24 * i) for i in range(10)]
        self.operations = np.array(rows, np.int64)


def test_each_operation_is_called_once_in_a_run(num_threads: int) -> None:
    counts = Counts()
    table = Table(counts.operations, PARTS, machine)
    assert table.is_shared == (num_threads > 1)
    for run in range(1, 200):
        assert table.run()
        np.testing.assert_array_equal(counts.counts, np.full(10, run))


@pytest.mark.parametrize("failing", [1, 3, 8, 9])
def test_a_failure_ends_a_run_and_the_next_one_is_whole(num_threads: int, failing: int) -> None:
    counts = Counts({failing: 3})
    table = Table(counts.operations, PARTS, machine)
    assert [table.run(), table.run(), table.run()] == [True, True, False]
    first = next(part.first for part in reversed(PARTS) if part.first <= failing)
    assert (counts.counts[:first] == 3).all()
    later = next(part.last for part in PARTS if part.last > failing)
    assert (counts.counts[later:] == 2).all(), "nothing after the section is computed"
    counts.counts[:] = 3
    assert table.run()
    assert (counts.counts == 4).all()


def test_a_late_thread_computes_nothing_and_a_missing_one_is_replaced() -> None:
    counts = Counts()
    parts, marks = sections_of(PARTS)
    arguments = address(counts.operations), parts, marks
    for run in range(1, 4):
        assert run_sections(*arguments, run, 0, POLLS)
        for late in range(1, run + 1):
            assert run_sections(*arguments, late, 1, POLLS)
        assert (counts.counts == run).all()


def test_a_thread_leaves_after_a_while() -> None:
    counts = Counts()
    parts, marks = sections_of(PARTS)
    marks[parts[3] + 1] = 1  # Another thread has begun the first section.
    assert run_sections(address(counts.operations), parts, marks, 1, 1, 10)
    assert not counts.counts.any()


def test_many_threads_take_part_at_once() -> None:
    counts = Counts()
    parts, marks = sections_of(PARTS)
    barrier, results = threading.Barrier(6), []

    def take_part(thread: int) -> None:
        for run in range(1, 50):
            barrier.wait()
            results.append(run_sections(address(counts.operations), parts, marks, run, thread, POLLS))

    threads = [threading.Thread(target=take_part, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results)
    assert len(results) == 6 * 49
    assert (counts.counts == 49).all()


def test_few_operations_are_run_by_one_thread(num_threads: int) -> None:
    assert not Table(Counts().operations, None, machine).is_shared

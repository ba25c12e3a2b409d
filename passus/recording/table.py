"""Runs of a table of operations of the machine, by one thread or by several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from passus.backend import Array
from passus.kernels.dispatch import native_module
from passus.kernels.threads import get_num_threads, split
from passus.recording.layout import address

__all__ = ["Part", "Table"]

POLL_SECONDS = 1e-3
"""Seconds for which a thread waits for the next operations that it can compute before it leaves a run: longer than most operations
that one thread computes alone.
"""


class Part(NamedTuple):
    """Operations from ``first`` to ``last``: ``items`` groups of equal size, which are independent of each other."""

    first: int
    last: int
    items: int


class Table:
    """Operations in memory: the address of each and of its arguments.

    ``parts``: make up the operations; None if one thread computes them all.
    """

    def __init__(self, operations: Array, parts: Sequence[Part] | None, native: Any) -> None:
        self._operations, self._native, self._number = operations, native, 0
        self._address = address(operations)
        self._sections: Any = None
        if parts:
            self._sections = native_module("sections")
            self._parts, self._marks = self._sections.sections_of(parts)

    @property
    def is_shared(self) -> bool:
        """Whether several threads run it."""
        return self._sections is not None and get_num_threads() > 1

    def run(self) -> bool:
        """Call all operations. Returns False if one of them ended the run."""
        count = len(self._operations)
        if not self.is_shared:
            return bool(self._native.run(self._address, count) == count)
        self._number += 1
        completed: list[bool] = []
        split(self._work(completed), get_num_threads())
        return all(completed)

    def _work(self, completed: list[bool]) -> Any:
        run, number, polls = self._sections.run_sections, self._number, _polls()

        def work(start: int, stop: int) -> None:
            completed.append(run(self._address, self._parts, self._marks, number, start, polls))

        return work


@cache
def _polls() -> int:
    polls: int = native_module("waiting").polls_in(POLL_SECONDS)
    return polls

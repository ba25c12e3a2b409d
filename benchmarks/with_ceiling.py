"""The ceilings of the machine with the threads of the kernels, arithmetic and memory traffic, and the clock of a core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from benchmarks.timing import turn
from passus.kernels.native.simd import LANES, all_lanes, fma, splat, store
from passus.kernels.threads import get_num_threads, split

Step = Callable[[], object]

SIDE = 2048
CHAINS, LINKS = 12, 1_000_000
CYCLES = 6
"""Cycles of a link in the chain of integers: three shifts and three exclusive ors."""
TRIALS = 50
SIZE = 2**22
"""Number of elements of an array, as in the operations measured in bytes."""

WORK = {
    "product": 2e-9 * SIDE**3,
    "multiplications": 2e-9 * CHAINS * LINKS * LANES * get_num_threads(),
    "triad": 3e-9 * 4 * SIZE,
    "copy": 2e-9 * 4 * SIZE,
}
"""The work of each, in 10**9 operations or bytes."""


def kind() -> dict[str, float]:
    """Return the vector width and the number of threads of the kernels, and the clock of a core in GHz."""
    return {"lanes": LANES, "threads": get_num_threads(), "clock": clock()}


def product() -> Step:
    """NumPy's product of large matrices."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, SIDE, SIDE), np.float32)
    y = np.empty_like(a)
    return lambda: np.matmul(a, b, out=y)


def multiplications() -> Step:
    """Independent chains of multiply-adds on vectors in registers, in each thread."""
    threads = get_num_threads()
    x = np.random.default_rng(0).standard_normal((threads, CHAINS * LANES), np.float32)

    def run(start: int, stop: int) -> None:
        for row in x[start:stop]:
            chains(row, LINKS)

    def step() -> np.ndarray:
        split(run, threads)
        return x

    return step


def triad() -> Step:
    """``a = b + c / 2``: reads two arrays and writes one."""
    a, b, c = np.ones((3, SIZE), np.float32)

    def step() -> np.ndarray:
        split(lambda start, stop: added(a[start:stop], b[start:stop], c[start:stop]), SIZE)
        return a

    return step


def copy() -> Step:
    """``a = b``, partly served by the cache, like an operation with one input and one output."""
    a, b = np.ones((2, SIZE), np.float32)

    def step() -> np.ndarray:
        split(lambda start, stop: np.copyto(a[start:stop], b[start:stop]), SIZE)
        return a

    return step


def clock() -> float:
    """Return the clock during a chain of integer operations, each of which needs the result of the one before.

    The best of many short trials, because another process can only take time away.
    """
    links = LINKS // 5
    seconds = min(turn(lambda: shifted(np.uint64(1), links), 1) for _ in range(TRIALS))  # The first one compiles.
    return 1e-9 * CYCLES * links / seconds


@numba.njit(nogil=True, cache=True, error_model="numpy")
def shifted(x: Any, links: int) -> Any:
    """The generator of Marsaglia, 2003, "Xorshift RNGs", which no compiler can shorten."""
    for _ in range(links):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


@numba.njit(nogil=True, cache=True, error_model="numpy")
def added(a: Any, b: Any, c: Any) -> None:
    for i in range(len(a)):
        a[i] = b[i] + np.float32(0.5) * c[i]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def chains(x: Any, links: int) -> None:
    """``y <- half * y + half`` in twelve vectors, whose initial values differ so that they are not merged."""
    half, lanes = splat(np.float32(0.5)), all_lanes()
    a, b, c, d = splat(x[0]), splat(x[1]), splat(x[2]), splat(x[3])
    e, f, g, h = splat(x[4]), splat(x[5]), splat(x[6]), splat(x[7])
    i, j, k, m = splat(x[8]), splat(x[9]), splat(x[10]), splat(x[11])
    for _ in range(links):
        a, b, c, d = fma(a, half, half), fma(b, half, half), fma(c, half, half), fma(d, half, half)
        e, f, g, h = fma(e, half, half), fma(f, half, half), fma(g, half, half), fma(h, half, half)
        i, j, k, m = fma(i, half, half), fma(j, half, half), fma(k, half, half), fma(m, half, half)
    for n, y in enumerate((a, b, c, d, e, f, g, h, i, j, k, m)):
        store(x, n * LANES, y, lanes)

"""What the processor computes with: how many numbers a register holds, and how many registers there are."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

__all__ = ["Registers", "probe", "registers", "rows_of_even_tiles", "rows_of_tile"]


class Registers(NamedTuple):
    """The vector registers of a processor."""

    lanes: int
    """How many float32 numbers one of them holds."""
    number: int


@cache
def registers() -> Registers:
    """Those of this machine: AVX-512, AVX2, or 128 bits (NEON, SSE), which every processor has."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Registers(16, 32)
    if features.get("avx2") and features.get("fma"):
        return Registers(8, 16)
    return Registers(4, 32 if features.get("neon") else 16)


@cache
def rows_of_tile(count: int, vectors: int) -> int:
    """How many rows a tile has: as many as the registers hold, and such that ``count`` rows need few tiles."""
    return min(range(1, _most_rows(vectors) + 1), key=lambda rows: (-(-max(count, 1) // rows) * (rows + 1), -rows))


@cache
def rows_of_even_tiles(count: int, vectors: int) -> int:
    """How many rows the larger ones of as few tiles as possible have that share ``count`` rows: the others have one less.

    >>> rows_of_even_tiles(9, 1), rows_of_even_tiles(5, 1)  # 5 and 4; all in one
    (5, 5)
    """
    tiles = -(-max(count, 1) // _most_rows(vectors))
    return -(-max(count, 1) // tiles)


def _most_rows(vectors: int) -> int:
    return min(8, (registers().number - 1 - vectors) // vectors)


def probe() -> None:
    """Compile one line and run it. Raises whatever is wrong with Numba or its compiler."""
    import numba

    if numba.njit(nogil=True, error_model="numpy")(lambda x: x + 1)(1) != 2:
        raise RuntimeError("it computes 1 + 1 wrongly")

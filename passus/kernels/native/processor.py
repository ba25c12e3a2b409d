"""The vector registers of the processor, and the sizes of tiles that fit into them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

__all__ = ["Registers", "probe", "registers", "rows_of_even_tiles", "rows_of_tile"]


class Registers(NamedTuple):
    """The vector registers of a processor."""

    lanes: int
    """Number of float32 numbers in a register."""
    number: int


@cache
def registers() -> Registers:
    """The registers of this machine: AVX-512, AVX2, or 128 bits (NEON, SSE), which every processor has."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Registers(16, 32)
    if features.get("avx2") and features.get("fma"):
        return Registers(8, 16)
    return Registers(4, 32 if features.get("neon") else 16)


@cache
def rows_of_tile(count: int, vectors: int) -> int:
    """Number of rows of a tile: as many as fit into the registers, and such that ``count`` rows need few tiles."""
    return min(range(1, _most_rows(vectors) + 1), key=lambda rows: (-(-max(count, 1) // rows) * (rows + 1), -rows))


@cache
def rows_of_even_tiles(count: int, vectors: int) -> int:
    """Number of rows of a tile, if ``count`` rows are shared by as few tiles as possible; some tiles have one row less.

    >>> rows_of_even_tiles(9, 1), rows_of_even_tiles(5, 1)  # 5 and 4; all in one
    (5, 5)
    """
    tiles = -(-max(count, 1) // _most_rows(vectors))
    return -(-max(count, 1) // tiles)


def _most_rows(vectors: int) -> int:
    return min(8, (registers().number - 1 - vectors) // vectors)


def probe() -> None:
    """Compile one line and run it. Raises the error of Numba or its compiler if that fails."""
    import numba

    if numba.njit(nogil=True, error_model="numpy")(lambda x: x + 1)(1) != 2:
        raise RuntimeError("it computes 1 + 1 wrongly")

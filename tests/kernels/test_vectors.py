"""Operators of vectors in kernels: the bits of NumPy's operators on float32."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from llvmlite import ir  # noqa: E402  # It comes with Numba.

from passus.kernels.native import instructions  # noqa: E402
from passus.kernels.native.compiling import inlined  # noqa: E402
from passus.kernels.native.keeping import HERE, imported  # noqa: E402
from passus.kernels.native.simd import LANES, all_lanes, fma, load, maximum, minimum, store, where  # noqa: E402
from passus.kernels.native.vectors import VECTOR  # noqa: E402

NUMBERS = np.float32([0.0, -0.0, 1.0, -1.0, 0.1, 3e38, -3e38, 1e-45, -1e-39, np.inf, -np.inf, np.nan])
X, Y = (v.ravel() for v in np.meshgrid(np.tile(NUMBERS, 4), np.tile(NUMBERS, 4)))


def by_vectors(formula: Any) -> np.ndarray:
    formula, result = inlined(formula), np.empty_like(X)

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def kernel(x: Any, y: Any, z: Any) -> None:
        for i in range(0, len(x), LANES):
            store(z, i, formula(load(x, i, all_lanes()), load(y, i, all_lanes())), all_lanes())

    kernel(X, Y, result)
    return result


def check(found: np.ndarray, expected: Any) -> None:
    np.testing.assert_array_equal(found, expected)
    zero = found == 0
    np.testing.assert_array_equal(np.signbit(found)[zero], np.signbit(np.broadcast_to(expected, found.shape))[zero])


def test_arithmetic() -> None:
    with np.errstate(all="ignore"):
        for operation in (operator.add, operator.sub, operator.mul, operator.truediv):
            check(by_vectors(lambda x, y, operation=operation: operation(x, y)), operation(X, Y))
        check(by_vectors(lambda x, y: -x), -X)
        check(by_vectors(lambda x, y: abs(x)), abs(X))


def test_numbers_beside_vectors() -> None:
    third = np.float32(1 / 3)
    with np.errstate(all="ignore"):
        check(by_vectors(lambda x, y: x + 1), X + 1)
        check(by_vectors(lambda x, y: 1 - x), 1 - X)
        check(by_vectors(lambda x, y: 0.1 * x / 3), np.float32(0.1) * X / 3)
        check(by_vectors(lambda x, y: third / x), third / X)


def in_place(x: Any, y: Any) -> Any:
    x += y
    x *= 2
    x -= 1
    x /= y
    return x


def test_in_place_operators() -> None:
    with np.errstate(all="ignore"):
        check(by_vectors(in_place), ((X + Y) * 2 - 1) / Y)


def test_comparisons_choose() -> None:
    check(by_vectors(lambda x, y: where(x < y, 1, 0)), X < Y)
    check(by_vectors(lambda x, y: where(x <= y, 1, 0)), X <= Y)
    check(by_vectors(lambda x, y: where(x > y, 1, 0)), X > Y)
    check(by_vectors(lambda x, y: where(x >= 0, 1, 0)), X >= 0)
    check(by_vectors(lambda x, y: where(x == y, x, 0)), np.where(X == Y, X, 0))
    check(by_vectors(lambda x, y: where(x != y, 1, 0)), X != Y)
    check(by_vectors(lambda x, y: where((x > 0) & ~(y > 0), 1, 0)), (X > 0) & ~(Y > 0))
    check(by_vectors(lambda x, y: where((x > 0) | (y > 0), 1, 0)), (X > 0) | (Y > 0))
    check(by_vectors(lambda x, y: where((x > 0) ^ (y > 0), 1, 0)), (X > 0) ^ (Y > 0))


def test_minimum_and_maximum_keep_nan() -> None:
    np.testing.assert_array_equal(by_vectors(lambda x, y: maximum(x, y)), np.maximum(X, Y))
    np.testing.assert_array_equal(by_vectors(lambda x, y: minimum(x, 0.5)), np.minimum(X, np.float32(0.5)))


def test_only_fma_is_rounded_once() -> None:
    x = np.float32(1 + 2**-12)
    X_, Y_ = np.full_like(X, x), np.full_like(X, -1)

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def kernel(x: Any, y: Any, twice: Any, once: Any) -> None:
        for i in range(0, len(x), LANES):
            a, b = load(x, i, all_lanes()), load(y, i, all_lanes())
            store(twice, i, a * a + b, all_lanes())
            store(once, i, fma(a, a, b), all_lanes())

    twice, once = np.empty_like(X), np.empty_like(X)
    kernel(X_, Y_, twice, once)
    np.testing.assert_array_equal(twice, x * x - 1)
    np.testing.assert_array_equal(once, np.float32(np.float64(x) * np.float64(x) - 1))
    assert once[0] != twice[0]


@pytest.mark.skipif(LANES != 8, reason="the masked instructions of AVX have 8 lanes")
def test_masks_of_loops_are_signs_for_the_instructions_of_avx() -> None:
    module = ir.Module()
    pointer, count = VECTOR.as_pointer(), ir.IntType(64)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, count]), "copy")
    builder = ir.IRBuilder(function.append_basic_block())
    mask = instructions.loop_mask(builder, function.args[1])
    instructions.store(builder, instructions.load(builder, function.args[0], mask), function.args[0], mask)
    assert "llvm.x86.avx.maskload" in str(module)
    assert "llvm.x86.avx.maskstore" in str(module)
    assert "llvm.masked" not in str(module), "LLVM would widen a mask of booleans for each load"


def test_digests_cover_all_forms_of_imports() -> None:
    lines = """
from passus.kernels import formulas, threads
from passus.kernels.gates import CELLS
from passus.kernels.native import elementary, instructions
from passus.kernels.native.formulas import value
"""
    native = [HERE / f"{name}.py" for name in ("elementary", "instructions", "formulas")]
    assert imported(lines) == [HERE.parent / "formulas.py", HERE.parent / "gates.py", *native]

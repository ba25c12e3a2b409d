"""The types of vectors in a register, for Numba and for LLVM: numbers, bytes, and masks of lanes."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from passus.kernels.native.processor import registers

__all__ = [
    "BYTES",
    "INTEGERS",
    "LANES",
    "MASK",
    "VECTOR",
    "Bytes",
    "Integers",
    "Mask",
    "Vector",
    "bytes_",
    "integers",
    "mask",
    "vector",
]

LANES = registers().lanes
"""Number of float32 numbers in a vector."""

VECTOR = ir.VectorType(ir.FloatType(), LANES)
BYTES = ir.VectorType(ir.IntType(8), LANES)
INTEGERS = ir.VectorType(ir.IntType(32), LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)


class Vector(types.Type):  # type: ignore[misc]
    """`LANES` numbers of float32."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


class Bytes(types.Type):  # type: ignore[misc]
    """`LANES` integers of 8 bits."""

    def __init__(self) -> None:
        super().__init__(name=f"uint8x{LANES}")


class Integers(types.Type):  # type: ignore[misc]
    """`LANES` integers of 32 bits."""

    def __init__(self) -> None:
        super().__init__(name=f"int32x{LANES}")


class Mask(types.Type):  # type: ignore[misc]
    """`LANES` booleans: which lanes are loaded or stored, or where a comparison holds."""

    def __init__(self) -> None:
        super().__init__(name=f"bool x{LANES}")


vector, bytes_, integers, mask = Vector(), Bytes(), Integers(), Mask()


def _register(type_: type[types.Type], content: Any) -> None:
    class Model(models.PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, type_: Any) -> None:
            super().__init__(manager, type_, content)

    register_model(type_)(Model)


_register(Vector, VECTOR)
_register(Bytes, BYTES)
_register(Integers, INTEGERS)
_register(Mask, MASK)

"""One-line descriptions of Variables and of calls of functions, for ``repr``, drawings and tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core.array_like import ArrayLike
from passus.core.edits import Released
from passus.display import kind_of_array

__all__ = ["described_call", "described_operand"]


def described_call(function: Any) -> str:
    """A call of a function with its operands, such as ``Mul(x: float64[3], 2.0)``."""
    operands = [described_operand(x) for x in function.operands] if function.operands else []
    return f"{type(function).__name__}({', '.join(operands)})"


def described_operand(x: Any) -> str:
    """The name, dtype and shape of a Variable or array; the repr of other constants.

    >>> described_operand(np.ones(3)), described_operand(2.0)
    ('float64[3]', '2.0')
    """
    name = f"{x.name}: " if isinstance(x, ArrayLike) and x.name else ""
    data = x._data if isinstance(x, ArrayLike) else x
    if data is None or type(data) is Released:
        return f"{name}no data" if isinstance(x, ArrayLike) else "None"
    return f"{name}{kind_of_array(data)}" if hasattr(data, "shape") and not isinstance(x, np.generic) else repr(x)

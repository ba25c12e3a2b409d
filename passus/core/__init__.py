"""The engine: `Variable`, `Function`, and the walk back through the graph that they form."""

from passus.core.arity import Binary as Binary
from passus.core.arity import Unary as Unary
from passus.core.backward import backward as backward
from passus.core.backward import gradients as gradients
from passus.core.basic import add as add
from passus.core.basic import astype as astype
from passus.core.basic import broadcast_to as broadcast_to
from passus.core.basic import sum_to as sum_to
from passus.core.function import Function as Function
from passus.core.variable import Operand as Operand
from passus.core.variable import Parameter as Parameter
from passus.core.variable import Result as Result
from passus.core.variable import Variable as Variable
from passus.core.variable import as_array as as_array
from passus.core.variable import as_variable as as_variable

__all__ = [
    "Binary",
    "Function",
    "Operand",
    "Parameter",
    "Result",
    "Unary",
    "Variable",
    "add",
    "as_array",
    "as_variable",
    "astype",
    "backward",
    "broadcast_to",
    "gradients",
    "sum_to",
]

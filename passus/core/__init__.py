"""The engine: `Variable`, `Function`, and the walk back through the graph that they form.

Reading order:

1. ``variable.py``: the box around an array, and its link to the function call that made it.
2. ``function.py``: the call, which computes, boxes the results, and records itself.
3. ``backward.py``: the walk back from a result, function by function, to the gradients of all leaves.
4. ``basic.py`` and ``arity.py``: the four operations that the walk itself needs, and the two bases that most operations have.

The other modules contain the details:

- accepted input: ``data.py`` (arrays), ``messages.py`` (errors), ``custom.py`` (classes that users write), ``precision.py`` (dtypes
  that are too narrow to compute with)
- protection against wrong gradients: ``edits.py`` (replaced data), ``checksums.py`` (edited elements), ``ownership.py`` (shared arrays),
  ``rules.py`` (results of rules), ``views.py`` (access of rules to data)
- the behaviour of a Variable as an array: ``array_like.py``, ``protocol.py`` (NumPy's functions), ``truth.py`` (``a == b``), ``callers.py``
- observers: ``hooks.py``, ``describe.py``
- references of the graph: ``references.py`` (outputs), ``records.py`` (instances that are called again), ``generation.py`` (the
  book's order)
- the optional last chapter: ``second_order.py`` and ``watched.py`` (derivatives of derivatives), ``replay.py`` (repeated calls)

As in DeZero, operators and switches can also be imported from ``core``. The switches are those of `passus.config`; the
operators are those of `passus.functions`, which is above the engine and binds them.
"""

from collections.abc import Callable as _Callable

from passus import exports as _exports
from passus.config import Config as Config
from passus.config import no_grad as no_grad
from passus.config import test_mode as test_mode
from passus.config import using_config as using_config
from passus.core.arity import Binary as Binary
from passus.core.arity import Unary as Unary
from passus.core.backward import backward as backward
from passus.core.backward import gradients as gradients
from passus.core.basic import Add as Add
from passus.core.basic import add as add
from passus.core.basic import astype as astype
from passus.core.basic import broadcast_to as broadcast_to
from passus.core.basic import sum_to as sum_to
from passus.core.data import HALF as HALF
from passus.core.data import INTEGERS as INTEGERS
from passus.core.function import Function as Function
from passus.core.precision import upcast as upcast
from passus.core.precision import upcast_inputs as upcast_inputs
from passus.core.variable import Operand as Operand
from passus.core.variable import Parameter as Parameter
from passus.core.variable import Result as Result
from passus.core.variable import Variable as Variable
from passus.core.variable import as_array as as_array
from passus.core.variable import as_variable as as_variable

Mul: type[Function]
Neg: type[Function]
Sub: type[Function]
Div: type[Function]
Pow: type[Function]
mul: _Callable[..., Result]
neg: _Callable[..., Result]
sub: _Callable[..., Result]
rsub: _Callable[..., Result]
div: _Callable[..., Result]
rdiv: _Callable[..., Result]
pow: _Callable[..., Result]
setup_variable: _Callable[[], None]
"""Bound by `passus.functions.binding`, which exports the names again."""

_exports.export_names(__name__)

"""The names of DeZero's module ``core_simple``, from `passus.core`.

DeZero has two cores: a simple one without higher derivatives, for steps 23 to 29, and the one that replaces it in steps
30 to 32. passus has one core, so gradients are Variables in the early steps, too. Programs that treat them as arrays
work.

>>> import numpy as np
>>> x = Variable(np.array(3.0))
>>> (x**2).backward()
>>> x.data -= 0.5 * x.grad
>>> print(x)
0.0
"""

from passus.core import Add, Config, Function, Variable, add, as_array, as_variable, no_grad, using_config
from passus.functions.arrays.arithmetic import Div, Mul, Neg, Pow, Sub, div, mul, neg, pow, rdiv, rsub, sub
from passus.functions.binding import setup_variable

__all__ = [
    "Add",
    "Config",
    "Div",
    "Function",
    "Mul",
    "Neg",
    "Pow",
    "Sub",
    "Variable",
    "add",
    "as_array",
    "as_variable",
    "div",
    "mul",
    "neg",
    "no_grad",
    "pow",
    "rdiv",
    "rsub",
    "setup_variable",
    "sub",
    "using_config",
]

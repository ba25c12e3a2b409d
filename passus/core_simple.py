"""The names that DeZero keeps in ``core_simple``: those of `passus.core`.

DeZero has two cores, a simple one without derivatives of higher order and the one that is built in steps 30 to 32. passus
has one. So a gradient is a Variable here, too; what a program of steps 23 to 29 does with it works as with an array.

>>> import numpy as np
>>> x = Variable(np.array(3.0))
>>> (x**2).backward()
>>> x.data -= 0.5 * x.grad
>>> print(x)
0.0
"""

from passus.core import Add as Add
from passus.core import Config as Config
from passus.core import Function as Function
from passus.core import Variable as Variable
from passus.core import add as add
from passus.core import as_array as as_array
from passus.core import as_variable as as_variable
from passus.core import no_grad as no_grad
from passus.core import using_config as using_config
from passus.functions.arrays.arithmetic import Div as Div
from passus.functions.arrays.arithmetic import Mul as Mul
from passus.functions.arrays.arithmetic import Neg as Neg
from passus.functions.arrays.arithmetic import Pow as Pow
from passus.functions.arrays.arithmetic import Sub as Sub
from passus.functions.arrays.arithmetic import div as div
from passus.functions.arrays.arithmetic import mul as mul
from passus.functions.arrays.arithmetic import neg as neg
from passus.functions.arrays.arithmetic import pow as pow
from passus.functions.arrays.arithmetic import rdiv as rdiv
from passus.functions.arrays.arithmetic import rsub as rsub
from passus.functions.arrays.arithmetic import sub as sub
from passus.functions.binding import setup_variable as setup_variable

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

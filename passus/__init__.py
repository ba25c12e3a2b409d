"""passus: a deep learning framework that shows its steps.

>>> import numpy as np
>>> x = Variable(np.array(3.0))
>>> y = x**2
>>> y.backward()
>>> print(x.grad)
6.0
"""

from passus import answers as _answers
from passus import (
    core,
    core_simple,
    cuda,
    dataloaders,
    datasets,
    errors,
    functions,
    functions_conv,
    grad,
    initializers,
    kernels,
    layers,
    metrics,
    models,
    optimizers,
    recompute,
    recording,
    schedules,
    serializers,
    summary,
    testing,
    text,
    training,
    transforms,
    utils,
    visualize,
)
from passus import foreign as _foreign
from passus import random as random
from passus import tracebacks as _tracebacks
from passus.config import Config, no_grad, test_mode, using_config
from passus.core import Function, Parameter, Variable, as_array, as_variable, gradients
from passus.dataloaders import DataLoader, SeqDataLoader
from passus.datasets import Dataset
from passus.functions.binding import setup_variable
from passus.kernels import get_num_threads, set_num_threads
from passus.layers import Layer
from passus.models import Model
from passus.recording import compile
from passus.visualize import steps

# Without `random`, so that ``from passus import *`` does not replace Python's module of that name.
__all__ = [
    "Config",
    "DataLoader",
    "Dataset",
    "Function",
    "Layer",
    "Model",
    "Parameter",
    "SeqDataLoader",
    "Variable",
    "as_array",
    "as_variable",
    "compile",
    "core",
    "core_simple",
    "cuda",
    "dataloaders",
    "datasets",
    "errors",
    "functions",
    "functions_conv",
    "get_num_threads",
    "grad",
    "gradients",
    "initializers",
    "is_simple_core",
    "kernels",
    "layers",
    "metrics",
    "models",
    "no_grad",
    "optimizers",
    "recompute",
    "recording",
    "schedules",
    "serializers",
    "set_num_threads",
    "setup_variable",
    "steps",
    "summary",
    "test_mode",
    "testing",
    "text",
    "training",
    "transforms",
    "using_config",
    "utils",
    "visualize",
]

__version__ = "0.1.0"

is_simple_core = False
"""DeZero's flag for a core without derivatives of higher order; passus has one core."""

_answers.answers_for(__name__, _foreign.PACKAGE)
_tracebacks.install()

"""passus: a deep learning framework that shows its steps.

>>> import numpy as np
>>> x = Variable(np.array(3.0))
>>> y = x**2
>>> y.backward()
>>> print(x.grad)
6.0
"""

from passus import answers as _answers
from passus import core as core
from passus import core_simple as core_simple
from passus import cuda as cuda
from passus import dataloaders as dataloaders
from passus import datasets as datasets
from passus import errors as errors
from passus import foreign as _foreign
from passus import functions as functions
from passus import functions_conv as functions_conv
from passus import grad as grad
from passus import initializers as initializers
from passus import kernels as kernels
from passus import layers as layers
from passus import metrics as metrics
from passus import models as models
from passus import optimizers as optimizers
from passus import random as random
from passus import recompute as recompute
from passus import schedules as schedules
from passus import serializers as serializers
from passus import summary as summary
from passus import testing as testing
from passus import text as text
from passus import training as training
from passus import transforms as transforms
from passus import utils as utils
from passus import visualize as visualize
from passus.config import Config as Config
from passus.config import no_grad as no_grad
from passus.config import test_mode as test_mode
from passus.config import using_config as using_config
from passus.core import Function as Function
from passus.core import Parameter as Parameter
from passus.core import Variable as Variable
from passus.core import as_array as as_array
from passus.core import as_variable as as_variable
from passus.core import gradients as gradients
from passus.dataloaders import DataLoader as DataLoader
from passus.dataloaders import SeqDataLoader as SeqDataLoader
from passus.datasets import Dataset as Dataset
from passus.functions.binding import setup_variable as setup_variable
from passus.kernels import get_num_threads as get_num_threads
from passus.kernels import set_num_threads as set_num_threads
from passus.layers import Layer as Layer
from passus.models import Model as Model

# All but `random`: after ``from passus import *`` that name is still Python's own module.
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
    "schedules",
    "serializers",
    "set_num_threads",
    "setup_variable",
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

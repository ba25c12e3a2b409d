"""passus: a deep learning framework that shows its steps."""

from passus import functions as functions
from passus.config import Config as Config
from passus.config import no_grad as no_grad
from passus.config import test_mode as test_mode
from passus.config import using_config as using_config
from passus.core import Function as Function
from passus.core import Parameter as Parameter
from passus.core import Variable as Variable
from passus.core import as_array as as_array
from passus.core import as_variable as as_variable

__version__ = "0.1.0"

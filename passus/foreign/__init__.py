"""Names of other libraries and their replacements, for the errors that `passus.answers` raises."""

from passus import exports as _exports
from passus.foreign.attributes import CALLBACK_METHODS as CALLBACK_METHODS
from passus.foreign.attributes import FUNCTION as FUNCTION
from passus.foreign.attributes import LAYER as LAYER
from passus.foreign.attributes import METRIC as METRIC
from passus.foreign.attributes import OPTIMIZER as OPTIMIZER
from passus.foreign.attributes import VARIABLE as VARIABLE
from passus.foreign.functions import FUNCTIONS as FUNCTIONS
from passus.foreign.functions import UFUNCS as UFUNCS
from passus.foreign.modules import CUDA as CUDA
from passus.foreign.modules import DATASETS as DATASETS
from passus.foreign.modules import DEZERO as DEZERO
from passus.foreign.modules import LAYERS as LAYERS
from passus.foreign.modules import METRICS as METRICS
from passus.foreign.modules import MODELS as MODELS
from passus.foreign.modules import OPTIMIZERS as OPTIMIZERS
from passus.foreign.modules import PACKAGE as PACKAGE
from passus.foreign.modules import SCHEDULES as SCHEDULES
from passus.foreign.modules import TEXT as TEXT
from passus.foreign.modules import TRAINING as TRAINING
from passus.foreign.modules import TRANSFORMS as TRANSFORMS
from passus.foreign.options import CALL_ARGUMENTS as CALL_ARGUMENTS
from passus.foreign.options import OPTIONS as OPTIONS

_exports.export_names(__name__)

"""All functions of Variables and arrays: ``import passus.functions as F``.

Given a Variable they return Variables, and gradients of every order flow through them; given only arrays they return
arrays.
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.core import Function as _Function
from passus.functions import binding as _binding
from passus.functions.arrays.angles import *
from passus.functions.arrays.arithmetic import *
from passus.functions.arrays.arrangement import *
from passus.functions.arrays.comparison import *
from passus.functions.arrays.contractions import *
from passus.functions.arrays.decompositions import *
from passus.functions.arrays.division import *
from passus.functions.arrays.elementwise import *
from passus.functions.arrays.extremes import *
from passus.functions.arrays.fourier import *
from passus.functions.arrays.indexing import *
from passus.functions.arrays.joining import *
from passus.functions.arrays.linalg import *
from passus.functions.arrays.logarithms import *
from passus.functions.arrays.normal import *
from passus.functions.arrays.products import *
from passus.functions.arrays.quantiles import *
from passus.functions.arrays.reductions import *
from passus.functions.arrays.rounding import *
from passus.functions.arrays.running import *
from passus.functions.arrays.selection import *
from passus.functions.arrays.shapes import *
from passus.functions.arrays.sorting import *
from passus.functions.arrays.special import *
from passus.functions.arrays.statistics import *
from passus.functions.arrays.trigonometry import *
from passus.functions.nn.activations import *
from passus.functions.nn.adaptive import *
from passus.functions.nn.attention import *
from passus.functions.nn.batch_normalization import *
from passus.functions.nn.classification import *
from passus.functions.nn.convolution import *
from passus.functions.nn.ctc import *
from passus.functions.nn.embeddings import *
from passus.functions.nn.fused import *
from passus.functions.nn.group_normalization import *
from passus.functions.nn.heads import *
from passus.functions.nn.local_response import *
from passus.functions.nn.losses import *
from passus.functions.nn.metrics import *
from passus.functions.nn.normalization import *
from passus.functions.nn.patches import *
from passus.functions.nn.pools import *
from passus.functions.nn.positions import *
from passus.functions.nn.rectifiers import *
from passus.functions.nn.recurrent import *
from passus.functions.nn.regularization import *
from passus.functions.nn.resizing import *
from passus.functions.nn.similarity import *
from passus.functions.nn.simple import *
from passus.functions.nn.softmax import *

_exports.export_names(__name__)
_exports.describe_families(__name__, hidden=_Function)
_answers.answers_for(__name__, _foreign.FUNCTIONS)

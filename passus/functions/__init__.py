"""All functions of Variables and arrays: ``import passus.functions as F``.

Given a Variable they return Variables, and gradients of every order flow through them; given only arrays they return
arrays.
"""

from passus import answers as _answers
from passus import foreign as _foreign
from passus.functions import (
    activations,
    adaptive,
    angles,
    arithmetic,
    arrangement,
    attention,
    batch_normalization,
    classification,
    comparison,
    contractions,
    convolution,
    ctc,
    decompositions,
    division,
    elementwise,
    embeddings,
    extremes,
    fourier,
    fused,
    group_normalization,
    heads,
    indexing,
    joining,
    linalg,
    local_response,
    logarithms,
    losses,
    metrics,
    normalization,
    patches,
    pools,
    positions,
    probabilities,
    products,
    quantiles,
    rectifiers,
    recurrent,
    reductions,
    regularization,
    resizing,
    rounding,
    running,
    selection,
    shapes,
    similarity,
    simple,
    sorting,
    special,
    statistics,
    trigonometry,
)
from passus.functions import binding as _binding
from passus.functions.activations import *
from passus.functions.adaptive import *
from passus.functions.angles import *
from passus.functions.arithmetic import *
from passus.functions.arrangement import *
from passus.functions.attention import *
from passus.functions.batch_normalization import *
from passus.functions.classification import *
from passus.functions.comparison import *
from passus.functions.contractions import *
from passus.functions.convolution import *
from passus.functions.ctc import *
from passus.functions.decompositions import *
from passus.functions.division import *
from passus.functions.elementwise import *
from passus.functions.embeddings import *
from passus.functions.extremes import *
from passus.functions.fourier import *
from passus.functions.fused import *
from passus.functions.group_normalization import *
from passus.functions.heads import *
from passus.functions.indexing import *
from passus.functions.joining import *
from passus.functions.linalg import *
from passus.functions.local_response import *
from passus.functions.logarithms import *
from passus.functions.losses import *
from passus.functions.metrics import *
from passus.functions.normalization import *
from passus.functions.patches import *
from passus.functions.pools import *
from passus.functions.positions import *
from passus.functions.probabilities import *
from passus.functions.products import *
from passus.functions.quantiles import *
from passus.functions.rectifiers import *
from passus.functions.recurrent import *
from passus.functions.reductions import *
from passus.functions.regularization import *
from passus.functions.resizing import *
from passus.functions.rounding import *
from passus.functions.running import *
from passus.functions.selection import *
from passus.functions.shapes import *
from passus.functions.similarity import *
from passus.functions.simple import *
from passus.functions.sorting import *
from passus.functions.special import *
from passus.functions.statistics import *
from passus.functions.trigonometry import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += adaptive.__all__
__all__ += angles.__all__
__all__ += arithmetic.__all__
__all__ += arrangement.__all__
__all__ += attention.__all__
__all__ += batch_normalization.__all__
__all__ += classification.__all__
__all__ += comparison.__all__
__all__ += contractions.__all__
__all__ += convolution.__all__
__all__ += ctc.__all__
__all__ += decompositions.__all__
__all__ += division.__all__
__all__ += elementwise.__all__
__all__ += embeddings.__all__
__all__ += extremes.__all__
__all__ += fourier.__all__
__all__ += fused.__all__
__all__ += group_normalization.__all__
__all__ += heads.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += local_response.__all__
__all__ += logarithms.__all__
__all__ += losses.__all__
__all__ += metrics.__all__
__all__ += normalization.__all__
__all__ += patches.__all__
__all__ += pools.__all__
__all__ += positions.__all__
__all__ += probabilities.__all__
__all__ += products.__all__
__all__ += quantiles.__all__
__all__ += rectifiers.__all__
__all__ += recurrent.__all__
__all__ += reductions.__all__
__all__ += regularization.__all__
__all__ += resizing.__all__
__all__ += rounding.__all__
__all__ += running.__all__
__all__ += selection.__all__
__all__ += shapes.__all__
__all__ += similarity.__all__
__all__ += simple.__all__
__all__ += sorting.__all__
__all__ += special.__all__
__all__ += statistics.__all__
__all__ += trigonometry.__all__

_answers.answers_for(__name__, _foreign.FUNCTIONS)

"""All functions of Variables and arrays: ``import passus.functions as F``.

Given a Variable they return Variables, and gradients of every order flow through them; given only arrays they return
arrays.
"""

from passus.functions import (
    arithmetic,
    arrangement,
    comparison,
    contractions,
    elementwise,
    extremes,
    indexing,
    joining,
    metrics,
    normalization,
    probabilities,
    products,
    rectifiers,
    reductions,
    regularization,
    rounding,
    selection,
    shapes,
    sorting,
    special,
    statistics,
    trigonometry,
)
from passus.functions import binding as _binding
from passus.functions.arithmetic import *
from passus.functions.arrangement import *
from passus.functions.comparison import *
from passus.functions.contractions import *
from passus.functions.elementwise import *
from passus.functions.extremes import *
from passus.functions.indexing import *
from passus.functions.joining import *
from passus.functions.metrics import *
from passus.functions.normalization import *
from passus.functions.probabilities import *
from passus.functions.products import *
from passus.functions.rectifiers import *
from passus.functions.reductions import *
from passus.functions.regularization import *
from passus.functions.rounding import *
from passus.functions.selection import *
from passus.functions.shapes import *
from passus.functions.sorting import *
from passus.functions.special import *
from passus.functions.statistics import *
from passus.functions.trigonometry import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += arrangement.__all__
__all__ += comparison.__all__
__all__ += contractions.__all__
__all__ += elementwise.__all__
__all__ += extremes.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += metrics.__all__
__all__ += normalization.__all__
__all__ += probabilities.__all__
__all__ += products.__all__
__all__ += rectifiers.__all__
__all__ += reductions.__all__
__all__ += regularization.__all__
__all__ += rounding.__all__
__all__ += selection.__all__
__all__ += shapes.__all__
__all__ += sorting.__all__
__all__ += special.__all__
__all__ += statistics.__all__
__all__ += trigonometry.__all__

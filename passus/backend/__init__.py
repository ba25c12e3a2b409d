"""Array libraries, found by the type of an array and loaded on first use.

>>> import numpy as np
>>> backend_of(np.zeros(3)).name
'numpy'
"""

from passus import exports as _exports
from passus.backend.base import Array as Array
from passus.backend.base import Backend as Backend
from passus.backend.lookup import backend_of as backend_of
from passus.backend.lookup import copied as copied
from passus.backend.lookup import is_array as is_array
from passus.backend.lookup import others as others
from passus.backend.numpy import NumPy as NumPy

_exports.export_names(__name__)

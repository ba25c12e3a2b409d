"""Array libraries, found by the type of an array and loaded on first use.

>>> import numpy as np
>>> backend_of(np.zeros(3)).name
'numpy'
"""

from passus import exports as _exports
from passus.backend.base import Array as Array
from passus.backend.base import Backend as Backend
from passus.backend.devices import Device as Device
from passus.backend.devices import has_gpu as has_gpu
from passus.backend.devices import is_elsewhere as is_elsewhere
from passus.backend.devices import moved_to as moved_to
from passus.backend.devices import to_device as to_device
from passus.backend.lookup import backend_of as backend_of
from passus.backend.lookup import copied as copied
from passus.backend.lookup import is_array as is_array
from passus.backend.lookup import jax_backend as jax_backend
from passus.backend.lookup import others as others
from passus.backend.numpy import NumPy as NumPy
from passus.backend.values import chosen as chosen
from passus.backend.values import collected_checks as collected_checks
from passus.backend.values import has_values as has_values
from passus.backend.values import invalid as invalid
from passus.backend.values import truth as truth
from passus.backend.writable import Writable as Writable
from passus.backend.writable import unwrapped as unwrapped
from passus.backend.writable import writable as writable

_exports.export_names(__name__)

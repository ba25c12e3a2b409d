"""DeZero's module ``core_simple``; its names stand in `passus.dezero.core_simple`."""

from passus import exports as _exports
from passus.dezero.core_simple import *

_exports.export_names(__name__)

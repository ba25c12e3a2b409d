"""DeZero's module ``utils``; its names stand in `passus.dezero.utils`."""

from passus import exports as _exports
from passus.dezero.utils import *

_exports.export_names(__name__)

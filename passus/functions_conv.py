"""DeZero's module ``functions_conv``; its names stand in `passus.dezero.functions_conv`."""

from passus import exports as _exports
from passus.dezero.functions_conv import *

_exports.export_names(__name__)

"""What functions cannot do with arrays of JAX, and why. The documentation and the tests read these tables."""

from __future__ import annotations

__all__ = ["KNOWN_ARGUMENTS", "NARROW"]

KNOWN_ARGUMENTS = {
    "get_item": "a boolean array as an index determines the shape of the result",
    "quantile": "q, if it is an array, determines which elements are selected",
}
"""Functions some of whose arguments must have values while XLA compiles, so they cannot be arguments of the compiled step."""

NARROW = {
    "astype": "JAX truncates numbers of 64 bits unless jax_enable_x64 is set",
    "group_norm": "squares beyond the range of float32 are infinite; NumPy repeats the computation in float64",
    "instance_norm": "as group_norm",
    "layer_norm": "as group_norm",
    "one_hot": "as astype, for a dtype of 64 bits",
    "rms_norm": "as group_norm",
}
"""Functions whose results have fewer digits or a smaller range than with NumPy."""

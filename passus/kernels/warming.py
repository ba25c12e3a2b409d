"""Compiling all kernels at a time of one's choice."""

from __future__ import annotations

from passus.kernels.dispatch import native_module

__all__ = ["warm_up"]

MODULES = (
    "activations",
    "attention",
    "biases",
    "channels",
    "convolution",
    "elementwise",
    "normalization",
    "pooling",
    "products",
    "recurrent",
    "rows",
    "scatter",
    "updates",
)


def warm_up() -> bool:
    """Compile all kernels now, or take them from the disk, so that no later call has to wait; whether there are any.

    For servers, and for measurements: otherwise each kernel is compiled when it is needed first, which takes a second
    or so. The results are kept on the disk, next to the package or in the user's cache folder.
    """
    modules = [native_module(name) for name in MODULES]
    for module in modules:
        if module is not None:
            module.prepare()
    return None not in modules

"""Compilation of kernels ahead of time."""

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
    """Compile kernels, or load them from the disk, before they are called. Returns whether kernels can be used.

    For servers and measurements: otherwise each kernel is compiled on its first call, which takes about a second. Compiled kernels
    are stored on the disk, next to the package or in the user's cache folder. Kernels of depthwise convolutions and of
    Winograd's algorithm depend on window and image sizes; they are compiled on their first call.
    """
    modules = [native_module(name) for name in MODULES]
    for module in modules:
        if module is not None:
            module.prepare()
    return None not in modules

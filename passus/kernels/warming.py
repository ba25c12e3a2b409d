"""Compilation of kernels ahead of time."""

from __future__ import annotations

from typing import Any

from passus.kernels import notices
from passus.kernels.dispatch import native_module

__all__ = ["all_kernels", "build_all", "warm_up"]

MODULES = (
    "activations",
    "attention",
    "biases",
    "calls",
    "channels",
    "convolution",
    "depthwise",
    "elementwise",
    "machine",
    "normalization",
    "pooling",
    "products",
    "recurrent",
    "rows",
    "scatter",
    "sections",
    "tile",
    "updates",
    "waiting",
)


def warm_up() -> bool:
    """Compile kernels, or load them from the disk, before they are called. Returns whether kernels can be used.

    For servers and measurements: otherwise each kernel is compiled on its first call, which takes about a second. Compiled kernels
    are stored on the disk, next to the package or in the user's cache folder; ``python -m passus.kernels`` does the same from a
    shell. Depthwise convolutions are compiled for the sizes of the models in `passus.models`, others on their first call.
    """
    kernels = all_kernels()
    build_all(kernels)
    return bool(kernels)


def all_kernels() -> list[Any]:
    """The kernels that can be compiled ahead; none where Numba does not work, after a warning."""
    modules = [native_module(name) for name in MODULES]
    if None in modules:
        return []
    for module in modules:
        if hasattr(module, "prepare"):
            module.prepare()
    return [*native_module("compiling").declared()]


def build_all(kernels: list[Any]) -> None:
    """Compile kernels, or load them from the disk."""
    for number, kernel in enumerate(kernels, 1):
        with notices.position(number, len(kernels)):
            kernel.build()

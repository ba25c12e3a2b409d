"""Bodies of kernels for arrays of JAX, where XLA has an operation of its own; the others use their references."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["body_of"]

MODULES = ("convolution", "recurrent")
"""The modules of `passus.kernels` with such bodies."""


@cache
def body_of(module: str, name: str) -> Callable[..., Any] | None:
    """The function of this name for arrays of JAX; None if the reference is used.

    >>> body_of("rows", "log_softmax") is None
    True
    """
    if module not in MODULES:
        return None
    return getattr(import_module(f"{__name__}.{module}"), name, None)

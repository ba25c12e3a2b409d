"""Calls of the hooks of a layer; see `passus.core.hooks`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from passus.backend.trace import call_hook
from passus.core import Variable

__all__ = ["observe_gradients", "run_hooks"]


def run_hooks(layer: Any, inputs: tuple[Any, ...], outputs: Any) -> None:
    """Call the hooks of a layer after its call."""
    for hook in tuple(layer.__dict__["_hooks"]):
        if getattr(hook.function, "func", None) is observe_gradients:
            hook.function(layer, inputs, outputs)
        else:
            call_hook(hook.function, layer, inputs, outputs)


def observe_gradients(function: Callable[[Any, Any], Any], layer: Any, inputs: tuple[Any, ...], outputs: Any) -> None:
    """Let a function observe the gradient of each result of a call, also in nested tuples, lists and dicts."""
    if isinstance(outputs, Variable):
        if outputs.requires_grad:
            outputs.add_gradient_hook(partial(function, layer))
    elif isinstance(outputs, (tuple, list, dict)):
        for y in outputs.values() if isinstance(outputs, dict) else outputs:
            observe_gradients(function, layer, inputs, y)

"""Gradients of a call without a graph: the call is repeated and recorded, and its graph is walked back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from passus.config import enable_backprop
from passus.core.backward import gradients
from passus.core.basic import sum_to
from passus.core.variable import Variable, constant_variable
from passus.core.views import data_view

__all__ = ["leaf_like", "replayed"]


def replayed(
    call: Callable[..., Any], inputs: Sequence[Any], gys: Sequence[Any], recording: bool, captured: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The gradients of ``call(*inputs)``, a tuple of Variables, for its inputs and then for the ``captured`` Variables.

    ``captured``: other Variables that the call uses, such as parameters. ``gys``: the gradients of the results, None for a
    result that is treated as a constant. ``recording``: whether the gradients can be differentiated again. The gradient
    is None for other types than Variables, and for Variables that need none.
    """
    # The repeated call may read numbers, unlike the rule that repeats it.
    tokens = data_view.set(None), enable_backprop.set(True)
    try:
        # The graph ends at copies of the inputs, or continues behind them if it is recorded. Each input becomes a separate
        # Variable, even if it was given twice, or is captured as well.
        xs = [_alias(x) if recording else leaf_like(x) for x in inputs]
        ys = call(*xs)
    finally:
        data_view.reset(tokens[0])
        enable_backprop.reset(tokens[1])
    seeded = [(y, gy) for y, gy in zip(ys, gys) if gy is not None]
    seeds = [gy if isinstance(gy, Variable) else constant_variable(gy) for _, gy in seeded]
    needed = [x for x in (*xs, *captured) if isinstance(x, Variable) and x.requires_grad]
    gxs = gradients([y for y, _ in seeded], needed, seeds, create_graph=recording)
    by_identity = {id(x): gx for x, gx in zip(needed, gxs)}
    return tuple([by_identity.get(id(x)) for x in (*xs, *captured)])


def leaf_like(x: Any) -> Any:
    """A leaf with the array of a Variable."""
    if not isinstance(x, Variable):
        return x
    leaf = Variable(x.data)
    leaf.requires_grad = x.requires_grad
    return leaf


def _alias(x: Any) -> Any:
    """Another Variable with the same value, whose gradient flows to the first."""
    return sum_to(x, x.shape) if isinstance(x, Variable) else x

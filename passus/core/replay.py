"""The gradients of a call that left no graph: it is made once more, recorded, and walked back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from passus.config import enable_backprop
from passus.core.backward import gradients
from passus.core.basic import sum_to
from passus.core.variable import Variable, constant, rule_in_use

__all__ = ["leaf_like", "replayed"]


def replayed(
    call: Callable[..., Any], inputs: Sequence[Any], gys: Sequence[Any], recording: bool, captured: Sequence[Any] = ()
) -> tuple[Any, ...]:
    """The gradients of ``call(*inputs)``, a tuple of Variables, for its inputs and for Variables that it takes elsewhere.

    ``gys``: None for a result that counts as a constant. ``recording``: whether the gradients are to be differentiated once more.
    None for what is no Variable or needs no gradient.
    """
    # The call may look at numbers, as in its first time; that is no fault of the rule which calls it here.
    tokens = rule_in_use.set(None), enable_backprop.set(True)
    try:
        # Recorded, it goes on from the inputs, else from copies, behind which nothing is walked. Each is a Variable of
        # its own, even where one input was given twice, or is captured as well.
        xs = [_alias(x) if recording else leaf_like(x) for x in inputs]
        ys = call(*xs)
    finally:
        rule_in_use.reset(tokens[0])
        enable_backprop.reset(tokens[1])
    counting = [(y, gy) for y, gy in zip(ys, gys) if gy is not None]
    seeds = [gy if isinstance(gy, Variable) else constant(gy) for _, gy in counting]
    wanted = [x for x in (*xs, *captured) if isinstance(x, Variable) and x.requires_grad]
    found = {
        id(x): gx for x, gx in zip(wanted, gradients([y for y, _ in counting], wanted, seeds, create_graph=recording))
    }
    return tuple([found.get(id(x)) for x in (*xs, *captured)])


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

"""Probabilities where a loss expects scores or logarithms: noticed by what made them, and said once."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core import Variable
from passus.notices import notice_once

__all__ = ["expect_logarithms", "expect_scores"]

PROBABILITIES = frozenset(["Softmax", "Sigmoid"])
"""Functions whose results are probabilities, be they ours or a reader's own."""

POSSIBLY = frozenset(["Div", "Exp"])
"""The last step of a softmax that is written out; whether it was one is seen in a row of the result."""


def expect_scores(name: str, x: Any) -> None:
    """Warn once if the scores that a loss is given come out of a softmax or sigmoid, which the loss has in it.

    >>> expect_scores("softmax_cross_entropy", Variable(np.array([[0.5, 0.5]])))
    """
    if isinstance(x, Variable) and x.creator is not None and _are_probabilities(x, type(x.creator).__name__):
        notice_once(
            name,
            f"{name}: x are probabilities, from a softmax or sigmoid, and scores before it are expected; the loss computes it "
            "once more, and gradients become small. Leave out the last activation of the model",
        )


def expect_logarithms(name: str, called: str, x: Any) -> None:
    """Warn once if a loss of logarithms is given the probabilities themselves.

    >>> expect_logarithms("nll_loss", "log_p", np.log(np.array([[0.5, 0.5]])))
    """
    if isinstance(x, Variable) and x.creator is not None and _are_probabilities(x, type(x.creator).__name__):
        notice_once(
            name,
            f"{name}: {called} are probabilities, and their logarithms are expected; write F.log_softmax for F.softmax",
        )


def _are_probabilities(x: Variable, creator: str) -> bool:
    if creator in PROBABILITIES:
        return True
    if creator == "BiasActivation":
        return getattr(x.creator, "name", None) == "sigmoid"
    if creator not in POSSIBLY or x.ndim < 2 or not len(x):
        return False
    row = x._data[0]
    return bool((row >= 0).all() and np.allclose(row.sum(axis=0), 1, atol=1e-3))

"""Warnings for probabilities where a loss expects scores, and for scores where it expects log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.core import Variable
from passus.notices import notice_once

__all__ = ["expect_logarithms", "expect_scores"]

PROBABILITIES = frozenset(["Softmax", "Sigmoid"])
"""Functions whose results are probabilities, be they ours or a reader's own."""

SCORES = frozenset(["Linear", "MatMul", "Conv", "BiasActivation"])
"""Functions whose results are no log-probabilities."""

POSSIBLY = frozenset(["Div", "Exp"])
"""The last step of a softmax that is written out; whether it was one is seen in a row of the result."""


def expect_scores(name: str, x: Any) -> None:
    """Warn once if the scores that a loss is given come out of a softmax or sigmoid, which the loss has in it.

    >>> expect_scores("softmax_cross_entropy", Variable(np.array([[0.5, 0.5]])))
    """
    if isinstance(x, Variable) and x.creator is not None and _are_probabilities(x, type(x.creator).__name__):
        notice_once(
            name,
            f"{name}: x contains probabilities, but the loss applies the softmax or sigmoid itself; applied twice, it "
            "makes gradients small. Leave out the last activation of the model",
        )


def expect_logarithms(name: str, called: str, x: Any) -> None:
    """Warn once if a loss of logarithms is given the probabilities themselves.

    >>> expect_logarithms("nll_loss", "log_p", np.log(np.array([[0.5, 0.5]])))
    """
    if not isinstance(x, Variable) or x.creator is None:
        return
    creator = type(x.creator).__name__
    if _are_probabilities(x, creator):
        notice_once(name, f"{name}: {called} contains probabilities; write F.log_softmax instead of F.softmax")
    elif creator in SCORES:
        notice_once(name, f"{name}: {called} contains scores, not log-probabilities; write F.log_softmax({called})")


def _are_probabilities(x: Variable, creator: str) -> bool:
    if creator in PROBABILITIES:
        return True
    if creator == "BiasActivation":
        return getattr(x.creator, "name", None) == "sigmoid"
    if creator not in POSSIBLY or x.ndim < 2 or not len(x):
        return False
    row = x._data[0]
    return bool((row >= 0).all() and np.allclose(row.sum(axis=0), 1, atol=1e-3))

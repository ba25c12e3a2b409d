"""Warnings for losses that get probabilities instead of scores, or scores instead of log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend.trace import plain
from passus.core import Variable
from passus.notices import notice_once

__all__ = ["expect_logarithms", "expect_scores"]

PROBABILITIES = frozenset(["Softmax", "Sigmoid"])
"""Names of functions whose results are probabilities, of passus or of users."""

SCORES = frozenset(["Linear", "MatMul", "Conv", "BiasActivation"])
"""Names of functions whose results are scores, not log-probabilities."""

POSSIBLY_SOFTMAX = frozenset(["Div", "Exp"])
"""Names of functions that may be the last step of a softmax; whether a row of the result sums to 1 decides."""


def expect_scores(name: str, x: Any) -> None:
    """Warn once if the scores of a loss are results of a softmax or sigmoid, which the loss applies itself.

    >>> expect_scores("softmax_cross_entropy", Variable(np.array([[0.5, 0.5]])))
    """
    if isinstance(x, Variable) and x.creator is not None and _are_probabilities(x, type(x.creator).__name__):
        notice_once(
            name,
            f"{name}: x contains probabilities, but the loss applies the softmax or sigmoid itself; applied twice, it "
            "makes gradients small. Leave out the last activation of the model",
        )


def expect_logarithms(name: str, argument: str, x: Any) -> None:
    """Warn once if the log-probabilities of a loss are probabilities or scores.

    >>> expect_logarithms("nll_loss", "log_p", np.log(np.array([[0.5, 0.5]])))
    """
    if not isinstance(x, Variable) or x.creator is None:
        return
    creator = type(x.creator).__name__
    if _are_probabilities(x, creator):
        notice_once(name, f"{name}: {argument} contains probabilities; write F.log_softmax instead of F.softmax")
    elif creator in SCORES:
        notice_once(name, f"{name}: {argument} contains scores, not log-probabilities; write F.log_softmax({argument})")


def _are_probabilities(x: Variable, creator: str) -> bool:
    if creator in PROBABILITIES:
        return True
    if creator == "BiasActivation":
        return getattr(x.creator, "name", None) == "sigmoid"
    if creator not in POSSIBLY_SOFTMAX or x.ndim < 2 or not len(x):
        return False
    row = plain(x._data)[0]  # In a recorded step, no condition of its program.
    return bool((row >= 0).all() and np.allclose(row.sum(axis=0), 1, atol=1e-3))

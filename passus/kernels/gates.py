"""Formulas of recurrent cells: one step forward, and its gradient.

They are written with operators and the functions of a `Maths`, so that one formula serves arrays, Variables, and vectors in a
compiled kernel. Weights have a block of H columns for each gate, in the order in which the gates are listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from passus.backend import backend_of
from passus.kernels.activations import logistic
from passus.kernels.elementwise import masked

__all__ = ["CELLS", "Cell", "Maths", "maths_of"]

Numbers: TypeAlias = Any
"""An array, a Variable, or a vector in a kernel."""


class Maths(NamedTuple):
    """The functions that formulas of cells are made of."""

    sigmoid: Callable[[Numbers], Numbers]
    tanh: Callable[[Numbers], Numbers]
    relu: Callable[[Numbers], Numbers]
    positive: Callable[[Numbers, Numbers], Numbers]
    """``positive(g, y)``: g where y > 0, else 0."""


class Cell(NamedTuple):
    """A kind of cell.

    ``step(maths, xs, hs, h, c)``: ``xs`` and ``hs`` hold, for each gate, what the input and the last result contribute. Returns
    the new h and c, and what ``gradient`` needs.
    ``gradient(maths, gh, gc, kept, h_before, h, c_before, c)``: returns the gradients for ``xs``, for ``hs``, for h itself where
    it is used outside of ``hs``, and for c.
    """

    gates: int
    """How many blocks of columns the weights have."""
    kept: int
    """How many arrays (N, H) a step keeps for its gradient."""
    has_c: bool
    """Whether it has a cell state c beside h."""
    separate: bool
    """Whether ``hs`` is more than an addend of ``xs``: its last gate has a bias of its own, its gradients are others than those of
    ``xs``, and h is used outside of it."""
    step: Callable[..., Any]
    gradient: Callable[..., Any]


def _tanh_step(maths: Maths, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    return maths.tanh(xs[0] + hs[0]), c, ()


def _tanh_gradient(
    maths: Maths, gh: Numbers, gc: Numbers, kept: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    gates = (gh * (1 - h * h),)
    return gates, gates, None, gc


def _relu_step(maths: Maths, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    return maths.relu(xs[0] + hs[0]), c, ()


def _relu_gradient(
    maths: Maths, gh: Numbers, gc: Numbers, kept: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    gates = (maths.positive(gh, h),)
    return gates, gates, None, gc


def _lstm_step(maths: Maths, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    """Input gate i, forget gate f, candidate g, output gate o."""
    i, f = maths.sigmoid(xs[0] + hs[0]), maths.sigmoid(xs[1] + hs[1])
    g, o = maths.tanh(xs[2] + hs[2]), maths.sigmoid(xs[3] + hs[3])
    c = f * c + i * g
    return o * maths.tanh(c), c, (i, f, g, o)


def _lstm_gradient(
    maths: Maths, gh: Numbers, gc: Numbers, kept: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    i, f, g, o = kept
    t = maths.tanh(c)
    gc = gc + gh * o * (1 - t * t)
    gates = gc * g * i * (1 - i), gc * c_before * f * (1 - f), gc * i * (1 - g * g), gh * t * o * (1 - o)
    return gates, gates, None, gc * f


def _gru_step(maths: Maths, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    """Reset gate r, update gate z, candidate n. The reset gate follows the recurrent product, as in PyTorch and cuDNN."""
    r, z, m = maths.sigmoid(xs[0] + hs[0]), maths.sigmoid(xs[1] + hs[1]), hs[2]
    n = maths.tanh(xs[2] + r * m)
    return (1 - z) * n + z * h, c, (r, z, n, m)


def _gru_gradient(
    maths: Maths, gh: Numbers, gc: Numbers, kept: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    r, z, n, m = kept
    gn = gh * (1 - z) * (1 - n * n)
    gr, gz = gn * m * r * (1 - r), gh * (h_before - n) * z * (1 - z)
    return (gr, gz, gn), (gr, gz, gn * r), gh * z, gc


CELLS = {
    "rnn_tanh": Cell(1, 0, False, False, _tanh_step, _tanh_gradient),
    "rnn_relu": Cell(1, 0, False, False, _relu_step, _relu_gradient),
    "lstm": Cell(4, 4, True, False, _lstm_step, _lstm_gradient),
    "gru": Cell(3, 4, False, True, _gru_step, _gru_gradient),
}


def maths_of(x: Any) -> Maths:
    """The functions for arrays of the library of ``x``, and for Variables.

    >>> import numpy as np
    >>> maths_of(np.ones(1)).positive(np.array([1.0, 2.0]), np.array([0.0, 3.0]))
    array([0., 2.])
    """
    xp = backend_of(x).xp
    return Maths(lambda v: logistic(v, xp), xp.tanh, lambda v: masked(v, ~(v <= 0)), lambda g, y: masked(g, y > 0))

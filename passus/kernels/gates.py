"""Formulas of recurrent cells: one step forward, and its gradient.

They are plain functions of ``xp``, the array library, read by arrays, Variables, and vectors in a compiled kernel, as those of
`kernels/formulas.py`. Weights have a block of H columns for each gate, in the order in which the gates are listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from passus.kernels.elementwise import masked
from passus.kernels.formulas import sigmoid

__all__ = ["CELLS", "Cell"]

Numbers: TypeAlias = Any
"""An array, a Variable, or a vector in a kernel."""


class Cell(NamedTuple):
    """A kind of cell.

    ``step(xp, xs, hs, h, c)``: ``xs`` and ``hs`` hold, for each gate, the contributions of the input and of the last result.
    Returns the new h and c, and the arrays that ``gradient`` needs.
    ``gradient(xp, gh, gc, saved, h_before, h, c_before, c)``: returns the gradients for ``xs``, for ``hs``, for h itself where
    it is used outside of ``hs``, and for c.
    """

    gates: int
    """Number of blocks of columns of the weights."""
    saved: int
    """Number of arrays (N, H) that a step saves for its gradient."""
    has_c: bool
    """Whether it has a cell state c in addition to h."""
    separate: bool
    """Whether ``hs`` is more than an addend of ``xs``: its last gate has a separate bias, its gradients differ from those of
    ``xs``, and h is also used directly.
    """
    step: Callable[..., Any]
    gradient: Callable[..., Any]


def _tanh_step(xp: Any, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    return xp.tanh(xs[0] + hs[0]), c, ()


def _tanh_gradient(
    xp: Any, gh: Numbers, gc: Numbers, saved: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    gates = (gh * (1 - h * h),)
    return gates, gates, None, gc


def _relu_step(xp: Any, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    total = xs[0] + hs[0]
    return masked(total, ~(total <= 0)), c, ()  # NaN is unchanged.


def _relu_gradient(
    xp: Any, gh: Numbers, gc: Numbers, saved: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    gates = (masked(gh, h > 0),)
    return gates, gates, None, gc


def _lstm_step(xp: Any, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    """Input gate i, forget gate f, candidate g, output gate o."""
    i, f = sigmoid(xp, xs[0] + hs[0]), sigmoid(xp, xs[1] + hs[1])
    g, o = xp.tanh(xs[2] + hs[2]), sigmoid(xp, xs[3] + hs[3])
    c = f * c + i * g
    return o * xp.tanh(c), c, (i, f, g, o)


def _lstm_gradient(
    xp: Any, gh: Numbers, gc: Numbers, saved: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    i, f, g, o = saved
    t = xp.tanh(c)
    gc = gc + gh * o * (1 - t * t)
    gates = gc * g * i * (1 - i), gc * c_before * f * (1 - f), gc * i * (1 - g * g), gh * t * o * (1 - o)
    return gates, gates, None, gc * f


def _gru_step(xp: Any, xs: Any, hs: Any, h: Numbers, c: Numbers) -> Any:
    """Reset gate r, update gate z, candidate n. The reset gate follows the recurrent product, as in PyTorch and cuDNN."""
    r, z, m = sigmoid(xp, xs[0] + hs[0]), sigmoid(xp, xs[1] + hs[1]), hs[2]
    n = xp.tanh(xs[2] + r * m)
    return (1 - z) * n + z * h, c, (r, z, n, m)


def _gru_gradient(
    xp: Any, gh: Numbers, gc: Numbers, saved: Any, h_before: Numbers, h: Numbers, c_before: Numbers, c: Numbers
) -> Any:
    r, z, n, m = saved
    gn = gh * (1 - z) * (1 - n * n)
    gr, gz = gn * m * r * (1 - r), gh * (h_before - n) * z * (1 - z)
    return (gr, gz, gn), (gr, gz, gn * r), gh * z, gc


CELLS = {
    "rnn_tanh": Cell(1, 0, False, False, _tanh_step, _tanh_gradient),
    "rnn_relu": Cell(1, 0, False, False, _relu_step, _relu_gradient),
    "lstm": Cell(4, 4, True, False, _lstm_step, _lstm_gradient),
    "gru": Cell(3, 4, False, True, _gru_step, _gru_gradient),
}

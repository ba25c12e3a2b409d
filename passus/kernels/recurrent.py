"""The steps of recurrent networks over whole sequences, and their gradients.

The contribution of the input to the gates is computed before the steps, and the gradients of the weights after them, each as one
product over all steps. Shapes: N examples, T steps, G gates, H units; P is the size of h, H without a projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array, backend_of, is_array
from passus.kernels.boundary import fit
from passus.kernels.dispatch import kernel, plain_float32, worth_kernel
from passus.kernels.elementwise import masked
from passus.kernels.gates import CELLS
from passus.kernels.products import product

__all__ = [
    "History",
    "Saved",
    "State",
    "Weights",
    "active_steps",
    "recurrence",
    "recurrence_gradient",
    "results_before",
]


class State(NamedTuple):
    """The state of a cell, or its gradient."""

    h: Array
    """(N, P): the last results."""
    c: Array | None
    """(N, H), of cells that have it."""


class Weights(NamedTuple):
    """The weights of a cell for its own results."""

    W_h: Array
    """(P, G * H)."""
    b_h: Array | None = None
    """(H,), of cells that have it."""
    W_p: Array | None = None
    """(H, P): a projection of the results."""


class Saved(NamedTuple):
    """What the gradient of a recurrence needs besides inputs and results."""

    gates: Array | None
    """(N, T, K * H): the K arrays that each step saves, see `passus.kernels.gates.Cell`."""
    cells: Array | None
    """(N, T, H): c after each step, of cells that have it."""
    hidden: Array | None
    """(N, T, H): the results before the projection, if there is one."""


class History(NamedTuple):
    """What the gradient of a recurrence reads of its forward pass."""

    y: Array
    """(N, T, P): the results."""
    h_before: Array
    """(N, T, P): h before each step, by `results_before`."""
    c: Array | None
    """(N, H): the initial c."""
    gates: Array | None
    """As in `Saved`."""
    cells: Array | None


THRESHOLDS = 1 << 13, 1 << 20
"""Multiplications from which on a kernel is worth it, and those from which on the first kernel is."""

INT64 = np.dtype(np.int64)


def _weights_suit(cell: str, steps: Any, weights: Weights, lengths: Any) -> bool:
    """Whether the weights are matrices that fit each other, and lengths are those of the examples of ``steps`` (N, T, ...)."""
    W_h, _, W_p = weights
    if not plain_float32(steps, W_h) or steps.ndim != 3 or W_h.ndim != 2 or not W_h.size or cell not in CELLS:
        return False
    formulas, (P, columns) = CELLS[cell], W_h.shape
    H, rest = divmod(columns, formulas.gates)
    if rest or (P != H if W_p is None else not (formulas.has_c and fit((H, P), W_p))):
        return False
    if lengths is not None and not fit(steps.shape[:1], lengths, dtype=INT64):
        return False
    return worth_kernel(steps.shape[0] * steps.shape[1] * W_h.size, *THRESHOLDS)


def _suits(cell: str, xs: Any, state: State, weights: Weights, lengths: Any, reverse: bool) -> bool:
    if not _weights_suit(cell, xs, weights, lengths):
        return False
    (N, T, _), (P, columns), formulas = xs.shape, weights.W_h.shape, CELLS[cell]
    H = columns // formulas.gates
    return (
        fit((N, T, columns), xs)
        and fit((N, P), state.h)
        and fit((N, H) if formulas.has_c else None, state.c)
        and fit((H,) if formulas.separate else None, weights.b_h)
    )


def _gradient_suits(
    cell: str, gy: Any, gstate: State, history: History, weights: Weights, lengths: Any, reverse: bool
) -> bool:
    if not _weights_suit(cell, gy, weights, lengths):
        return False
    (N, T, _), (P, columns), formulas = gy.shape, weights.W_h.shape, CELLS[cell]
    H = columns // formulas.gates
    return (
        fit((N, T, P), gy, history.y, history.h_before)
        and fit((N, P), gstate.h)
        and fit((N, H) if formulas.has_c else None, gstate.c, history.c)
        and fit((N, T, H) if formulas.has_c else None, history.cells)
        and fit((N, T, formulas.saved * H) if formulas.saved else None, history.gates)
    )


@kernel(_suits)
def recurrence(
    cell: str, xs: Array, state: State, weights: Weights, lengths: Array | None, reverse: bool
) -> tuple[Array, State, Saved | None]:
    """All steps of a cell, from its initial state.

    ``xs``: (N, T, G * H), the contribution of the input to the gates. ``lengths``: (N,) integers, the number of steps of each
    example; None: T. ``reverse``: start at the last step.

    Returns the results (N, T, P), which are 0 after the end of an example, the final state, and the arrays that the gradient
    needs. Given Variables, the results are Variables, and nothing is saved.

    >>> import numpy as np
    >>> x, state, weights = np.ones((1, 2, 1)), State(np.zeros((1, 1)), None), Weights(np.ones((1, 1)))
    >>> recurrence("rnn_relu", x, state, weights, None, False)[0].ravel()
    array([1., 2.])
    """
    (h, c), (W_h, b_h, W_p) = state, weights
    formulas, xp = CELLS[cell], backend_of(xs, h).xp
    (N, T, columns), P = xs.shape, W_h.shape[0]
    H = columns // formulas.gates
    active = None if lengths is None else active_steps(lengths, T)
    ys: dict[int, Any] = {}
    gates: dict[int, Any] = {}
    cells: dict[int, Any] = {}
    hidden: dict[int, Any] = {}
    for t in _order(T, reverse):
        hs = _blocks(product(h, W_h), formulas.gates)
        if b_h is not None:
            hs[-1] = hs[-1] + b_h
        new_h, new_c, gates[t] = formulas.step(xp, _blocks(xs[:, t], formulas.gates), hs, h, c)
        if W_p is not None:
            hidden[t], new_h = new_h, product(new_h, W_p)
        if active is None:
            ys[t], h, c = new_h, new_h, new_c
        else:
            now = active[:, t, None]
            ys[t], h = masked(new_h, now), xp.where(now, new_h, h)
            c = None if c is None else xp.where(now, new_c, c)
            gates[t] = [masked(gate, now) for gate in gates[t]]
            hidden[t] = masked(hidden[t], now) if W_p is not None else None
        cells[t] = c
    y = _stacked(xp, ys, (N, T, P), h) if T else h[:, None][:, :0]
    if not is_array(y):
        return y, State(h, c), None
    joined = {t: xp.concatenate(blocks, axis=1) for t, blocks in gates.items() if formulas.saved}
    saved = Saved(
        _stacked(xp, joined, (N, T, formulas.saved * H), h) if formulas.saved else None,
        None if c is None else _stacked(xp, cells, (N, T, H), c),
        None if W_p is None else _stacked(xp, hidden, (N, T, H), h),
    )
    return y, State(h, c), saved


@kernel(_gradient_suits)
def recurrence_gradient(
    cell: str,
    gy: Array,
    gstate: State,
    history: History,
    weights: Weights,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array | None, State]:
    """The gradients of a `recurrence`, from those of its results (N, T, P) and of its final state.

    Returns the gradients for the contributions of the input and of h to the gates, (N, T, G * H), which are one array if they are
    equal; for the results after the projection, (N, T, P), if there is one; for the initial state.

    >>> import numpy as np
    >>> y, state, weights = np.array([[[1.0], [2.0]]]), State(np.zeros((1, 1)), None), Weights(np.ones((1, 1)))
    >>> history = History(y, results_before(y, state.h, None, False), None, None, None)
    >>> gxs, _, _, initial = recurrence_gradient("rnn_relu", np.ones_like(y), state, history, weights, None, False)
    >>> gxs.ravel(), initial.h
    (array([2., 1.]), array([[2.]]))
    """
    (gh, gc), (W_h, _, W_p), cells = gstate, weights, history.cells
    formulas, xp = CELLS[cell], backend_of(history.y, gy).xp
    (N, T, _), H = history.y.shape, W_h.shape[1] // formulas.gates
    active = None if lengths is None else active_steps(lengths, T)
    of_x: dict[int, Any] = {}
    of_h: dict[int, Any] = {}
    of_projection: dict[int, Any] = {}
    shared = True
    for t in _order(T, not reverse):
        g = gh + gy[:, t]
        c_before = None if cells is None else _at(cells, t + 1 if reverse else t - 1, history.c)
        gates_of_x, gates_of_h, direct, new_gc = formulas.gradient(
            xp,
            g if W_p is None else product(g, W_p.T),
            gc,
            () if history.gates is None else _blocks(history.gates[:, t], formulas.saved),
            history.h_before[:, t],
            history.y[:, t],
            c_before,
            None if cells is None else cells[:, t],
        )
        shared = gates_of_h is gates_of_x
        of_x[t] = xp.concatenate(gates_of_x, axis=1)
        of_h[t] = of_x[t] if shared else xp.concatenate(gates_of_h, axis=1)
        of_projection[t] = g
        if active is None:
            gh = product(of_h[t], W_h.T)
            gh, gc = gh if direct is None else gh + direct, new_gc
        else:
            now = active[:, t, None]
            for steps in (of_x, of_h, of_projection):
                steps[t] = masked(steps[t], now)
            through = product(of_h[t], W_h.T)
            gh = xp.where(now, through if direct is None else through + direct, gh)
            gc = None if gc is None else xp.where(now, new_gc, gc)
    size = (N, T, formulas.gates * H)
    gxs = _stacked(xp, of_x, size, gh)
    return (
        gxs,
        gxs if shared else _stacked(xp, of_h, size, gh),
        None if W_p is None else _stacked(xp, of_projection, history.y.shape, gh),
        State(gh, gc),
    )


def results_before(y: Array, h: Array, lengths: Array | None, reverse: bool) -> Array:
    """The state h before each step, (N, T, P), from the results and the initial h; 0 after the end of an example.

    >>> import numpy as np
    >>> results_before(np.array([[[1.0], [2.0]]]), np.array([[5.0]]), None, False).ravel()
    array([5., 1.])
    """
    xp, T = backend_of(y).xp, y.shape[1]
    first = h[:, None]
    if not T:
        return y
    before = xp.concatenate([y[:, 1:], first] if reverse else [first, y[:, :-1]], axis=1)
    if lengths is None:
        return before
    starts = lengths[:, None] == xp.arange(1, T + 1)
    before = xp.where(starts[:, :, None], first, before) if reverse else before
    return masked(before, active_steps(lengths, T)[:, :, None])


def active_steps(lengths: Array, T: int) -> Array:
    """Which of T steps are before the end of an example: (N, T).

    >>> import numpy as np
    >>> active_steps(np.array([1, 3]), 3).astype(int)
    array([[1, 0, 0],
           [1, 1, 1]])
    """
    return backend_of(lengths).xp.arange(T) < lengths[:, None]


def _order(T: int, reverse: bool) -> Sequence[int]:
    return range(T)[::-1] if reverse else range(T)


def _blocks(x: Any, count: int) -> list[Any]:
    """Blocks of columns of equal widths."""
    H = x.shape[1] // count if count else 0
    return [x[:, i * H : (i + 1) * H] for i in range(count)]


def _at(cells: Array, t: int, initial: Array | None) -> Any:
    return cells[:, t] if 0 <= t < cells.shape[1] else initial


def _stacked(xp: Any, steps: dict[int, Any], shape: tuple[int, ...], like: Array) -> Any:
    """Arrays (N, ...) of all steps as one (N, T, ...)."""
    return xp.stack([steps[t] for t in sorted(steps)], axis=1) if steps else xp.zeros(shape, like.dtype)

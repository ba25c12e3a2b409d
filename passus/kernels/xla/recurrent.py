"""Recurrences as loops of XLA, whose body is the reference for one step: compilation takes as long for many steps as for one."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax

from passus.backend import Array
from passus.kernels import recurrent
from passus.kernels.recurrent import History, Saved, State, Weights

__all__ = ["recurrence", "recurrence_gradient"]

UNROLLED = 1
"""Number of steps for which there is no loop."""


def recurrence(
    cell: str, xs: Array, state: State, weights: Weights, lengths: Array | None, reverse: bool
) -> tuple[Array, State, Saved | None]:
    """See `passus.kernels.recurrent.recurrence`."""
    reference: Any = recurrent.recurrence.reference
    T = xs.shape[1]
    if T <= UNROLLED:
        return reference(cell, xs, state, weights, lengths, reverse)  # type: ignore[no-any-return]

    def step(state: State, given: Any) -> Any:
        x, active = given
        y, state, saved = reference(cell, x[:, None], state, weights, active, False)
        return state, (y[:, 0], Saved(*[None if v is None else v[:, 0] for v in saved]))

    state = State(*[None if v is None else jnp.asarray(v) for v in state])
    last, (y, saved) = lax.scan(step, state, (_steps(xs), _active(lengths, T)), reverse=reverse)
    return _sequence(y), last, Saved(*map(_sequence, saved))


def recurrence_gradient(
    cell: str,
    gy: Array,
    gstate: State,
    history: History,
    weights: Weights,
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array | None, State]:
    """See `passus.kernels.recurrent.recurrence_gradient`."""
    reference: Any = recurrent.recurrence_gradient.reference
    T = gy.shape[1]
    if T <= UNROLLED:
        return reference(cell, gy, gstate, history, weights, lengths, reverse)  # type: ignore[no-any-return]
    shared = True

    def step(gstate: State, given: Any) -> Any:
        nonlocal shared
        gy, y, h_before, gates, cells, c_before, active = given
        one = History(
            y[:, None], h_before[:, None], c_before, *[None if v is None else v[:, None] for v in (gates, cells)]
        )
        of_x, of_h, of_projection, gstate = reference(cell, gy[:, None], gstate, one, weights, active, False)
        shared = of_h is of_x
        return gstate, tuple([None if v is None else v[:, 0] for v in (of_x, None if shared else of_h, of_projection)])

    before = None
    if history.cells is not None:
        first, cells = history.c[:, None], history.cells  # type: ignore[index]
        before = jnp.concatenate([cells[:, 1:], first] if reverse else [first, cells[:, :-1]], axis=1)
    steps = [_steps(v) for v in (gy, history.y, history.h_before, history.gates, history.cells, before)]
    gstate = State(*[None if v is None else jnp.asarray(v) for v in gstate])
    first_state, results = lax.scan(step, gstate, (*steps, _active(lengths, T)), reverse=not reverse)
    of_x, of_h, of_projection = [_sequence(v) for v in results]
    return of_x, of_x if shared else of_h, of_projection, first_state


def _steps(x: Array | None) -> Any:
    """(T, N, ...) from (N, T, ...)."""
    return None if x is None else jnp.moveaxis(x, 1, 0)


_sequence = _steps
"""(N, T, ...) from (T, N, ...)."""


def _active(lengths: Array | None, T: int) -> Any:
    """(T, N): for each step, the lengths of sequences of one step, 1 before the end of an example and 0 after it."""
    return None if lengths is None else (jnp.arange(T)[:, None] < lengths).astype(int)

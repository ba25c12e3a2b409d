"""Recurrent networks: one layer in one direction over whole sequences, and single steps.

Shapes: N examples, T steps, I inputs, H units. Weights have a block of H columns per gate.
"""

from __future__ import annotations

from typing import Any, ClassVar

from passus.arguments import checked_flag
from passus.backend import Array, backend_of
from passus.core import HALF, INTEGERS, Function, Operand, Result
from passus.core.replay import replayed
from passus.errors import ArgumentError, ShapeError
from passus.functions.arrays.products import linear
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of, integers_of
from passus.kernels.channels import channel_sums
from passus.kernels.elementwise import masked
from passus.kernels.gates import CELLS
from passus.kernels.products import product
from passus.kernels.recurrent import (
    History,
    State,
    Weights,
    active_steps,
    recurrence,
    recurrence_gradient,
    results_before,
)

__all__ = ["GRU", "LSTM", "RNN", "gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell"]

RNN_CELLS = {"tanh": "rnn_tanh", "relu": "rnn_relu"}
"""The name of the cell with each activation."""


class Recurrent(Function):
    """All steps of a cell. The second derivative is computed by recording the steps."""

    upcast_dtypes = HALF + INTEGERS
    constants: ClassVar[tuple[str, ...]] = ("results", "intermediates")  # Recorded passes recompute them.

    results: Array
    intermediates: Any

    def __init__(self, cell: str, names: tuple[str, ...], lengths: Array | None, reverse: bool) -> None:
        self.cell, self.names, self.lengths, self.reverse = cell, names, lengths, reverse

    def forward(self, *inputs: Array) -> Any:
        given = dict(zip(self.names, inputs))
        x = self._valid(given["x"])
        xs = product(_rows(x), given["W_x"], given["b"]).reshape(*x.shape[:2], given["W_x"].shape[1])
        self.results, (h, c), self.intermediates = self._run(xs, given)
        return (self.results, h) if c is None else (self.results, h, c)

    def backward(self, *gys: Any) -> Any:
        if self.recording:
            return replayed(self._recorded, self.operands, gys, True)
        given = dict(zip(self.names, [self.saved(v) for v in self.operands]))
        needs = dict(zip(self.names, self.needs))
        x, saved, (gy, gh, gc) = given["x"], self.intermediates, gys if len(gys) == 3 else (*gys, None)
        before = results_before(self.results, given["h"], self.lengths, self.reverse)
        history = History(self.results, before, given.get("c"), saved.gates, saved.cells)
        gxs, ghs, gp, (gh, gc) = recurrence_gradient(
            self.cell, gy, State(gh, gc), history, _weights(given), self.lengths, self.reverse
        )
        rows = _rows(gxs)
        gradients = {"h": gh, "c": gc}
        if needs["x"]:
            gradients["x"] = self._valid(product(rows, given["W_x"].T).reshape(x.shape))
        if needs["W_x"] and needs["W_h"] and ghs is gxs:
            # One product for both weights reads the gradients of the gates once.
            inputs = backend_of(x).xp.concatenate([self._valid(x), before], axis=2)
            gW = product(_rows(inputs).T, rows)
            gradients["W_x"], gradients["W_h"] = gW[: x.shape[2]], gW[x.shape[2] :]
        else:
            if needs["W_x"]:
                gradients["W_x"] = product(_rows(self._valid(x)).T, rows)
            if needs["W_h"]:
                gradients["W_h"] = product(_rows(before).T, _rows(ghs))
        if needs["b"]:
            gradients["b"] = channel_sums(rows)
        if needs.get("b_h"):
            gradients["b_h"] = channel_sums(_rows(ghs)[:, -given["b_h"].shape[0] :])
        if needs.get("W_p"):
            gradients["W_p"] = product(_rows(saved.hidden).T, _rows(gp))
        return tuple([gradients.get(name) for name in self.names])

    def _recorded(self, *inputs: Any) -> Any:
        given = dict(zip(self.names, inputs))
        xs = linear(self._valid(given["x"]), given["W_x"], given["b"])
        y, (h, c), _ = self._run(xs, given)
        return (y, h) if c is None else (y, h, c)

    def _run(self, xs: Any, given: dict[str, Any]) -> Any:
        state = State(given["h"], given.get("c"))
        return recurrence(self.cell, xs, state, _weights(given), self.lengths, self.reverse)

    def _valid(self, x: Any) -> Any:
        """Set the input, or its gradient, to 0 after the end of each example, where it may be infinite or NaN."""
        return x if self.lengths is None else masked(x, active_steps(self.lengths, x.shape[1])[:, :, None])


class RNN(Recurrent):
    """`rnn`."""


class LSTM(Recurrent):
    """`lstm`."""


class GRU(Recurrent):
    """`gru`."""


FUNCTIONS: dict[str, type[Recurrent]] = {"rnn_tanh": RNN, "rnn_relu": RNN, "lstm": LSTM, "gru": GRU}


def rnn(
    x: Operand,
    h: Operand | None,
    W_x: Operand,
    W_h: Operand,
    b: Operand | None = None,
    activation: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Result, Result]:
    """The Elman network, ``h = activation(x @ W_x + h @ W_h + b)`` at each step; returns all results and the final h.

    ``x``: (N, T, I). ``h``: (N, H), the initial state, or None for zeros. ``W_x``: (I, H). ``W_h``: (H, H). ``b``:
    (H,), or None for zeros. ``activation``: "tanh" or "relu". ``lengths``: N integers from 0 to T, the number of steps
    of each example; later results are 0, and the final state is that of the last step. ``reverse``: process each
    example from its last step to the first. The results are (N, T, H) and (N, H).

    Raises `ShapeError` for shapes that do not fit, `ArgumentError` for an unknown activation or lengths out of range,
    `DTypeError` for lengths that are no integers. Source: Elman, 1990, "Finding structure in time".

    >>> import numpy as np
    >>> y, h = rnn(np.ones((1, 3, 1)), None, np.ones((1, 1)), np.ones((1, 1)), activation="relu", lengths=[2])
    >>> y.ravel(), h
    (array([1., 2., 0.]), array([[2.]]))
    """
    y, last = _sequence("rnn", rnn_cell_name("rnn", activation), lengths, reverse, x=x, h=h, W_x=W_x, W_h=W_h, b=b)
    return y, last


def lstm(
    x: Operand,
    h: Operand | None,
    c: Operand | None,
    W_x: Operand,
    W_h: Operand,
    b: Operand | None = None,
    W_p: Operand | None = None,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Result, Result, Result]:
    """Long short-term memory; returns the results of all steps and the final h and c.

    At each step ``i, f, g, o = split(x @ W_x + h @ W_h + b, 4)``, ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)`` and
    ``h = sigmoid(o) * tanh(c)``, with a projection ``h = (sigmoid(o) * tanh(c)) @ W_p``.

    ``x``: (N, T, I). ``h``: (N, P) and ``c``: (N, H), the initial state, or None for zeros. ``W_x``: (I, 4 H). ``W_h``:
    (P, 4 H). ``b``: (4 H,), or None for zeros. ``W_p``: (H, P), or None for no projection, P = H. ``lengths``,
    ``reverse``: see `rnn`. The results are (N, T, P), (N, P) and (N, H).

    Raises the errors of `rnn`. Sources: Hochreiter and Schmidhuber, 1997, "Long short-term memory"; Gers et al., 2000,
    "Learning to forget"; Sak et al., 2014, "Long short-term memory based recurrent neural network architectures"
    (projection).

    >>> import numpy as np
    >>> y, h, c = lstm(np.ones((2, 5, 3)), None, None, np.ones((3, 16)), np.ones((4, 16)))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """
    y, last_h, last_c = _sequence("lstm", "lstm", lengths, reverse, x=x, h=h, c=c, W_x=W_x, W_h=W_h, b=b, W_p=W_p)
    return y, last_h, last_c


def gru(
    x: Operand,
    h: Operand | None,
    W_x: Operand,
    W_h: Operand,
    b: Operand | None = None,
    b_h: Operand | None = None,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Result, Result]:
    """The gated recurrent unit, with the reset gate after the recurrent product; returns all results and the final h.

    With ``xr, xz, xn = split(x @ W_x + b, 3)`` and ``hr, hz, hn = split(h @ W_h, 3)`` at each step,
    ``r = sigmoid(xr + hr)``, ``z = sigmoid(xz + hz)``, ``n = tanh(xn + r * (hn + b_h))`` and
    ``h = (1 - z) * n + z * h``. PyTorch and cuDNN use the same formulas.

    ``x``: (N, T, I). ``h``: (N, H), the initial state, or None for zeros. ``W_x``: (I, 3 H). ``W_h``: (H, 3 H). ``b``:
    (3 H,) and ``b_h``: (H,), or None for zeros. ``lengths``, ``reverse``: see `rnn`. The results are (N, T, H) and
    (N, H).

    Raises the errors of `rnn`. Source: Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder".

    >>> import numpy as np
    >>> y, h = gru(np.ones((2, 5, 3)), None, np.ones((3, 12)), np.ones((4, 12)))
    >>> y.shape, h.shape
    ((2, 5, 4), (2, 4))
    """
    y, last = _sequence("gru", "gru", lengths, reverse, x=x, h=h, W_x=W_x, W_h=W_h, b=b, b_h=b_h)
    return y, last


def rnn_cell(
    x: Operand, h: Operand | None, W_x: Operand, W_h: Operand, b: Operand | None = None, activation: str = "tanh"
) -> Result:
    """One step of `rnn`: ``activation(x @ W_x + h @ W_h + b)`` from x (N, I) and h (N, H).

    Raises the errors of `rnn`.

    >>> import numpy as np
    >>> rnn_cell(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), activation="relu")
    array([[2.]])
    """
    return _step("rnn_cell", rnn_cell_name("rnn_cell", activation), x=x, h=h, W_x=W_x, W_h=W_h, b=b)[0]


def lstm_cell(
    x: Operand,
    h: Operand | None,
    c: Operand | None,
    W_x: Operand,
    W_h: Operand,
    b: Operand | None = None,
    W_p: Operand | None = None,
) -> tuple[Result, Result]:
    """One step of `lstm`: the new h (N, P) and c (N, H) from x (N, I).

    Raises the errors of `rnn`.

    >>> import numpy as np
    >>> h, c = lstm_cell(np.ones((2, 3)), None, None, np.ones((3, 16)), np.ones((4, 16)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """
    h, c = _step("lstm_cell", "lstm", x=x, h=h, c=c, W_x=W_x, W_h=W_h, b=b, W_p=W_p)
    return h, c


def gru_cell(
    x: Operand,
    h: Operand | None,
    W_x: Operand,
    W_h: Operand,
    b: Operand | None = None,
    b_h: Operand | None = None,
) -> Result:
    """One step of `gru`: the new h (N, H) from x (N, I).

    Raises the errors of `rnn`.

    >>> import numpy as np
    >>> gru_cell(np.ones((2, 3)), None, np.ones((3, 12)), np.ones((4, 12))).shape
    (2, 4)
    """
    return _step("gru_cell", "gru", x=x, h=h, W_x=W_x, W_h=W_h, b=b, b_h=b_h)[0]


def rnn_cell_name(operation: str, activation: str) -> str:
    """The name of the cell with an activation. Raises `ArgumentError` unless it is "tanh" or "relu"."""
    if activation not in RNN_CELLS:
        raise ArgumentError(f"{operation}: activation must be 'tanh' or 'relu', not {activation!r}")
    return RNN_CELLS[activation]


def _sequence(operation: str, cell: str, lengths: Any, reverse: bool, **inputs: Any) -> Any:
    x = array_of(operation, inputs["x"])
    if x.ndim != 3:
        raise ShapeError(f"{operation}: x {x.shape} must be (N, T, I): N sequences of T steps; for one write x[None]")
    reverse = checked_flag(operation, "reverse", reverse)
    ends = None if lengths is None else _checked_lengths(operation, lengths, *x.shape[:2])
    return _cell_results(operation, cell, ends, reverse, inputs)


def _step(operation: str, cell: str, **inputs: Any) -> Any:
    x = array_of(operation, inputs["x"])
    if x.ndim != 2:
        raise ShapeError(
            f"{operation}: x {x.shape} must be (N, I), one step; sequences (N, T, I) are for the function of all steps"
        )
    inputs["x"] = reshape(inputs["x"], (len(x), 1, x.shape[1]))
    return _cell_results(operation, cell, None, False, inputs)[1:]


def _cell_results(operation: str, cell: str, lengths: Array | None, reverse: bool, inputs: dict[str, Any]) -> Any:
    filled = _with_zeros(operation, cell, inputs)
    function = FUNCTIONS[cell](cell, tuple(filled), lengths, reverse)
    return function(*filled.values())


def _with_zeros(operation: str, cell: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, with zeros for states and biases that are None. Raises `ShapeError` for shapes that do not fit."""
    arrays = {name: array_of(operation, v) for name, v in inputs.items() if v is not None or name in ("W_x", "W_h")}
    gates, W_x, W_h = CELLS[cell].gates, arrays["W_x"], arrays["W_h"]
    (N, _, inputs_of_x), columns = arrays["x"].shape, W_h.shape[-1] if W_h.ndim else 0
    H = columns // gates
    P = H if "W_p" not in arrays else W_h.shape[0]
    expected = {
        "h": (N, P),
        "c": (N, H),
        "W_x": (inputs_of_x, gates * H),
        "W_h": (P, gates * H),
        "b": (gates * H,),
        "b_h": (H,),
        "W_p": (H, P),
    }
    wrong = [name for name, array in arrays.items() if name != "x" and array.shape != expected[name]]
    if wrong:
        name = wrong[0]
        blocks = f"{gates} gates of H={H} columns" if gates > 1 else f"H={H} columns"
        raise ShapeError(
            f"{operation}: {name} {arrays[name].shape} must be {expected[name]}, for W_h {W_h.shape} with {blocks} and "
            f"x {arrays['x'].shape} with {N} examples of {inputs_of_x} inputs{_transpose_hint(arrays[name].shape, expected[name])}"
        )
    zeros = backend_of(W_x).xp.zeros
    filled = {
        name: zeros(expected[name], W_x.dtype) if value is None else value
        for name, value in inputs.items()
        if value is not None or name != "W_p"
    }
    return filled


def _transpose_hint(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return "; write its transpose" if shape != expected and shape[::-1] == expected else ""


def _checked_lengths(operation: str, lengths: Any, N: int, T: int) -> Array:
    ends = integers_of(operation, "lengths", lengths)
    if ends.shape != (N,):
        raise ShapeError(f"{operation}: lengths {ends.shape} must be ({N},), one for each example")
    if ends.size and (ends.min() < 0 or ends.max() > T):
        wrong = ends[(ends < 0) | (ends > T)][0]
        raise ArgumentError(f"{operation}: length {wrong} is out of range; x has {T} steps")
    return ends


def _weights(given: dict[str, Any]) -> Weights:
    return Weights(given["W_h"], given.get("b_h"), given.get("W_p"))


def _rows(x: Any) -> Any:
    """The steps of all examples as rows: (N, T, K) as (N * T, K)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])

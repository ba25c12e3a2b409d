"""Recurrent cells: the parameters of one layer in one direction, and the computation of one step."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag
from passus.core import Operand, Parameter, Result
from passus.errors import ShapeError
from passus.functions.checks import array_of
from passus.functions.nn.recurrent import rnn_cell_name
from passus.initializers import Initializer, lecun_normal, orthogonal
from passus.kernels.gates import CELLS
from passus.layers.base import Layer
from passus.layers.inputs import in_dtype_of_parameter
from passus.layers.lazy import LazyParameter, resolve_from
from passus.layers.nodes import label
from passus.random import RNG, get_rng

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RecurrentCell"]

States: TypeAlias = tuple[Any, ...]
"""(h,) or (h, c)."""


class RecurrentCell(Layer):
    """The base of the cells. W_x (I, G H) and W_h (P, G H) have a block of H columns for each of G gates."""

    cell: ClassVar[str]
    """The name of its formulas in `passus.kernels.gates.CELLS`."""

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None,
        proj_size: int | None,
        nobias: bool,
        dtype: DTypeLike,
        rng: RNG,
        initializer: Initializer | None,
        recurrent_initializer: Initializer | None,
    ) -> None:
        name = type(self).__name__
        self.hidden_size = checked_count(name, "hidden_size", hidden_size)
        known = None if in_size is None else checked_count(name, "in_size", in_size)
        nobias = checked_flag(
            name, "nobias", nobias, f"; sizes are hidden_size and in_size: {name}({hidden_size}, in_size)"
        )
        rng = None if rng is None else get_rng(rng)
        columns = CELLS[self.cell].gates * self.hidden_size
        self.W_x = LazyParameter((known, columns), initializer or lecun_normal, dtype, rng, name="W_x")
        self.W_h = LazyParameter(
            (proj_size or self.hidden_size, columns), recurrent_initializer or orthogonal, dtype, rng, name="W_h"
        )
        self.b = None if nobias else Parameter(np.zeros(columns, dtype), name="b")

    def run(self, x: Operand, states: States | None, lengths: Any, reverse: bool) -> tuple[Result, States]:
        """The results of all steps (N, T, P), and the final states."""
        raise NotImplementedError

    def step(self, x: Operand, states: States | None) -> States:
        """The states after one step from x (N, I)."""
        raise NotImplementedError

    def _resolved(self, x: Operand) -> Operand:
        """Resolve the parameters, and return the input in their dtype."""
        resolve_from(label(self), x, -1, self.W_x)
        self._check_order(array_of(label(self), x).shape)
        return in_dtype_of_parameter(self, x, self.W_x)

    def _check_order(self, shape: tuple[int, ...]) -> None:
        """Raise `ShapeError` if the input fits ``hidden_size`` instead of ``in_size``: sizes in the order of PyTorch."""
        in_size, H = self.W_x.shape[0], self.hidden_size
        if shape and shape[-1] == H != in_size:
            name = type(self).__name__.removesuffix("Cell")
            raise ShapeError(
                f"{name.lower()}: x {shape} has {H} inputs, but W_x {self.W_x.shape} has {in_size}. The order is "
                f"{name}(hidden_size, in_size): PyTorch's {name}({H}, {in_size}) is {name}({in_size}, {H}) here, or "
                f"{name}({in_size}), which infers the input size"
            )


class RNNCell(RecurrentCell):
    """One step of the Elman network: ``h = activation(x @ W_x + h @ W_h + b)``.

    ``hidden_size``: H. ``in_size``: I; inferred on the first call by default. ``activation``: "tanh" or "relu".
    ``nobias``: no b. ``initializer``: of W_x, `lecun_normal` by default. ``recurrent_initializer``: of W_h,
    `orthogonal` by default. b starts at 0. A call takes x (N, I) and h (N, H), None for zeros, and returns the new h.

    Raises `ShapeError` for inputs and states of other shapes, `ArgumentError` for another activation.

    >>> cell = RNNCell(4, rng=0)
    >>> h = cell(np.ones((2, 3), np.float32))
    >>> cell(np.ones((2, 3), np.float32), h).shape
    (2, 4)
    """

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        activation: str = "tanh",
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        rnn_cell_name("RNNCell", activation)
        super().__init__(hidden_size, in_size, None, nobias, dtype, rng, initializer, recurrent_initializer)
        self.activation = activation

    cell = "rnn_tanh"  # "rnn_relu" has the same number of gates.

    def forward(self, x: Operand, h: Operand | None = None) -> Result:
        return self.step(x, (h,))[0]

    def step(self, x: Operand, states: States | None) -> States:
        x = self._resolved(x)
        (h,) = states or (None,)
        return (F.rnn_cell(x, h, self.W_x, self.W_h, self.b, self.activation),)

    def run(self, x: Operand, states: States | None, lengths: Any, reverse: bool) -> tuple[Result, States]:
        x = self._resolved(x)
        (h,) = states or (None,)
        y, h = F.rnn(x, h, self.W_x, self.W_h, self.b, self.activation, lengths, reverse)
        return y, (h,)


class LSTMCell(RecurrentCell):
    """One step of long short-term memory, as in `passus.functions.lstm`.

    ``proj_size``: P, the size of h after a projection ``h @ W_p``; None for no projection, P = H. b starts at 0, and at
    1 for the forget gate, so that untrained cells remember (Jozefowicz et al., 2015). Other options: see `RNNCell`. A
    call takes x (N, I) and a state, a pair of h (N, P) and c (N, H) or None for zeros, and returns the new state.

    Raises `ShapeError` for inputs and states of other shapes.

    >>> cell = LSTMCell(4, rng=0)
    >>> state = cell(np.ones((2, 3), np.float32))
    >>> h, c = cell(np.ones((2, 3), np.float32), state)
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    cell = "lstm"

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        proj_size: int | None = None,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        self.proj_size = None if proj_size is None else checked_count("LSTMCell", "proj_size", proj_size)
        rng = None if rng is None else get_rng(rng)
        super().__init__(hidden_size, in_size, self.proj_size, nobias, dtype, rng, initializer, recurrent_initializer)
        if self.b is not None:
            H = self.hidden_size
            self.b.data[H : 2 * H] = 1
        self.W_p = (
            None
            if self.proj_size is None
            else LazyParameter((self.hidden_size, self.proj_size), initializer or lecun_normal, dtype, rng, name="W_p")
        )

    def forward(self, x: Operand, state: States | None = None) -> States:
        return self.step(x, None if state is None else pair("lstmcell", state))

    def step(self, x: Operand, states: States | None) -> States:
        x = self._resolved(x)
        h, c = states or (None, None)
        return F.lstm_cell(x, h, c, self.W_x, self.W_h, self.b, self.W_p)

    def run(self, x: Operand, states: States | None, lengths: Any, reverse: bool) -> tuple[Result, States]:
        x = self._resolved(x)
        h, c = states or (None, None)
        y, h, c = F.lstm(x, h, c, self.W_x, self.W_h, self.b, self.W_p, lengths, reverse)
        return y, (h, c)


class GRUCell(RecurrentCell):
    """One step of the gated recurrent unit, as in `passus.functions.gru`.

    The candidate has a separate bias inside the reset gate, b_h (H,), as in PyTorch. Options: see `RNNCell`. A call
    takes x (N, I) and h (N, H), None for zeros, and returns the new h.

    Raises `ShapeError` for inputs and states of other shapes.

    >>> cell = GRUCell(4, rng=0)
    >>> cell(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    cell = "gru"

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        super().__init__(hidden_size, in_size, None, nobias, dtype, rng, initializer, recurrent_initializer)
        self.b_h = None if self.b is None else Parameter(np.zeros(self.hidden_size, dtype), name="b_h")

    def forward(self, x: Operand, h: Operand | None = None) -> Result:
        return self.step(x, (h,))[0]

    def step(self, x: Operand, states: States | None) -> States:
        x = self._resolved(x)
        (h,) = states or (None,)
        return (F.gru_cell(x, h, self.W_x, self.W_h, self.b, self.b_h),)

    def run(self, x: Operand, states: States | None, lengths: Any, reverse: bool) -> tuple[Result, States]:
        x = self._resolved(x)
        (h,) = states or (None,)
        y, h = F.gru(x, h, self.W_x, self.W_h, self.b, self.b_h, lengths, reverse)
        return y, (h,)


def pair(operation: str, state: Any) -> States:
    """The state (h, c) of an LSTM. Raises `ShapeError` unless it is a pair."""
    if not isinstance(state, (tuple, list)) or len(state) != 2:
        raise ShapeError(f"{operation}: the state of an LSTM is a pair (h, c); give both, None for zeros")
    return tuple(state)

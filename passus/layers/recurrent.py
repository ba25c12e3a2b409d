"""Recurrent layers: stacked cells, in one or both directions, over whole sequences or step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag, checked_number
from passus.core import Operand
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import array_of
from passus.initializers import Initializer
from passus.layers.base import Layer
from passus.layers.cells import GRUCell, LSTMCell, RecurrentCell, RNNCell, States, pair
from passus.layers.nodes import label
from passus.random import RNG, get_rng

__all__ = ["GRU", "LSTM", "RNN"]


class Recurrent(Layer):
    """The base of the recurrent layers. Their cells are ``l0``, ``l0_reverse``, ``l1``, and so on."""

    cell: ClassVar[type[RecurrentCell]]
    has_c: ClassVar[bool] = False
    _carried: tuple[str, ...] = ("h",)

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        rng: RNG,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        self.hidden_size = checked_count(name, "hidden_size", hidden_size)
        self.num_layers = checked_count(name, "num_layers", num_layers)
        self.bidirectional = checked_flag(name, "bidirectional", bidirectional)
        self.dropout = checked_number(name, "dropout", dropout, 0.0, 1.0)
        if self.dropout and num_layers == 1:
            raise ArgumentError(
                f"{name}: dropout acts between layers, and num_layers is 1; for its result add L.Dropout"
            )
        rng = None if rng is None else get_rng(rng)
        self.rng = rng if self.dropout else None
        self.h: Any = None
        self.c: Any = None
        self._names = [f"l{i}{end}" for i in range(num_layers) for end in ("", "_reverse")[: self._directions]]
        size = in_size
        for i, cell in enumerate(self._names):
            if i == self._directions:
                size = self._directions * self._out_size(options)
            setattr(self, cell, self.cell(hidden_size, size, rng=rng, **options))

    def forward(self, x: Operand, state: Any = None, lengths: Any = None, return_state: bool = False) -> Any:
        name = label(self)
        shape = array_of(name, x).shape
        if len(shape) not in (2, 3):
            raise ShapeError(f"{name}: x {shape} must be one step (N, I) or sequences (N, T, I)")
        returned = checked_flag(name, "return_state", return_state) or state is not None
        if len(shape) == 3:
            y, new = self._sequence(x, self._unpacked(state, shape[0]), lengths)
            return (y, self._packed(new)) if returned else y
        if self.bidirectional:
            raise ShapeError(
                f"{name}: x {shape} is one step, and the other direction needs all; give sequences (N, T, I)"
            )
        if lengths is not None:
            raise ArgumentError(f"{name}: lengths belong to sequences (N, T, I), and x {shape} is one step")
        if returned:
            y, new = self._step(x, self._unpacked(state, shape[0]))
            return y, self._packed(new)
        y, new = self._step(x, self._unpacked(self._carried_state(shape), shape[0]))
        self._carry(*self._stacked(new), *[None] * (not self.has_c))
        return y

    def reset_state(self) -> None:
        """Begin a new sequence: the next step (N, I) starts from zeros."""
        self._carry(None, None)

    def _carry(self, h: Any, c: Any) -> None:
        self.h, self.c = h, c

    def _carried_state(self, shape: tuple[int, ...]) -> Any:
        """The state after the last step. Raises `ShapeError` if it belongs to a batch of another size."""
        if self.h is None:
            return None
        batch = self.h.shape[-2]
        if batch != shape[0]:
            raise ShapeError(
                f"{label(self)}: x {shape} has {shape[0]} examples, and the state is that of {batch}; call reset_state() before "
                "the first step of other sequences"
            )
        return (self.h, self.c) if self.has_c else self.h

    def _sequence(self, x: Any, states: list[States | None], lengths: Any) -> tuple[Any, list[States]]:
        new: list[States] = []
        for layer, cells in enumerate(self._layers()):
            x = self._dropped(x) if layer else x
            ys = []
            for k, cell in enumerate(cells):
                y, last = cell.run(x, states[len(new)], lengths, reverse=k == 1)
                ys.append(y)
                new.append(last)
            x = ys[0] if len(ys) == 1 else F.concatenate(ys, axis=2)
        return x, new

    def _step(self, x: Any, states: list[States | None]) -> tuple[Any, list[States]]:
        new: list[States] = []
        for layer, (cell,) in enumerate(self._layers()):
            new.append(cell.step(self._dropped(x) if layer else x, states[layer]))
            x = new[-1][0]
        return x, new

    def _layers(self) -> list[list[RecurrentCell]]:
        cells = [getattr(self, name) for name in self._names]
        return [cells[i : i + self._directions] for i in range(0, len(cells), self._directions)]

    def _dropped(self, x: Any) -> Any:
        return F.dropout(x, self.dropout, self.rng) if self.dropout else x

    def _unpacked(self, state: Any, N: int) -> list[States | None]:
        """The state of each cell, from h (N, P), or (cells, N, P) for several cells; c likewise."""
        count = len(self._names)
        if state is None:
            return [None] * count
        arrays = pair(label(self), state) if self.has_c else (state,)
        for (name, expected), array in zip(self._state_shapes(N).items(), arrays):
            if array is not None and array_of(label(self), array).shape != expected:
                raise ShapeError(
                    f"{label(self)}: the initial {name} {array_of(label(self), array).shape} must be {expected}: "
                    + ("(N, size)" if count == 1 else f"(layers * directions, N, size), here {count} cells")
                )
        if count == 1:
            return [arrays]
        return [tuple([None if array is None else array[i] for array in arrays]) for i in range(count)]

    def _state_shapes(self, N: int | str) -> dict[str, tuple[Any, ...]]:
        """The shapes of h and c."""
        count = len(self._names)
        sizes = {"h": self._out_size(vars(self)), "c": self.hidden_size}
        return {name: (N, sizes[name]) if count == 1 else (count, N, sizes[name]) for name in self._carried}

    def _carried_faults(self, values: Mapping[str, Any]) -> dict[str, str]:
        arrays = {name: array for name, array in values.items() if array is not None}
        batches = {array.shape[-2] if array.ndim > 1 else None for array in arrays.values()}
        N = batches.pop() if len(batches) == 1 else "N"
        faults = {
            name: f"{array.shape} instead of ({', '.join(map(str, shape))})"
            for name, shape in self._state_shapes(N or "N").items()
            if (array := arrays.get(name)) is not None and array.shape != shape
        }
        missing = [name for name in self._carried if arrays and name not in arrays]
        return faults or {name: f"is missing beside {' and '.join(arrays)}" for name in missing}

    def _packed(self, states: list[States]) -> Any:
        """A state as users pass it: h, or (h, c)."""
        stacked = self._stacked(states)
        return stacked if self.has_c else stacked[0]

    def _stacked(self, states: list[States]) -> States:
        return states[0] if len(states) == 1 else tuple([F.stack(arrays) for arrays in zip(*states)])

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _out_size(self, options: Any) -> int:
        return options.get("proj_size") or self.hidden_size


class RNN(Recurrent):
    """A recurrent layer of tanh or relu units: ``h = activation(x @ W_x + h @ W_h + b)`` at each step.

    A call with sequences (N, T, I) returns the results of all steps (N, T, H). The initial state is zero, or ``state``.
    ``layer(x, state)`` and ``layer(x, return_state=True)`` return the results and the final state, which can be passed
    to the next call. The layer carries no state after such a call. ``lengths``: the number of steps of each example,
    see `passus.functions.rnn`.

    A call with one step (N, I) returns h (N, H) and carries it to the next step, as in DeZero. Call ``reset_state()``
    before a new sequence, and ``loss.unchain_backward()`` to truncate backpropagation. A step with ``state`` or
    ``return_state=True`` leaves the carried state unchanged. That state, the attribute ``h``, is part of `state_dict`,
    so that a run resumes in the middle of a sequence, but not of files of weights.

    ``hidden_size``: H. ``in_size``: I; inferred on the first call by default. ``num_layers``: the number of stacked
    layers. ``bidirectional``: each layer also reads the sequences in reverse, and results are (N, T, 2 H), forward
    direction first. A state is h (N, H), or (num_layers * directions, N, H) for several cells, ordered by layer,
    forward direction first. ``dropout``: the probability of dropping results between layers in training.
    ``activation``: "tanh" or "relu". Other options: see `RNNCell`.

    Raises `ShapeError` for inputs and states of other shapes, and for a batch of another size than that of the carried
    state; `ArgumentError` for options out of range. Source: Elman, 1990, "Finding structure in time".

    >>> layer = RNN(4, rng=0)
    >>> x = np.ones((2, 5, 3), np.float32)
    >>> layer(x).shape
    (2, 5, 4)
    >>> y, h = layer(x, return_state=True)
    >>> bool((y.data[:, -1] == h.data).all())
    True
    >>> layer(x[:, 0]).shape, layer.h.shape
    ((2, 4), (2, 4))
    """

    cell = RNNCell

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        activation: str = "tanh",
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        super().__init__(
            hidden_size,
            in_size,
            num_layers,
            bidirectional,
            dropout,
            rng,
            activation=activation,
            nobias=nobias,
            dtype=dtype,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
        )


class LSTM(Recurrent):
    """A layer of long short-term memory, as in `passus.functions.lstm`.

    ``proj_size``: P, the size of h after a projection; results are (N, T, P). A state is a pair of h (N, P) and c (N,
    H), and both are carried from step to step. The bias of the forget gate starts at 1. Otherwise see `RNN`.

    Raises what `RNN` raises. Source: Hochreiter and Schmidhuber, 1997, "Long short-term memory".

    >>> layer = LSTM(4, num_layers=2, bidirectional=True, rng=0)
    >>> y, (h, c) = layer(np.ones((2, 5, 3), np.float32), return_state=True)
    >>> y.shape, h.shape, c.shape
    ((2, 5, 8), (4, 2, 4), (4, 2, 4))
    """

    cell = LSTMCell
    has_c = True
    _carried = ("h", "c")

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        proj_size: int | None = None,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        self.proj_size = None if proj_size is None else checked_count("LSTM", "proj_size", proj_size)
        super().__init__(
            hidden_size,
            in_size,
            num_layers,
            bidirectional,
            dropout,
            rng,
            proj_size=proj_size,
            nobias=nobias,
            dtype=dtype,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
        )


class GRU(Recurrent):
    """A layer of gated recurrent units, as in `passus.functions.gru`. Otherwise see `RNN`.

    Raises what `RNN` raises. Source: Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder".

    >>> layer = GRU(4, rng=0)
    >>> layer(np.ones((2, 5, 3), np.float32), lengths=[5, 2]).shape
    (2, 5, 4)
    """

    cell = GRUCell

    def __init__(
        self,
        hidden_size: int,
        in_size: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
        initializer: Initializer | None = None,
        recurrent_initializer: Initializer | None = None,
    ) -> None:
        super().__init__(
            hidden_size,
            in_size,
            num_layers,
            bidirectional,
            dropout,
            rng,
            nobias=nobias,
            dtype=dtype,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
        )

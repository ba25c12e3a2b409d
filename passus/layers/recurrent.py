"""Recurrent layers: cells on top of each other, in one direction or both, over whole sequences or step by step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
from passus.layers.parts import label
from passus.layers.undo import if_this_call_fails
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
        y, new = self._step(x, self._unpacked(self._kept(shape), shape[0]))
        if_this_call_fails(partial(self._keep, self.h, self.c))
        self._keep(*self._joined(new), *[None] * (not self.has_c))
        return y

    def reset_state(self) -> None:
        """Begin a new sequence: the next step (N, I) starts from zeros."""
        self._keep(None, None)

    def _keep(self, h: Any, c: Any) -> None:
        self.h, self.c = h, c

    def _kept(self, shape: tuple[int, ...]) -> Any:
        """The state that the last step left. Raises `ShapeError` if that was of another batch."""
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
        """The state of each cell, from (N, P), or of several cells (cells, N, P)."""
        count = len(self._names)
        if state is None:
            return [None] * count
        parts = pair(label(self), state) if self.has_c else (state,)
        for (called, expected), part in zip(self._state_shapes(N).items(), parts):
            if part is not None and array_of(label(self), part).shape != expected:
                raise ShapeError(
                    f"{label(self)}: the initial {called} {array_of(label(self), part).shape} must be {expected}: "
                    + ("(N, size)" if count == 1 else f"(layers * directions, N, size), here {count} cells")
                )
        if count == 1:
            return [parts]
        return [tuple([None if part is None else part[i] for part in parts]) for i in range(count)]

    def _state_shapes(self, N: int | str) -> dict[str, tuple[Any, ...]]:
        """The shape of each part of a state."""
        count = len(self._names)
        sizes = {"h": self._out_size(vars(self)), "c": self.hidden_size}
        return {called: (N, sizes[called]) if count == 1 else (count, N, sizes[called]) for called in self._carried}

    def _misfits(self, kept: Mapping[str, Any]) -> dict[str, str]:
        parts = {called: part for called, part in kept.items() if part is not None}
        batches = {part.shape[-2] if part.ndim > 1 else None for part in parts.values()}
        N = batches.pop() if len(batches) == 1 else "N"
        faults = {
            called: f"{part.shape} instead of ({', '.join(map(str, shape))})"
            for called, shape in self._state_shapes(N or "N").items()
            if (part := parts.get(called)) is not None and part.shape != shape
        }
        missing = [called for called in self._carried if parts and called not in parts]
        return faults or {called: f"is missing beside {' and '.join(parts)}" for called in missing}

    def _packed(self, states: list[States]) -> Any:
        """A state in the form in which it is given: h, or (h, c)."""
        joined = self._joined(states)
        return joined if self.has_c else joined[0]

    def _joined(self, states: list[States]) -> States:
        return states[0] if len(states) == 1 else tuple([F.stack(parts) for parts in zip(*states)])

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _out_size(self, options: Any) -> int:
        return options.get("proj_size") or self.hidden_size


class RNN(Recurrent):
    """A recurrent layer of tanh or relu units: ``h = activation(x @ W_x + h @ W_h + b)`` at each step.

    Called with sequences (N, T, I) it returns the results of all steps (N, T, H). They start at zeros, or at ``state``;
    ``layer(x, state)`` and ``layer(x, return_state=True)`` return the pair of results and final state, which the next call may
    be given. The layer itself remembers nothing of such a call. ``lengths``: the number of steps of each example, as in
    `passus.functions.rnn`.

    Called with one step (N, I) it returns h (N, H), and keeps it for the next step, as in DeZero: ``reset_state()`` before a new
    sequence, and ``loss.unchain_backward()`` where backpropagation is to end. With a ``state``, or ``return_state=True``, a single
    step does not touch the kept one either. What is kept, the attribute ``h``, is part of `state_dict`, so that a run
    resumes in the middle of a sequence, but not of files of weights.

    ``hidden_size``: H. ``in_size``: I; inferred on the first call if left out. ``num_layers``: how many layers are on top of each
    other. ``bidirectional``: each layer also reads from the end to the beginning, and results are (N, T, 2 H), both directions side
    by side. A state is h (N, H); with several cells (num_layers * directions, N, H), in the order of the layers and the
    forward direction first. ``dropout``: the probability with which results between layers are set to 0 in training.
    ``activation``: "tanh" or "relu". Other options as for `RNNCell`.

    Raises `ShapeError` for inputs and states of other shapes, a batch of another size than that of the kept state among them,
    `ArgumentError` for options out of range. Source: Elman, 1990, "Finding structure in time".

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

    ``proj_size``: P, the size of h with a projection; results are (N, T, P). A state is a pair of h (N, P) and c (N, H); of a single
    step (N, I), both are kept. The bias of the forget gate starts at 1. All else is as for `RNN`.

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
    """A layer of gated recurrent units, as in `passus.functions.gru`. All else is as for `RNN`.

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

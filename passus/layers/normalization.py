"""Layers that normalise to mean 0 and variance 1, with a learnt scale and shift."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.config import train
from passus.core import Operand, Result
from passus.initializers import ones, zeros
from passus.layers.base import Layer
from passus.layers.lazy import LazyParameter, length
from passus.layers.undo import if_this_call_fails

__all__ = ["BatchNorm", "LayerNorm"]


class BatchNorm(Layer):
    """Normalisation of each channel over the batch: (N, C, ...) to the same shape.

    In training the statistics are those of the batch, and ``avg_mean`` and ``avg_var`` follow them by
    ``avg = decay * avg + (1 - decay) * batch``; under `test_mode` these averages are used. ``in_size``: C; left out,
    the first call tells it.

    Raises `ShapeError` for an input without channels, or of another number of them.
    Source: Ioffe and Szegedy, 2015, "Batch normalization".

    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> print(BatchNorm()(x).data.round(3).tolist())
    [[-1.0], [1.0]]
    """

    def __init__(
        self, decay: float = 0.9, eps: float = 2e-5, dtype: DTypeLike = np.float32, in_size: int | None = None
    ) -> None:
        self.decay = checked_number("BatchNorm", "decay", decay, 0.0, 1.0)
        self.eps = checked_number("BatchNorm", "eps", eps)
        self.gamma, self.beta = _scale_and_shift("BatchNorm", in_size, dtype)
        self.register_buffer("avg_mean", None, self.gamma.spec)
        self.register_buffer("avg_var", None, self.gamma.spec)
        if in_size is not None:
            self._start_averages()

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None:
            channels = length("batch_norm", x, 1)
            self.gamma.resolve(channels)
            self.beta.resolve(channels)
            self._start_averages()
            if_this_call_fails(partial(self._set_averages, None, None))
        elif train.get():
            if_this_call_fails(partial(self._set_averages, self.avg_mean.copy(), self.avg_var.copy()))
        return F.batch_norm(x, self.gamma, self.beta, self.avg_mean, self.avg_var, self.decay, self.eps)

    def _start_averages(self) -> None:
        self.avg_mean = np.zeros_like(self.gamma._data)
        self.avg_var = np.ones_like(self.gamma._data)

    def _set_averages(self, mean: Array | None, var: Array | None) -> None:
        self.avg_mean, self.avg_var = mean, var


class LayerNorm(Layer):
    """Normalisation of each example over its last axis: (..., D) to the same shape.

    ``in_size``: D; left out, the first call tells it. Raises `ShapeError` for an input of another size.
    Source: Ba, Kiros and Hinton, 2016, "Layer normalization".

    >>> x = np.array([[1.0, 3.0]], np.float32)
    >>> print(LayerNorm()(x).data.round(3).tolist())
    [[-1.0, 1.0]]
    """

    def __init__(self, in_size: int | None = None, eps: float = 1e-5, dtype: DTypeLike = np.float32) -> None:
        self.eps = checked_number("LayerNorm", "eps", eps)
        self.gamma, self.beta = _scale_and_shift("LayerNorm", in_size, dtype)

    def forward(self, x: Operand) -> Result:
        if self.gamma._data is None:
            size = length("layer_norm", x, -1)
            self.gamma.resolve(size)
            self.beta.resolve(size)
        return F.layer_norm(x, self.gamma, self.beta, self.eps)


def _scale_and_shift(layer: str, size: int | None, dtype: DTypeLike) -> tuple[LazyParameter, LazyParameter]:
    shape = (None if size is None else checked_count(layer, "in_size", size),)
    return LazyParameter(shape, ones, dtype, name="gamma"), LazyParameter(shape, zeros, dtype, name="beta")

"""Batch normalization with running averages of the statistics."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_flag, checked_number
from passus.backend import Array, backend_of, writable
from passus.config import train
from passus.core import Operand, Result
from passus.errors import ArgumentError
from passus.functions.checks import limits_of
from passus.layers.base import Layer
from passus.layers.inputs import check_channels_second, in_dtype_of_parameter
from passus.layers.lazy import resolve_from
from passus.layers.normalization import scale_and_shift
from passus.layers.undo import on_failure

__all__ = ["BatchNorm"]


class BatchNorm(Layer):
    """Normalization of each channel over the batch: (N, C, ...) to the same shape.

    Training uses the statistics of the batch and updates the running averages ``avg_mean`` and ``avg_var`` by
    ``avg = decay * avg + (1 - decay) * batch``. `test_mode` uses the averages. ``in_size``: C; inferred on the first call by
    default. ``frozen``: use the averages in training, too, without updating them, as in fine-tuning with small batches.
    It can be changed at any time; gamma and beta are still trained. `freeze` stops that as well, and `unfreeze`
    restores ``frozen``. ``activation``: "relu" or "relu6", computed in the same pass through memory.

    Raises `ShapeError` for an input without channels or with another number of channels, `ArgumentError` for another
    activation.
    Source: Ioffe and Szegedy, 2015, "Batch normalization".

    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> layer = BatchNorm()
    >>> print(layer(x).data.round(3).tolist())
    [[-1.0], [1.0]]
    >>> layer.frozen = True
    >>> print(layer.avg_mean, layer.avg_var, layer(x).data.round(3).T)
    [0.2] [1.1] [[0.763 2.67 ]]
    """

    def __init__(
        self,
        decay: float = 0.9,
        eps: float = 2e-5,
        dtype: DTypeLike = np.float32,
        in_size: int | None = None,
        frozen: bool = False,
        activation: str | None = None,
    ) -> None:
        if isinstance(decay, (int, np.integer)) and decay > 0:
            raise ArgumentError(
                f"BatchNorm: decay is {decay!r}; it must be less than 1. For {decay} channels write BatchNorm(), "
                f"which infers their number, or BatchNorm(in_size={decay})"
            )
        self.decay = checked_number("BatchNorm", "decay", decay, 0.0, 1.0)
        self.eps = checked_number("BatchNorm", "eps", eps)
        self.frozen, self.activation = checked_flag("BatchNorm", "frozen", frozen), activation
        self._frozen_before: bool | None = None
        limits_of("BatchNorm", activation)
        self.gamma, self.beta = scale_and_shift("BatchNorm", in_size, dtype)
        self.avg_mean: Any = None
        self.avg_var: Any = None
        self.register_buffer("avg_mean", None, self.gamma.spec)
        self.register_buffer("avg_var", None, self.gamma.spec)
        if in_size is not None:
            self._start_averages()

    def forward(self, x: Operand) -> Result:
        mean, var = self.avg_mean, self.avg_var
        lazy = mean is None or var is None or self.gamma._data is None or self.beta._data is None
        if lazy or (train.get() and not self.frozen):
            before = [None if average is None else average.copy() for average in (mean, var)]
            on_failure(partial(self._set_averages, *before))
        if lazy:
            check_channels_second("BatchNorm", x)
            resolve_from("batch_norm", x, 1, self.gamma, self.beta)
            self._start_averages()
        x = in_dtype_of_parameter(self, x, self.gamma)
        parameters = x, self.gamma, self.beta
        if self.frozen:
            return F.fixed_batch_norm(*parameters, self.avg_mean, self.avg_var, self.eps, self.activation)
        mean, var = (writable(getattr(self, name), partial(setattr, self, name)) for name in ("avg_mean", "avg_var"))
        return F.batch_norm(*parameters, mean, var, self.decay, self.eps, self.activation)

    def freeze_statistics(self, frozen: bool) -> None:
        """Set ``frozen`` (True), or restore its earlier value (False)."""
        if self._frozen_before is None and frozen:
            self._frozen_before, self.frozen = self.frozen, True
        elif self._frozen_before is not None and not frozen:
            self.frozen = self._frozen_before
            self._frozen_before = None

    def _start_averages(self) -> None:
        if self.avg_mean is None:
            self.avg_mean = backend_of(self.gamma._data).xp.zeros_like(self.gamma._data)
        if self.avg_var is None:
            self.avg_var = backend_of(self.gamma._data).xp.ones_like(self.gamma._data)

    def _set_averages(self, mean: Array | None, var: Array | None) -> None:
        self.avg_mean, self.avg_var = mean, var

"""Scaled dot-product attention."""

from __future__ import annotations

import math
import sys
from typing import Any, ClassVar

import numpy as np

from passus.answers import answering
from passus.arguments import checked_flag, checked_fraction, checked_number
from passus.backend import Array, Backend, backend_of
from passus.backend.trace import is_numpy, operation, writing
from passus.config import train
from passus.core import HALF, INTEGERS, Function, Operand, Result, Variable, astype
from passus.core.replay import replayed
from passus.errors import DTypeError, ShapeError
from passus.functions.arrays.shapes import reshape
from passus.functions.checks import array_of
from passus.functions.nn.composed_attention import composed_attention
from passus.kernels.attention import Dropping, Settings, attention, attention_gradients
from passus.random import RNG, get_rng

__all__ = ["ScaledDotProductAttention", "scaled_dot_product_attention"]

NAME = "scaled_dot_product_attention"

BITS = 32
"""The number of random bits per weight for dropout."""


class ScaledDotProductAttention(Function):
    """Attention of q, k, v and an optional floating-point mask, whose leading axes broadcast."""

    upcast_dtypes = HALF + INTEGERS

    constants: ClassVar[tuple[str, ...]] = ("lse",)  # Read in an ordinary pass only.

    lse: Array

    def __init__(self, settings: Settings, mask: Array | None) -> None:
        self.settings, self.mask = settings, mask  # A boolean mask.

    def forward(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        y, self.lse = attention(q, k, v, self.mask if mask is None else mask, self.settings)
        return y

    def backward(self, gy: Any) -> Any:
        of_mask = self.needs[3:]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.recording or any(of_mask):
                return replayed(self._composed, self.operands, [gy], self.recording)
            q, k, v, *added = (self.saved(v) for v in self.operands)
            mask = added[0] if added else self.mask
            y = self.saved(self.output)
            gxs = attention_gradients(gy, q, k, v, mask, y, self.lse, self.settings)
        return (*[gx if needs else None for gx, needs in zip(gxs, self.needs)], *[None for _ in added])

    def _composed(self, q: Any, k: Any, v: Any, mask: Any = None) -> tuple[Any]:
        return (composed_attention(self.settings, self.mask if mask is None else mask, q, k, v),)


@answering
def scaled_dot_product_attention(
    q: Operand,
    k: Operand,
    v: Operand,
    mask: Operand | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    rng: RNG = None,
) -> Result:
    """For each query, the mean of the values weighted by ``softmax(scale * q @ k.T + mask)``.

    ``q``: (..., H, T_q, D), ``k``: (..., H, T_k, D), ``v``: (..., H, T_k, Dv); the result is (..., H, T_q, Dv). ``k``
    and ``v`` have the same leading axes (or none), which broadcast with those of ``q``. Grouped queries: ``k`` and
    ``v`` may have fewer heads, on axis -3, each of which is shared by consecutive heads of ``q``.

    ``mask``: broadcasts to (..., H, T_q, T_k). A boolean mask is True where a query may attend to a key; a
    floating-point mask is added to the scores, and has a gradient if it is a Variable. ``is_causal``: query i attends
    to keys up to ``i + T_k - T_q``, so the last query attends to all keys, as with a cache of earlier keys; it combines
    with ``mask``. A query whose keys are all masked, or whose scores are all -inf, gives 0 with gradient 0. Masked keys
    and values have no effect, even if they are infinite or NaN.

    ``scale``: ``1 / sqrt(D)`` by default. ``dropout``: the probability, from 0 to 1, with which weights are set to 0 in
    training; the others are divided by ``1 - dropout``. ``rng``: see `passus.random.get_rng`.

    Memory is linear in T_q and T_k, except for the gradient of a mask and second derivatives, which need all weights.

    Raises `ShapeError` for shapes that do not fit, `DTypeError` for a mask of integers, `ArgumentError` for a
    probability out of range or a scale that is not finite. Sources: Vaswani et al., 2017, "Attention is all you need";
    Dao et al., 2022, "FlashAttention: fast and memory-efficient exact attention with IO-awareness".

    >>> import numpy as np
    >>> q, k, v = np.zeros((2, 1)), np.zeros((2, 1)), np.array([[1.0], [3.0]])
    >>> scaled_dot_product_attention(q, k, v, is_causal=True)
    array([[1.],
           [2.]])
    """
    arrays = array_of(NAME, q), array_of(NAME, k), array_of(NAME, v)
    shape, of_keys, of_values = [x.shape for x in arrays]
    lead, groups = _leading_axes(shape, of_keys, of_values)
    is_causal, dropout = checked_flag(NAME, "is_causal", is_causal), checked_fraction(NAME, "dropout", dropout)
    if scale is None:
        scale = 1 / math.sqrt(max(shape[-1], 1))
    else:
        scale = checked_number(NAME, "scale", scale, low=-sys.float_info.max)
    bias = dropping = None
    if mask is not None:
        bias, mask = _masks(mask, (*lead, shape[-2], of_keys[-2]), np.result_type(*[x.dtype for x in arrays]))
    if dropout and train.get():
        dropping = _dropping(backend_of(*arrays), dropout, get_rng(rng), (*lead, shape[-2], of_keys[-2]))
    if groups > 1:
        q, k, v = _grouped(q, groups), _expanded(k), _expanded(v)
        mask, bias = _grouped_mask(mask, groups), _grouped_mask(bias, groups)
        if dropping is not None:
            dropping = dropping._replace(rows=_grouped(dropping.rows, groups))
    function = ScaledDotProductAttention(Settings(scale, is_causal, dropping), mask)
    y = function(q, k, v) if bias is None else function(q, k, v, bias)
    return y if groups == 1 else reshape(y, (*lead, *y.shape[-2:]))


@operation
@writing(3, 4)
def cached_attention(
    q: Array, k: Array, v: Array, keys: Array, values: Array, length: Array, mask: Array | None, is_causal: bool
) -> Array:
    """Attention of new queries (..., H, T, D) to the cached positions and to the new ones, without gradient.

    ``k`` and ``v``, of the new positions, are written into ``keys`` and ``values`` (..., S, D) from ``length`` on, an array
    without axes: in a recorded step it is another one in each run. ``mask`` (..., T or 1, S) is for all positions.

    >>> q, keys = np.ones((1, 1, 2)), np.zeros((1, 4, 2))
    >>> cached_attention(q, q, q, keys, keys.copy(), np.array(1), None, True).round(3)
    array([[[0.804, 0.804]]])
    >>> keys[0, :, 0]
    array([0., 1., 0., 0.])
    """
    start, dtype = int(length), q.dtype
    end = start + q.shape[-2]
    for cached, new in ((keys, k), (values, v)):
        cached[..., start:end, :] = new
    k, v = keys[..., :end, :], values[..., :end, :]
    if dtype.char in HALF:
        q, k, v = [x.astype(np.float32) for x in (q, k, v)]
    if mask is not None:
        mask = mask[..., :end] if mask.shape[-1] > 1 else mask
        mask = mask if mask.dtype.kind == "b" else mask.astype(q.dtype, copy=False)
    lead, groups = _leading_axes(q.shape, k.shape, v.shape)
    if groups > 1:
        q, k, v, mask = _grouped(q, groups), _expanded(k), _expanded(v), _grouped_mask(mask, groups)
    y, _ = attention(q, k, v, mask, Settings(1 / math.sqrt(q.shape[-1]), is_causal))
    return np.asarray(y.reshape(*lead, *y.shape[-2:]).astype(dtype, copy=False))


def _leading_axes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The leading axes of the result, and the number of heads of q per head of k and v."""
    problem = ""
    if k[:-1] == v[:-1] and q[:-2] == k[:-2] and q[-1:] == k[-1:] and len(q) == len(k) > 1:
        return q[:-2], 1  # The usual case, checked fast.
    if min(len(q), len(k), len(v)) < 2:
        problem = "each needs the axes (..., T, D); for one vector write x[None]"
    elif q[-1] != k[-1]:
        problem = "q and k must have the same number of features, their last axis"
    elif k[:-1] != v[:-1]:
        problem = "k and v must be alike but for their last axis; broadcast the leading axes of one with F.broadcast_to"
    else:
        groups = 1
        outer, heads = k[:-2], k[-3] if len(k) > 2 else 1
        if len(q) > 2 and heads > 1 and q[-3] > heads and q[-3] % heads == 0:
            groups, outer = q[-3] // heads, (*k[:-3], q[-3])
        try:
            return np.broadcast_shapes(q[:-2], outer), groups
        except ValueError:
            problem = (
                "the leading axes do not broadcast; heads, axis -3, of q must be a multiple of those of k and v, and all "
                "others equal, or 1"
            )
    raise ShapeError(f"{NAME}: q {q}, k {k} and v {v} do not fit: {problem}")


def _masks(mask: Any, scores: tuple[int, ...], dtype: Any) -> tuple[Any, Array | None]:
    """The floating-point mask, added to the scores, and the boolean mask; one of them is None."""
    array = array_of(NAME, mask)
    try:
        fits = np.broadcast_shapes(array.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{NAME}: mask {array.shape} does not broadcast to the shape of the scores, {scores}")
    if array.ndim < 2:
        mask, array = reshape(mask, (1,) * (2 - array.ndim) + array.shape), None
    if mask.dtype.kind == "b":
        return None, mask.data if isinstance(mask, Variable) else mask
    if mask.dtype.kind != "f":
        raise DTypeError(
            f"{NAME}: a mask of {mask.dtype} is ambiguous; give booleans, True where a key takes part (mask != 0), or "
            "floating-point numbers, which are added to the scores"
        )
    if dtype.kind != "f" or mask.dtype == dtype:
        return mask, None
    with np.errstate(over="ignore"):  # The smallest number of a wider dtype overflows to -inf.
        return astype(mask, dtype), None


def _dropping(backend: Backend, ratio: float, rng: np.random.Generator, scores: tuple[int, ...]) -> Dropping:
    rows, columns = backend.random_bits(rng, (*scores[:-1], 1)), backend.random_bits(rng, scores[-1:])
    threshold = min(round(ratio * 2**BITS), 2**BITS - 1)
    return Dropping(rows, columns, threshold, 1 / (1 - ratio) if ratio < 1 else 0.0)


def _grouped(x: Any, groups: int) -> Any:
    """(..., H, T, D) as (..., H / groups, groups, T, D)."""
    *outer, heads, rows, columns = x.shape
    return x.reshape(*outer, heads // groups, groups, rows, columns)


def _expanded(x: Any) -> Any:
    """(..., H, T, D) as (..., H, 1, T, D)."""
    if is_numpy(x):
        return x[..., None, :, :]  # A stride of 0 for any T: the kernels support the layout of a growing cache.
    return x.reshape(*x.shape[:-2], 1, *x.shape[-2:])


def _grouped_mask(mask: Any, groups: int) -> Any:
    if mask is None or mask.ndim < 3:
        return mask
    return _expanded(mask) if mask.shape[-3] == 1 else _grouped(mask, groups)

"""Language models that predict the next token: GPT and related models."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.core import Operand, Result
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.files import FilePath, checked_path
from passus.functions.checks import array_of
from passus.initializers import Initializer, normal, zeros
from passus.layers import (
    Embedding,
    KeyValueCache,
    Linear,
    PositionEmbedding,
    SinusoidalPositions,
    TransformerEncoder,
)
from passus.layers.attention import with_key_mask
from passus.layers.positions import positions_of
from passus.models.generation import Generative
from passus.models.gpt_config import AS_LLAMA, options_of, verify_sizes, weights_in
from passus.models.gpt_files import converted
from passus.random import RNG, get_rng

__all__ = ["GPT"]

POSITIONS = ("learned", "sinusoidal", "rotary", "alibi")


class GPT(Generative):
    """A decoder-only transformer: tokens, integers (N, T), to the logits (N, T, ``vocab_size``) of the next tokens.

    The defaults and the initialization are those of GPT-2; `llama` has those of Llama. ``max_len``: maximum sequence length.
    ``positions``: "learned", "sinusoidal", "rotary" (with ``rotary_base``, and ``rotary_scaling``, a
    `passus.functions.RotaryScaling`) or "alibi", which with a
    ``key_mask`` needs memory for an array (N, H, T, T). ``d_hidden``, ``activation`` (including "swiglu"), ``norm``, ``eps``,
    ``nobias``, ``qkv_bias``, ``n_kv_heads`` (grouped queries), ``d_head``, ``dropout_ratio``: see
    `passus.layers.TransformerEncoderLayer`. ``tied``: whether the embedding matrix, ``embed.W``, is also that of the logits;
    files then contain it once. ``recompute``: recompute layers in the backward pass instead of storing their activations.
    ``weights``: a file for `load_weights`, converted to ``dtype``. ``rng``: a seed or generator for the initial weights.

    Losses and metrics of these logits need ``axis=-1``, because they expect classes on axis 1 by default.

    A call takes ``key_mask`` (N, T), False for padding, and ``cache``, the result of `new_cache`, under `no_grad`: ``ids``
    then follow the tokens of earlier calls, and ``key_mask`` covers all of them.

    `load_weights` also reads files of GPT-2, Llama, Mistral and Qwen2 with Hugging Face's names, and the index of sharded
    files, ``model.safetensors.index.json``; `passus.models.gpt_files` documents the mapping of names. `from_folder` builds the
    model of such a folder.

    Raises `ArgumentError` for options out of range, `ShapeError` for a sequence longer than ``max_len``, `LabelError` for a token
    out of range.
    Source: Radford et al., 2019, "Language models are unsupervised multitask learners".

    >>> model = GPT(50, n_layers=2, n_heads=2, d_model=8, max_len=16, rng=0)
    >>> logits = model(np.array([[1, 2, 3]]))
    >>> logits.shape, model.count_params()
    ((1, 3, 50), 2288)
    >>> loss = F.softmax_cross_entropy(logits, np.array([[2, 3, 4]]), axis=-1)
    """

    def __init__(
        self,
        vocab_size: int,
        n_layers: int,
        n_heads: int,
        d_model: int,
        max_len: int,
        *,
        d_hidden: int | None = None,
        positions: str = "learned",
        rotary_base: float = 10000.0,
        rotary_scaling: F.RotaryScaling | None = None,
        activation: str = "gelu_tanh",
        norm: str = "layer",
        eps: float = 1e-5,
        nobias: bool = False,
        qkv_bias: bool | None = None,
        n_kv_heads: int | None = None,
        d_head: int | None = None,
        tied: bool = True,
        dropout_ratio: float = 0.0,
        recompute: bool = False,
        weights: FilePath | None = None,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        name = type(self).__name__
        if positions not in POSITIONS:
            raise ArgumentError(f"{name}: positions must be one of {', '.join(POSITIONS)}, not {positions!r}")
        self.vocab_size = checked_count(name, "vocab_size", vocab_size)
        self.max_len = checked_count(name, "max_len", max_len)
        self.positions = positions
        n_layers = checked_count(name, "n_layers", n_layers)
        rng = None if rng is None else get_rng(rng)
        # Weights that are loaded from a file need no random initialization.
        draw: Initializer = partial(normal, std=0.02) if weights is None else zeros
        self.embed = Embedding(vocab_size, d_model, dtype, draw, rng)
        self.position: Any = None
        if positions == "learned":
            self.position = PositionEmbedding(max_len, d_model, draw, dtype, rng)
        elif positions == "sinusoidal":
            self.position = SinusoidalPositions()
        self.transformer = TransformerEncoder(
            n_layers,
            d_model,
            n_heads,
            d_hidden=d_hidden,
            activation=activation,
            norm=norm,
            eps=eps,
            nobias=nobias,
            qkv_bias=qkv_bias,
            n_kv_heads=n_kv_heads,
            d_head=d_head,
            rotary=rotary_base if positions == "rotary" else None,
            rotary_scaling=rotary_scaling,
            dropout_ratio=dropout_ratio,
            recompute=recompute,
            initializer=draw,
            # Each layer adds two outputs to the residual stream; this scale preserves its variance.
            out_initializer=partial(normal, std=0.02 / math.sqrt(2 * n_layers)) if weights is None else zeros,
            dtype=dtype,
            rng=rng,
        )
        self.dropout_ratio = self.transformer.layers[0].dropout_ratio
        self.tied = checked_flag(name, "tied", tied)
        self.head = None if self.tied else Linear(vocab_size, True, dtype, d_model, draw, rng)
        if weights is not None:
            for parameter in self.params():  # Allocate no memory before the file is loaded.
                parameter.data = np.broadcast_to(np.zeros((), parameter.dtype), parameter.shape)
            self.load_weights(weights, cast=True)

    @classmethod
    def llama(cls, vocab_size: int, n_layers: int, n_heads: int, d_model: int, max_len: int, **options: Any) -> Self:
        """A model with the options of Llama: rotary positions, RMSNorm, SwiGLU, no biases, and an untied output matrix.

        ``d_hidden``: by default 8/3 of ``d_model``, rounded up to a multiple of 16. Other options: as in the class.
        Source: Touvron et al., 2023, "LLaMA: open and efficient foundation language models".

        >>> model = GPT.llama(50, n_layers=2, n_heads=4, d_model=16, max_len=32, n_kv_heads=2, rng=0)
        >>> model(np.array([[1, 2, 3]])).shape
        (1, 3, 50)
        """
        d_hidden = -(-8 * checked_count(cls.__name__, "d_model", d_model) // 48) * 16
        return cls(vocab_size, n_layers, n_heads, d_model, max_len, **({**AS_LLAMA, "d_hidden": d_hidden} | options))

    @classmethod
    def from_folder(
        cls,
        folder: FilePath,
        *,
        max_len: int | None = None,
        dropout_ratio: float = 0.0,
        recompute: bool = False,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Load a published model from a folder in Hugging Face's format: ``config.json``, and ``model.safetensors`` or shards
        with ``model.safetensors.index.json``.

        GPT-2, Llama, Mistral and Qwen2 are supported; `passus.models.gpt_config` lists the supported configuration. Dropout is
        not read from it: pass ``dropout_ratio`` for fine-tuning. ``max_len``: a shorter limit than that of the configuration,
        for models with rotary positions. ``dtype``: the dtype of the parameters. The tokenizer is
        ``passus.text.load_tokenizer(folder / "tokenizer.json")``.

        Raises `WeightsError` for an unsupported configuration, and for files that are damaged or do not match each other;
        `MissingWeightsError` for a missing file; `ArgumentError` for a ``max_len`` that is too long.

        >>> GPT.from_folder("not-here")
        Traceback (most recent call last):
            ...
        passus.errors.MissingWeightsError: not-here/config.json: no such file; check the path
        """
        config = checked_path(folder) / "config.json"
        options = options_of(config)
        weights = weights_in(config.parent)
        verify_sizes(weights, options)
        if max_len is not None:
            longest, learned = options["max_len"], options["positions"] == "learned"
            if checked_count(cls.__name__, "max_len", max_len) > longest or (learned and max_len != longest):
                raise ArgumentError(
                    f"{cls.__name__}.from_folder: max_len={max_len} must be {'' if learned else 'at most '}{longest}, as in {config}"
                )
            options["max_len"] = max_len
        return cls(**options, dropout_ratio=dropout_ratio, recompute=recompute, dtype=dtype, weights=weights)

    def forward(
        self, ids: Operand, *, key_mask: Operand | None = None, cache: list[KeyValueCache] | None = None
    ) -> Result:
        return self._logits(self.features(ids, key_mask=key_mask, cache=cache))

    def features(
        self, ids: Operand, *, key_mask: Operand | None = None, cache: list[KeyValueCache] | None = None
    ) -> Any:
        """The input of the output layer, (N, T, ``d_model``); arguments as in a call."""
        start = 0 if cache is None else cache[0].length
        shape = self._checked(ids, start)
        keys, positions = shape[1], 0
        if cache is not None:
            keys, positions = cache[0].columns(shape[1]), cache[0].new_positions(shape[1])
        if key_mask is not None:
            mask = array_of("key_mask", key_mask)
            if mask.shape != (shape[0], keys) or mask.dtype.kind != "b":
                raise ShapeError(
                    f"{type(self).__name__}: key_mask {mask.dtype}{list(mask.shape)} must be booleans "
                    f"{(shape[0], keys)}, True for all tokens so far except padding"
                )
            positions = positions_of(mask)[:, start + np.arange(shape[1])]
        x = self.embed(ids)
        if self.position is not None:
            x = self.position(x, positions)
        if self.dropout_ratio:
            x = F.dropout(x, self.dropout_ratio)
        mask = None
        if self.positions == "alibi":
            layer = self.transformer.layers[0].attention
            mask = F.alibi_bias(layer.n_heads, shape[1], keys, x.dtype, start)
        return self.transformer(x, mask=with_key_mask(mask, key_mask), is_causal=True, positions=positions, cache=cache)

    def new_cache(self, max_len: int | None = None) -> list[KeyValueCache]:
        """Empty caches, one per layer, for sequences up to ``max_len``, by default that of the model."""
        return self.transformer.new_cache(self.max_len if max_len is None else max_len)

    def next_logits(self, ids: Array, key_mask: Array | None, cache: list[KeyValueCache]) -> Any:
        """The logits (N, V) of the next token; ``ids`` (N, T) follow the tokens in the cache."""
        return self._logits(self.features(ids, key_mask=key_mask, cache=cache)[:, -1])

    def _logits(self, features: Any) -> Any:
        return F.linear(features, F.transpose(self.embed.W)) if self.head is None else self.head(features)

    def _checked(self, ids: Operand, start: int) -> tuple[int, int]:
        """The shape (N, T) of the tokens. Raises `ShapeError` for other shapes and for sequences that are too long."""
        name, x = type(self).__name__, array_of(type(self).__name__, ids)
        if x.dtype.kind not in "iu":
            raise DTypeError(f"{name}: ids are {x.dtype}; give token ids, integers (N, T)")
        if x.ndim != 2:
            raise ShapeError(f"{name}: ids {x.shape} must be (N, T); for one sequence write ids[None]")
        N, T = x.shape
        if start + T > self.max_len:
            before = f" after {start} in the cache" if start else ""
            raise ShapeError(f"{name}: {T} tokens{before} exceed max_len={self.max_len}; truncate the sequence")
        return N, T

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        """The arrays of a file of passus, or of one with Hugging Face's names."""
        arrays = super()._read_weights(path)
        try:
            return converted(arrays, self.tied)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error.message}") from error

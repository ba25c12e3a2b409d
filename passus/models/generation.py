"""Generation of text, token by token, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from passus.answers import answering
from passus.arguments import checked_count, checked_flag, checked_integer
from passus.backend import Array
from passus.config import no_grad, test_mode
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of
from passus.layers import KeyValueCache
from passus.models.model import Model
from passus.models.next_token import NextToken, capacity_for
from passus.models.sampling import Sampler
from passus.random import RNG

__all__ = ["Generative"]

Prompt: TypeAlias = Array | Sequence[int] | Sequence[Sequence[int]]


class Generative(Model):
    """The base of models that continue sequences of tokens.

    Subclasses define ``max_len``, `new_cache`, and `next_logits`.
    """

    max_len: int

    def new_cache(self, max_len: int | None = None) -> list[KeyValueCache]:
        """Empty caches for up to ``max_len`` positions."""
        raise NotImplementedError(f"{type(self).__name__}.new_cache is not implemented")

    def next_logits(self, ids: Array, key_mask: Array | None, cache: list[KeyValueCache]) -> Any:
        """The logits (N, V) of the next token; ``ids`` (N, T) follow the tokens in the cache."""
        raise NotImplementedError(f"{type(self).__name__}.next_logits is not implemented")

    @answering
    def generate(
        self,
        ids: Prompt,
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: int | Collection[int] = (),
        window: bool = False,
        compile: bool = False,
        rng: RNG = None,
    ) -> Any:
        """Continue the tokens ``ids`` by up to ``max_new_tokens`` sampled tokens.

        ``ids``: for integers (T,) or (N, T), the result is an array (T + new,) or (N, T + new); a row is padded with its
        ``stop`` token, and generation ends when all rows have stopped. For a list of prompts of different lengths, the result
        is a list of arrays, each ending with its first ``stop`` token.

        ``temperature``: divides the logits; 0 selects the most likely token. ``top_k``: sample from the k most likely tokens
        only. ``top_p``: sample from the fewest tokens with this total probability. ``rng``: a seed or generator. ``window``:
        at ``max_len`` tokens, drop the older half and continue; otherwise exceeding ``max_len`` is an error. ``compile``: run
        the model on each new token as a recorded program; see `passus.compile`. A model that cannot be recorded runs without,
        with a warning.

        Raises `ArgumentError` for a sequence that would become too long, options out of range, and NaN logits; `LabelError`
        for tokens out of range.

        >>> from passus.models import GPT
        >>> model = GPT(10, n_layers=1, n_heads=2, d_model=8, max_len=16, rng=0)
        >>> model.generate(np.array([1, 2, 3]), 4, rng=0).shape
        (7,)
        """
        prompts = _Prompts(ids)
        sampler = Sampler(temperature, top_k, top_p, rng)
        steps = self._steps(prompts, max_new_tokens, sampler, _stops(stop), window, compile)
        new = list(steps)
        return prompts.continued(np.stack(new, axis=1) if new else np.zeros((prompts.count, 0), np.intp), _stops(stop))

    @answering
    def stream(
        self,
        ids: Prompt,
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: int | Collection[int] = (),
        window: bool = False,
        compile: bool = False,
        rng: RNG = None,
    ) -> Iterator[Any]:
        """Yield the new tokens of `generate` as they are sampled: integers for ``ids`` (T,), otherwise arrays (N,).

        >>> from passus.models import GPT
        >>> model = GPT(10, n_layers=1, n_heads=2, d_model=8, max_len=16, rng=0)
        >>> prompt = np.array([1, 2, 3])
        >>> list(model.stream(prompt, 4, rng=0)) == model.generate(prompt, 4, rng=0)[3:].tolist()
        True
        """
        prompts = _Prompts(ids)
        sampler = Sampler(temperature, top_k, top_p, rng)
        steps = self._steps(prompts, max_new_tokens, sampler, _stops(stop), window, compile)
        return (int(new[0]) for new in steps) if prompts.single else steps

    def _steps(
        self, prompts: _Prompts, count: int, sampler: Sampler, stops: Array, window: bool, compile: bool
    ) -> Iterator[Array]:
        """Check the lengths immediately, and return the iterator."""
        name = type(self).__name__
        count = checked_count(f"{name}.generate", "max_new_tokens", count, low=0)
        length = prompts.ids.shape[1]
        if not checked_flag(f"{name}.generate", "window", window) and length + count - 1 > self.max_len:
            raise ArgumentError(
                f"{name}.generate: {length} tokens and {count} new ones exceed max_len={self.max_len}; shorten the prompt, "
                "generate fewer tokens, or pass window=True, which drops the oldest"
            )
        program = self._program() if checked_flag(f"{name}.generate", "compile", compile) else None
        return self._sampled(prompts, count, sampler, stops, program)

    def _program(self) -> NextToken:
        """The recorded step for one token, which later calls use again."""
        attributes = self.__dict__  # Past __setattr__.
        return cast(NextToken, attributes.get("_next_token") or attributes.setdefault("_next_token", NextToken(self)))

    def _sampled(
        self, prompts: _Prompts, count: int, sampler: Sampler, stops: Array, program: NextToken | None
    ) -> Iterator[Array]:
        ids, mask = prompts.ids[:, -self.max_len :], prompts.mask
        mask = None if mask is None else mask[:, -self.max_len :]
        cache = self._empty_cache(ids.shape[1] + count, program)
        inputs, ended = ids, np.zeros(len(ids), bool)
        for remaining in range(count, 0, -1):
            new = self._next(inputs, mask, cache, sampler, program)
            if len(stops):
                new = np.where(ended, ids[:, -1], new)
                ended = ended | np.isin(new, stops)
            yield new
            if ended.all():
                return
            inputs = new[:, None]
            ids = np.concatenate([ids, inputs], axis=1)
            mask = None if mask is None else np.concatenate([mask, np.ones_like(inputs, bool)], axis=1)
            if ids.shape[1] > self.max_len:  # The window is full: continue with its newer half.
                ids = inputs = ids[:, -(self.max_len // 2 + 1) :]
                mask = None if mask is None else mask[:, -ids.shape[1] :]
                cache = self._empty_cache(ids.shape[1] + remaining, program)

    def _empty_cache(self, length: int, program: NextToken | None) -> list[KeyValueCache]:
        return self.new_cache(min(self.max_len, length) if program is None else capacity_for(length, self.max_len))

    def _next(
        self,
        ids: Array,
        key_mask: Array | None,
        cache: list[KeyValueCache],
        sampler: Sampler,
        program: NextToken | None,
    ) -> Array:
        # In a plain function, because reading a switch inside a generator is slower.
        if program is not None and cache[0].length:
            return sampler(program(ids, key_mask, cache))
        with no_grad(), test_mode():
            return sampler(self.next_logits(ids, key_mask, cache))


class _Prompts:
    """Prompts as integers (N, T), padded at the start, with a mask that is False for padding."""

    def __init__(self, ids: Prompt) -> None:
        self.single = self.ragged = False
        self.mask: Array | None = None
        if isinstance(ids, (list, tuple)) and any(np.ndim(row) for row in ids):
            self.ragged = True
            rows = [_tokens(row, 1) for row in ids]
            self.starts = [max(map(len, rows)) - len(row) for row in rows]
            self.ids = np.stack([np.pad(row, (start, 0)) for row, start in zip(rows, self.starts)])
            if any(self.starts):
                self.mask = np.arange(self.ids.shape[1]) >= np.array(self.starts)[:, None]
        else:
            tokens = _tokens(ids, 2)
            self.single = tokens.ndim == 1
            self.ids = tokens.reshape(-1, tokens.shape[-1])
        self.count = len(self.ids)

    def continued(self, new: Array, stops: Array) -> Any:
        """The prompts followed by the new tokens, in the form of the prompts."""
        ids = np.concatenate([self.ids, new], axis=1)
        if not self.ragged:
            return ids[0] if self.single else ids
        ends = [(*np.flatnonzero(np.isin(row, stops)), new.shape[1] - 1)[0] + 1 for row in new]
        length = self.ids.shape[1]
        return [row[start : length + int(end)] for row, start, end in zip(ids, self.starts, ends)]


def _tokens(ids: Any, max_ndim: int) -> Array:
    """Tokens as a non-empty integer array of 1 to ``max_ndim`` axes. Raises `DTypeError` or `ShapeError` otherwise."""
    x = np.asarray(ids) if isinstance(ids, (list, tuple)) else array_of("generate", ids)
    if not 1 <= x.ndim <= max_ndim or not x.size:
        raise ShapeError(
            f"generate: ids {x.shape} must be (T,) or (N, T) with at least one token, such as a start token"
        )
    if x.dtype.kind not in "iu":
        raise DTypeError(f"generate: ids are {x.dtype}; give integers")
    return x.astype(np.intp)


def _stops(stop: Any) -> Array:
    """The tokens that end a sequence."""
    if isinstance(stop, (str, bytes)) or not (isinstance(stop, (int, np.integer)) or np.iterable(stop)):
        raise DTypeError(f"generate: stop is {kind_of(stop)}; give a token, or a list of tokens")
    tokens: Any = list(stop) if np.iterable(stop) else [stop]
    return np.array([checked_integer("generate", "stop", token) for token in tokens], np.intp)

"""Generation of text, token by token, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from passus.answers import answering
from passus.arguments import checked_count, checked_flag, checked_integer
from passus.backend import Array
from passus.config import no_grad, test_mode
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of
from passus.layers import KeyValueCache
from passus.models.model import Model
from passus.models.sampling import Sampler
from passus.random import RNG

__all__ = ["Generative"]

Prompt: TypeAlias = Array | Sequence[int] | Sequence[Sequence[int]]


class Generative(Model):
    """The base of models that continue sequences of tokens.

    A subclass has ``max_len``, `new_cache`, and `next_logits`.
    """

    max_len: int

    def new_cache(self, max_len: int | None = None) -> list[KeyValueCache]:
        """Empty caches for up to ``max_len`` positions."""
        raise NotImplementedError(f"{type(self).__name__}.new_cache is not implemented")

    def next_logits(self, ids: Array, key_mask: Array | None, cache: list[KeyValueCache]) -> Any:
        """The logits (N, V) of the token after the last; tokens (N, T) come after those in the cache."""
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
        rng: RNG = None,
    ) -> Any:
        """The tokens ``ids``, continued by up to ``max_new_tokens`` that are drawn one after the other.

        ``ids``: an array (T,) or (N, T) of integers gives an array (T + new,) or (N, T + new); after a token of ``stop``
        a row is filled up with it, and the array ends when all rows have. A list of prompts of several lengths gives a
        list of arrays, each of which ends with its first token of ``stop``.

        ``temperature``: divides the logits; 0 always takes the most likely token. ``top_k``: draw from the k most likely
        tokens only. ``top_p``: from the fewest that have this probability together. ``rng``: a seed or generator. ``window``: when
        ``max_len`` tokens are reached, forget the older half and go on; without it, more than ``max_len`` is an error.

        Raises `ArgumentError` for a sequence that would become too long, options out of range, and logits that are NaN;
        `LabelError` for tokens that the model does not have.

        >>> from passus.models import GPT
        >>> model = GPT(10, n_layers=1, n_heads=2, d_model=8, max_len=16, rng=0)
        >>> model.generate(np.array([1, 2, 3]), 4, rng=0).shape
        (7,)
        """
        prompts = _Prompts(ids)
        steps = self._steps(prompts, max_new_tokens, Sampler(temperature, top_k, top_p, rng), _stops(stop), window)
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
        rng: RNG = None,
    ) -> Iterator[Any]:
        """The new tokens of `generate` as they are drawn: an integer each for ``ids`` (T,), else arrays (N,).

        >>> from passus.models import GPT
        >>> model = GPT(10, n_layers=1, n_heads=2, d_model=8, max_len=16, rng=0)
        >>> prompt = np.array([1, 2, 3])
        >>> list(model.stream(prompt, 4, rng=0)) == model.generate(prompt, 4, rng=0)[3:].tolist()
        True
        """
        prompts = _Prompts(ids)
        steps = self._steps(prompts, max_new_tokens, Sampler(temperature, top_k, top_p, rng), _stops(stop), window)
        return (int(new[0]) for new in steps) if prompts.single else steps

    def _steps(self, prompts: _Prompts, count: int, sampler: Sampler, stops: Array, window: bool) -> Iterator[Array]:
        """Check the lengths at once, and return the iterator."""
        name = type(self).__name__
        count = checked_count(f"{name}.generate", "max_new_tokens", count, low=0)
        length = prompts.ids.shape[1]
        if not checked_flag(f"{name}.generate", "window", window) and length + count - 1 > self.max_len:
            raise ArgumentError(
                f"{name}.generate: {length} tokens and {count} new ones exceed max_len={self.max_len}; shorten the prompt, "
                "ask for fewer tokens, or pass window=True, which forgets the oldest"
            )
        return self._drawn(prompts, count, sampler, stops)

    def _drawn(self, prompts: _Prompts, count: int, sampler: Sampler, stops: Array) -> Iterator[Array]:
        ids, mask = prompts.ids[:, -self.max_len :], prompts.mask
        mask = None if mask is None else mask[:, -self.max_len :]
        cache = self.new_cache(min(self.max_len, ids.shape[1] + count))
        fed, ended = ids, np.zeros(len(ids), bool)
        for left in range(count, 0, -1):
            new = self._next(fed, mask, cache, sampler)
            if len(stops):
                new = np.where(ended, ids[:, -1], new)
                ended = ended | np.isin(new, stops)
            yield new
            if ended.all():
                return
            fed = new[:, None]
            ids = np.concatenate([ids, fed], axis=1)
            mask = None if mask is None else np.concatenate([mask, np.ones_like(fed, bool)], axis=1)
            if ids.shape[1] > self.max_len:  # The window is full: go on with its younger half.
                ids = fed = ids[:, -(self.max_len // 2 + 1) :]
                mask = None if mask is None else mask[:, -ids.shape[1] :]
                cache = self.new_cache(min(self.max_len, ids.shape[1] + left))

    def _next(self, ids: Array, key_mask: Array | None, cache: list[KeyValueCache], sampler: Sampler) -> Array:
        # Not in the generator, where switches are looked up in a slower way.
        with no_grad(), test_mode():
            return sampler(self.next_logits(ids, key_mask, cache))


class _Prompts:
    """Prompts of one length or several: integers (N, T), padded at the start, and a mask that tells padding."""

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
            given = _tokens(ids, 2)
            self.single = given.ndim == 1
            self.ids = given.reshape(-1, given.shape[-1])
        self.count = len(self.ids)

    def continued(self, new: Array, stops: Array) -> Any:
        """The prompts and what came after them, in the form in which they were given."""
        ids = np.concatenate([self.ids, new], axis=1)
        if not self.ragged:
            return ids[0] if self.single else ids
        ends = [(*np.flatnonzero(np.isin(row, stops)), new.shape[1] - 1)[0] + 1 for row in new]
        length = self.ids.shape[1]
        return [row[start : length + int(end)] for row, start, end in zip(ids, self.starts, ends)]


def _tokens(ids: Any, most: int) -> Array:
    """Integers of one axis or ``most``, with one at least. Raises `DTypeError` or `ShapeError` for all else."""
    x = np.asarray(ids) if isinstance(ids, (list, tuple)) else array_of("generate", ids)
    if not 1 <= x.ndim <= most or not x.size:
        raise ShapeError(
            f"generate: ids {x.shape} must be (T,) or (N, T) with one token at least; begin with one that stands for the start"
        )
    if x.dtype.kind not in "iu":
        raise DTypeError(f"generate: ids are {x.dtype}; give integers")
    return x.astype(np.intp)


def _stops(stop: Any) -> Array:
    """The tokens that end a sequence."""
    if isinstance(stop, (str, bytes)) or not (isinstance(stop, (int, np.integer)) or np.iterable(stop)):
        raise DTypeError(f"generate: stop is {kind_of(stop)}; give a token, or several in a list")
    tokens: Any = list(stop) if np.iterable(stop) else [stop]
    return np.array([checked_integer("generate", "stop", token) for token in tokens], np.intp)

"""The generators of a worker process that its loader does not seed: those of imported modules, and the global ones.

Each worker process has copies of them. Without a seed for each batch, two workers would draw the same numbers.
"""

from __future__ import annotations

import gc
import pickle
import random
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["UnfoundGenerators"]

KINDS = (np.random.Generator, np.random.RandomState, random.Random)


class UnfoundGenerators:
    """All generators ``among`` the objects of this process except ``found``, to be seeded for each batch.

    Their numbers then depend on the batch, not on the worker or on the batches that it has prepared. So do those of
    ``np.random`` and ``random``.

    >>> rng = np.random.default_rng()
    >>> generators = UnfoundGenerators([], among=[rng, "no generator"])
    >>> generators.seed(5, 0)
    >>> a = rng.random()
    >>> generators.seed(5, 0)
    >>> a == rng.random()
    True
    """

    def __init__(self, found: Iterable[np.random.Generator], among: Iterable[object] | None = None) -> None:
        left_out = {id(rng) for rng in found}
        # The type is asked, because proxies answer isinstance for objects that they would have to create.
        generators = [
            x for x in (gc.get_objects() if among is None else among) if _has_state(type(x)) and id(x) not in left_out
        ]
        # Generators that have begun with the same seed stay alike.
        self._generators = [(rng, zlib.crc32(pickle.dumps(_state(rng)))) for rng in generators]

    def seed(self, seed: int, i: int) -> None:
        """Seed all generators for batch ``i``."""
        for rng, number in self._generators:
            _seed(rng, np.random.SeedSequence([seed, i, number]))
        # These have begun with seeds of the system.
        words = np.random.SeedSequence([seed, i]).generate_state(4)
        np.random.seed(words)  # noqa: NPY002 - for datasets that draw from it; the worker has no other use for it
        random.seed(words.tobytes())


def _has_state(kind: type) -> bool:
    return issubclass(kind, KINDS) and not issubclass(kind, random.SystemRandom)


def _state(rng: Any) -> Any:
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator.state
    return rng.get_state() if isinstance(rng, np.random.RandomState) else rng.getstate()


def _seed(rng: Any, sequence: np.random.SeedSequence) -> None:
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = type(rng.bit_generator)(sequence).state
    elif isinstance(rng, np.random.RandomState):
        rng.set_state(dict(type(rng._bit_generator)(sequence).state))
    else:
        rng.seed(sequence.generate_state(4).tobytes())

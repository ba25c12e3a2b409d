"""A module with a generator, which a loader does not search."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(11)


def draw() -> float:
    return RNG.random()

"""Random generators drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

__all__ = ["generators"]


def generators() -> st.SearchStrategy[np.random.Generator]:
    """Generators of NumPy. Their seeds are drawn and printed, so that a failing example replays."""
    return st.builds(np.random.default_rng, st.integers(0, 2**32 - 1))

"""Random arrays for the tests of recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np


def drawn(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)

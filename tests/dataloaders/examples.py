"""Small datasets for the tests of loaders, and functions that collect their batches."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from passus.datasets import Dataset
from passus.random import get_rng

WORKERS = pytest.mark.parametrize("workers", [0, 3])


class Squares(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(10, dtype=np.float32)
        self.label = np.arange(10) ** 2


class OneByOne:
    """A dataset without batches whose examples take different times."""

    def __init__(self, size: int = 10) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> tuple[float, int]:
        time.sleep(0.0005 * (i % 3))
        return float(i), i


class Noisy(OneByOne):
    """Random examples."""

    def __getitem__(self, i: int) -> tuple[float, int]:
        return get_rng().random(), i


class Ramps(Dataset):
    """Rows whose first element shows whether they were flipped."""

    def prepare(self) -> None:
        self.data = np.tile(np.arange(2.0), (10, 1))


def loader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("passus-loader")]


def seen(batches: Any) -> list[list[Any]]:
    return [x.tolist() for x, _ in batches]


def seen_rows(batches: Any) -> np.ndarray:
    return np.concatenate([x for x, _ in batches])

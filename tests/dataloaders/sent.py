"""Datasets and collate functions for worker processes, which import them from here."""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from passus import DataLoader, Variable
from passus.config import switches
from passus.dataloaders import collate
from passus.datasets import Dataset
from passus.errors import ShapeError
from passus.kernels.threads import get_num_threads
from passus.random import get_rng
from tests.dataloaders import hidden

METHODS = ("spawn", "forkserver")


class Examples:
    """Integers that take different times."""

    def __init__(self, size: int = 20) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Any:
        time.sleep(0.0005 * (i % 3))
        return self.example(i)

    def example(self, i: int) -> Any:
        return float(i), i


class FromCurrent(Examples):
    """Numbers of the current generator."""

    def example(self, i: int) -> Any:
        return get_rng().random(), i


class FromOwn(Examples):
    """Numbers of a generator that the dataset draws from directly."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(5)

    def example(self, i: int) -> Any:
        return self.rng.random(), i


GLOBAL = np.random.default_rng(7)


def jittered(x: Any) -> Any:
    return x + GLOBAL.random()


class FromHidden(Examples):
    """Numbers of generators that a loader cannot find, or does not seed in threads."""

    def __init__(self) -> None:
        super().__init__()
        self.legacy, self.python = np.random.RandomState(3), random.Random(3)

    def example(self, i: int) -> Any:
        own = self.legacy.random_sample(), self.python.random()
        return (hidden.draw(), *own, np.random.random(), random.random()), i  # noqa: NPY002 - the generator that must differ


class Images(Dataset):
    """Images of which a batch is read at once."""

    def prepare(self) -> None:
        self.data = np.random.default_rng(0).random((20, 3, 64, 64), np.float32)
        self.label = np.arange(20)


class Sentences(Examples):
    """Sequences of unequal lengths with random tokens."""

    def example(self, i: int) -> Any:
        return get_rng().integers(0, 9, 1 + i % 7), i % 2


@dataclass
class Record:
    name: str
    values: Any


class Structured(Examples):
    """Everything that a batch may consist of."""

    def example(self, i: int) -> Any:
        rng = get_rng()
        large = rng.random((40, 70, 8))
        return {
            "C": large.astype("f"),
            "F": np.asfortranarray(large),
            "transposed": large.transpose(2, 0, 1),
            "strided": large[::2, ::-1],
            "big-endian": large.astype(">f4"),
            "complex": large + 1j,
            "dates": np.arange(10_000).astype("datetime64[s]"),
            "fields": np.zeros(10_000, [("a", "i4"), ("b", "f8")]),
            "objects": np.array([None, "x", 3], object),
            "empty": np.zeros((0, 1000)),
            "scalar": np.float32(i),
            "frozen": frozen(large),
            "variable": Variable(large),
            "record": Record(f"é{i}", [large, {"x": (large, None, True)}]),
            "text": "x" * 100_000,
            "nested": [(i, "a"), [], {}],
        }


def frozen(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def as_list(examples: Any) -> Any:
    return list(examples)


class Changing(Examples):
    """Examples with a level that the program changes, and an array that reading changes."""

    def __init__(self) -> None:
        super().__init__(8)
        self.level, self.table = 0, np.zeros((8, 20_000))

    def example(self, i: int) -> Any:
        self.table[i] += 1
        return self.level, self.table[i, 0], is_mapped(self.table)


def is_mapped(array: Any) -> bool:
    """Whether an array lies in mapped memory."""
    while isinstance(array, (np.ndarray, memoryview)):
        array = array.base if isinstance(array, np.ndarray) else array.obj
    return isinstance(array, mmap.mmap)


class Environment(Examples):
    """What a worker inherits."""

    def example(self, i: int) -> Any:
        process = os.getpid(), get_num_threads(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return switches(), dict(np.geterr()), process


class FarAway(Exception):
    """An error that cannot be restored from its ``args``."""

    def __init__(self, place: str, distance: float) -> None:
        super().__init__(f"{place} is {distance} km away")


class Broken(Examples):
    """Example 13 fails in some way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def example(self, i: int) -> Any:
        if i == 13:
            self.fail()
        return np.full(20_000, i), i

    def fail(self) -> None:
        match self.how:
            case "KeyError":
                raise KeyError("no such file")
            case "ShapeError":
                raise ShapeError("crop: too small")
            case "StopIteration":
                next(iter(()))
            case "TimeoutError":
                raise TimeoutError("no answer")
            case "FarAway":
                raise FarAway("Oslo", 3.5)
            case "sys.exit":
                sys.exit(3)
            case "os._exit":
                os._exit(3)
            case "hang":
                time.sleep(600)
            case "ignore":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                while True:
                    pass
            case "nothing":
                pass
            case _:
                os.kill(os.getpid(), getattr(signal, self.how))


class Unsendable(Examples):
    """Batches that cannot be pickled."""

    def example(self, i: int) -> Any:
        return lambda: i


def raise_error(message: str) -> None:
    raise ImportError(message)


class Unloadable(Examples):
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return raise_error, ("there is no such library",)


def unloadable(examples: Any) -> Any:
    return Unloadable()


class Nested(Examples):
    """Examples that a loader of their own prepares."""

    def __init__(self) -> None:
        super().__init__(2)
        self.processes: Any = "forkserver"

    def example(self, i: int) -> Any:
        return sum(batch.sum() for batch in DataLoader(np.arange(8), 2, workers=1, processes=self.processes))


class Greedy(Examples):
    """Limits the size of files, and with it that of shared memory."""

    def example(self, i: int) -> Any:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        return np.zeros(1 << 19), i


class Reading(Examples):
    """Rows of a mapped file."""

    def __init__(self, path: Path, mode: Any) -> None:
        self.rows = np.memmap(path, np.float32, mode, 0, (8, 20_000))
        super().__init__(8)

    def example(self, i: int) -> Any:
        return self.rows[i, 0], is_mapped(self.rows)


def slowly(examples: Any) -> Any:
    time.sleep(0.2)
    return collate(examples)

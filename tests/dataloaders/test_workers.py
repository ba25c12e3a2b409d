"""Threads that load batches: errors, shutdown and timeouts."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from passus.config import Config, no_grad
from passus.dataloaders import DataLoader, collate
from passus.errors import (
    ArgumentError,
    DataError,
    DTypeError,
    LoaderTimeoutError,
)
from tests.dataloaders.examples import WORKERS, OneByOne, Squares, loader_threads, seen


@WORKERS
@pytest.mark.parametrize("where", ["dataset", "batch", "transform", "collate"])
def test_stop_iteration_in_a_dataset_raises_instead_of_ending_the_epoch(where: str, workers: int) -> None:
    def exhausted(*_: Any) -> Any:
        return next(iter(()))

    class Ending(OneByOne):
        def __getitem__(self, i: int) -> Any:
            return exhausted() if i == 7 else super().__getitem__(i)

    class EndingBatches(OneByOne):
        def batch(self, index: np.ndarray) -> Any:
            return exhausted() if 7 in index else (index, index)

    loaders = {
        "dataset": lambda: DataLoader(Ending(), 2, shuffle=False, workers=workers),
        "batch": lambda: DataLoader(EndingBatches(), 2, shuffle=False, workers=workers),
        "transform": lambda: DataLoader(
            Squares(transform=lambda x: exhausted() if x == 7 else x), 2, shuffle=False, workers=workers
        ),
        "collate": lambda: DataLoader(
            OneByOne(),
            2,
            shuffle=False,
            workers=workers,
            collate=lambda e: exhausted() if e[-1][1] == 7 else collate(e),
        ),
    }
    loader, got = loaders[where](), []
    for _ in range(2):
        with pytest.raises(DataError, match="StopIteration for batch 3 of 5") as caught:
            got.extend(iter(loader))
    assert len(got) == 6
    if where in ("dataset", "transform"):
        assert "example 7" in caught.value.__notes__[0]
    with pytest.raises(DataError):
        list(iter(loader.next, None))
    assert loader_threads() == []


@WORKERS
def test_errors_name_the_example(workers: int) -> None:
    class Broken(OneByOne):
        def __getitem__(self, i: int) -> Any:
            if i == 7:
                raise KeyError("no such file")
            return super().__getitem__(i)

    got = []
    batches = iter(DataLoader(Broken(), 2, shuffle=False, workers=workers))
    with pytest.raises(KeyError, match="no such file") as caught:
        got.extend(x.tolist() for x, _ in batches)
    assert caught.value.__notes__ == ["Raised by example 7: Broken[7]"]
    assert got == [[0, 1], [2, 3], [4, 5]]
    assert loader_threads() == []


def test_threads_end_with_their_epoch() -> None:
    loader = DataLoader(OneByOne(40), 2, workers=3)
    for _ in loader:
        assert loader_threads()
        break
    assert loader_threads() == []
    next(loader)
    loader.reset()
    assert loader_threads() == []
    assert len(list(loader)) == 20
    assert loader_threads() == []


def test_threads_prefetch_a_bounded_number_of_examples() -> None:
    loaded: list[int] = []

    class Counting(OneByOne):
        def __getitem__(self, i: int) -> Any:
            loaded.append(i)
            return float(i), i

    batches = iter(DataLoader(Counting(100), 1, shuffle=False, workers=2))
    next(batches)
    time.sleep(0.05)
    batches.close()
    assert len(loaded) <= 1 + 2 * 2


def test_threads_inherit_the_switches_of_the_caller() -> None:
    class Switch(OneByOne):
        def __getitem__(self, i: int) -> Any:
            return Config.enable_backprop

    with no_grad():
        batches = list(DataLoader(Switch(), 5, workers=2))
    assert not np.concatenate(batches).any()


class Hanging(OneByOne):
    """A dataset one of whose examples is not ready until the test is over."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def __getitem__(self, i: int) -> Any:
        if i == 4:
            self.over.wait(timeout=60)
        return float(i), i


def test_a_batch_that_exceeds_the_timeout_raises() -> None:
    dataset, got = Hanging(), []
    loader = DataLoader(dataset, 2, shuffle=False, workers=2, timeout=0.2)
    with pytest.raises(LoaderTimeoutError, match=r"batch 2 was not ready after 0\.2 s"):
        got.extend(iter(loader))
    assert len(got) == 2
    assert issubclass(LoaderTimeoutError, TimeoutError)
    dataset.over.set()
    assert len(seen(loader)) == 5


def test_timeout_errors_of_the_dataset_are_not_changed() -> None:
    class Late(OneByOne):
        def __getitem__(self, i: int) -> Any:
            raise TimeoutError("no answer")

    with pytest.raises(TimeoutError, match="no answer"):
        next(DataLoader(Late(), 2, workers=2, timeout=5))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 1.0}, ArgumentError),
        ({"timeout": 0, "workers": 1}, ArgumentError),
        ({"timeout": float("nan"), "workers": 1}, ArgumentError),
        ({"timeout": "1", "workers": 1}, DTypeError),
    ],
)
def test_invalid_timeouts_raise(options: Any, error: Any) -> None:
    with pytest.raises(error, match="timeout"):
        DataLoader(Squares(), 2, **options)


SCRIPT = """
import time
from passus import DataLoader

class Hanging:
    def __len__(self):
        return 8
    def __getitem__(self, i):
        if i == 2:
            time.sleep(600)
        return float(i)

batches = iter(DataLoader(Hanging(), 1, shuffle=False, workers=2))
next(batches)
print("started", flush=True)
"""


@pytest.mark.parametrize("ending", ["", "for batch in batches: pass", "next(batches); next(batches)"])
def test_a_hanging_thread_does_not_block_exit_or_ctrl_c(ending: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + ending], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        if ending:
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert ("KeyboardInterrupt" in errors) == bool(ending)
    assert process.returncode == (-signal.SIGINT if ending else 0)


def test_without_threads_batches_are_loaded_by_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert seen(DataLoader(OneByOne(), 3, rng=0, workers=2)) == seen(DataLoader(OneByOne(), 3, rng=0))

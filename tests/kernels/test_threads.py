"""Work is split among threads: each item once, errors are raised, and results do not depend on the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.random
from passus.errors import ArgumentError, DTypeError, PassusWarning
from passus.kernels import get_num_threads, set_num_threads, threads
from passus.kernels.threads import split
from passus.layers import BatchNorm, Conv2d, Flatten, Linear, ReLU, Sequential
from passus.optimizers import SGD


def test_every_item_is_worked_on_once(num_threads: int) -> None:
    seen: list[int] = []
    for n in (0, 1, 2, 3, 100):
        seen.clear()
        pieces = split(lambda start, stop: seen.extend(range(start, stop)), n)
        assert sorted(seen) == list(range(n))
        assert pieces == max(1, min(num_threads, n))


def test_small_work_is_not_split() -> None:
    assert split(lambda start, stop: None, 100, smallest=60) == 1


def test_threads_let_go_of_what_they_have_worked_on(num_threads: int) -> None:
    class Large:
        pass

    def work(thing: Large) -> weakref.ref[Large]:
        split(lambda start, stop: time.sleep(0.001) if thing else None, 10)
        return weakref.ref(thing)

    for _ in range(20):
        known = work(Large())
        assert known() is None, "at once, or a gradient would seem to be in someone's hands"


def test_an_error_in_one_piece_is_raised_and_the_threads_go_on(num_threads: int) -> None:
    def fail(start: int, stop: int) -> None:
        if stop == 10:
            raise ValueError("the last piece")

    for _ in range(3):
        with pytest.raises(ValueError, match="the last piece"):
            split(fail, 10)
    assert split(lambda start, stop: None, 10) == num_threads


def test_work_within_work_and_from_many_threads_at_once(num_threads: int) -> None:
    totals = np.zeros(8)

    def one(row: int) -> None:
        def outer(start: int, stop: int) -> None:
            split(lambda a, b: cells.__setitem__((slice(start, stop), slice(a, b)), 1), 20)

        cells = np.zeros((20, 20))
        split(outer, 20)
        totals[row] = cells.sum()

    users = [threading.Thread(target=one, args=(row,)) for row in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    np.testing.assert_array_equal(totals, 400)


@pytest.mark.compiles
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_has_threads_of_its_own() -> None:
    script = """
        import os, sys
        from passus.kernels import set_num_threads
        from passus.kernels.threads import split
        set_num_threads(3)
        assert split(lambda a, b: None, 9) == 3
        child = os.fork()
        if child == 0:
            seen = []
            split(lambda a, b: seen.append((a, b)), 9)
            os._exit(0 if len(seen) == 3 else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


@pytest.mark.parametrize("most", [0, 1])
def test_threads_that_cannot_be_started_cost_speed_only(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def refused(thread: threading.Thread) -> None:
        if len(started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    before = get_num_threads()
    set_num_threads(4)
    monkeypatch.setattr(threads, "_pool", threads._Pool())
    monkeypatch.setattr(threading.Thread, "start", refused)
    try:
        done: list[tuple[int, int]] = []
        with pytest.warns(PassusWarning, match=f"on {most + 1} threads instead of 4.*can't start new thread"):
            split(lambda a, b: done.append((a, b)), 12)
        split(lambda a, b: done.append((a, b)), 12)  # Without a warning.
        assert sorted(done) == [(0, 3), (0, 3), (3, 6), (3, 6), (6, 9), (6, 9), (9, 12), (9, 12)]
    finally:
        set_num_threads(before)


@pytest.mark.parametrize(("given_", "error"), [(0, ArgumentError), (-1, ArgumentError), (1.5, DTypeError)])
def test_a_number_of_threads_that_makes_no_sense(given_: Any, error: type[Exception]) -> None:
    before = get_num_threads()
    with pytest.raises(error, match="set_num_threads"):
        set_num_threads(given_)
    assert get_num_threads() == before


def test_the_environment_sets_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = get_num_threads()
    try:
        monkeypatch.setenv("PASSUS_NUM_THREADS", "3")
        monkeypatch.setattr(threads, "_count", None)
        assert get_num_threads() == 3
        monkeypatch.setenv("PASSUS_NUM_THREADS", "many")
        monkeypatch.setattr(threads, "_count", None)
        with pytest.raises(ArgumentError, match="PASSUS_NUM_THREADS='many'"):
            get_num_threads()
    finally:
        set_num_threads(before)


def test_models_trained_in_eight_threads_at_once_are_those_trained_one_by_one() -> None:
    def trained(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        x = generator.standard_normal((32, 3, 24, 24)).astype(np.float32)
        t = generator.integers(0, 5, 32)
        with passus.random.using_rng(seed):
            model = Sequential(Conv2d(16, 3, pad=1), BatchNorm(), ReLU(), Conv2d(16, 3, 2), Flatten(), Linear(5))
            optimizer = SGD(lr=0.05).setup(model)
            for _ in range(3):
                loss = F.softmax_cross_entropy(model(x), t)
                model.cleargrads()
                loss.backward()
                optimizer.update()
        return np.concatenate([p.data.ravel() for p in model.params()])

    alone = [trained(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(trained, range(8)))
    np.testing.assert_array_equal(together, alone)

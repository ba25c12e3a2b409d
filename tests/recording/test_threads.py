"""Compiled functions in several threads: recorded models at once, and recording beside other computations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.config import no_grad, test_mode
from passus.core import Variable
from passus.optimizers import SGD
from passus.recording import compile
from tests.recording.comparing import assert_same, assert_untraced, exactly, frozen, numbers

THREADS, CALLS = 4, 12


def model() -> Any:
    return L.Sequential(L.Linear(8, in_size=3, rng=0), L.BatchNorm(in_size=8), L.ReLU(), L.Linear(2, in_size=8, rng=1))


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """The results of functions that start at the same time, each in a thread of its own."""
    barrier = Barrier(len(tasks))

    def start(task: Callable[[], Any]) -> Any:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(start, tasks))


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_one_compiled_model(warm: bool, exact: bool) -> None:
    layer = model()
    recorded = compile(layer, exact=exact)
    batches = numbers(CALLS, (4, 3))
    with no_grad(), test_mode():
        expected = [layer(x).data for (x,) in batches]
    if warm:
        recorded.warm_up(*batches[0])

    def serve() -> list[Any]:
        return [recorded(x).data for (x,) in batches]

    for results in at_once(*[serve] * THREADS):
        for y, z in zip(results, expected):
            if exact:
                assert_same(y, z, "result")
            np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)
    assert_untraced(layer)


def test_one_compiled_model_with_several_shapes() -> None:
    layer = model()
    recorded = exactly(layer)
    batches = [numbers(1, (n, 3), seed=n)[0][0] for n in (1, 4, 7)] * 3
    with no_grad(), test_mode():
        expected = [layer(x).data for x in batches]

    def serve() -> list[Any]:
        return [recorded(x).data for x in batches]

    for results in at_once(*[serve] * THREADS):
        for y, z in zip(results, expected):
            assert_same(y, z, "result")


def test_recording_beside_other_computations() -> None:
    """While one thread records, another computes with other layers and arrays."""
    other = L.Sequential(L.Linear(8, in_size=3, rng=5), L.Tanh(), L.Linear(1, in_size=8, rng=6))
    (x,) = numbers(1, (4, 3))[0]
    expected = frozen((other(x) ** 2).mean())

    def record() -> None:
        for _ in range(20):
            layer = model()
            optimizer = SGD(lr=0.1).setup(layer)

            def step(x: Any, layer: Any = layer, optimizer: Any = optimizer) -> Any:
                loss = (layer(x) ** 2).mean()
                layer.cleargrads()
                loss.backward()
                optimizer.update()
                return loss

            recorded = compile(step)
            for _ in range(3):
                recorded(x)

    def compute() -> None:
        for _ in range(150):
            loss = (other(x) ** 2).mean()
            other.cleargrads()
            loss.backward()
            assert_same(frozen(loss), expected, "loss")
            assert all(type(p.grad.data) is np.ndarray for p in other.params())

    at_once(record, compute, compute)


def test_several_training_steps() -> None:
    """Each thread trains a model of its own with a compiled step."""

    def train(is_compiled: bool) -> Any:
        layer = model()
        optimizer = SGD(lr=0.1).setup(layer)

        def step(x: Any) -> Any:
            loss = (layer(x) ** 2).mean()
            layer.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        recorded = exactly(step) if is_compiled else step
        losses = [frozen(recorded(x)) for (x,) in numbers(CALLS, (4, 3))]
        return losses, frozen(layer)

    expected = train(is_compiled=False)
    for result in at_once(*[lambda: train(is_compiled=True)] * THREADS):
        assert_same(result, expected, "training")


def test_eager_call_of_a_model_while_it_is_recorded() -> None:
    """Another thread that calls the same model at that moment gets an error or the result, and never a wrong program."""
    layer = model()
    (x,) = numbers(1, (4, 3))[0]
    with no_grad(), test_mode():
        expected = layer(x).data
    errors: list[BaseException] = []

    def record() -> None:
        for _ in range(30):
            recorded = exactly(layer)
            for _ in range(3):
                assert_same(recorded(x).data, expected, "recorded")

    def call() -> None:
        for _ in range(100):
            try:
                with no_grad(), test_mode():
                    y = layer(x)
                assert_same(np.array(y.data), expected, "eager")
            except Exception as error:
                errors.append(error)

    threads = [Thread(target=record), Thread(target=call)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_untraced(layer)
    assert all("record" in str(error) for error in errors), errors[:1]


def test_tasks_of_asyncio() -> None:
    layer = model()
    recorded = exactly(layer)
    batches = numbers(6, (4, 3))
    with no_grad(), test_mode():
        expected = [layer(x).data for (x,) in batches]

    async def serve(x: Any) -> Any:
        await asyncio.sleep(0)
        return recorded(x).data

    async def main() -> list[Any]:
        return await asyncio.gather(*[serve(x) for (x,) in batches])

    for y, z in zip(asyncio.run(main()), expected):
        assert_same(y, z, "result")


def test_switches_of_one_thread_do_not_reach_another() -> None:
    layer = L.Dropout(0.5, rng=0)
    step = exactly(lambda x: F.relu(layer(x)))
    x = np.ones((4, 4))

    def train() -> bool:
        return all((step(x) != x).any() for _ in range(10))

    def evaluate() -> bool:
        with test_mode():
            return all((step(x) == x).all() for _ in range(10))

    assert at_once(train, evaluate, train, evaluate) == [True] * 4


def test_variables_of_another_thread_stay_plain_while_recording() -> None:
    shared = Variable(np.arange(3.0))
    seen: list[Any] = []

    def step(x: Any) -> Any:
        thread = Thread(target=lambda: seen.append(type((Variable(np.ones(3)) * 2.0).data)))
        thread.start()
        thread.join()
        return shared * x

    recorded = compile(step)
    for _ in range(3):
        recorded(np.ones(3))
    assert set(seen) == {np.ndarray}

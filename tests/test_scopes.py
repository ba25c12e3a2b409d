"""Scopes that set a switch or the generator: in generators, threads, contexts, and as decorators."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, copy_context
from typing import Any

import numpy as np
import pytest

from passus import Config, Variable, no_grad, test_mode, using_config
from passus.dataloaders import DataLoader
from passus.errors import DTypeError
from passus.random import get_rng, seed, using_rng


def recording() -> bool:
    """Whether a computation is recorded, checked against the switch."""
    y = Variable(np.array(1.0)) * 2
    assert y.requires_grad == Config.enable_backprop
    return y.requires_grad


AMBIENT: list[np.random.Generator] = []
"""The current generators outside of scopes: that of the test, and that of threads."""


@pytest.fixture(autouse=True)
def _ambient() -> None:
    AMBIENT[:] = [get_rng(), Context().run(get_rng)]


def own_generator() -> bool:
    return get_rng() not in AMBIENT


def outside(test: Any) -> Any:
    """Run a test in an empty context, outside of all scopes."""

    @functools.wraps(test)
    def run() -> None:
        Context().run(test)

    return run


SCOPES = pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (no_grad, lambda: not recording()),
        (test_mode, lambda: not Config.train),
        (lambda: using_config("debug", True), lambda: Config.debug),
        (lambda: using_rng(0), own_generator),
    ],
    ids=["no_grad", "test_mode", "using_config", "using_rng"],
)


@SCOPES
def test_suspended_generator_does_not_affect_its_consumer(scope: Any, inside: Any) -> None:
    def items() -> Iterator[bool]:
        with scope():
            yield inside()
            yield inside()

    first = items()
    assert next(first)
    assert not inside()
    assert next(first)
    assert list(first) == []
    assert not inside()


@SCOPES
@pytest.mark.parametrize("first_to_end", [0, 1])
def test_generators_can_end_in_any_order(scope: Any, inside: Any, first_to_end: int) -> None:
    def items() -> Iterator[bool]:
        with scope():
            yield inside()
        yield not inside()

    both = [items(), items()]
    assert [next(generator) for generator in both] == [True, True]
    both.insert(0, both.pop(first_to_end))
    assert [next(generator) for generator in both] == [True, True]
    assert not inside()
    assert list(zip(items(), items())) == [(True, True), (True, True)]
    assert not inside()


@SCOPES
def test_generator_can_be_closed_in_another_thread_or_context(scope: Any, inside: Any) -> None:
    def items() -> Iterator[bool]:
        with scope():
            yield inside()

    for run in (in_thread, lambda f: copy_context().run(f)):
        generator = items()
        assert next(generator)
        run(generator.close)  # type: ignore[attr-defined]
        assert not inside()
        generator = items()
        assert run(lambda generator=generator: next(generator))
        del generator
        assert not inside()


@SCOPES
def test_abandoned_generator_has_no_effect(scope: Any, inside: Any) -> None:
    def items() -> Iterator[None]:
        with scope():
            yield
            yield

    for _ in items():
        break
    assert not inside()
    suspended = items()
    next(suspended)
    assert not inside()


@SCOPES
def test_scope_in_a_context_manager(scope: Any, inside: Any) -> None:
    @contextmanager
    def evaluating() -> Iterator[None]:
        with scope():
            yield

    def items() -> Iterator[bool]:
        with evaluating():
            yield inside()

    def stacked() -> Iterator[bool]:
        with ExitStack() as stack:
            stack.enter_context(scope())
            yield inside()

    with evaluating():
        assert inside()
        with evaluating():
            assert inside()
        assert inside()
    assert not inside()
    for generator in (items(), stacked()):
        assert next(generator)
        assert not inside()
        assert list(generator) == []
    assert not inside()


@pytest.fixture
def no_grad_fixture() -> Iterator[None]:
    with no_grad():
        yield


def test_scope_in_a_fixture(no_grad_fixture: None) -> None:
    assert not recording()


@SCOPES
def test_decorators(scope: Any, inside: Any) -> None:
    @scope()
    def plain(n: int) -> list[bool]:
        return [inside()] + (plain(n - 1) if n else [])

    @scope()
    def items(n: int) -> Iterator[Any]:
        """Items."""
        sent = yield inside()
        for _ in range(n):
            yield inside(), sent

    @scope()
    async def waiting() -> bool:
        await asyncio.sleep(0)
        return inside()

    @scope()
    async def coming() -> AsyncIterator[bool]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield inside()

    async def main() -> list[bool]:
        seen = []
        async for item in coming():
            seen += [item, not inside()]
        return seen + await asyncio.gather(waiting(), waiting())

    assert plain(2) == [True] * 3
    assert not inside()
    generator = items(1)
    assert items.__doc__ == "Items."
    assert next(generator)
    assert not inside()
    assert generator.send(5) == (True, 5)  # type: ignore[attr-defined]
    assert not inside()
    with pytest.raises(KeyError):
        generator.throw(KeyError)  # type: ignore[attr-defined]
    assert list(items(2)) == [True, (True, None), (True, None)]
    assert asyncio.run(main()) == [True] * 6
    assert not inside()


@SCOPES
def test_decorating_a_class_raises(scope: Any, inside: Any) -> None:
    with pytest.raises(DTypeError, match="decorate a function"):

        @scope()
        class Predictor:
            pass


@SCOPES
def test_scope_instance_is_reentrant_and_thread_safe(scope: Any, inside: Any) -> None:
    shared = scope()
    wrong: list[str] = []

    def work() -> None:
        for _ in range(100):
            with shared:
                with shared:
                    if not inside():
                        wrong.append("inside")
                if not inside():
                    wrong.append("after the inner scope")
            if inside():
                wrong.append("outside")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    with pytest.raises(KeyError), shared:
        raise KeyError
    assert not inside()


@SCOPES
def test_overlapping_scopes(scope: Any, inside: Any) -> None:
    first, second = scope(), scope()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert inside()
    second.__exit__(None, None, None)
    assert not inside()
    second.__exit__(None, None, None)
    assert not inside()


def test_loader_threads_inherit_switches_of_a_generator() -> None:
    class Switch(list[int]):
        def __getitem__(self, i: Any) -> Any:
            return Config.enable_backprop

    def batches() -> Iterator[Any]:
        with no_grad():
            yield from DataLoader(Switch(range(8)), 2, workers=2)

    assert not np.concatenate(list(batches())).any()


def in_thread(function: Any) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def draw() -> float:
    return get_rng().random()


@outside
def test_seed_applies_to_all_threads_and_contexts() -> None:
    expected = np.random.default_rng(7).random(4).tolist()
    for call in (lambda: seed(7), lambda: in_thread(lambda: seed(7)), lambda: copy_context().run(seed, 7)):
        call()
        assert [draw(), in_thread(draw), copy_context().run(draw), asyncio.run(drawing())] == expected


async def drawing() -> float:
    return draw()


@outside
def test_seed_does_not_affect_a_thread_with_its_own_generator() -> None:
    def work() -> list[float]:
        with using_rng(1):
            a = draw()
            copy_context().run(seed, 7)  # As in a task started here.
            b = draw()
            seed(3)
            return [a, b, draw()]

    seed(0)
    expected = [*np.random.default_rng(1).random(2), np.random.default_rng(3).random()]
    assert in_thread(work) == expected
    assert draw() == np.random.default_rng(0).random()


@outside
def test_seed_inside_using_rng_ends_with_the_block() -> None:
    seed(0)
    with using_rng(1):
        seed(2)
        assert draw() == np.random.default_rng(2).random()
    assert draw() == np.random.default_rng(0).random()


@pytest.mark.parametrize(("block", "switch"), [(no_grad, "enable_backprop"), (test_mode, "train")])
def test_decorators_need_no_parentheses(block: Any, switch: str) -> None:
    @block
    def inside() -> bool:
        return getattr(Config, switch)

    @block
    def steps() -> Iterator[bool]:
        yield getattr(Config, switch)

    assert (inside(), list(steps()), getattr(Config, switch)) == (False, [False], True)
    with pytest.raises(DTypeError, match="cannot be decorated"):
        block(3)

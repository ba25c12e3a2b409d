"""Switches: as context managers, attributes and decorators, in threads and in tasks."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from passus import Config, Parameter, Variable, no_grad, test_mode, using_config
from passus.errors import ArgumentError
from passus.functions import mul, square
from tests.core.graphs import leaf


def test_switches():
    assert (Config.enable_backprop, Config.train, Config.debug) == (True, True, False)
    with no_grad(), test_mode():
        assert (Config.enable_backprop, Config.train) == (False, False)
        with using_config("train", True):
            assert Config.train
        assert repr(Config) == "Config(enable_backprop=False, train=False, debug=False, native=True, details=False)"
    assert (Config.enable_backprop, Config.train) == (True, True)
    with pytest.raises(RuntimeError), no_grad():
        raise RuntimeError
    assert Config.enable_backprop


def test_switches_as_attributes_and_decorators():
    @no_grad()
    def predict():
        return Config.enable_backprop

    assert (predict(), predict(), Config.enable_backprop) == (False, False, True)
    Config.train = False
    try:
        assert not Config.train
    finally:
        Config.train = True
    with pytest.raises(ArgumentError, match="unknown switch 'trian'"):
        using_config("trian", True)
    with pytest.raises(ArgumentError, match="unknown switch"):
        Config.trian = True
    with pytest.raises(AttributeError, match="no switch"):
        _ = Config.trian


def test_switches_belong_to_one_task():
    async def quiet():
        with no_grad():
            await asyncio.sleep(0.01)
            return Config.enable_backprop

    async def loud():
        await asyncio.sleep(0.005)
        return Config.enable_backprop

    async def both():
        return await asyncio.gather(quiet(), loud())

    assert asyncio.run(both()) == [False, True]


def test_no_grad_in_one_thread_does_not_affect_another():
    inside, done = threading.Event(), threading.Event()

    def other():
        with no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    try:
        y = square(leaf(2.0))
        assert Config.enable_backprop
        y.backward()
        assert y.creator is not None
    finally:
        done.set()
        thread.join()


def test_threads_may_walk_graphs_over_shared_parameters():
    W = Parameter(np.ones(50))
    results = []

    def work(k):
        for _ in range(50):
            x = Variable(np.full(50, float(k)))
            y = mul(square(x), W.data)
            y.backward()
            results.append(np.array_equal(x.grad.data, np.full(50, 2.0 * k)))
            time.sleep(0)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 200
    assert all(results)

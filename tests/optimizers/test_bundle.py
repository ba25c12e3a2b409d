"""Small parameters are updated in bundles, with identical results."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from passus import Parameter
from passus.kernels.blocks import BLOCK
from passus.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Lion,
    MomentumSGD,
    NAdam,
    Nesterov,
    RAdam,
    RMSprop,
    stepping,
)
from passus.optimizers.slots import ParamState
from passus.optimizers.stepping import bundled
from passus.tree import flatten

SHAPES = [(3, 4), (), (5,), (0, 2), (1, 1), (70, 70)]
RULES = [SGD, AMSGrad, Adam, AdamW, AdaDelta, AdaGrad, Lion, MomentumSGD, NAdam, Nesterov, RAdam, RMSprop]


class Target:
    def __init__(self, dtype=np.float32):
        rng = np.random.default_rng(0)
        self.params = [Parameter(np.asarray(rng.standard_normal(s), dtype)) for s in SHAPES]
        self.params[0].data = np.asfortranarray(self.params[0].data)
        self.params += [Parameter(rng.standard_normal(3))]  # Has another dtype.

    def named_params(self):
        return [(f"p{i}", p) for i, p in enumerate(self.params)]


def run(make, steps=6, restart_at=None):
    """Train with parameters that have no gradient in some steps, and one that is frozen in steps 2 and 3."""
    target, rng = Target(), np.random.default_rng(1)
    optimizer = make().setup(target)
    for step in range(steps):
        if step == restart_at:
            state = optimizer.state_dict()
            optimizer = make().setup(target)
            optimizer.load_state_dict(state)
        for i, p in enumerate(target.params):
            g = np.asarray(rng.standard_normal(p.shape), p.dtype)
            p.grad = None if (step, i) in ((1, 2), (3, 0), (3, 4)) else g
            p.requires_grad = not (i == 1 and 2 <= step < 4)
        optimizer.update()
    return [p.data for p in target.params], optimizer


@pytest.mark.parametrize("make", RULES)
def test_bundled_and_single_updates_are_identical(make, monkeypatch):
    together, optimizer = run(make)
    assert optimizer._stepper.bundles
    restarted, _ = run(make, restart_at=3)
    monkeypatch.setattr(stepping, "SMALL", -1)
    alone, optimizer = run(make)
    assert not optimizer._stepper.bundles
    for a, b, c in zip(together, alone, restarted, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_updates_keep_the_arrays_of_parameters():
    target = Target()
    arrays = [p.data for p in target.params]
    optimizer = Adam().setup(target)
    for _ in range(2):
        for p in target.params:
            p.grad = np.ones_like(p.data)
        optimizer.update()
    assert all(p.data is x for p, x in zip(target.params, arrays))
    assert all(p.data is x and x.flags.owndata for p, x in zip(target.params[1:], arrays[1:]))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copied_optimizer_continues_identically(duplicate):
    target = Target()
    optimizer = Adam().setup(target)

    def step(target, optimizer):
        for p in target.params:
            p.grad = np.ones_like(p.data)
        optimizer.update()
        return flatten(optimizer.state_dict())

    step(target, optimizer)
    twin, copied = duplicate((target, optimizer))
    for _ in range(2):
        expected, found = step(target, optimizer), step(twin, copied)
    for path, x in expected.items():
        np.testing.assert_array_equal(x, found[path], err_msg=path)


def test_bundles_are_reused_while_their_members_are_unchanged():
    target = Target()
    optimizer = Adam().setup(target)

    def step(without=()):
        for i, p in enumerate(target.params):
            p.grad = None if i in without else np.ones_like(p.data)
        optimizer.update()
        return optimizer._stepper.bundles

    first = step()
    assert len(first) == 2  # One for each dtype.
    assert all(a is b for a, b in zip(step(), first))
    assert step(without=(2,))[0] is not first[0]


def test_bundles_are_limited_to_the_cache_size():
    states = [ParamState(0, (BLOCK // 4,), np.dtype(float)) for _ in range(9)]
    assert [len(members) for members in bundled(states)] == [4, 4, 1]

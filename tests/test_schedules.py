"""Schedules: agreement with PyTorch, edge cases, and errors."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as T

from passus import schedules as S
from passus.errors import ArgumentError, DTypeError, PassusError
from passus.optimizers import SGD
from tests.helpers.bare import Model

STEPS = 60


def rates_of_torch(make: Any, lr: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return rates


AGAINST_TORCH = {
    "constant": (S.constant(0.3), lambda o: T.ConstantLR(o, factor=1.0)),
    "step": (S.step(0.3, every=7, gamma=0.5), lambda o: T.StepLR(o, 7, gamma=0.5)),
    "multi_step": (S.multi_step(0.3, [5, 6, 30], 0.7), lambda o: T.MultiStepLR(o, [5, 6, 30], 0.7)),
    "exponential": (S.exponential(0.3, 0.9), lambda o: T.ExponentialLR(o, 0.9)),
    "polynomial": (S.polynomial(0.3, 40, power=2.0), lambda o: T.PolynomialLR(o, 40, power=2.0)),
    "linear": (S.polynomial(0.3, 40), lambda o: T.LinearLR(o, 1.0, 0.0, 40)),
    "cosine": (S.cosine(0.3, STEPS, 0.01), lambda o: T.CosineAnnealingLR(o, STEPS, 0.01)),
    "cosine_restarts": (
        S.cosine_restarts(0.3, 7, stretch=2, lr_end=0.01),
        lambda o: T.CosineAnnealingWarmRestarts(o, 7, 2, 0.01),
    ),
    "cosine_restarts, even": (
        S.cosine_restarts(0.3, 7),
        lambda o: T.CosineAnnealingWarmRestarts(o, 7),
    ),
    "warmup": (S.warmup(0.3, 12, start=0.25), lambda o: T.LinearLR(o, 0.25, 1.0, 12)),
    "warmup of step": (
        S.warmup(S.step(0.3, 5, 0.5), 12, start=0.25),
        lambda o: T.ChainedScheduler([T.LinearLR(o, 0.25, 1.0, 12), T.StepLR(o, 5, 0.5)]),
    ),
    "one_cycle": (S.one_cycle(0.3, STEPS), lambda o: T.OneCycleLR(o, 0.3, STEPS)),
    "one_cycle, all arguments": (
        S.one_cycle(0.3, STEPS, warm=0.42, div=10.0, final_div=100.0),
        lambda o: T.OneCycleLR(o, 0.3, STEPS, pct_start=0.42, div_factor=10.0, final_div_factor=100.0),
    ),
    "join": (
        S.join([S.warmup(0.3, 10, start=0.1), S.cosine(0.3, 50)], [10]),
        lambda o: T.SequentialLR(o, [T.LinearLR(o, 0.1, 1.0, 10), T.CosineAnnealingLR(o, 50)], [10]),
    ),
}


@pytest.mark.parametrize(("ours", "theirs"), AGAINST_TORCH.values(), ids=AGAINST_TORCH.keys())
def test_rates_agree_with_pytorch(ours: Any, theirs: Any) -> None:
    # PyTorch multiplies its rates step by step, with rounding errors.
    assert [ours(t) for t in range(STEPS)] == pytest.approx(rates_of_torch(theirs, 0.3), rel=1e-11, abs=1e-15)


@pytest.mark.parametrize(
    ("schedule", "last"),
    [(S.polynomial(1.0, 5, lr_end=0.1), 0.1), (S.cosine(1.0, 5, 0.1), 0.1), (S.one_cycle(1.0, 5), 4e-6)],
)
def test_finished_schedule_returns_its_last_value(schedule: Any, last: float) -> None:
    assert schedule(5) == schedule(1000) == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("warm", [0.0, 0.05, 0.1])
def test_one_cycle_with_short_warmup_starts_near_the_maximum(warm: float) -> None:
    rates = [S.one_cycle(1.0, 10, warm=warm)(t) for t in range(10)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.9
    assert rates[-1] == pytest.approx(4e-6)


def test_cosine_restarts_at_large_steps() -> None:
    assert S.cosine_restarts(1.0, 10)(10**12) == 1.0
    assert S.cosine_restarts(1.0, 10, stretch=2)(10 * (2**30 - 1)) == 1.0


def test_join_of_numbers_is_piecewise_constant() -> None:
    rates = S.join([0.1, 0.2, 0.3], [2, 3])
    assert [rates(t) for t in range(5)] == [0.1, 0.1, 0.2, 0.3, 0.3]


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: S.constant(math.nan), ArgumentError, "constant: lr is nan"),
        (lambda: S.constant("0.1"), DTypeError, "constant: lr is a str"),
        (lambda: S.step(-0.1, 5), ArgumentError, "step: lr is -0.1"),
        (lambda: S.step(0.1, 0), ArgumentError, "step: every is 0"),
        (lambda: S.step(0.1, 2.5), DTypeError, "step: every is a float"),
        (lambda: S.step(0.1, 5, math.inf), ArgumentError, "step: gamma is inf"),
        (lambda: S.multi_step(0.1, [5, 5]), ArgumentError, "multi_step: milestones are"),
        (lambda: S.exponential(0.1, -1.0), ArgumentError, "exponential: gamma is -1"),
        (lambda: S.polynomial(0.1, 0), ArgumentError, "polynomial: steps is 0"),
        (lambda: S.cosine(0.1, -3), ArgumentError, "cosine: steps is -3"),
        (lambda: S.cosine_restarts(0.1, 5, stretch=0), ArgumentError, "stretch is 0"),
        (lambda: S.warmup(0.1, True), DTypeError, "warmup: steps is a bool"),
        (lambda: S.warmup(math.inf, 5), ArgumentError, "lr is inf"),
        (lambda: S.one_cycle(0.1, 1), ArgumentError, "one_cycle: steps is 1"),
        (lambda: S.one_cycle(0.1, 10, warm=1.0), ArgumentError, "one_cycle: warm is 1"),
        (lambda: S.one_cycle(0.1, 10, div=0.0), ArgumentError, "one_cycle: div is 0"),
        (lambda: S.join([0.1, 0.2], [1, 2]), ArgumentError, "join: 2 schedules need 1 boundaries, not 2"),
        (lambda: S.join([0.1, 0.2, 0.3], [2, 1]), ArgumentError, "join: boundaries are"),
        (lambda: S.join(0.1, [1]), DTypeError, "join: schedules is a float"),
        (lambda: S.multi_step(0.1, 5), DTypeError, "multi_step: milestones is an int"),
        (lambda: S.OnPlateau(0.1, factor=1.0), ArgumentError, "OnPlateau: factor is 1"),
        (lambda: S.OnPlateau(0.1, patience=-1), ArgumentError, "OnPlateau: patience is -1"),
    ],
)
def test_bad_values_raise(make: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        make()
    assert isinstance(caught.value, PassusError)


LOSSES = [5.0, 4.0, 4.0, 3.9999, 4.0, 3.0, *[3.0] * 9, 1.0, 0.99995, *[1.0] * 9, math.nan, math.nan, 0.5]


@pytest.mark.parametrize("options", [{}, {"patience": 2}, {"patience": 0, "cooldown": 3}, {"patience": 1, "min": 0.05}])
def test_on_plateau_agrees_with_pytorch(options: dict[str, Any]) -> None:
    options = dict(options)
    lr_min = options.pop("min", 0.0)
    ours = S.OnPlateau(0.3, factor=0.5, lr_min=lr_min, **options)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    # PyTorch ignores changes below eps.
    theirs = T.ReduceLROnPlateau(optimizer, factor=0.5, min_lr=lr_min, eps=0.0, **options)
    for loss in LOSSES:
        ours.report(loss)
        theirs.step(loss)
        assert ours(0) == optimizer.param_groups[0]["lr"]


def test_on_plateau_threshold_for_negative_values() -> None:
    # PyTorch's best * (1 - threshold) is greater than a negative best, so that a constant counts as an improvement.
    lr = S.OnPlateau(1.0, factor=0.5, patience=0, threshold=0.1)
    lr.report(-1.0)
    lr.report(-1.2)
    assert lr(0) == 1.0
    lr.report(-1.25)
    assert lr(0) == 0.5


def test_on_plateau_resumes() -> None:
    whole, half = S.OnPlateau(0.3, patience=2), S.OnPlateau(0.3, patience=2)
    for loss in LOSSES:
        whole.report(loss)
    for loss in LOSSES[:9]:
        half.report(loss)
    resumed = S.OnPlateau(1.0, patience=2)
    resumed.load_state_dict(copy.deepcopy(half.state_dict()))
    for loss in LOSSES[9:]:
        resumed.report(loss)
    assert resumed.state_dict() == whole.state_dict()
    with pytest.raises(ArgumentError, match="a state has lr, best, waited, resting"):
        resumed.load_state_dict({"lr": 0.1})
    assert resumed(0) == whole(0)


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        ([0.1], DTypeError, "OnPlateau.load_state_dict: a list is not a state"),
        ({"lr": math.nan}, ArgumentError, "lr is nan"),
        ({"lr": "fast"}, DTypeError, "lr is a str"),
        ({"best": None}, DTypeError, "best is None"),
        ({"waited": -1}, ArgumentError, "waited is -1"),
        ({"resting": 0.5}, DTypeError, "resting is a float"),
    ],
)
def test_on_plateau_rejects_bad_states_unchanged(state: Any, error: Any, match: str) -> None:
    lr = S.OnPlateau(0.3)
    before = lr.state_dict()
    with pytest.raises(error, match=match):
        lr.load_state_dict({**before, "lr": 0.1, **state} if isinstance(state, dict) else state)
    assert lr.state_dict() == before


def test_optimizer_lr_follows_its_schedule() -> None:
    optimizer = SGD(lr=S.warmup(1.0, steps=4))
    assert optimizer.lr == 0.0
    optimizer.step = 3
    assert optimizer.lr == 0.75


@pytest.mark.parametrize(
    "schedule", [S.exponential(1.0, 2.0), S.step(1.0, 1, 2.0), S.multi_step(1.0, range(1, 3000), 2.0)]
)
def test_overflowing_rate_is_infinite_and_raises_on_update(schedule: Any) -> None:
    assert schedule(5) == 32
    assert schedule(3000) == np.inf
    optimizer = SGD(lr=lambda t: schedule(3000)).setup(Model(W=np.ones(2)))
    optimizer.target["W"].grad = np.ones(2)  # type: ignore[index]
    with pytest.raises(ArgumentError, match="lr is inf"):
        optimizer.update()

"""Learning rate schedules: functions from the number of updates so far to the rate of the next one.

Any function of the step is a schedule. It is passed to an optimizer as its learning rate:

>>> from passus.optimizers import SGD
>>> optimizer = SGD(lr=warmup(cosine(0.1, steps=1000), steps=10))
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from passus.answers import answers_for
from passus.arguments import checked_count, checked_number, checked_real
from passus.display import ShowsOptions
from passus.errors import ArgumentError, DTypeError, kind_of
from passus.foreign import SCHEDULES
from passus.loading import Loading, Verified, leaf
from passus.tree import Tree, check_tree

__all__ = [
    "OnPlateau",
    "Schedule",
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "join",
    "multi_step",
    "one_cycle",
    "polynomial",
    "step",
    "warmup",
]

Schedule: TypeAlias = Callable[[int], float]
"""A function from the number of updates so far, 0 at first, to the learning rate of the next one."""


def constant(lr: float) -> Schedule:
    """A constant rate.

    >>> constant(0.1)(1000)
    0.1
    """
    lr = _checked_lr("constant", "lr", lr)
    return lambda t: lr


def step(lr: float, every: int, gamma: float = 0.1) -> Schedule:
    """Multiply by ``gamma`` after ``every`` steps: ``lr * gamma**(t // every)``.

    >>> [step(1.0, every=2, gamma=0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    lr, gamma = _checked_lr("step", "lr", lr), checked_number("step", "gamma", gamma)
    every = checked_count("step", "every", every)
    return lambda t: lr * _power(gamma, t // every)


def multi_step(lr: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """Multiply by ``gamma`` at each milestone; the milestones are increasing steps.

    >>> [multi_step(1.0, [1, 3], gamma=0.5)(t) for t in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """
    lr, gamma = _checked_lr("multi_step", "lr", lr), checked_number("multi_step", "gamma", gamma)
    steps = _increasing("multi_step", "milestones", milestones)
    return lambda t: lr * _power(gamma, bisect_right(steps, t))


def exponential(lr: float, gamma: float) -> Schedule:
    """Multiply by ``gamma`` at every step: ``lr * gamma**t``.

    >>> exponential(1.0, gamma=0.5)(3)
    0.125
    """
    lr, gamma = _checked_lr("exponential", "lr", lr), checked_number("exponential", "gamma", gamma)
    return lambda t: lr * _power(gamma, t)


def polynomial(lr: float, steps: int, power: float = 1.0, lr_end: float = 0.0) -> Schedule:
    """From ``lr`` to ``lr_end`` along ``(1 - t / steps)**power``, then constant; ``power=1`` is linear.

    >>> [polynomial(1.0, steps=4)(t) for t in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    lr, lr_end = _checked_lr("polynomial", "lr", lr), checked_number("polynomial", "lr_end", lr_end)
    steps, power = checked_count("polynomial", "steps", steps), checked_number("polynomial", "power", power)
    return lambda t: lr_end + (lr - lr_end) * (1 - min(t, steps) / steps) ** power


def cosine(lr: float, steps: int, lr_end: float = 0.0) -> Schedule:
    """From ``lr`` to ``lr_end`` along half a cosine wave, then constant (Loshchilov and Hutter, 2017).

    >>> [round(cosine(1.0, steps=2)(t), 3) for t in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """
    lr, lr_end = _checked_lr("cosine", "lr", lr), checked_number("cosine", "lr_end", lr_end)
    steps = checked_count("cosine", "steps", steps)
    return lambda t: _half_wave(lr, lr_end, min(t / steps, 1.0))


def cosine_restarts(lr: float, period: int, stretch: int = 1, lr_end: float = 0.0) -> Schedule:
    """`cosine` with restarts, each period ``stretch`` times as long as the last (SGDR; Loshchilov and Hutter, 2017).

    >>> [round(cosine_restarts(1.0, period=2)(t), 3) for t in range(5)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    where = "cosine_restarts"
    lr, lr_end = _checked_lr(where, "lr", lr), checked_number(where, "lr_end", lr_end)
    period, stretch = checked_count(where, "period", period), checked_count(where, "stretch", stretch)

    def schedule(t: int) -> float:
        length = period
        if stretch == 1:
            t %= period
        while t >= length:
            t, length = t - length, length * stretch
        return _half_wave(lr, lr_end, t / length)

    return schedule


def warmup(schedule: Schedule | float, steps: int, start: float = 0.0) -> Schedule:
    """A schedule, or a rate, times a factor that grows linearly from ``start`` to 1 within ``steps``.

    The schedule itself starts at the first step; to delay it until after the warmup, use `join`.

    >>> [warmup(0.5, steps=2)(t) for t in range(4)]
    [0.0, 0.25, 0.5, 0.5]
    """
    warmed = schedule if callable(schedule) else constant(schedule)
    steps = checked_count("warmup", "steps", steps)
    start = checked_number("warmup", "start", start)
    return lambda t: warmed(t) * (start + (1 - start) * min(t / steps, 1.0))


def one_cycle(lr_max: float, steps: int, warm: float = 0.3, div: float = 25.0, final_div: float = 1e4) -> Schedule:
    """From ``lr_max / div`` to ``lr_max`` in a fraction ``warm`` of the steps, then to ``lr_max / div / final_div``.

    Both parts are half cosine waves (Smith and Topin, 2018).

    >>> cycle = one_cycle(1.0, steps=10, warm=0.5)
    >>> [round(cycle(t), 3) for t in (0, 2, 4, 9)]
    [0.04, 0.52, 1.0, 0.0]
    """
    where = "one_cycle"
    lr_max, steps = _checked_lr(where, "lr_max", lr_max), checked_count(where, "steps", steps, low=2)
    warm = checked_number(where, "warm", warm, 0.0, 1.0)
    first = lr_max / checked_number(where, "div", div, open_low=True)
    last = first / checked_number(where, "final_div", final_div, open_low=True)
    top, end = warm * steps - 1, steps - 1

    def schedule(t: int) -> float:
        if t <= top and top > 0:
            return _half_wave(first, lr_max, t / top)
        return _half_wave(lr_max, last, min((t - top) / (end - top), 1.0))

    return schedule


def join(schedules: Sequence[Schedule | float], boundaries: Sequence[int]) -> Schedule:
    """Concatenate schedules or rates: at each boundary the next one starts, from its step 0.

    Raises `ArgumentError` unless there is one boundary fewer than schedules.

    >>> [join([0.1, step(1.0, every=2)], boundaries=[2])(t) for t in range(5)]
    [0.1, 0.1, 1.0, 1.0, 0.1]
    """
    steps = _increasing("join", "boundaries", boundaries)
    stages = [stage if callable(stage) else constant(stage) for stage in _checked_list("join", "schedules", schedules)]
    if len(stages) != len(steps) + 1:
        raise ArgumentError(f"join: {len(stages)} schedules need {len(stages) - 1} boundaries, not {len(steps)}")
    starts = [0, *steps]

    def schedule(t: int) -> float:
        i = bisect_right(steps, t)
        return stages[i](t - starts[i])

    return schedule


class OnPlateau(ShowsOptions, Verified):
    """Multiply by ``factor`` when a reported loss has not improved for more than ``patience`` reports.

    A value is an improvement if it is below ``best - threshold * abs(best)``. After a reduction, ``cooldown`` reports
    are ignored; the rate is never reduced below ``lr_min``. For a value that should increase, report its negative. The
    state is saved with the optimizer if this is its schedule, but not if it is wrapped in another schedule.

    >>> lr = OnPlateau(1.0, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     lr.report(loss)
    >>> lr(0)
    0.5
    """

    def __init__(
        self,
        lr: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        lr_min: float = 0.0,
    ) -> None:
        where = type(self).__name__
        self.lr = _checked_lr(where, "lr", lr)
        self.factor = checked_number(where, "factor", factor, 0.0, 1.0)
        self.patience = checked_count(where, "patience", patience, low=0)
        self.threshold = checked_number(where, "threshold", threshold)
        self.cooldown = checked_count(where, "cooldown", cooldown, low=0)
        self.lr_min = checked_number(where, "lr_min", lr_min)
        self.best = math.inf
        self.waited = 0
        """Number of consecutive reports without improvement."""
        self.resting = 0
        """Number of reports still to be ignored."""

    def __call__(self, t: int) -> float:
        return self.lr

    def report(self, value: float) -> None:
        """Report the latest value; NaN is not an improvement."""
        try:
            value = float(value)
        except (TypeError, ValueError):
            raise DTypeError(f"OnPlateau: the value {value!r} is not a number; report a loss") from None
        if value < self.best - (self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.resting:
            self.resting, self.waited = self.resting - 1, 0
        if self.waited > self.patience:
            self.lr, self.waited, self.resting = max(self.lr * self.factor, self.lr_min), 0, self.cooldown

    def state_dict(self) -> Tree:
        """The rate, the best value and the counters of reports."""
        return {"lr": self.lr, "best": self.best, "waited": self.waited, "resting": self.resting}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `ArgumentError` for missing, unknown and invalid entries."""
        where = f"{type(self).__name__}.load_state_dict"
        check_tree(where, state)
        if state.keys() != self.state_dict().keys():
            raise ArgumentError(
                f"OnPlateau: a state has {', '.join(self.state_dict())}; given: {', '.join(map(str, state))[:200]}"
            )
        loading.assign(self, "lr", checked_number(where, "lr", leaf(state["lr"])))
        best = checked_real(where, "best", leaf(state["best"]))
        if math.isnan(best):
            raise ArgumentError(f"{where}: best is NaN")
        loading.assign(self, "best", best)
        for name in ("waited", "resting"):
            loading.assign(self, name, checked_count(where, name, leaf(state[name]), low=0))


def _power(gamma: float, count: int) -> float:
    """``gamma**count``, or infinity where Python raises OverflowError; the optimizer then refuses the rate."""
    try:
        return gamma**count
    except OverflowError:
        return math.inf


def _checked_lr(where: str, name: str, lr: Any) -> float:
    """Return a learning rate. Raises `DTypeError` for an optimizer, which schedules of other libraries take."""
    if hasattr(lr, "update"):
        raise DTypeError(
            f"{where}: {name} is an optimizer; give the schedule to it: {type(lr).__name__}(lr={where}(0.1, ...))"
        )
    return checked_number(where, name, lr)


def _half_wave(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _checked_list(where: str, name: str, values: Sequence[Any]) -> Sequence[Any]:
    if not isinstance(values, Sequence):
        raise DTypeError(f"{where}: {name} is {kind_of(values)} ({values!r}); give a list")
    return values


def _increasing(where: str, name: str, values: Sequence[int]) -> list[int]:
    steps = [checked_count(where, name, value) for value in _checked_list(where, name, values)]
    if any(a >= b for a, b in pairwise(steps)):
        raise ArgumentError(f"{where}: {name} are {steps}; each must be greater than the one before")
    return steps


answers_for(__name__, SCHEDULES)

"""Learning rates that change: functions from the number of updates done so far to the rate of the next one.

A schedule is any function of the step. It goes where a learning rate goes, and the optimizer calls it:

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
"""From the number of updates done so far, 0 at first, to the learning rate of the next one."""


def constant(lr: float) -> Schedule:
    """The same rate at every step.

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
    """Multiply by ``gamma`` at each milestone, a step of a rising sequence.

    >>> [multi_step(1.0, [1, 3], gamma=0.5)(t) for t in range(5)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """
    lr, gamma = _checked_lr("multi_step", "lr", lr), checked_number("multi_step", "gamma", gamma)
    steps = _rising("multi_step", "milestones", milestones)
    return lambda t: lr * _power(gamma, bisect_right(steps, t))


def exponential(lr: float, gamma: float) -> Schedule:
    """Multiply by ``gamma`` at every step: ``lr * gamma**t``.

    >>> exponential(1.0, gamma=0.5)(3)
    0.125
    """
    lr, gamma = _checked_lr("exponential", "lr", lr), checked_number("exponential", "gamma", gamma)
    return lambda t: lr * _power(gamma, t)


def polynomial(lr: float, steps: int, power: float = 1.0, lr_end: float = 0.0) -> Schedule:
    """From ``lr`` to ``lr_end`` along ``(1 - t / steps)**power``, and on at ``lr_end``; ``power=1`` is a straight line.

    >>> [polynomial(1.0, steps=4)(t) for t in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    lr, lr_end = _checked_lr("polynomial", "lr", lr), checked_number("polynomial", "lr_end", lr_end)
    steps, power = checked_count("polynomial", "steps", steps), checked_number("polynomial", "power", power)
    return lambda t: lr_end + (lr - lr_end) * (1 - min(t, steps) / steps) ** power


def cosine(lr: float, steps: int, lr_end: float = 0.0) -> Schedule:
    """From ``lr`` down half a cosine wave to ``lr_end``, and on at ``lr_end`` (Loshchilov and Hutter, 2017).

    >>> [round(cosine(1.0, steps=2)(t), 3) for t in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """
    lr, lr_end = _checked_lr("cosine", "lr", lr), checked_number("cosine", "lr_end", lr_end)
    steps = checked_count("cosine", "steps", steps)
    return lambda t: _half_wave(lr, lr_end, min(t / steps, 1.0))


def cosine_restarts(lr: float, period: int, stretch: int = 1, lr_end: float = 0.0) -> Schedule:
    """`cosine` again and again, each time ``stretch`` times as long (SGDR; Loshchilov and Hutter, 2017).

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
    """A schedule (or a rate) times a factor that grows linearly from ``start`` to 1 within ``steps``.

    The schedule is not delayed: it runs from the first step. To warm up first, see `join`.

    >>> [warmup(0.5, steps=2)(t) for t in range(4)]
    [0.0, 0.25, 0.5, 0.5]
    """
    warmed = schedule if callable(schedule) else constant(schedule)
    steps = checked_count("warmup", "steps", steps)
    start = checked_number("warmup", "start", start)
    return lambda t: warmed(t) * (start + (1 - start) * min(t / steps, 1.0))


def one_cycle(lr_max: float, steps: int, warm: float = 0.3, div: float = 25.0, final_div: float = 1e4) -> Schedule:
    """Up from ``lr_max / div`` for the share ``warm`` of the steps, then down to ``lr_max / div / final_div``.

    Both ways are half cosine waves (Smith and Topin, 2018).

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
    """One schedule (or rate) after the other: the next begins, with its own step 0, at each boundary.

    Raises `ArgumentError` unless there is one boundary less than schedules.

    >>> [join([0.1, step(1.0, every=2)], boundaries=[2])(t) for t in range(5)]
    [0.1, 0.1, 1.0, 1.0, 0.1]
    """
    steps = _rising("join", "boundaries", boundaries)
    parts = [part if callable(part) else constant(part) for part in _row("join", "schedules", schedules)]
    if len(parts) != len(steps) + 1:
        raise ArgumentError(f"join: {len(parts)} schedules need {len(parts) - 1} boundaries, not {len(steps)}")
    starts = [0, *steps]

    def schedule(t: int) -> float:
        i = bisect_right(steps, t)
        return parts[i](t - starts[i])

    return schedule


class OnPlateau(Verified):
    """Multiply by ``factor`` when a reported value, a loss, has not fallen for more than ``patience`` reports.

    A value counts as fallen if it is below ``best - threshold * abs(best)``. After a cut, ``cooldown`` reports are not
    counted, and the rate never goes below ``lr_min``. For a value that should rise, report its negative. Given to an
    optimizer as it is, not inside another schedule, its state is saved with that of the optimizer.

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
        """How many reports in a row have not fallen."""
        self.resting = 0
        """How many reports are still not counted."""

    def __call__(self, t: int) -> float:
        return self.lr

    def report(self, value: float) -> None:
        """Take note of the newest value; a NaN has not fallen."""
        try:
            value = float(value)
        except (TypeError, ValueError):
            raise DTypeError(f"OnPlateau: the value {value!r} is no number; report a loss") from None
        if value < self.best - (self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.resting:
            self.resting, self.waited = self.resting - 1, 0
        if self.waited > self.patience:
            self.lr, self.waited, self.resting = max(self.lr * self.factor, self.lr_min), 0, self.cooldown

    def state_dict(self) -> Tree:
        """The rate and what it remembers of the reports."""
        return {"lr": self.lr, "best": self.best, "waited": self.waited, "resting": self.resting}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `ArgumentError` if a part is missing, unknown or out of range."""
        where = f"{type(self).__name__}.load_state_dict"
        check_tree(where, state)
        if state.keys() != self.state_dict().keys():
            raise ArgumentError(
                f"OnPlateau: a state has {', '.join(self.state_dict())}; given: {', '.join(map(str, state))[:200]}"
            )
        loading.put(self, "lr", checked_number(where, "lr", leaf(state["lr"])))
        best = checked_real(where, "best", leaf(state["best"]))
        if math.isnan(best):
            raise ArgumentError(f"{where}: best is NaN")
        loading.put(self, "best", best)
        for name in ("waited", "resting"):
            loading.put(self, name, checked_count(where, name, leaf(state[name]), low=0))


def _power(gamma: float, count: int) -> float:
    """``gamma**count``, infinite where Python would raise: an optimizer says that the rate is."""
    try:
        return gamma**count
    except OverflowError:
        return math.inf


def _checked_lr(where: str, name: str, lr: Any) -> float:
    """The learning rate, checked; other libraries give a schedule the optimizer."""
    if hasattr(lr, "update"):
        raise DTypeError(
            f"{where}: {name} is an optimizer; give the schedule to it: {type(lr).__name__}(lr={where}(0.1, ...))"
        )
    return checked_number(where, name, lr)


def _half_wave(start: float, end: float, way: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


def _row(where: str, name: str, values: Sequence[Any]) -> Sequence[Any]:
    if not isinstance(values, Sequence):
        raise DTypeError(f"{where}: {name} is {kind_of(values)} ({values!r}); give a list")
    return values


def _rising(where: str, name: str, values: Sequence[int]) -> list[int]:
    steps = [checked_count(where, name, value) for value in _row(where, name, values)]
    if any(a >= b for a, b in pairwise(steps)):
        raise ArgumentError(f"{where}: {name} are {steps}; each must be greater than the one before")
    return steps


answers_for(__name__, SCHEDULES)

"""The best value so far of a monitored number."""

from __future__ import annotations

import math
from typing import Literal

from passus.arguments import checked_number, checked_real
from passus.display import ShowsOptions
from passus.errors import ArgumentError
from passus.loading import Loading, Verified, leaf
from passus.training.callbacks.base import Row
from passus.tree import Tree, check_tree

__all__ = ["Best", "Mode", "checked_mode", "monitored"]

Mode = Literal["min", "max"]
"""Whether a lower value is better, as of a loss, or a higher one, as of an accuracy."""

HIGHER_IS_BETTER = frozenset(
    [
        "acc",
        "accuracy",
        "auc",
        "ap",
        "bleu",
        "dice",
        "f1",
        "iou",
        "map",
        "precision",
        "psnr",
        "r2",
        "recall",
        "score",
        "ssim",
    ]
)
"""Words in the names of measures of which a higher value is better."""


class Best(ShowsOptions, Verified):
    """The best value so far of the number named ``monitor``.

    ``mode``: "min" (the default) if a lower value is better, "max" if a higher one is. ``min_delta``: the least
    improvement that counts.

    Raises `ArgumentError` without ``mode`` for a name such as ``test_accuracy``, of which a higher value is better.

    >>> best = Best("test_accuracy", mode="max")
    >>> [best.improves({"test_accuracy": value}) for value in (0.8, 0.7, 0.9)]
    [True, False, True]
    """

    def __init__(self, monitor: str, mode: Mode | None = None, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.mode = checked_mode("Best", monitor, mode)
        self.min_delta = checked_number("Best", "min_delta", min_delta)
        self.value: float | None = None

    def improves(self, row: Row) -> bool:
        """Record a row, and return whether it is the best so far; NaN never is."""
        value = monitored(row, self.monitor)
        if math.isnan(value) or not self._better(value):
            return False
        self.value = value
        return True

    def _better(self, value: float) -> bool:
        if self.value is None:
            return True
        gain = self.value - value if self.mode == "min" else value - self.value
        return gain > self.min_delta

    def state_dict(self) -> Tree:
        """The best value."""
        return {"value": self.value}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` without a value, `ArgumentError` for NaN."""
        where = "Best.load_state_dict"
        check_tree(where, state, ["value"])
        value = None if state["value"] is None else checked_real(where, "value", leaf(state["value"]))
        if value is not None and math.isnan(value):
            raise ArgumentError(f"{where}: value is NaN")
        loading.assign(self, "value", value)


def checked_mode(name: str, monitor: str, mode: Mode | None) -> Mode:
    """Return ``mode``, or "min" for None; ``name`` names the class in messages.

    Raises `ArgumentError` for another mode, and for None if a higher value of ``monitor`` is better.

    >>> checked_mode("Best", "accuracy", "max"), checked_mode("Best", "loss", None)
    ('max', 'min')
    """
    if (
        mode is None
        and HIGHER_IS_BETTER.intersection(str(monitor).lower().split("_"))
        and "loss" not in str(monitor).lower()
    ):
        raise ArgumentError(f"{name}: {monitor} should rise; write mode='max', or mode='min' if it should fall")
    if mode not in ("min", "max", None):
        raise ArgumentError(f"{name}: mode must be 'min' or 'max', not {mode!r}")
    return mode or "min"


def monitored(row: Row, monitor: str) -> float:
    """The number named ``monitor``. Raises `ArgumentError` with the known names if there is none.

    >>> monitored({"loss": 0.5}, "loss")
    0.5
    """
    if monitor not in row:
        missing = "; test_... needs a Trainer with test_loader" if str(monitor).startswith(("test_", "val_")) else ""
        raise ArgumentError(f"monitor={monitor!r} is not in the history, which has {', '.join(row)}{missing}")
    return float(row[monitor])

"""Checks of the arguments of a `Trainer`, and of the results of loss functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from passus.arguments import checked_callable, checked_count
from passus.core import Variable
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.training.callbacks import Callback

__all__ = ["check_losses", "check_optimizer", "checked_callbacks", "checked_goals", "checked_loss"]


def check_losses(loss: Any, batch_loss: Any) -> None:
    """Raise `ArgumentError` unless exactly one loss function is given, `DTypeError` unless it is callable."""
    if (loss is None) == (batch_loss is None):
        raise ArgumentError(
            "Trainer: pass either loss, a function of y and t, or batch_loss, a function of model and batch"
        )
    checked_callable("Trainer", "loss", loss if batch_loss is None else batch_loss)


def check_optimizer(optimizer: Any) -> None:
    """Raise `DTypeError` for a class, and for an object without a method ``update``."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
        raise DTypeError(f"Trainer: optimizer is {kind_of(optimizer)}, which has no update(); give an optimizer")


def checked_callbacks(callbacks: Any) -> Sequence[Callback]:
    """Return a list of callbacks. Raises `DTypeError` if it is not a list, and for a class or other object in it."""
    if not isinstance(callbacks, Iterable):
        raise DTypeError(f"Trainer: callbacks must be a list, not {kind_of(callbacks)}; write callbacks=[...]")
    checked: list[Callback] = []
    for callback in callbacks:
        if isinstance(callback, type):
            raise DTypeError(f"Trainer: the callback {callback.__name__} is a class; write {callback.__name__}(...)")
        if not isinstance(callback, Callback):
            raise DTypeError(f"Trainer: a callback is {kind_of(callback)}; derive it from Callback")
        checked.append(callback)
    return checked


def checked_goals(epochs: int | None, steps: int | None, callbacks: Iterable[Callback]) -> tuple[float, float]:
    """Return the numbers of epochs and steps at which training ends; infinity for None.

    Raises `ArgumentError` if both are None and no callback ends the training.

    >>> checked_goals(3, None, [])
    (3, inf)
    """
    if epochs is None and steps is None and not any(callback.sets_end for callback in callbacks):
        raise ArgumentError(
            "Trainer.fit: give epochs or steps, the number at which the training ends, or a TimeLimit among the "
            "callbacks"
        )
    return _goal("epochs", epochs), _goal("steps", steps)


def _goal(name: str, value: int | None) -> float:
    return math.inf if value is None else checked_count("Trainer.fit", name, value)


def checked_loss(loss: Any) -> Variable:
    """Return a loss. Raises `DTypeError` unless it is a Variable, `ShapeError` if it has axes."""
    if not isinstance(loss, Variable):
        raise DTypeError(f"Trainer: the loss is {kind_of(loss)}; compute it from the model's output, a Variable")
    if loss.ndim:
        raise ShapeError(
            f"Trainer: the loss has shape {loss.shape} and must be one number; take its mean, F.mean(loss)"
        )
    return loss

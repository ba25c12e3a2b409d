"""An entry of the catalogue of mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["error", "warning", "silent"]


@dataclass(frozen=True)
class Mistake:
    """A mistake in ``code``, a habit of users of the library ``habit``, and its outcome.

    ``message`` is a regular expression that the error or warning matches. ``reason`` explains why the code is accepted
    silently, or why the error is not one of passus.
    """

    title: str
    habit: str
    code: str
    outcome: Outcome
    message: str = ""
    reason: str = ""


def error(title: str, habit: str, code: str, message: str, reason: str = "") -> Mistake:
    return Mistake(title, habit, code, "error", message, reason)


def warning(title: str, habit: str, code: str, message: str) -> Mistake:
    return Mistake(title, habit, code, "warning", message)


def silent(title: str, habit: str, code: str, reason: str) -> Mistake:
    return Mistake(title, habit, code, "silent", reason=reason)

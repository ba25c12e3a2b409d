"""The counters of a `Trainer`, which a recorded step must not read."""

from __future__ import annotations

from typing import Any

from passus.backend.trace import caller, current
from passus.errors import RecordingError

__all__ = ["Counter"]


class Counter:
    """An attribute that counts. Reading it while a step is recorded raises `RecordingError`: the program would keep the number.

    >>> class Run:
    ...     epoch = Counter()
    >>> run = Run()
    >>> run.epoch = 3
    >>> run.epoch
    3
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type | None = None) -> int:
        if owner is None:
            return self  # type: ignore[return-value]  # the attribute of the class
        if current.get() is not None:
            raise RecordingError(
                f"{caller()}: the step reads trainer.{self.name} while it is recorded, and its program would keep the number. "
                "Add to each batch an array with the number that depends on it"
            )
        try:
            value: int = owner.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None
        return value

    def __set__(self, owner: Any, value: int) -> None:
        owner.__dict__[self.name] = value

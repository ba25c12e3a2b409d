"""What a callback is, and what it sees of the training that calls it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, TypeAlias

from passus.constructors import CheckedOptions
from passus.foreign import CALLBACK_METHODS
from passus.notices import notice
from passus.tree import Stateful

__all__ = ["Callback", "Row", "Run"]

Row: TypeAlias = dict[str, float]
"""What is known after an epoch: ``epoch``, ``step``, ``lr``, ``loss``, metrics, and the same with ``test_``."""


class Run(Protocol):
    """What callbacks use of a `Trainer`; a loop of one's own that has these can call them too."""

    model: Any
    epoch: int
    """How many epochs are complete."""
    step: int
    """How many batches were trained with."""
    history: list[Row]
    """One row for each complete epoch."""

    def stop(self) -> None:
        """Let the training end after the current step."""

    def parts(self) -> dict[str, Stateful]:
        """All that a checkpoint needs, by name."""


def _moment(name: str) -> str:
    moments = [own for own in vars(Callback) if own.startswith("on_")]
    close = CALLBACK_METHODS.get(name) or next(iter(get_close_matches(name, moments, n=1)), None)
    return f"{f'write {close}, or another' if close else 'write one'} of {', '.join(moments)}"


class Callback(CheckedOptions):
    """Something that happens during training; a subclass writes the moments it cares for, and is warned of others.

    One with ``state_dict`` and ``load_state_dict`` is part of every checkpoint.

    >>> class Shout(Callback):
    ...     def on_epoch(self, run, row):
    ...         print(f"epoch {row['epoch']}: loss {row['loss']}!")
    >>> Shout().on_epoch(None, {"epoch": 1, "loss": 0.5})
    epoch 1: loss 0.5!
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls):
            if name.startswith("on_") and not hasattr(super(cls, cls), name):
                notice(f"{cls.__name__}.{name} is never called; {_moment(name)}")

    last: ClassVar[bool] = False
    """Whether it is called after all others, because it saves what they remember."""

    sets_end: ClassVar[bool] = False
    """Whether it is sure to end the training, so that `Trainer.fit` needs neither epochs nor steps."""

    def on_start(self, run: Run) -> None:
        """Before the first step, or the first after a resume; ``run.history`` holds the epochs before."""

    def on_step(self, run: Run) -> None:
        """After each step."""

    def on_epoch(self, run: Run, row: Row) -> None:
        """After each epoch; ``row`` is the newest of ``run.history``."""

    def on_interrupt(self, run: Run) -> None:
        """After the step in which Ctrl-C was pressed, or SIGTERM arrived; nothing is half done."""

    def on_finish(self, run: Run) -> None:
        """After the last step, if neither an error nor a signal ended the training."""

    def on_end(self, run: Run) -> None:
        """At the very end, whatever ended the training: the place to close files."""

"""The base of callbacks, and the interface of the training loop that calls them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, TypeAlias

from passus.constructors import CheckedOptions
from passus.display import ShowsOptions
from passus.foreign import CALLBACK_METHODS
from passus.notices import notice
from passus.tree import Stateful

__all__ = ["Callback", "Row", "Run"]

Row: TypeAlias = dict[str, float]
"""The numbers of an epoch: ``epoch``, ``step``, ``lr``, ``loss`` and metrics, and the evaluation with the prefix
``test_``."""


class Run(Protocol):
    """The interface of a `Trainer` that callbacks use; a custom loop with this interface can call them as well."""

    model: Any
    epoch: int
    """Number of complete epochs."""
    step: int
    """Number of batches so far, over all epochs."""
    history: list[Row]
    """One row for each complete epoch."""

    def stop(self) -> None:
        """End the training after the current step."""

    def components(self) -> dict[str, Stateful]:
        """The components of a checkpoint by name."""


def _suggested_method(name: str) -> str:
    methods = [method for method in vars(Callback) if method.startswith("on_")]
    close = CALLBACK_METHODS.get(name) or next(iter(get_close_matches(name, methods, n=1)), None)
    return f"{f'write {close}, or another' if close else 'write one'} of {', '.join(methods)}"


class Callback(ShowsOptions, CheckedOptions):
    """The base of callbacks: a subclass overrides some of these methods, and is warned of unknown ones.

    A callback with ``state_dict`` and ``load_state_dict`` is saved in every checkpoint.

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
                notice(f"{cls.__name__}.{name} is never called; {_suggested_method(name)}")

    last: ClassVar[bool] = False
    """Whether it is called after all others, because it saves their states."""

    sets_end: ClassVar[bool] = False
    """Whether it always ends the training, so that `Trainer.fit` needs neither epochs nor steps."""

    def on_start(self, run: Run) -> None:
        """Called before the first step, also after a resume; ``run.history`` holds the earlier epochs."""

    def on_step(self, run: Run) -> None:
        """Called after each step."""

    def on_epoch(self, run: Run, row: Row) -> None:
        """Called after each epoch; ``row`` is the last of ``run.history``."""

    def on_interrupt(self, run: Run) -> None:
        """Called after the step in which Ctrl-C was pressed or SIGTERM arrived; that step is complete."""

    def on_finish(self, run: Run) -> None:
        """Called after the last step, unless an error or a signal ended the training."""

    def on_end(self, run: Run) -> None:
        """Called at the end, also after an error or a signal; close files here."""

"""The state of a training: counters, history and metrics, saved with the model, the optimizer and the loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from passus.arguments import checked_count, checked_number, checked_real
from passus.dataloaders.base import Loader
from passus.errors import ArgumentError, DTypeError, WeightsError, kind_of
from passus.files import FilePath
from passus.loading import Loading, Verified, leaf
from passus.serializers import load_checkpoint, save_checkpoint
from passus.training.callbacks import Callback, Row
from passus.training.counter import Counter
from passus.training.epochs import Epochs
from passus.training.tally import Tally
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Trainable", "TrainerState", "Updater"]


class Trainable(Stateful, Protocol):
    """What a `Trainer` trains: a layer or model."""

    def __call__(self, *inputs: Any) -> Any:
        """Return the prediction."""

    def cleargrads(self) -> None:
        """Clear all gradients."""


class Updater(Stateful, Protocol):
    """What updates the parameters: an optimizer."""

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""

    def update(self) -> None:
        """Update each parameter once."""


class TrainerState(Verified):
    """The part of a `Trainer` that is saved and loaded."""

    epoch = Counter()
    batch = Counter()
    step = Counter()

    def __init__(
        self, model: Trainable, optimizer: Updater, epochs: Epochs, tally: Tally, callbacks: Sequence[Callback]
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.loader: Any = epochs.loader
        self.test_loader: Any = None
        self.callbacks = sorted(callbacks, key=lambda callback: callback.last)
        self.epoch = 0
        """Number of complete epochs."""
        self.batch = 0
        """Number of batches of the current epoch so far."""
        self.step = 0
        """Number of batches so far, over all epochs."""
        self.history: list[Row] = []
        """One row for each complete epoch: ``epoch``, ``step``, ``lr``, ``loss`` and metrics, and the evaluation with
        the prefix ``test_``, which is NaN for an epoch whose evaluation failed. ``lr`` is the rate of the last step of
        the epoch."""
        self._lr = 0.0
        """The learning rate of the latest step."""
        self._epochs = epochs
        self._tally = tally

    def save(self, path: FilePath) -> None:
        """Write a checkpoint of model, optimizer, loader, random generator, and the trainer with its callbacks."""
        save_checkpoint(path, metadata=None, **self.components())

    def resume(self, path: FilePath) -> None:
        """Load a checkpoint, all or nothing; ``fit`` then continues bit for bit, also in the middle of an epoch.

        Raises `WeightsError` if it belongs to another model, optimizer, loader or trainer.
        """
        load_checkpoint(path, **self.components())

    def components(self) -> dict[str, Stateful]:
        """The components of a checkpoint by name.

        A list of batches has no state; a test loader has one only if it draws random numbers.
        """
        components: dict[str, Stateful] = {"model": self.model, "optimizer": self.optimizer, "trainer": self}
        if isinstance(self.loader, Stateful):
            components["loader"] = self.loader
        if isinstance(self.test_loader, Loader) and self.test_loader.has_generators:
            components["test_loader"] = self.test_loader
        return components

    def state_dict(self) -> Tree:
        """The counters, the history, the metrics of the current epoch, and the states of callbacks."""
        counts = {"epoch": self.epoch, "batch": self.batch, "step": self.step, "lr": self._lr}
        callbacks = {name: callback.state_dict() for name, callback in self._stateful_callbacks().items()}
        epochs = {} if self._epochs.steps is None else {"epochs": self._epochs.state_dict()}
        return {**counts, **epochs, "history": self.history, "tally": self._tally.state_dict(), "callbacks": callbacks}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`. Raises `WeightsError` for other metrics or callbacks."""
        where = "Trainer.load_state_dict"
        check_tree(where, state, [name for name in self.state_dict() if name != "epochs"])
        check_tree(f"{where}: callbacks", state["callbacks"])
        callbacks = self._stateful_callbacks()
        if state["callbacks"].keys() != callbacks.keys():
            raise WeightsError(
                f"Trainer: the state has the callbacks {', '.join(map(str, state['callbacks'])) or 'none'}, and the "
                "trainer "
                f"{', '.join(callbacks) or 'none'}; give it the same ones in the same order"
            )
        for name in ("epoch", "batch", "step"):
            loading.assign(self, name, checked_count(where, name, leaf(state[name]), low=0))
        loading.verify(self._epochs, state.get("epochs", {}))
        if loading.pending(self, "batch") > len(self._epochs):
            raise ArgumentError(f"{where}: batch is {state['batch']}, and an epoch has {len(self._epochs)} batches")
        loading.assign(self, "_lr", checked_number(where, "lr", leaf(state["lr"])))
        loading.assign(self, "history", _checked_history(where, state["history"]))
        loading.model = self.model
        loading.verify(self._tally, state["tally"], "tally")
        for name, callback in callbacks.items():
            loading.verify(callback, state["callbacks"][name], name)

    def _stateful_callbacks(self) -> dict[str, Stateful]:
        stateful = (callback for callback in self.callbacks if isinstance(callback, Stateful))
        return {f"{i}_{type(callback).__name__}": callback for i, callback in enumerate(stateful)}


def _checked_history(where: str, history: Any) -> list[Row]:
    """Copy the rows of a history. Raises `WeightsError` for an incomplete row, `DTypeError` for any other type."""
    if not isinstance(history, (list, tuple)):
        raise DTypeError(f"{where}: the history is {kind_of(history)}; give a list of rows")
    for row in history:
        check_tree(f"{where}, history", row, ["epoch", "step", "lr", "loss"])
    return [
        {str(name): _number(f"{where}, history", str(name), leaf(value)) for name, value in row.items()}
        for row in history
    ]


def _number(where: str, name: str, value: Any) -> float:
    """Return a number of a history; an integer stays an integer."""
    checked_real(where, name, value)
    return float(value) if isinstance(value, float) else int(value)

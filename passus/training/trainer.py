"""The loop over epochs and batches, with all that usually stands around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol, TypeAlias

from passus.answers import CheckedOptions
from passus.arguments import checked_callable, checked_count, checked_flag, checked_number, checked_real
from passus.backend import is_array
from passus.config import no_grad, test_mode
from passus.core import Variable
from passus.dataloaders.base import Loader
from passus.errors import ArgumentError, DivergenceError, DTypeError, ShapeError, WeightsError, kind_of
from passus.files import FilePath
from passus.layers.carried import new_sequences
from passus.layers.predicting import predicted, rows
from passus.layers.undo import undoable
from passus.loading import Loading, Verified, leaf
from passus.metrics import Metric
from passus.serializers import load_checkpoint, save_checkpoint
from passus.training.callbacks import Callback, Row
from passus.training.epochs import Batches, Epochs, Stream, check_batches, checked_loader
from passus.training.finite import nonfinite
from passus.training.interrupt import Interrupt
from passus.training.progress import progress_bar
from passus.training.tally import Tally, numbers, size_of
from passus.tree import Stateful, Tree, check_tree

__all__ = ["Trainable", "Trainer", "Updater"]

Loss: TypeAlias = Callable[[Any, Any], Any]
"""From a prediction y and a target t to a loss."""

BatchLoss: TypeAlias = Callable[[Any, Any], Any]
"""From a model and a batch of any kind to a loss."""


class Trainable(Stateful, Protocol):
    """What is trained: a layer or model."""

    def __call__(self, *inputs: Any) -> Any:
        """The prediction."""

    def cleargrads(self) -> None:
        """Forget all gradients."""


class Updater(Stateful, Protocol):
    """What moves the parameters: an optimizer."""

    @property
    def lr(self) -> float:
        """The learning rate of the next update."""

    def update(self) -> None:
        """Take one step."""


class Trainer(Verified, CheckedOptions):
    """A loop that trains a model step by step, and evaluates it after each epoch.

    ``loss``: a function of prediction and target, for batches (x, t), or (x1, x2, t) for a model of several inputs; or
    ``batch_loss``: a function of model and batch, for all others, which returns the loss, or ``loss, y, t`` where there are
    metrics. ``metrics``: by the names they are to have in the history, each a `Metric` or a function of prediction and
    target that returns a number; collected in training and in evaluation. ``skip_nan``: leave out the update for a batch whose loss, or a gradient, is NaN or infinite, instead of raising.

    ``steps_per_epoch``: let an epoch have so many steps, however many batches the loader has, as for streams and very long data.
    Epochs then continue each other, and at its end the loader is iterated again. The loader may have no length. One without
    a state (`state_dict`) is iterated up to where it was by a resumed training; it must yield the same batches each time.

    Raises `ArgumentError` for a loader without batches, for fewer than one step in an epoch, or if not exactly one of the two
    losses is given.

    >>> import numpy as np
    >>> from passus.functions import mean_squared_error
    >>> from passus.layers import Linear
    >>> from passus.optimizers import SGD
    >>> model, batches = Linear(1), [(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))]
    >>> trainer = Trainer(model, SGD(lr=0.1).setup(model), batches, mean_squared_error, progress=False)
    >>> history = trainer.fit(epochs=3)
    >>> history[2]["loss"] < history[0]["loss"]
    True
    """

    def __init__(
        self,
        model: Trainable,
        optimizer: Updater,
        loader: Stream,
        loss: Loss | None = None,
        *,
        batch_loss: BatchLoss | None = None,
        test_loader: Batches | None = None,
        metrics: Mapping[str, Metric | Callable[[Any, Any], Any]] | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
        skip_nan: bool = False,
        steps_per_epoch: int | None = None,
    ) -> None:
        if (loss is None) == (batch_loss is None):
            raise ArgumentError(
                "Trainer: pass either loss, a function of y and t, or batch_loss, a function of model and batch"
            )
        compute: Any = loss if batch_loss is None else batch_loss
        checked_callable("Trainer", "loss", compute)
        if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
            raise DTypeError(f"Trainer: optimizer is {kind_of(optimizer)}, which has no update(); give an optimizer")
        self.model, self.optimizer = checked_callable("Trainer", "model", model), optimizer
        if steps_per_epoch is not None:
            steps_per_epoch = checked_count("Trainer", "steps_per_epoch", steps_per_epoch)
        self.loader: Any = checked_loader("loader", loader, steps_per_epoch)
        self.test_loader = None if test_loader is None else checked_loader("test_loader", test_loader)
        if loss is not None:
            check_batches("loader", loader)
            check_batches("test_loader", test_loader)
        self.loss: Any = loss
        self.batch_loss: Any = batch_loss
        if not isinstance(callbacks, Iterable):
            raise DTypeError(f"Trainer: callbacks must be a list, not {kind_of(callbacks)}; write callbacks=[...]")
        for callback in callbacks:
            _check_callback(callback)
        self.callbacks = sorted(callbacks, key=lambda callback: callback.last)
        self.progress = checked_flag("Trainer", "progress", progress)
        self.skip_nan = checked_flag("Trainer", "skip_nan", skip_nan)
        self.epoch = 0
        """How many epochs are complete."""
        self.batch = 0
        """How many batches of the current epoch are done."""
        self.step = 0
        """How many batches are done in all."""
        self.history: list[Row] = []
        """One row for each complete epoch: ``epoch step lr loss``, metrics, and the same with ``test_`` in front; these are NaN
        for an epoch whose evaluation failed. ``lr`` is that of the epoch's last step."""
        self._epochs = Epochs(self.loader, steps_per_epoch)
        self._tally = Tally(metrics)
        self._interrupt = Interrupt()
        self._stopping = False
        self._lr = 0.0
        """The learning rate of the newest step."""

    # The loop.

    def fit(self, epochs: int | None = None, steps: int | None = None) -> list[Row]:
        """Train until so many epochs, or steps, are done in all, those before a resume included; return the history.

        Neither is needed if a callback sets an end, as `TimeLimit` does. Whichever end comes first counts.

        Ctrl-C ends it after the step under way, with nothing half done; ``fit`` called again goes on from there. So does
        SIGTERM, with a KeyboardInterrupt that ends the process with status 143 if nobody catches it.

        Raises `ArgumentError` if nothing says when it ends, `DivergenceError` for a loss or a gradient that is NaN or infinite; the model is then as it was before that step.
        """
        goals = _checked_goals(epochs, steps, any(callback.sets_end for callback in self.callbacks))
        self._stopping = False
        with ExitStack() as ends, self._interrupt:
            for callback in self.callbacks:
                ends.callback(callback.on_end, self)
                callback.on_start(self)
            while not self._over(*goals):
                self._train_epoch(*goals)
            if not self._interrupt.requested:
                self._apply_what_is_left()
            self._notify("on_interrupt" if self._interrupt.requested else "on_finish")
            if self._interrupt.requested:  # Perhaps only now, while a callback finished.
                raise self._interrupt.error()
        return self.history

    def stop(self) -> None:
        """Let the training end after the step under way."""
        self._stopping = True

    def _over(self, epochs: float, steps: float) -> bool:
        return self._stopping or self._interrupt.requested or self.epoch >= epochs or self.step >= steps

    def _train_epoch(self, epochs: float, steps: float) -> None:
        total = f"/{epochs}" if epochs < math.inf else ""
        with progress_bar(
            desc=f"epoch {self.epoch + 1}{total}", total=len(self._epochs), initial=self.batch, show=self.progress
        ) as bar:
            for batch in self._epochs.rest(self.batch):
                loss = self.train_step(batch)
                bar.set_postfix(loss=loss, refresh=False)
                bar.update()
                self._notify("on_step")
                if self._over(epochs, steps) and self.batch < len(self._epochs):
                    return
            self._apply_what_is_left()
            row = self._end_epoch()
            bar.set_postfix({name: value for name, value in row.items() if name not in ("epoch", "step")})
        self._notify("on_epoch", row)

    def train_step(self, batch: Any) -> float:
        """Learn from one batch, and return its loss."""
        self._lr = self.optimizer.lr
        with undoable() as undo:
            loss, y, t = self.forward(batch)
            fault = None if math.isfinite(loss) else f"the loss is {float(loss)}"
            if fault is None:
                self.model.cleargrads()
                loss.backward()
                path = nonfinite(self.model)
                fault = None if path is None else f"the gradient of {path} has NaN or infinity in it"
        if fault is None:
            self.optimizer.update()
            self._tally.update(loss, y, t, size_of(batch))
        else:
            undo()  # The statistics of batch normalisation would stay NaN.
            if not self.skip_nan:
                raise self._diverged(fault)
        self.batch += 1
        self.step += 1
        return float(loss)

    def _diverged(self, fault: str) -> DivergenceError:
        return DivergenceError(
            f"Trainer: {fault} in epoch {self.epoch + 1}, step {self.step + 1}. Lower the learning rate, look "
            "for NaN in the data and for a root, a logarithm or a division of 0, or leave such batches out (skip_nan=True)"
        )

    def forward(self, batch: Any) -> tuple[Variable, Any, Any]:
        """The loss of a batch, the prediction y and the target t; a subclass may compute them in its own way."""
        if self.batch_loss is not None:
            result = self.batch_loss(self.model, batch)
            loss, y, t = result if isinstance(result, tuple) and len(result) == 3 else (result, None, None)
            if y is None and self._tally.metrics:
                raise ArgumentError(
                    "Trainer: metrics need the prediction and the target; let batch_loss return loss, y, t"
                )
            return _checked_loss(loss), y, t
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ArgumentError(
                "Trainer: a batch must be (x, t) or (x1, x2, t), inputs and a target; for other batches pass batch_loss"
            )
        *xs, t = batch
        y = self.model(*xs)
        return _checked_loss(self.loss(y, t)), y, t

    def _apply_what_is_left(self) -> None:
        """Update with the gradients that were added up and are too few for an update by themselves."""
        flush = getattr(self.optimizer, "flush", None)
        if flush is not None:
            flush()

    def _end_epoch(self) -> Row:
        if not self.batch:
            raise ArgumentError("Trainer: the loader yielded no batches; give one that can be iterated more than once")
        if not self._tally.loss.weight:
            raise DivergenceError(
                f"Trainer: no batch of epoch {self.epoch + 1} had a finite loss and gradients; see skip_nan"
            )
        self.epoch += 1
        self.batch = 0
        measures = numbers(self._tally.compute())
        row: Row = {"epoch": self.epoch, "step": self.step, "lr": self._lr, **measures}
        self._tally.reset()
        self.history.append(row)
        if self.test_loader is not None:
            row |= {f"test_{name}": math.nan for name in measures}  # What stays in the history if the evaluation fails.
            row |= numbers(self.evaluate(), prefix="test_")
        return row

    def evaluate(self, loader: Batches | None = None) -> dict[str, Any]:
        """The mean loss and all metrics over a loader, or the test loader; nothing is learnt.

        Layers that keep a state, such as `RNN` called step by step, begin with new sequences and go on from batch to batch, as
        in training, and have their state of before afterwards.

        Raises `DTypeError` if there is none, `ArgumentError` for one without batches.
        """
        batches = self.test_loader if loader is None else loader
        if batches is None:
            raise DTypeError(
                "Trainer.evaluate: no loader was given; pass one, or create the Trainer with a test_loader"
            )
        batches = checked_loader("loader", batches)
        tally = self._tally.fresh()
        with test_mode(), no_grad(), new_sequences(self.model), self._epochs.kept_by(batches):
            for batch in batches:
                loss, y, t = self.forward(batch)
                tally.update(loss, y, t, size_of(batch))
        return tally.compute()

    def predict(self, data: Any, batch_size: int = 256) -> Any:
        """The predictions for an array (N, ...), ``batch_size`` examples at a time, or for the batches of a loader.

        Of batches (x, t) or (x1, x2, t), the target is left out; layers with a state go on from batch to batch, as in `evaluate`.
        Nothing is learnt; see `Layer.predict`. Raises
        `ArgumentError` for a loader that shuffles, for nobody could tell which prediction belongs to which example.
        """
        if is_array(data) or isinstance(data, Variable):
            return predicted(self.model, rows([data], batch_size))
        if getattr(data, "shuffle", False):
            raise ArgumentError(
                "Trainer.predict: the loader shuffles, so predictions would be in unknown order; pass shuffle=False"
            )
        with new_sequences(self.model):
            return predicted(self.model, map(_inputs_of, checked_loader("data", data)), continued=True)

    # State.

    def save(self, path: FilePath) -> None:
        """Write a checkpoint of model, optimizer, loader, random generator, and of the trainer with its callbacks."""
        save_checkpoint(path, metadata=None, **self.parts())

    def resume(self, path: FilePath) -> None:
        """Take back a checkpoint, all or nothing: ``fit`` goes on bit for bit, in the middle of an epoch too.

        Raises `WeightsError` if it is of another model, optimizer, loader or trainer.
        """
        load_checkpoint(path, **self.parts())

    def parts(self) -> dict[str, Stateful]:
        """All that a checkpoint needs, by name; a list of batches has no state, a test loader only if it draws by itself."""
        parts: dict[str, Stateful] = {"model": self.model, "optimizer": self.optimizer, "trainer": self}
        if isinstance(self.loader, Stateful):
            parts["loader"] = self.loader
        if isinstance(self.test_loader, Loader) and self.test_loader.has_generators:
            parts["test_loader"] = self.test_loader
        return parts

    def state_dict(self) -> Tree:
        """How far the training is, the history, what was noted of the current epoch, and the states of callbacks."""
        counts = {"epoch": self.epoch, "batch": self.batch, "step": self.step, "lr": self._lr}
        callbacks = {name: callback.state_dict() for name, callback in self._stateful_callbacks().items()}
        epochs = {} if self._epochs.steps is None else {"epochs": self._epochs.state_dict()}
        return {**counts, **epochs, "history": self.history, "tally": self._tally.state_dict(), "callbacks": callbacks}

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first. Raises `WeightsError` if it is of other metrics or callbacks."""
        where = "Trainer.load_state_dict"
        check_tree(where, state, [name for name in self.state_dict() if name != "epochs"])
        check_tree(f"{where}: callbacks", state["callbacks"])
        callbacks = self._stateful_callbacks()
        if state["callbacks"].keys() != callbacks.keys():
            raise WeightsError(
                f"Trainer: the state has the callbacks {', '.join(map(str, state['callbacks'])) or 'none'}, and the trainer "
                f"{', '.join(callbacks) or 'none'}; give it the same ones in the same order"
            )
        for name in ("epoch", "batch", "step"):
            loading.put(self, name, checked_count(where, name, leaf(state[name]), low=0))
        loading.part(self._epochs, state.get("epochs", {}))
        if loading.pending(self, "batch") > len(self._epochs):
            raise ArgumentError(f"{where}: batch is {state['batch']}, and an epoch has {len(self._epochs)} batches")
        loading.put(self, "_lr", checked_number(where, "lr", leaf(state["lr"])))
        loading.put(self, "history", _checked_history(where, state["history"]))
        loading.model = self.model
        loading.part(self._tally, state["tally"], "tally")
        for name, callback in callbacks.items():
            loading.part(callback, state["callbacks"][name], name)

    def _stateful_callbacks(self) -> dict[str, Stateful]:
        stateful = (callback for callback in self.callbacks if isinstance(callback, Stateful))
        return {f"{i}_{type(callback).__name__}": callback for i, callback in enumerate(stateful)}

    def _notify(self, moment: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *arguments)


def _inputs_of(batch: Any) -> tuple[Any, ...]:
    """What the model is called with: all but the target, or the batch itself where there is none."""
    if not isinstance(batch, (tuple, list)):
        return (batch,)
    return tuple(batch[:-1] if len(batch) > 1 else batch)


def _checked_history(where: str, history: Any) -> list[Row]:
    """Copies of the rows of a history. Raises `WeightsError` for a row without its numbers, `DTypeError` for what is none."""
    if not isinstance(history, (list, tuple)):
        raise DTypeError(f"{where}: the history is {kind_of(history)}; give a list of rows")
    for row in history:
        check_tree(f"{where}, history", row, ["epoch", "step", "lr", "loss"])
    return [
        {str(name): _number(f"{where}, history", str(name), leaf(value)) for name, value in row.items()}
        for row in history
    ]


def _number(where: str, name: str, value: Any) -> float:
    """A number of a history, be it an integer or not, as it is."""
    checked_real(where, name, value)
    return float(value) if isinstance(value, float) else int(value)


def _checked_goals(epochs: int | None, steps: int | None, has_end: bool) -> tuple[float, float]:
    if epochs is None and steps is None and not has_end:
        raise ArgumentError(
            "Trainer.fit: give epochs or steps, the number at which the training ends, or a TimeLimit among the callbacks"
        )
    return _checked_goal("epochs", epochs), _checked_goal("steps", steps)


def _checked_goal(name: str, value: int | None) -> float:
    return math.inf if value is None else checked_count("Trainer.fit", name, value)


def _check_callback(callback: Any) -> None:
    if isinstance(callback, type):
        raise DTypeError(f"Trainer: the callback {callback.__name__} is a class; write {callback.__name__}(...)")
    if not isinstance(callback, Callback):
        raise DTypeError(f"Trainer: a callback is {kind_of(callback)}; derive it from Callback")


def _checked_loss(loss: Any) -> Variable:
    if not isinstance(loss, Variable):
        raise DTypeError(f"Trainer: the loss is {kind_of(loss)}; compute it from the model's output, a Variable")
    if loss.ndim:
        raise ShapeError(
            f"Trainer: the loss has shape {loss.shape} and must be one number; take its mean, F.mean(loss)"
        )
    return loss

"""The training loop: epochs, steps and evaluation, with callbacks, interruption and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

from passus.arguments import checked_callable, checked_count, checked_flag
from passus.backend import is_array
from passus.config import no_grad, test_mode
from passus.constructors import CheckedOptions
from passus.core import Variable
from passus.display import ShowsFields
from passus.errors import ArgumentError, DivergenceError, DTypeError
from passus.layers.carried import new_sequences
from passus.layers.predicting import predicted, rows
from passus.layers.undo import undoable
from passus.metrics import Metric
from passus.training.callbacks import Callback, Row
from passus.training.checks import check_losses, check_optimizer, checked_callbacks, checked_goals, checked_loss
from passus.training.epochs import Batches, Epochs, Stream, check_batches, checked_loader
from passus.training.finite import nonfinite
from passus.training.history import html_of_history
from passus.training.interrupt import Interrupt
from passus.training.programs import Compile, Programs, checked_compile
from passus.training.state import Trainable, TrainerState, Updater
from passus.training.tally import Tally, numbers, size_of
from passus.training.training_progress import TrainingProgress

__all__ = ["Trainer"]

Loss: TypeAlias = Callable[[Any, Any], Any]
"""A loss as a function of a prediction y and a target t."""

BatchLoss: TypeAlias = Callable[[Any, Any], Any]
"""A loss as a function of a model and a batch of any kind."""


class Trainer(ShowsFields, TrainerState, CheckedOptions):
    """A loop that trains a model step by step, and evaluates it after each epoch.

    ``loss``: a function of prediction and target, for batches (x, t), or (x1, x2, t) if the model has several inputs.
    ``batch_loss``: a function of model and batch, for all other batches; it returns the loss, or ``loss, y, t`` if
    there are metrics. ``metrics``: for each name in the history a `Metric`, or a function of prediction and target that
    returns a number; computed in training and in evaluation. ``skip_nan``: skip the update for a batch whose loss or
    gradients are NaN or infinite, instead of raising.

    ``compile``: run the forward and backward pass of a step, and the forward pass of `evaluate`, as recorded programs;
    see `passus.compile`. Batches of each shape are recorded once. Everything else is as without it, apart from
    differences of rounding; ``compile="exact"`` leaves none. A loss that cannot be recorded is computed eagerly, with a
    warning.

    ``steps_per_epoch``: number of steps in an epoch, for streams and very long data. Epochs then continue each other,
    and the loader is iterated again when it ends. Such a loader needs no length. If it has no state (`state_dict`), a
    resumed training iterates over it up to the saved position, so it must yield the same batches each time.

    Raises `ArgumentError` for a loader without batches, for fewer than one step in an epoch, and unless exactly one
    loss function is given.

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
        compile: Compile = False,
    ) -> None:
        check_losses(loss, batch_loss)
        check_optimizer(optimizer)
        checked_callable("Trainer", "model", model)
        if steps_per_epoch is not None:
            steps_per_epoch = checked_count("Trainer", "steps_per_epoch", steps_per_epoch)
        checked_loader("loader", loader, steps_per_epoch)
        test_loader = None if test_loader is None else checked_loader("test_loader", test_loader)
        if loss is not None:
            check_batches("loader", loader)
            check_batches("test_loader", test_loader)
        callbacks = checked_callbacks(callbacks)
        self.progress = checked_flag("Trainer", "progress", progress)
        self.skip_nan = checked_flag("Trainer", "skip_nan", skip_nan)
        super().__init__(model, optimizer, Epochs(loader, steps_per_epoch), Tally(metrics), callbacks)
        self.test_loader = test_loader
        self.loss: Any = loss
        self.batch_loss: Any = batch_loss
        self.compile = checked_compile(compile)
        self._programs = Programs(exact=compile == "exact")
        self._interrupt = Interrupt()
        self._stopping = False

    # The loop.

    def fit(self, epochs: int | None = None, steps: int | None = None) -> list[Row]:
        """Train up to a total number of epochs or steps, whichever comes first, and return the history.

        Both include those before a resume. Neither is needed if a callback ends the training, as `TimeLimit` does.

        Ctrl-C ends the training after the current step; another call of ``fit`` continues it. SIGTERM does the same,
        with a KeyboardInterrupt that exits with status 143 unless it is caught.

        Raises `ArgumentError` if the training has no end, `DivergenceError` for a loss or gradient that is NaN or
        infinite; the model is then restored to its state before that step.
        """
        goals = checked_goals(epochs, steps, self.callbacks)
        self._stopping = False
        with ExitStack() as ends, self._interrupt:
            for callback in self.callbacks:
                ends.callback(callback.on_end, self)
                callback.on_start(self)
            with TrainingProgress(self.progress, *goals) as progress:
                while not self._over(*goals):
                    self._train_epoch(progress, *goals)
            if not self._interrupt.requested:
                self._flush()
            self._notify("on_interrupt" if self._interrupt.requested else "on_finish")
            if self._interrupt.requested:  # It may be requested in a callback above.
                raise self._interrupt.error()
        return self.history

    def stop(self) -> None:
        """End the training after the current step."""
        self._stopping = True

    def _over(self, epochs: float, steps: float) -> bool:
        return self._stopping or self._interrupt.requested or self.epoch >= epochs or self.step >= steps

    def _train_epoch(self, progress: TrainingProgress, epochs: float, steps: float) -> None:
        progress.start_epoch(self.epoch, self.step, self.batch, len(self._epochs))
        for batch in self._epochs.remaining(self.batch):
            progress.update(self.train_step(batch))
            self._notify("on_step")
            if self._over(epochs, steps) and self.batch < len(self._epochs):
                return
        self._flush()
        row = self._end_epoch()
        progress.end_epoch(row)
        self._notify("on_epoch", row)

    def train_step(self, batch: Any) -> float:
        """Train on one batch, and return its loss."""
        self._lr = self.optimizer.lr
        with undoable() as undo:
            loss, y, t = self._run(self._pass, batch)
            fault = None if math.isfinite(loss) else f"the loss is {float(loss)}"
            if fault is None:
                path = nonfinite(self.model)
                fault = None if path is None else f"the gradient of {path} contains NaN or infinity"
        if fault is None:
            self.optimizer.update()
            self._tally.update(loss, y, t, size_of(batch))
        else:
            undo()  # Otherwise the statistics of batch normalization would stay NaN.
            if not self.skip_nan:
                raise self._diverged(fault)
        self.batch += 1
        self.step += 1
        return float(loss)

    def _run(self, function: Callable[[Any], Any], batch: Any) -> Any:
        """The result of a function of a batch, as a program if the trainer has the option ``compile``."""
        if not self.compile:
            return function(batch)
        return self._programs.run(function, batch, (self.model, self.loss, self.batch_loss))

    def _pass(self, batch: Any) -> tuple[Variable, Any, Any]:
        """The forward pass and, if the loss is finite, the backward pass. Returns the loss, and y and t for metrics."""
        loss, y, t = self.forward(batch)
        if abs(loss._data) < math.inf:  # A condition of the program, if the pass is recorded.
            self.model.cleargrads()
            loss.backward()
        return (loss, y, t) if self._tally.metrics else (loss, None, None)

    def _diverged(self, fault: str) -> DivergenceError:
        return DivergenceError(
            f"Trainer: {fault} in epoch {self.epoch + 1}, step {self.step + 1}. Lower the learning rate, look "
            "for NaN in the data and for a root, a logarithm or a division of 0, or skip such batches (skip_nan=True)"
        )

    def forward(self, batch: Any) -> tuple[Variable, Any, Any]:
        """Return the loss of a batch, the prediction y and the target t; a subclass may override it."""
        if self.batch_loss is not None:
            result = self.batch_loss(self.model, batch)
            loss, y, t = result if isinstance(result, tuple) and len(result) == 3 else (result, None, None)
            if y is None and self._tally.metrics:
                raise ArgumentError(
                    "Trainer: metrics need the prediction and the target; let batch_loss return loss, y, t"
                )
            return checked_loss(loss), y, t
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ArgumentError(
                "Trainer: a batch must be (x, t) or (x1, x2, t), inputs and a target; for other batches pass batch_loss"
            )
        *xs, t = batch
        y = self.model(*xs)
        return checked_loss(self.loss(y, t)), y, t

    def _flush(self) -> None:
        """Update with accumulated gradients that are too few for a regular update."""
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
            row |= {f"test_{name}": math.nan for name in measures}  # The values if the evaluation fails.
            row |= numbers(self.evaluate(), prefix="test_")
        return row

    def evaluate(self, loader: Batches | None = None) -> dict[str, Any]:
        """Compute the mean loss and all metrics over a loader, by default the test loader, without training.

        Stateful layers, such as `RNN` called step by step, start with new sequences and continue from batch to batch,
        as in training; their state is restored afterwards.

        Raises `DTypeError` without a loader, `ArgumentError` for one without batches.
        """
        batches = self.test_loader if loader is None else loader
        if batches is None:
            raise DTypeError(
                "Trainer.evaluate: no loader was given; pass one, or create the Trainer with a test_loader"
            )
        batches = checked_loader("loader", batches)
        tally = self._tally.fresh()
        with test_mode(), no_grad(), new_sequences(self.model), self._epochs.preserved(batches):
            for batch in batches:
                loss, y, t = self._run(self.forward, batch)
                tally.update(loss, y, t, size_of(batch))
        return tally.compute()

    def predict(self, data: Any, batch_size: int = 256) -> Any:
        """Return the predictions for an array (N, ...), ``batch_size`` examples at a time, or for a loader.

        The targets of batches (x, t) or (x1, x2, t) are ignored; stateful layers continue from batch to batch, as in
        `evaluate`. See `Layer.predict`. Raises `ArgumentError` for a loader that shuffles, because the predictions
        would be in unknown order.
        """
        if is_array(data) or isinstance(data, Variable):
            return predicted(self.model, rows([data], batch_size))
        if getattr(data, "shuffle", False):
            raise ArgumentError(
                "Trainer.predict: the loader shuffles, so predictions would be in unknown order; pass shuffle=False"
            )
        with new_sequences(self.model):
            return predicted(self.model, map(_inputs_of, checked_loader("data", data)), continued=True)

    def _fields(self) -> dict[str, object]:
        return {
            "model": type(self.model).__name__,
            "optimizer": repr(self.optimizer),
            "loader": type(self.loader).__name__,
            "epochs": self.epoch,
            "steps": self.step,
        }

    def _repr_html_(self) -> str:
        return super()._repr_html_() + html_of_history(self.history)

    def _notify(self, moment: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(self, *arguments)


def _inputs_of(batch: Any) -> tuple[Any, ...]:
    """The inputs of the model: a batch without its target, or the whole batch if it has no target."""
    if not isinstance(batch, (tuple, list)):
        return (batch,)
    return tuple(batch[:-1] if len(batch) > 1 else batch)

"""The base of the estimators: parameters, training, and raw outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from passus.arguments import checked_count, checked_fraction, checked_number
from passus.backend import Array
from passus.errors import ShapeError
from passus.layers import Layer
from passus.optimizers import Optimizer
from passus.optimizers.hooks import WeightDecay
from passus.random import using_rng
from passus.sklearn.batches import Batches
from passus.sklearn.parts import dtype_of, new_generator, new_network, new_optimizer
from passus.training import Callback, EarlyStopping, Trainer
from passus.training.callbacks import Row

__all__ = ["NetworkEstimator"]

AUTO_BATCH_SIZE = 200
"""The batch size "auto", or the number of examples if it is smaller."""

PREDICTED_AT_ONCE = 4096
"""Number of examples in a batch of predictions."""


class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """The base of `PassusClassifier` and `PassusRegressor`, which define targets, losses and predictions."""

    network_: Layer
    optimizer_: Optimizer
    n_features_in_: int
    n_iter_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        network: Layer | Callable[[int, int], Layer] | None = None,
        optimizer: str | Optimizer = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # What a subclass defines.

    def _learn_targets(self, y: Array, classes: Any) -> None:
        """Store what a new network must fit: the classes, or the number of targets; ``classes``: None unless given."""
        raise NotImplementedError

    def _converted_targets(self, y: Array) -> Array:
        """Convert targets to those of the loss. Raises if they do not fit the network."""
        raise NotImplementedError

    def _out_size(self) -> int:
        """Number of outputs of the network."""
        raise NotImplementedError

    def _losses(self, y: Any, t: Array) -> Any:
        """The loss of each example, (N,)."""
        raise NotImplementedError

    def _mean_loss(self, y: Any, t: Array) -> Any:
        """The mean of `_losses`, computed faster."""
        raise NotImplementedError

    def _class_weighted(self, t: Array, weights: Array | None) -> Array | None:
        """The weights of examples times those of their classes."""
        return weights

    def _strata(self, t: Array) -> Array | None:
        """The classes that the held-out fraction represents equally; None without classes."""
        return None

    # Training.

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network, or continue with the last one under ``warm_start``, and return the estimator.

        ``X``: (N, features), an array or a DataFrame; a given ``network`` also takes (N, ...). ``sample_weight``: (N,),
        0 or more; an example of weight 0 is left out, and one of weight 2 counts twice. Only the ratios of weights
        matter: they are divided by their mean.

        After Ctrl-C the estimator has the weights of the last complete step. After an error a new network is discarded,
        and the estimator is not fitted.

        Raises ValueError for NaN and for shapes that do not fit, TypeError for sparse matrices.
        """
        first = not (self.warm_start and hasattr(self, "network_"))
        with self._unfitted_by_errors(first):
            X, t, weights = self._prepared(X, y, sample_weight, first)
            if weights is not None:
                weights = weights / weights.mean()
            (X, t, weights), held_out = self._split(X, t, weights)
            epochs = checked_count(self._name, "max_iter", self.max_iter)
            self._train(X, t, weights, held_out, epochs, [self._stopping(held_out is not None)])
        return self

    def _fit_once(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Train for one epoch, with a new network on the first call."""
        first = not hasattr(self, "network_")
        with self._unfitted_by_errors(first):
            X, t, weights = self._prepared(X, y, sample_weight, first, classes)
            self._train(X, t, weights, None, epochs=1, callbacks=[])
        return self

    @contextmanager
    def _unfitted_by_errors(self, first: bool) -> Iterator[None]:
        """Discard the network if ``first`` and the block raises: columns and classes may be those of the failed call."""
        try:
            yield
        except Exception:
            if first:
                self.__dict__.pop("network_", None)
            raise

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, first: bool, classes: Any = None
    ) -> tuple[Array, Array, Array | None]:
        """Checked examples, targets and weights; ``first``: whether a new network is made for them."""
        X, y = validate_data(self, X, y, reset=first, **self._x_options(), **self._y_options())
        X, y, weights = self._weighted(X, y, sample_weight)
        if first:
            self._learn_targets(y, classes)
        t = self._converted_targets(y)
        weights = self._class_weighted(t, weights)
        if first:
            self._start(X)
        if t.dtype.kind == "f":
            t = t.astype(self._dtype, copy=False)
        if weights is not None:
            weights = weights.astype(self._dtype, copy=False)
        return X.astype(self._dtype, copy=False), t, weights

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _x_options(self) -> dict[str, Any]:
        """The accepted dtypes and shapes of X."""
        return {"dtype": (np.float64, np.float32), "allow_nd": self.network is not None}

    def _y_options(self) -> dict[str, Any]:
        """The options for checking y."""
        return {}

    def _weighted(self, X: Array, y: Array, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        """The examples with a positive weight, and their weights."""
        if sample_weight is None:
            return X, y, None
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        chosen = weights > 0
        return X[chosen], y[chosen], weights[chosen]

    def _start(self, X: Array) -> None:
        """Make a new network and a new optimizer."""
        self._rng = new_generator(self.random_state)
        rate = checked_number(self._name, "learning_rate", self.learning_rate, low=0.0)
        decay = checked_number(self._name, "weight_decay", self.weight_decay, low=0.0)
        with using_rng(self._rng):
            network = new_network(
                self.network,
                self.hidden_layer_sizes,
                self.activation,
                self.n_features_in_,
                self._out_size(),
                X.dtype,
            )
            # Otherwise the first weights would depend on the number of examples, which are shuffled before they are drawn.
            network.predict(X[:1].astype(dtype_of(network), copy=False))
        optimizer = new_optimizer(self.optimizer, rate).setup(network)
        if decay:
            optimizer.add_hook(WeightDecay(decay))
        self.network_, self.optimizer_, self._dtype = network, optimizer, dtype_of(network)
        self.n_iter_, self.loss_curve_, self.validation_loss_curve_ = 0, [], []

    def _split(self, X: Array, t: Array, weights: Array | None) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
        """The examples to train on, and those held out; None without early stopping."""
        if not self.early_stopping:
            return (X, t, weights), None
        fraction = checked_fraction(self._name, "validation_fraction", self.validation_fraction)
        arrays = [x for x in (X, t, weights) if x is not None]
        pairs = train_test_split(
            *arrays, test_size=fraction, random_state=int(self._rng.integers(1 << 31)), stratify=self._strata(t)
        )
        if weights is None:
            pairs += [None, None]
        return tuple(pairs[::2]), tuple(pairs[1::2])

    def _train(
        self,
        X: Array,
        t: Array,
        weights: Array | None,
        held_out: tuple[Any, ...] | None,
        epochs: int,
        callbacks: list[Callback],
    ) -> None:
        size = self._checked_batch_size(len(X))
        trainer = Trainer(
            self.network_,
            self.optimizer_,
            Batches((X, t, weights), size, self._rng if self.shuffle else None),
            batch_loss=self._batch_loss,
            test_loader=None if held_out is None else Batches(held_out, PREDICTED_AT_ONCE),
            callbacks=callbacks,
            progress=bool(self.verbose),
        )
        try:
            with using_rng(self._rng):
                trainer.fit(epochs=epochs)
        finally:  # After Ctrl-C too.
            self._record(trainer.history)

    def _record(self, history: list[Row]) -> None:
        """Add the epochs of a training."""
        self.n_iter_ += len(history)
        self.loss_curve_ += [row["loss"] for row in history]
        self.validation_loss_curve_ += [row["test_loss"] for row in history if "test_loss" in row]

    def _stopping(self, held_out: bool) -> EarlyStopping:
        patience = checked_count(self._name, "n_iter_no_change", self.n_iter_no_change)
        return EarlyStopping(
            "test_loss" if held_out else "loss",
            patience=patience,
            min_delta=checked_number(self._name, "tol", self.tol, low=0.0),
            restore_best=held_out,
        )

    def _checked_batch_size(self, examples: int) -> int:
        if isinstance(self.batch_size, str) and self.batch_size == "auto":
            return min(AUTO_BATCH_SIZE, examples)
        return checked_count(self._name, "batch_size", self.batch_size)

    def _batch_loss(self, network: Callable[[Array], Any], batch: tuple[Any, ...]) -> Any:
        x, t, weights = batch
        y = network(x)
        if y.ndim != 2 or y.shape != (len(x), self._out_size()):
            raise ShapeError(
                f"{self._name}: the network returns {y.shape} for {len(x)} examples; it must return "
                f"({len(x)}, {self._out_size()})"
            )
        return self._mean_loss(y, t) if weights is None else (self._losses(y, t) * weights).mean()

    # Predictions.

    def _outputs(self, X: Any) -> Array:
        """The outputs of the trained network, (N, outputs)."""
        check_is_fitted(self, "network_")
        X = validate_data(self, X, reset=False, **self._x_options()).astype(self._dtype, copy=False)
        outputs: Array = self.network_.predict(X, batch_size=PREDICTED_AT_ONCE)
        return outputs

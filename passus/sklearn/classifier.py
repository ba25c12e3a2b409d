"""The classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

import passus.functions as F
from passus.arguments import shown
from passus.backend import Array
from passus.errors import ArgumentError, LabelError
from passus.layers import Layer
from passus.optimizers import Optimizer
from passus.sklearn.estimator import NetworkEstimator
from passus.sklearn.weights import class_weights

__all__ = ["PassusClassifier"]


class PassusClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that assigns one of several classes, trained with the softmax cross entropy, or several labels at once.

    Targets of shape (N,) hold one class each, numbers or strings. Targets of shape (N, labels) of 0 and 1 say which
    labels hold; the loss is then the sigmoid cross entropy.

    ``hidden_layer_sizes``: units of each hidden layer. ``activation``: "relu", "tanh", "logistic", "gelu", "identity",
    or a function. ``network``: instead of these, a layer, of which a copy is trained, or a function of
    ``(in_size, out_size)`` that returns a new layer; its outputs (N, classes) are logits. ``optimizer``: "adam",
    "adamw", "momentum", "sgd", or an optimizer, of which a copy is used with its own learning rate. ``weight_decay``:
    rate of the L2 penalty. ``batch_size``: "auto" is 200, or all examples if there are fewer. ``class_weight``: a dict
    from classes to weights, 1 for those it lacks; or "balanced": weights inverse to the frequencies of the classes.

    Training ends after ``max_iter`` epochs, or when the loss has not improved by more than ``tol`` for
    ``n_iter_no_change`` consecutive epochs. With ``early_stopping`` this is the loss of a held-out fraction
    (``validation_fraction``), and the best weights are restored. ``warm_start``: whether `fit` continues with the last
    network. ``random_state``: an integer for reproducible results.

    After `fit`: ``classes_`` the labels in order, ``network_`` and ``optimizer_``, ``n_iter_`` the number of epochs,
    ``loss_curve_`` and ``validation_loss_curve_`` the losses of each epoch. The default network computes in the dtype
    of X, float32 or float64, and float32 is faster; a given network computes in the dtype of its parameters. Inputs
    should have a mean near 0 and a variance near 1, so put a `StandardScaler` first.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = PassusClassifier((16,), learning_rate=0.05, random_state=0)
    >>> model.fit(x, ["small", "small", "large", "large"]).predict([[-1.0], [4.0]])
    array(['small', 'large'], dtype='<U5')
    """

    classes_: Array

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
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            network=network,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_iter=max_iter,
            shuffle=shuffle,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on the given examples, with a new network on the first call, and return the estimator.

        ``classes``: all labels that will occur, or the indices of the columns of several labels; required on the first
        call. ``sample_weight``: factors of the losses of the examples, not divided by their mean as in `fit`.

        Raises `ArgumentError` for a first call without ``classes`` and for balanced classes, `LabelError` for a label that
        is not one of ``classes``.
        """
        if isinstance(self.class_weight, str):
            raise ArgumentError(
                f"PassusClassifier.partial_fit: class_weight={shown(self.class_weight)} counts all examples; give a dict"
            )
        if not hasattr(self, "network_"):
            if classes is None:
                raise ArgumentError("PassusClassifier.partial_fit: pass classes, all labels, on the first call")
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise ArgumentError("PassusClassifier.partial_fit: classes differ from those of the first call")
        return self._fit_once(X, y, sample_weight, classes)

    def predict(self, X: Any) -> Array:
        """The most probable class of each example, (N,); (N, labels) of 0 and 1 if the targets had this form."""
        outputs = self._outputs(X)
        if self._multilabel:
            return (outputs > 0).astype(int)
        return self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes, (N, classes), in the order of ``classes_``; of several labels, of each."""
        outputs = self._outputs(X)
        probabilities: Array = F.sigmoid(outputs) if self._multilabel else F.softmax(outputs, axis=1)
        return probabilities

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`."""
        outputs = self._outputs(X)
        logs: Array = -F.softplus(-outputs) if self._multilabel else F.log_softmax(outputs, axis=1)
        return logs

    def _y_options(self) -> dict[str, Any]:
        return {"multi_output": True}

    def _learn_targets(self, y: Array, classes: Any) -> None:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise LabelError(
                f"PassusClassifier: targets of shape {y.shape} with more than two values; give one class per example, (N,), "
                "or 0 and 1 for each label, or wrap the estimator in sklearn.multioutput.MultiOutputClassifier"
            )
        self._multilabel = kind == "multilabel-indicator"
        if self._multilabel:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(column_or_1d(y) if classes is None else np.asarray(classes))

    def _converted_targets(self, y: Array) -> Array:
        """The positions of labels in ``classes_``, (N,), or floating-point numbers 0 and 1, (N, labels)."""
        return self._indicators(y) if self._multilabel else self._indices(y)

    def _indicators(self, y: Array) -> Array:
        dense: Array = y.toarray() if hasattr(y, "toarray") else y
        if dense.shape[1:] != self.classes_.shape or not np.isin(dense, (0, 1)).all():
            raise LabelError(
                f"PassusClassifier: targets of several labels must be 0 and 1 of the shape (N, {len(self.classes_)}); these "
                f"have the shape {dense.shape}"
            )
        return dense.astype(np.float64)

    def _indices(self, y: Array) -> Array:
        y = column_or_1d(y, warn=True)
        indices: Array = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[indices] != y
        if unknown.any():
            raise LabelError(
                f"PassusClassifier: the label {shown(y[unknown][:1].tolist()[0])} is not in classes_; pass all labels to the first "
                "partial_fit as classes, or create a new estimator"
            )
        return indices

    def _out_size(self) -> int:
        return len(self.classes_)

    def _class_weighted(self, t: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ArgumentError("PassusClassifier: class_weight is for targets of shape (N,); give sample_weight")
        factors = class_weights(self.class_weight, self.classes_, t, weights)[t]
        return factors if weights is None else factors * weights

    def _losses(self, y: Any, t: Array) -> Any:
        if self._multilabel:
            return F.sigmoid_cross_entropy(y, t, reduction="none").mean(axis=1)
        return F.softmax_cross_entropy(y, t, reduction="none")

    def _mean_loss(self, y: Any, t: Array) -> Any:
        return F.sigmoid_cross_entropy(y, t) if self._multilabel else F.softmax_cross_entropy(y, t)

    def _strata(self, t: Array) -> Array | None:
        return None if self._multilabel else t

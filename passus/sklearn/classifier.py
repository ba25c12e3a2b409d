"""The classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

import passus.functions as F
from passus.arguments import shown
from passus.backend import Array
from passus.errors import ArgumentError, LabelError
from passus.sklearn.estimator import NetworkEstimator

__all__ = ["PassusClassifier"]


class PassusClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that assigns one of several classes, trained with the softmax cross entropy.

    ``hidden_layer_sizes``: units of each hidden layer. ``activation``: "relu", "tanh", "logistic", "gelu", "identity",
    or a function. ``network``: instead of these, a layer, of which a copy is trained, or a function of
    ``(in_size, out_size)`` that returns a new layer; its outputs (N, classes) are logits. ``optimizer``: "adam",
    "adamw", "momentum", "sgd", or an optimizer, of which a copy is used with its own learning rate. ``weight_decay``:
    rate of the L2 penalty. ``batch_size``: "auto" is 200, or all examples if there are fewer.

    Training ends after ``max_iter`` epochs, or when the loss has not improved by more than ``tol`` for
    ``n_iter_no_change`` consecutive epochs. With ``early_stopping`` this is the loss of a held-out fraction
    (``validation_fraction``), and the best weights are restored. ``warm_start``: whether `fit` continues with the last
    network. ``random_state``: an integer for reproducible results.

    After `fit`: ``classes_`` the labels in order, ``network_`` and ``optimizer_``, ``n_iter_`` the number of epochs,
    ``loss_curve_`` and ``validation_loss_curve_`` the losses of each epoch. The default network computes in the
    dtype of X, float32 or float64, and float32 is faster; a given network receives float32. Inputs should have a mean near 0 and a variance near 1, so put a `StandardScaler` first.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = PassusClassifier((16,), learning_rate=0.05, random_state=0)
    >>> model.fit(x, ["small", "small", "large", "large"]).predict([[-1.0], [4.0]])
    array(['small', 'large'], dtype='<U5')
    """

    classes_: Array

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on the given examples, with a new network on the first call, and return the estimator.

        ``classes``: all labels that will occur; required on the first call.

        Raises `ArgumentError` for a first call without ``classes``, `LabelError` for a label that is not one of them.
        """
        if not hasattr(self, "network_"):
            if classes is None:
                raise ArgumentError("PassusClassifier.partial_fit: pass classes, all labels, on the first call")
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise ArgumentError("PassusClassifier.partial_fit: classes differ from those of the first call")
        return self._fit_once(X, y, sample_weight, classes)

    def predict(self, X: Any) -> Array:
        """The most probable class of each example, (N,)."""
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the classes, (N, classes), in the order of ``classes_``."""
        probabilities: Array = F.softmax(self._outputs(X), axis=1)
        return probabilities

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`."""
        logs: Array = F.log_softmax(self._outputs(X), axis=1)
        return logs

    def _learn_targets(self, y: Array, classes: Any) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(column_or_1d(y) if classes is None else np.asarray(classes))

    def _converted_targets(self, y: Array) -> Array:
        """The positions of labels in ``classes_``."""
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

    def _losses(self, y: Any, t: Array) -> Any:
        return F.softmax_cross_entropy(y, t, reduction="none")

    def _mean_loss(self, y: Any, t: Array) -> Any:
        return F.softmax_cross_entropy(y, t)

    def _strata(self, t: Array) -> Array | None:
        return t

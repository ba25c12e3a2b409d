"""The regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

import passus.functions as F
from passus.backend import Array
from passus.errors import ShapeError
from passus.sklearn.estimator import NetworkEstimator

__all__ = ["PassusRegressor"]


class PassusRegressor(MultiOutputMixin, RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that predicts one or several numbers, trained with the squared error.

    The parameters are those of `PassusClassifier`; the outputs of a given ``network`` have the shape (N, targets).
    Targets should have a variance near 1, so wrap the estimator in `TransformedTargetRegressor` for others.

    >>> x = np.linspace(-1, 1, 50)[:, np.newaxis]
    >>> model = PassusRegressor((32,), activation="tanh", learning_rate=0.05, random_state=0).fit(x, 3 * x[:, 0])
    >>> model.score(x, 3 * x[:, 0]) > 0.99
    True
    """

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on the given examples, with a new network on the first call, and return the estimator."""
        return self._fit_once(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """The predicted numbers, (N,), or (N, targets) if the targets had two axes."""
        y = self._outputs(X)
        return y[:, 0] if self._target_shape == () else y

    def _y_options(self) -> dict[str, Any]:
        return {"multi_output": True, "y_numeric": True}

    def _learn_targets(self, y: Array, classes: Any) -> None:
        self._target_shape: tuple[int, ...] = y.shape[1:]

    def _converted_targets(self, y: Array) -> Array:
        if y.shape[1:] != self._target_shape:
            raise ShapeError(
                f"PassusRegressor: targets of shape {y.shape}; those of the first call had the shape "
                f"{('N', *self._target_shape)}"
            )
        targets: Array = np.asarray(y, np.float64).reshape(len(y), -1)
        return targets

    def _out_size(self) -> int:
        return self._target_shape[0] if self._target_shape else 1

    def _losses(self, y: Any, t: Array) -> Any:
        return F.mean_squared_error(y, t, reduction="none").mean(axis=1)

    def _mean_loss(self, y: Any, t: Array) -> Any:
        return F.mean_squared_error(y, t)

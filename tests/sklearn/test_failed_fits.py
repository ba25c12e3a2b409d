"""After Ctrl-C an estimator can be used, and after an error it is not fitted."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from passus.errors import ArgumentError, ShapeError
from passus.layers import Linear, Sequential
from passus.optimizers import SGD
from passus.sklearn import PassusClassifier


class Pressed(SGD):
    """Presses Ctrl-C at a step."""

    def __init__(self, at: int) -> None:
        super().__init__(lr=0.1)
        self.at = at

    def update(self) -> None:
        super().update()
        if self.step == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("at", "epochs"), [(1, 0), (7, 2)])
def test_ctrl_c_leaves_the_weights_of_the_last_step(at, epochs):
    x, t = load_iris(return_X_y=True)
    model = PassusClassifier(optimizer=Pressed(at), batch_size=50, warm_start=True, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, t)
    assert model.n_iter_ == len(model.loss_curve_) == epochs
    assert model.optimizer_.step == at
    assert model.predict(x).shape == t.shape
    assert model.set_params(max_iter=3).fit(x, t).n_iter_ == epochs + 3


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"network": Sequential(Linear(7))}, ShapeError),
        ({"optimizer": "lbfgs"}, ArgumentError),
    ],
)
def test_an_estimator_is_not_fitted_after_an_error(call, options, error):
    x, t = load_iris(return_X_y=True)
    model = PassusClassifier(**options)
    more = {} if call == "fit" else {"classes": [0, 1, 2]}
    with pytest.raises(error):
        getattr(model, call)(x, t, **more)
    with pytest.raises(NotFittedError):
        model.predict(x)


def test_an_error_in_a_second_fit_discards_the_first_network_whose_columns_may_differ():
    x, t = load_iris(return_X_y=True)
    model = PassusClassifier(max_iter=1).fit(x, t)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((150, 3), np.nan), t)
    with pytest.raises(NotFittedError):
        model.predict(x)


def test_an_error_in_partial_fit_keeps_the_network():
    x, t = load_iris(return_X_y=True)
    model = PassusClassifier().partial_fit(x, t, classes=[0, 1, 2])
    expected = model.predict_proba(x)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full_like(x, np.nan), t)
    np.testing.assert_array_equal(model.predict_proba(x), expected)

"""Predictions of models and of the trainer."""

from __future__ import annotations

import numpy as np
import pytest

import passus.functions as F
from passus import Config, Variable, no_grad, test_mode
from passus.dataloaders import DataLoader
from passus.datasets import Spiral
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.layers import Layer
from tests.training.trainers import T, Two, X, assert_same_state, trainer, two_inputs


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9])
def test_predictions_equal_one_call_in_test_mode(dtype, n):
    model = Two(dtype=dtype)
    model(*two_inputs(5, dtype))
    before = model.state_dict()
    with test_mode(), no_grad():
        expected = model(*two_inputs(n, dtype)).data
    for _ in range(2):
        y = model.predict(*two_inputs(n, dtype), batch_size=4)
        assert type(y) is np.ndarray
        assert y.dtype == dtype
        assert y.shape == (n, 3)
        np.testing.assert_allclose(y, expected, rtol=1e-2 if dtype == np.float16 else 1e-5, atol=1e-6)
    assert (Config.train, Config.enable_backprop) == (True, True)
    assert_same_state(model.state_dict(), before)


@pytest.mark.parametrize("kind", ["array", "tuple", "dict", "constant"])
def test_predictions_have_the_structure_of_the_output(kind):
    model = Two(kind)
    y = model.predict(*two_inputs(9), batch_size=4)
    if kind == "tuple":
        assert [part.shape for part in y] == [(9, 3), (9, 3)]
        np.testing.assert_array_equal(y[0] * 2, y[1])
    elif kind == "dict":
        np.testing.assert_array_equal(y["a"], y["b"][0])
    else:
        assert y.shape == (9, 3)


def test_a_failed_prediction_changes_no_state():
    model = Two()
    with pytest.raises(ShapeError):
        model.predict(np.ones((4, 2), np.float32), np.ones(4, np.float32))
    assert (Config.train, Config.enable_backprop) == (True, True)
    assert model.linear.W._data is None


def test_a_trainer_predicts_for_arrays_and_loaders():
    run = trainer()
    run.fit(epochs=1)
    expected = run.model.predict(X)
    np.testing.assert_array_equal(run.predict(X), expected)
    loaders = [
        DataLoader(Spiral(), 32, shuffle=False),
        DataLoader(X, 32, shuffle=False),
        [(X[:100], T[:100]), [X[100:], T[100:]]],
        [(X,)],
    ]
    for loader in loaders:
        np.testing.assert_allclose(run.predict(loader), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.predict(Variable(X), batch_size=7), expected, rtol=1e-5, atol=1e-6)
    assert Config.train


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda run: run.predict(run.loader), ArgumentError, "shuffle=False"),
        (lambda run: run.predict([]), ArgumentError, "no batches"),
        (lambda run: run.predict(iter([X])), DTypeError, "DataLoader"),
        (lambda run: run.predict(X, batch_size=0), ArgumentError, "batch_size"),
        (lambda run: run.model.predict([[1.0, 2.0]]), DTypeError, "predict"),
        (lambda run: run.model.predict(), ShapeError, "none"),
        (lambda run: run.model.predict(np.float32(3)), ShapeError, "N examples"),
        (lambda run: run.model.predict(X, X[1:]), ShapeError, "same N"),
        (lambda run: Total().predict(X), ShapeError, "one number for a whole batch"),
    ],
)
def test_invalid_arguments_of_predict_raise(call, error, words):
    with pytest.raises(error, match=words):
        call(trainer())


class Total(Layer):
    def forward(self, x):
        return F.sum(x)

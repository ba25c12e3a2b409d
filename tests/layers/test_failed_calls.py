"""A call of a model that fails leaves the model as it was."""

from __future__ import annotations

import numpy as np
import pytest

import passus
from passus.layers import BatchNorm, Dropout, Linear, Sequential
from passus.layers.undo import changes
from passus.models import MLP

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


def arrays(model):
    return {path: None if x is None else x.copy() for path, x in model.state_dict().items()}


def assert_same(model, before):
    now = arrays(model)
    assert now.keys() == before.keys()
    for path, x in before.items():
        np.testing.assert_array_equal(now[path], x, err_msg=path)


def refusing():
    """The last layer refuses what those before it give."""
    return Sequential(Linear(5), BatchNorm(), Dropout(), Linear(2, in_size=7))


def test_lazy_parameters_are_given_up_again():
    passus.random.seed(0)
    model = refusing()
    before, state = arrays(model), passus.random.rng_state()
    with pytest.raises(ValueError, match=r"sequential.l3: linear"):
        model(X)
    assert_same(model, before)
    assert model.l0.W.data is None
    assert model.l1.avg_mean is None
    model.l3 = Linear(2)
    passus.random.load_rng_state(state)
    y = model(X[:, :2])  # Another size than that of the failed call.
    assert model.l0.W.shape == (2, 5)
    assert y.shape == (4, 2)


def test_the_next_call_draws_what_it_would_have_drawn():
    passus.random.seed(0)
    model = MLP((5, 2))
    model.l1 = Linear(2, in_size=7)
    with pytest.raises(ValueError, match="linear"):
        model(X)
    model.l1 = Linear(2)
    model(X)
    passus.random.seed(0)
    again = MLP((5, 2))
    again.l1 = Linear(2, in_size=7)
    again.l1 = Linear(2)
    again(X)
    np.testing.assert_array_equal(model.l0.W.data, again.l0.W.data)


def test_averages_are_put_back():
    model = Sequential(Linear(5), BatchNorm(), Linear(2))
    model(X)
    before = arrays(model)
    model.l2 = Linear(2, in_size=7)
    before |= {path: x for path, x in arrays(model).items() if path.startswith("l2")}
    with pytest.raises(ValueError, match="linear"):
        model(10 * X)
    assert_same(model, before)
    with passus.test_mode(), pytest.raises(ValueError, match="linear"):
        model(X)
    assert_same(model, before)


def test_any_error_counts():
    def interrupted(x):
        raise KeyboardInterrupt

    model = Sequential(Linear(5), BatchNorm(), interrupted)
    before = arrays(model)
    with pytest.raises(KeyboardInterrupt):
        model(X)
    assert_same(model, before)


def test_an_error_that_the_model_itself_catches_undoes_nothing():
    class Careful(passus.Layer):
        def __init__(self):
            self.first, self.second = Linear(5), Linear(2, in_size=7)

        def forward(self, x):
            y = self.first(x)
            try:
                return self.second(y)
            except ValueError:
                return y

    model = Careful()
    assert model(X).shape == (4, 5)
    assert model.first.W.shape == (3, 5)


def test_a_call_that_succeeds_keeps_nothing():
    model = Sequential(Linear(5), BatchNorm(), Linear(2))
    model(X)
    assert changes.get() is None
    np.testing.assert_no_gc_cycles(lambda: model(X))

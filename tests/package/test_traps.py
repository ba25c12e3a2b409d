"""Common mistakes in training loops, losses and shapes raise an error or issue one warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Parameter, Variable, optimizers
from passus.errors import DTypeError, PassusWarning, ShapeError
from passus.models import MLP
from passus.training import Callback
from tests.package.recording import recorded_warnings


def test_an_update_without_gradients_warns_once() -> None:
    model = MLP((3,), in_size=2)
    optimizer = optimizers.Adam().setup(model)
    before = model.state_dict()
    with recorded_warnings() as messages:
        for _ in range(3):
            optimizer.update()
    assert len(messages) == 1
    assert "MLP" in messages[0]
    np.testing.assert_equal(model.state_dict(), before)


def test_wrapped_optimizer_warns_once_without_gradients() -> None:
    model = MLP((3,), in_size=2)
    optimizer = optimizers.GradientAccumulation(optimizers.SGD(), every=2).setup(model)
    with recorded_warnings() as messages:
        for _ in range(4):
            optimizer.update()
    assert len(messages) == 1


def test_step_of_an_optimizer_is_an_integer() -> None:
    optimizer = optimizers.SGD().setup(MLP((3,), in_size=2))
    F.sum(optimizer.target(np.ones((1, 2), np.float32))).backward()
    optimizer.update()
    assert (optimizer.step, optimizer.step + 1, f"{optimizer.step}", repr(optimizer.step)) == (1, 2, "1", "1")
    other = optimizers.SGD().setup(optimizer.target)
    other.load_state_dict(optimizer.state_dict())
    assert other.step == 1
    with pytest.raises(AttributeError, match=r"write update\(\)"):
        other.step()


def test_key_error_of_user_code_is_not_changed() -> None:
    class KeyErrorOptimizer(optimizers.Optimizer):
        slots = ("v",)

        def update_one(self, p: Any, g: Any, slots: Any, o: Any) -> None:
            {}[("some", "key")]

    model = MLP((3,), in_size=2)
    F.sum(model(np.ones((1, 2), np.float32))).backward()
    with pytest.raises(KeyError):
        KeyErrorOptimizer(lr=0.1).setup(model).update()


def test_subclass_of_a_callback_with_an_unknown_event_does_not_warn_again() -> None:
    with pytest.warns(PassusWarning, match="Base.on_validation is never called"):

        class Base(Callback):
            def on_validation(self, run: Any) -> None: ...

    class Derived(Base):
        def on_validation(self, run: Any) -> None: ...
        def on_epoch(self, run: Any, row: Any) -> None: ...
        def _on_epoch_end(self) -> None: ...


@pytest.mark.parametrize(
    "scores",
    [
        lambda y: y,
        lambda y: y / 2.0,
        lambda y: F.exp(y),
        lambda y: F.log_softmax(y),
        lambda y: F.relu(y),
        lambda y: F.softmax(y) * 4.0,
    ],
)
def test_scores_are_not_mistaken_for_probabilities(scores: Any, rng: np.random.Generator) -> None:
    F.softmax_cross_entropy(scores(Variable(rng.normal(size=(4, 3)))), np.array([0, 1, 2, 0]))


def test_fused_sigmoid_before_sigmoid_cross_entropy_warns() -> None:
    with pytest.warns(PassusWarning, match="Leave out the last activation"):
        F.sigmoid_cross_entropy(L.Linear(2, activation="sigmoid")(np.ones((3, 4), np.float32)), np.ones((3, 2)))


def test_warning_points_at_the_caller() -> None:
    with pytest.warns(PassusWarning) as caught:
        L.Linear(3)(np.ones((2, 4)))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("shape", "target", "advice"),
    [
        ((4, 1), (4,), r"t.reshape\(\(4, 1\)\)"),
        ((4,), (4, 1), r"t.reshape\(\(4,\)\)"),
        ((4, 3), (4, 2), "make the last layer's output size match t"),
        ((4, 3), (4, 1), r"np.broadcast_to\(t, \(4, 3\)\)"),
        ((4, 3), (3,), r"np.broadcast_to\(t, \(4, 3\)\)"),
        ((4, 1, 8, 3), (4, 3), "F.flatten"),
        ((4, 3), (5, 3), "output size match t"),
    ],
)
@pytest.mark.parametrize(
    "loss",
    [
        F.mean_squared_error,
        F.mean_squared_error_simple,
        F.l1_loss,
        F.huber,
    ],
)
def test_suggested_fix_for_shapes_is_valid(
    loss: Any, shape: tuple[int, ...], target: tuple[int, ...], advice: str
) -> None:
    with pytest.raises(ShapeError, match=advice) as caught:
        loss(np.full(shape, 0.5), np.zeros(target))
    if "reshape" in str(caught.value):
        np.zeros(target).reshape(shape)


def test_replacing_a_parameter_by_an_array_or_variable_raises() -> None:
    layer = L.Linear(3, in_size=2)
    for value in (np.zeros((2, 3)), Variable(np.zeros((2, 3))), layer.W * 2.0):
        with pytest.raises(DTypeError, match=r"linear\.W is a parameter"):
            layer.W = value
    layer.W = Parameter(np.zeros((2, 3)))
    layer.b = None
    assert [path for path, _ in layer.named_params()] == ["W"]


def test_flatten_method_flattens_all_axes_and_function_keeps_the_batch(rng: np.random.Generator) -> None:
    x = Variable(rng.normal(size=(2, 3, 4)))
    y = x.flatten()
    assert (y.shape, F.flatten(x).shape) == ((24,), (2, 12))
    np.testing.assert_array_equal(y.data, x.data.flatten())
    F.sum(y * y).backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data)


@pytest.mark.parametrize(
    ("shapes", "helps"),
    [(((2, 3), (2, 3)), True), (((2, 3), (4, 3)), True), (((2, 3), (4, 5)), False), (((3,), (2, 4)), False)],
)
def test_transposing_is_suggested_only_if_it_helps(shapes: Any, helps: bool) -> None:
    x, W = (np.ones(shape) for shape in shapes)
    with pytest.raises(ShapeError, match="x0") as caught:
        F.matmul(x, W)
    assert ("swapaxes" in str(caught.value)) == helps
    if shapes != ((2, 3), (2, 3)):
        with pytest.raises(ShapeError, match="W takes") as caught:
            F.linear(x, W)
        assert (".T" in str(caught.value)) == (x.shape[-1] == W.shape[1])

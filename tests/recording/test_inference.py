"""Compiled layers: parameters and buffers are constants until they change, and convolutions are prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus.layers import BatchNorm, Conv1d, Conv2d, Flatten, Layer, Linear, MaxPooling, Sequential
from passus.models import LeNet
from passus.optimizers import SGD
from passus.recording.passes.convolutions import PreparedConvolution

pytest.importorskip("numba")


def images(*shape: int) -> Any:
    return np.random.default_rng(3).standard_normal(shape, np.float32)


def eager(model: Layer, x: Any) -> Any:
    with passus.no_grad(), passus.test_mode():
        return model(x).data


def called(compiled: Any, x: Any) -> Any:
    for _ in range(3):
        y = compiled(x).data
    return y


def small() -> Any:
    model = Sequential(Linear(5, in_size=4, rng=0), F.tanh, Linear(2, in_size=5, rng=1))
    return model, images(3, 4)


def with_statistics(model: Layer, x: Any) -> Layer:
    """A model whose averages differ from 0 and 1."""
    for i in range(3):
        model(x * (i + 1) + 0.5)
    return model


def blocks() -> Any:
    """A network with each kind of convolution: Winograd's, pointwise, depthwise, with a stride, in groups."""
    model = Sequential(
        Conv2d(32, 3, pad=1, rng=0),
        BatchNorm(activation="relu"),
        Conv2d(32, 3, pad=1, rng=1, nobias=True),
        BatchNorm(activation="relu6"),
        Conv2d(48, 1, rng=2, nobias=True),
        BatchNorm(),
        Conv2d(48, 3, pad=1, groups=48, rng=3, nobias=True),
        BatchNorm(activation="relu"),
        Conv2d(24, 3, stride=2, rng=4),
        F.relu,
        Conv2d(24, 3, groups=2, rng=5),
    )
    x = images(2, 16, 12, 12)
    return with_statistics(model, x), x


CHANGES: dict[str, Callable[[Any], object]] = {
    "assigned": lambda model: setattr(model[0].W, "data", model[0].W.data * 2),
    "edited in place": lambda model: model[0].W.data.__setitem__(..., 0.5),
    "one element": lambda model: model[0].b.data.__setitem__(1, 3.0),
    "through a view": lambda model: model[2].W.data.T.__setitem__(0, 9.0),
    "loaded": lambda model: model.load_state_dict({**model.state_dict()} | small_state()),
}


def small_state() -> Any:
    other = Sequential(Linear(5, in_size=4, rng=7), F.tanh, Linear(2, in_size=5, rng=8))
    return other.state_dict()


@pytest.mark.parametrize("change", CHANGES)
def test_changed_parameters_are_noticed(change: str) -> None:
    model, x = small()
    compiled = passus.compile(model)
    np.testing.assert_allclose(called(compiled, x), eager(model, x), rtol=1e-4, atol=1e-6)
    for _ in range(2):
        CHANGES[change](model)
        expected = eager(model, x)
        np.testing.assert_allclose(compiled(x).data, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(compiled(x).data, expected, rtol=1e-4, atol=1e-6)


def test_array_that_was_held_before_is_edited_in_place() -> None:
    model, x = small()
    held, view = model[0].W.data, model[2].W.data[1:]
    compiled = passus.compile(model)
    called(compiled, x)
    for array in (held, view):
        array *= 3
        np.testing.assert_allclose(compiled(x).data, eager(model, x), rtol=1e-4, atol=1e-6)


def test_arrays_are_compared_in_each_run_only_if_they_may_change_unnoticed() -> None:
    model, x = blocks()
    compiled = passus.compile(model)
    called(compiled, x)
    frozen = compiled.versions[0].frozen
    buffers = [i for i, value in enumerate(frozen.values) if value.name.endswith(("avg_mean", "avg_var"))]
    assert len(buffers) == 8
    assert frozen.watched == buffers
    model[0].W.data = model[0].W.data * 2
    called(compiled, x)
    assert frozen.watched == buffers
    held = model[0].W.data
    model[0].b.data[...] = 1
    called(compiled, x)
    assert [frozen.values[i].name for i in frozen.watched if i not in buffers] == ["l0.W"]
    assert held is model[0].W.data


def test_updates_of_an_optimizer_are_noticed() -> None:
    model, x = small()
    compiled = passus.compile(model)
    optimizer = SGD(lr=0.5).setup(model)

    @passus.compile
    def step(x: Any) -> Any:
        loss = (model(x) ** 2).mean()
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    for i in range(6):
        np.testing.assert_allclose(compiled(x).data, eager(model, x), rtol=1e-3, atol=1e-6)
        if i % 2:
            step(x)
        else:
            step.function(x)


def test_buffers_are_noticed() -> None:
    model, x = blocks()
    compiled = passus.compile(model)
    called(compiled, x)
    model[1].avg_mean[...] += 0.5  # In place.
    np.testing.assert_allclose(compiled(x).data, eager(model, x), rtol=1e-4, atol=1e-5)
    model[3].avg_var = model[3].avg_var * 2
    np.testing.assert_allclose(compiled(x).data, eager(model, x), rtol=1e-4, atol=1e-5)
    model(x)  # Training updates the averages.
    np.testing.assert_allclose(compiled(x).data, eager(model, x), rtol=1e-4, atol=1e-5)


def test_batch_normalization_and_limits_become_part_of_convolutions() -> None:
    model, x = blocks()
    compiled = passus.compile(model)
    np.testing.assert_allclose(called(compiled, x), eager(model, x), rtol=1e-4, atol=1e-5)
    functions = on_machine(compiled)
    assert all(isinstance(f, PreparedConvolution) for f in functions)
    assert len(functions) == 6


def on_machine(compiled: Any) -> list[Any]:
    """The functions of a program that the machine computes as a whole."""
    (instruction,) = compiled.versions[0].executed.instructions
    return [i.function for i in instruction.function.program.instructions]


class Block(Layer):
    """A residual block: the sum of two branches within limits."""

    def __init__(self, shortcut: bool, kernel: int = 3) -> None:
        pad = kernel // 2
        self.conv1 = Conv2d(16, kernel, pad=pad, in_channels=16, rng=0, nobias=True)
        self.norm1 = BatchNorm(activation="relu")
        self.conv2 = Conv2d(16, kernel, pad=pad, in_channels=16, rng=1, nobias=True)
        self.norm2 = BatchNorm()
        self.shortcut = Conv2d(16, 1, in_channels=16, rng=2) if shortcut else None

    def forward(self, x: Any) -> Any:
        y = self.norm2(self.conv2(self.norm1(self.conv1(x))))
        return F.add_relu(y, self.shortcut(x) if self.shortcut else x)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("shortcut", [False, True])
def test_residual_sums_become_part_of_convolutions(shortcut: bool, kernel: int) -> None:
    x = images(3, 16, 11, 12)
    model = with_statistics(Sequential(Block(shortcut, kernel), Block(shortcut, kernel)), x)
    compiled = passus.compile(model)
    np.testing.assert_allclose(called(compiled, x), eager(model, x), rtol=1e-4, atol=1e-5)
    functions = on_machine(compiled)
    assert all(isinstance(f, PreparedConvolution) for f in functions)
    assert [f.adds for f in functions].count(True) == 2
    exact = passus.compile(model, exact=True)
    np.testing.assert_array_equal(called(exact, x), eager(model, x))


def test_sum_with_a_later_result_stays_behind_it() -> None:
    class Late(Layer):
        def __init__(self) -> None:
            self.conv = Conv2d(16, 3, pad=1, in_channels=16, rng=0)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            return F.exp(x) + y, y.shape

    model, x = Late(), images(2, 16, 12, 12)
    compiled = passus.compile(model)
    with passus.no_grad(), passus.test_mode():
        expected = model(x)[0].data
    for _ in range(3):
        np.testing.assert_allclose(compiled(x)[0].data, expected, rtol=1e-5, atol=1e-5)


def test_networks_with_pooling_run_on_the_machine_alone() -> None:
    model = Sequential(
        Conv2d(6, 5, pad=2, activation="relu", rng=0),
        MaxPooling(2),
        Conv2d(16, 3, pad=1, rng=1),
        F.relu,
        lambda x: F.average_pooling(x, 2),
        Flatten(),
        Linear(10, rng=2),
    )
    for n in (1, 5):
        x = images(n, 1, 28, 28)
        expected, compiled = eager(model, x), passus.compile(model)
        np.testing.assert_allclose(called(compiled, x), expected, rtol=1e-4, atol=1e-5)
        assert len(on_machine(compiled)) >= 6


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_limits_and_pooling_keep_special_values(number: float) -> None:
    model = Sequential(Conv2d(16, 1, in_channels=16, rng=0), F.relu, MaxPooling(2))
    x = images(1, 16, 8, 8)
    x[0, 3, 2, 5] = number
    np.testing.assert_allclose(called(passus.compile(model), x), eager(model, x), rtol=1e-4, atol=1e-5)


def test_exact_prepares_convolutions_and_keeps_the_bits() -> None:
    model, x = blocks()
    compiled = passus.compile(model, exact=True)
    np.testing.assert_array_equal(called(compiled, x), eager(model, x))
    functions = [i.function for i in compiled.versions[0].executed.instructions]
    assert sum(isinstance(f, PreparedConvolution) for f in functions) == 6


def test_result_that_is_read_twice_stays() -> None:
    class Residual(Layer):
        def __init__(self) -> None:
            self.conv = Conv2d(16, 3, pad=1, in_channels=16, rng=0)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            return F.relu(y) + y

    model, x = Residual(), images(2, 16, 12, 12)
    np.testing.assert_allclose(called(passus.compile(model), x), eager(model, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("exact", [False, True])
def test_signals_and_single_images(exact: bool) -> None:
    signals = with_statistics(Sequential(Conv1d(16, 3, rng=0), BatchNorm(activation="relu")), images(2, 8, 200))
    for model, x in ((signals, images(2, 8, 200)), (LeNet(), images(1, 1, 28, 28))):
        expected = eager(model, x)
        np.testing.assert_allclose(called(passus.compile(model, exact=exact), x), expected, rtol=1e-4, atol=1e-5)


def test_parameters_of_another_order_are_recorded_again() -> None:
    model = Linear(3, in_size=4, rng=0)
    compiled = passus.compile(model)
    x = images(2, 4)
    called(compiled, x)
    model.W.data = np.asfortranarray(model.W.data * 2)
    np.testing.assert_allclose(called(compiled, x), eager(model, x), rtol=1e-4, atol=1e-6)


def test_freezing_and_training_do_not_matter_to_inference() -> None:
    model, x = blocks()
    compiled = passus.compile(model)
    expected = called(compiled, x)
    with passus.no_grad():
        np.testing.assert_array_equal(compiled(x).data, expected)
    with passus.test_mode():
        np.testing.assert_array_equal(compiled(x).data, expected)
    model.freeze()
    np.testing.assert_allclose(called(compiled, x), expected, rtol=1e-5, atol=1e-5)

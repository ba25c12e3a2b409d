"""The table of a model."""

from __future__ import annotations

import copy
import sys
import threading
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, random
from passus.config import Config
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.layers import BatchNorm, Dropout, Layer, Linear, Sequential
from passus.models import MLP, VGG16, Model, ResNet18, ResNet34, ResNet50, ResNet101, ResNet152, SqueezeNet
from passus.summary import summary
from passus.summary.operations import observing

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def rows(table: str) -> list[list[str]]:
    """The rows of the table without header and totals; each is its text followed by its three numbers."""
    head, rule, *lines = table.splitlines()
    assert set(rule) == {"-"}
    assert len(rule) == len(head)
    return [line.rsplit(maxsplit=3) for line in lines[:-2]]


class Functional(Layer):
    """A layer that computes a given function."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def forward(self, *xs: Any) -> Any:
        return self.function(*xs)


def multiply_adds(function: Any, *xs: Any) -> int:
    [[_, _, _, n]] = rows(summary(Functional(function), *xs))
    return int(n.replace(",", ""))


def test_the_table_lists_output_shapes_parameters_and_operations() -> None:
    table = MLP((1000, 3), activation=F.relu).summary(X)
    assert table.splitlines() == [
        "layer  class   output     parameters  frozen  multiply-adds",
        "-----------------------------------------------------------",
        "       MLP     (5, 3)          8,003       0         35,000",
        "l0     Linear  (5, 1000)       5,000       0         20,000",
        "l1     Linear  (5, 3)          3,003       0         15,000",
        "8,003 parameters (32.0 kB), of which 0 are frozen",
        "35,000 multiply-adds, 40.1 kB for the results of all operations",
    ]


def test_the_model_and_the_random_state_do_not_change() -> None:
    model = Sequential(Linear(3, rng=np.random.default_rng(1)), BatchNorm(), Dropout(0.5), Linear(2))
    twin = copy.deepcopy(model)
    before = random.rng_state()
    summary(model, X)
    assert random.rng_state() == before
    assert Config.train
    assert Config.enable_backprop
    assert all(array is None or name.endswith(".b") for name, array in model.state_dict().items()), "still lazy"
    with random.using_rng(3):
        y = model(X)
    with random.using_rng(3):
        np.testing.assert_array_equal(y.data, twin(X).data)
    state = model.state_dict()
    summary(model, X)
    np.testing.assert_equal(model.state_dict(), state)
    assert "forward" not in vars(model)


def test_the_copy_of_the_model_is_freed_immediately() -> None:
    model = MLP((3, 2))
    summary(model, X)
    np.testing.assert_no_gc_cycles(summary, model, X)


def test_a_layer_called_twice_has_two_rows_and_is_counted_once() -> None:
    class Twice(Layer):
        def __init__(self) -> None:
            self.l1 = Linear(4, in_size=4)
            self.unused = Linear(7)

        def forward(self, x: Any) -> Any:
            return self.l1(self.l1(x)), [x, 3]

    table = summary(Twice(), X)
    assert [row[0].split()[0] for row in rows(table)] == ["Twice", "l1", "l1"]
    assert [row[1:] for row in rows(table)] == [["27", "0", "160"], ["20", "0", "80"], ["20", "0", "80"]]
    assert "(5, 4), (5, 4), int" in rows(table)[0][0]
    assert "27 parameters (108 bytes)" in table


def test_frozen_and_trainable_parameters_are_counted_separately() -> None:
    model = Sequential(Linear(3, in_size=4), Linear(2, in_size=3))
    model.l0.freeze()
    table = summary(model, X)
    assert [row[1:3] for row in rows(table)] == [["23", "15"], ["15", "15"], ["8", "0"]]
    assert "23 parameters (92 bytes), of which 15 are frozen" in table


@pytest.mark.parametrize("depth", [0, 1, 2, 9, None])
def test_depth_limits_the_nesting_of_the_table(depth: int | None) -> None:
    model = Sequential(Linear(3), Sequential(Sequential(Linear(2)), F.relu))
    levels = {"Sequential": 0, "l0": 1, "l1": 1, "l1.l0": 2, "l1.l0.l0": 3}
    shown = [row[0].split()[0] for row in rows(summary(model, X, depth=depth))]
    assert shown == [path for path, level in levels.items() if depth is None or level <= depth]


@pytest.mark.parametrize(("depth", "error"), [(-1, ArgumentError), (1.5, DTypeError), ("all", DTypeError)])
def test_invalid_depths_raise(depth: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="summary: depth"):
        MLP((3, 2)).summary(X, depth=depth)


# Layers that fail.


def test_an_error_names_the_failing_layer_and_shows_the_table_up_to_it() -> None:
    model = Sequential(Linear(3), Sequential(Linear(2, in_size=7), Linear(1)))
    with pytest.raises(ShapeError, match=r"^sequential\.l1\.l0: linear.*5, 3.*7, 2") as caught:
        summary(model, X)
    assert model.l0.W.data is None
    [note] = caught.value.__notes__
    assert note.splitlines() == [
        "layer  class       output           parameters  frozen  multiply-adds",
        "---------------------------------------------------------------------",
        "       Sequential  fails on (5, 4)",
        "l0     Linear      (5, 3)                   15       0             60",
        "l1     Sequential  fails on (5, 3)",
        "l1.l0  Linear      fails on (5, 3)",
    ]


def test_failing_layers_are_shown_at_any_depth_and_for_any_error() -> None:
    def fail(x: Any) -> None:
        raise KeyError("no such thing")

    model = Sequential(Linear(3), Sequential(Functional(fail)))
    with pytest.raises(KeyError) as caught:
        summary(model, X, depth=0)
    assert [line.split()[0] for line in caught.value.__notes__[0].splitlines()[2:]] == ["Sequential", "l1", "l1.l0"]


def test_errors_that_the_model_handles_are_shown_in_the_table() -> None:
    class Forgiving(Layer):
        def __init__(self) -> None:
            self.l1, self.l2 = Linear(3, in_size=7), Linear(2)

        def forward(self, x: Any) -> Any:
            try:
                return self.l1(x)
            except ShapeError:
                return self.l2(x)

    table = summary(Forgiving(), X, depth=1)
    assert [line.split()[0] for line in table.splitlines()[2:-2]] == ["Forgiving", "l1", "l2"]
    assert "fails on (5, 4)" in table


def test_objects_that_are_not_layers_are_named() -> None:
    with pytest.raises(DTypeError, match="an int is not a layer"):
        summary(3)


# Multiply-adds, counted by hand as the products of a naive loop.


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("count", "function", "shapes"),
    [
        (2 * 6 * 8 * 9 * (4 * 3 * 3), lambda x, W: F.conv2d(x, W, pad=1), [(2, 4, 8, 9), (6, 4, 3, 3)]),
        (6 * 4 * 4 * (2 * 3 * 3), lambda x, W: F.conv2d(x, W, stride=2, pad=1, groups=2), [(1, 4, 8, 8), (6, 2, 3, 3)]),
        (2 * 3 * 8 * (5 * 3), lambda x, W: F.conv1d(x, W), [(2, 5, 10), (3, 5, 3)]),
        (2 * 5 * 10 * (3 * 4), lambda x, W: F.deconv1d(x, W, stride=2), [(2, 5, 10), (5, 3, 4)]),
        (3 * 3 * 3 * 8, lambda x, W: F.conv3d(x, W), [(1, 1, 4, 4, 4), (1, 1, 2, 2, 2)]),
        (7 * 3 * 4, F.linear, [(7, 3), (3, 4)]),
        (2 * 7 * 3 * 4, F.linear, [(2, 7, 3), (3, 4)]),
        (2 * 5 * 3 * 4, F.matmul, [(2, 5, 3), (3, 4)]),
        (6 * 2 * 5 * 3 * 4, F.matmul, [(6, 1, 5, 3), (2, 3, 4)]),
        (3, F.dot, [(3,), (3,)]),
        (2 * 5 * 3 * 4, lambda x0, x1: F.einsum("nij,njk->nik", x0, x1), [(2, 5, 3), (2, 3, 4)]),
        (5 * 4 * 2 * 3, lambda x0, x1: F.tensordot(x0, x1, 2), [(5, 2, 3), (2, 3, 4)]),
        (0, lambda x: F.einsum("ii->", x), [(3, 3)]),
        (0, lambda x: F.relu(x) * 2.0 + x, [(3, 3)]),
        (0, F.linear, [(0, 3), (3, 4)]),
    ],
)
def test_multiply_adds_equal_the_counts_of_loops(count: int, function: Any, shapes: list[tuple[int, ...]]) -> None:
    xs = [zeros(*shape) for shape in shapes]
    assert multiply_adds(function, *xs) == count
    assert multiply_adds(function, *map(Variable, xs)) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "billions", "parameters"),
    [
        (ResNet18, 1.81, 11_689_512),
        (ResNet34, 3.66, 21_797_672),
        (ResNet50, 4.09, 25_557_032),
        (ResNet101, 7.80, 44_549_160),
        (ResNet152, 11.51, 60_192_808),
        (VGG16, 15.47, 138_357_544),
        (SqueezeNet, 0.82, 1_248_424),
        (lambda: SqueezeNet(version="1.1"), 0.35, 1_235_496),
    ],
)
def test_networks_have_their_published_sizes(make: Any, billions: float, parameters: int) -> None:
    model: Model = make()
    [[_, count, frozen, operations]] = rows(model.summary(zeros(1, 3, 224, 224), depth=0))
    assert (int(count.replace(",", "")), frozen) == (parameters, "0")
    assert round(int(operations.replace(",", "")) / 1e9, 2) == billions


# Counting the operations of a block.


def test_views_of_an_input_take_no_memory() -> None:
    x = zeros(6, 4)
    with observing() as meter:
        F.transpose(F.reshape(x, (8, 3)))
    assert meter.activations == 0
    with observing() as meter:
        F.exp(F.reshape(x, (8, 3)))
        F.split(x, 2)
        F.sum(x)
    assert meter.activations == x.nbytes + x.itemsize


def test_failed_operations_are_not_counted() -> None:
    with observing() as meter, pytest.raises(ShapeError):
        F.matmul(zeros(2, 3), zeros(2, 3))
    assert (meter.multiply_adds, meter.activations) == (0, 0)


def test_operations_outside_the_block_and_in_other_threads_are_not_counted() -> None:
    x = zeros(2, 2)
    with observing() as meter:
        thread = threading.Thread(target=F.matmul, args=(x, x))
        thread.start()
        thread.join()
    F.matmul(x, x)
    assert meter.multiply_adds == 0


def test_nested_counters_count_separately() -> None:
    before, x = sys.getprofile(), zeros(2, 2)
    with observing() as outer:
        with observing() as inner:
            F.matmul(x, x)
        F.matmul(x, x)
    assert sys.getprofile() is before
    assert (outer.multiply_adds, inner.multiply_adds) == (8, 8)
    with pytest.raises(ShapeError), observing():
        F.reshape(x, (3,))
    assert sys.getprofile() is before

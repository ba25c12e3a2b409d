"""Kernels given arguments that do not suit them do what their references do, or raise; they touch no memory beyond their arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.kernels
from passus import Parameter, Variable
from passus.core.backward import gradients
from passus.errors import DTypeError, GraphError, ShapeError
from passus.kernels.dispatch import start_using
from tests.kernels.arguments import ARGUMENTS, FUNCTIONS, KERNELS
from tests.kernels.guards import all_arrays, compare, compare_all, outcome

pytestmark = pytest.mark.filterwarnings("ignore:(invalid|overflow|divide):RuntimeWarning")


@pytest.fixture(autouse=True)
def kernels_are_in_use() -> None:
    start_using()


def test_each_kernel_is_tried() -> None:
    assert {name.split()[0] for name in ARGUMENTS} == set(KERNELS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_suit_the_kernel(name: str) -> None:
    assert KERNELS[name.split()[0]].suits(*ARGUMENTS[name])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_what_does_not_suit_a_kernel_is_left_to_its_reference(name: str) -> None:
    compare_all(KERNELS[name.split()[0]], ARGUMENTS[name])


INDICES = [
    0,
    1,
    -1,
    39,
    40,
    41,
    -40,
    -41,
    -100,
    127,
    -128,
    255,
    256,
    2**15,
    -(2**31),
    2**31,
    2**40,
    -(2**63),
    2**63 - 1,
    2**64 - 1,
]


INTEGERS = [np.dtype(code) for code in "bBhHiIqQ"]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_indices_that_do_not_exist(dtype: np.dtype, rng: np.random.Generator) -> None:
    """What they name is not looked for in memory, in whatever integers they are given."""
    x = rng.standard_normal((100, 40), np.float32)
    for i in INDICES:
        if not np.iinfo(dtype).min <= i <= np.iinfo(dtype).max:
            continue
        t = np.arange(100).astype(dtype) % dtype.type(40)
        t[7] = i
        cases = {
            "scatter_add": ((40, 30), t, rng.standard_normal((100, 30), np.float32)),
            "cross_entropy": (x, t),
            "cross_entropy_gradient": (
                rng.standard_normal(100, np.float32),
                x,
                t,
                x.max(axis=1),
                1 + abs(rng.standard_normal(100, np.float32)),
            ),
        }
        for name, arguments in cases.items():
            if -40 <= i < 40:
                compare(KERNELS[name], arguments)
            else:
                assert isinstance(outcome(KERNELS[name], arguments, True), IndexError), (name, i)


def test_places_that_no_window_has(rng: np.random.Generator) -> None:
    gy, places, *window = ARGUMENTS["max_pooling_gradient"]
    compare(KERNELS["max_pooling_gradient"], (gy, rng.integers(0, 256, places.shape, np.uint8), *window))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_rule_called_by_hand_is_given_any_gradient(name: str, rng: np.random.Generator) -> None:
    function, inputs = FUNCTIONS[name]
    y = function(*[Variable(x) for x in inputs])

    def rule(gy: Any) -> tuple[Any, ...]:
        if gy is None:
            raise ValueError("a rule is never given None alone")
        gxs = all_arrays(y.creator.backward(gy))
        # What broadcasting has stretched may come as it is.
        return tuple([F.sum_to(gx, x.shape) if gx is not None else None for gx, x in zip(gxs, y.creator.inputs)])

    compare_all(rule, (rng.standard_normal(y.shape, np.float32),))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_given_any_arrays(name: str) -> None:
    function, inputs = FUNCTIONS[name]
    compare_all(function, inputs)


READ_THEIR_OUTPUTS = ("relu", "sigmoid", "tanh", "softmax", "log_softmax", "pooling")
"""Functions whose rules need no input."""


SHAPES = [lambda n: (n, 1), lambda n: (2, n), lambda n: (0,), lambda n: (), lambda n: (3, 20, 90, 80)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("which", ["result", "input", "middle"])
def test_data_of_another_shape_after_the_forward_pass(name: str, which: str, shape: Callable[[int], Any]) -> None:
    """An edit of another shape raises an error in each pass, and no gradient changes."""
    function, inputs = FUNCTIONS[name]
    leaves = [Variable(x) for x in inputs]
    middle = leaves[0] * np.float32(1)
    y = function(middle, *leaves[1:])
    z = y * np.float32(2)
    edited = {"result": y, "input": leaves[-1] if len(leaves) > 1 else middle, "middle": middle}[which]
    edited.data = np.zeros(shape(edited.size), np.float32)
    with pytest.raises(ShapeError, match="another shape"):
        z.backward()
    assert all(leaf.grad is None for leaf in leaves)
    with pytest.raises(ShapeError, match="another shape"):
        gradients([z], leaves)
    with pytest.raises(ShapeError, match="another shape"):
        z.backward(create_graph=True)
    with pytest.raises(ShapeError, match="another shape"):
        (edited * np.float32(1) if which == "result" else y).backward()
    assert all(leaf.grad is None for leaf in leaves)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_data_released_after_the_forward_pass(name: str, create_graph: bool) -> None:
    """The gradient is right where no rule reads them, and an error where one does."""
    function, inputs = FUNCTIONS[name]
    expected, leaves = [Variable(x) for x in inputs], [Variable(x) for x in inputs]
    function(expected[0] * np.float32(1), *expected[1:]).backward()
    middle = leaves[0] * np.float32(1)
    y = function(middle, *leaves[1:])
    middle.data = None
    error = None
    try:
        y.backward(create_graph=create_graph)
    except GraphError as raised:
        error = raised
    if error is None:
        for leaf, other in zip(leaves, expected):
            np.testing.assert_allclose(leaf.grad.data, other.grad.data, rtol=1e-5, atol=1e-6)
    else:
        assert name not in READ_THEIR_OUTPUTS
        assert "edited after the forward pass" in str(error)
        assert all(leaf.grad is None for leaf in leaves)
    assert middle.data is None
    with pytest.raises(DTypeError, match="holds no data"):
        middle + 1.0


def test_data_of_the_same_shape_are_no_matter_where_no_rule_reads_them(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(3, np.float32))
    y = x + 1.0
    z = y + 1.0
    y.data = rng.standard_normal(3, np.float32)
    z.backward()
    assert x.grad.data.tolist() == [1, 1, 1]


def test_a_gradient_goes_with_data_of_its_shape(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(3, np.float32))
    (x * 2.0).backward()
    x.data = rng.standard_normal(5, np.float32)
    assert x.grad is None
    (x * 2.0).backward()
    assert x.grad.data.tolist() == [2] * 5


def test_a_seed_has_the_shape_of_the_result(rng: np.random.Generator) -> None:
    x = Variable(rng.standard_normal(4096, np.float32))
    y = F.relu(x)
    y.grad = np.ones(4096, np.float32)
    y.grad.data = np.ones(20, np.float32)
    with pytest.raises(ShapeError, match=r"\(20,\).*\(4096,\)"):
        y.backward()


OPTIMIZERS = ["SGD", "MomentumSGD", "Nesterov", "Adam", "AdamW", "AMSGrad", "RMSprop", "AdaGrad", "Lion", "LAMB"]


@pytest.mark.parametrize("size", [(3,), (2_000_000,), (2000, 1000)])
@pytest.mark.parametrize("wrong", [(1,), (20_000,), (), (4_000_000,), (1000, 2000), (1, 3)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_another_shape_is_not_applied(name: str, size: tuple[int, ...], wrong: tuple[int, ...]) -> None:
    model = passus.Layer()
    model.first, model.second = Parameter(np.ones(4, np.float32)), Parameter(np.ones(size, np.float32))
    optimizer = getattr(passus.optimizers, name)().setup(model)
    for p in model.params():
        p.grad = np.ones(p.shape, np.float32)
    model.second.grad.data = np.ones(wrong, np.float32)
    with pytest.raises(ShapeError, match=r"gradient .* of second"):
        optimizer.update()
    assert all((p.data == 1).all() for p in model.params())

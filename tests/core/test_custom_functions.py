"""Functions that users write: what their methods may do, and what they are told."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Parameter, Variable, as_array, as_variable, no_grad
from passus.core import Unary
from passus.errors import DTypeError, GraphError, PassusError, SecondOrderError, ShapeError


def leaf(*values: float) -> Variable:
    return Variable(np.array(values))


def derivatives(f: Any, *values: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of the sum of f, elementwise."""
    x = leaf(*values)
    F.sum(f(x)).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    F.sum(gx).backward()
    return gx.data, x.grad.data


# In-place edits.


def multiply(gy):
    gy *= 2
    return gy


def assign(gy):
    gy[:] = 2.0
    return gy


def assign_masked(gy):
    gy[gy > 0] = 2.0
    return gy


def out(gy):
    return np.multiply(gy, 2, out=gy)


def fill(gy):
    gy.fill(2.0)
    return gy


def edit_a_view(gy):
    gy.reshape(-1)[...] *= 2
    return gy


@pytest.mark.parametrize("edit", [multiply, assign, assign_masked, out, fill, edit_a_view])
@pytest.mark.parametrize("base", [Function, Unary])
@pytest.mark.parametrize("way", ["backward", "retain_grad", "create_graph", "grad"])
def test_a_rule_may_edit_its_gradient_in_place(edit, base, way):
    class T(base):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return edit(gy)

    x = leaf(1.0, 2.0)
    for y in (x + T()(x), T()(x) + x, F.sum(x + T()(x))):
        x.cleargrad()
        if way == "grad":
            from passus.core.backward import gradients

            (gx,) = gradients([y], [x])
        else:
            y.backward(**({} if way == "backward" else {way: True}))
            gx = x.grad
        np.testing.assert_array_equal(gx, [3.0, 3.0])
        if way == "retain_grad":
            np.testing.assert_array_equal(y.grad, np.ones(y.shape))


def test_a_rule_of_several_outputs_may_edit_its_gradients():
    class Twins(Function):
        def forward(self, x):
            return x * 1.0, x * 1.0

        def backward(self, g0, g1):
            g0 += g1
            return g0

    x = leaf(1.0, 2.0)
    a, b = Twins()(x)
    c = a + b
    c.backward(retain_grad=True)
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    np.testing.assert_array_equal(a.grad, [1.0, 1.0])


def test_the_seed_of_the_user_is_not_edited():
    class T(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return multiply(gy)

    y, seed = T()(leaf(1.0, 2.0)), np.ones(2)
    y.grad = seed
    y.backward()
    np.testing.assert_array_equal(seed, np.ones(2))


@pytest.mark.parametrize(
    "edit",
    [lambda x: x.__imul__(2), lambda x: x.__setitem__(x < 0, 0.0), lambda x: np.exp(x, out=x), lambda x: x.sort()],
)
def test_forward_cannot_edit_what_others_see(edit):
    class T(Function):
        def forward(self, x):
            edit(x)
            return x

        def backward(self, gy):
            return gy

    x = leaf(-1.0, 2.0)
    with pytest.raises(PassusError, match=r"t\(float64\[2\]\): .*read-only.*compute a new array"):
        T()(x)
    np.testing.assert_array_equal(x.data, [-1.0, 2.0])
    x.data *= 2  # It is the user's all the same.


@pytest.mark.parametrize(
    "edit",
    [
        lambda f, gy: f.input.data.__imul__(gy),
        lambda f, gy: f.output.data.__imul__(gy),
        lambda f, gy: f.outputs[0]().data.__setitem__(0, 9.0),
        lambda f, gy: f.x.__imul__(gy),
        lambda f, gy: f.y.__imul__(gy),
        lambda f, gy: f.saved(f.inputs[0]).__imul__(gy),
        lambda f, gy: f.kept.__imul__(gy),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_backward_cannot_edit_what_others_see(edit, create_graph):
    class T(Unary):
        def forward(self, x):
            self.kept = x
            return np.exp(x)

        def backward(self, gy):
            return edit(self, gy)

    x = leaf(1.0, 2.0)
    y = T()(x)
    values = y.data.copy()
    with pytest.raises(PassusError, match=r"read-only.*must not be edited in forward and backward"):
        y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.testing.assert_array_equal(y.data, values)
    assert x.grad is None


class Keeps(Function):
    """Rules that return an array that others hold."""

    def __init__(self, which):
        self.which = which

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, gy):
        return {"input": self.input.data, "kept": self.x, "output": self.output.data, "gradient": gy}[self.which]


@pytest.mark.parametrize("which", ["input", "kept", "output", "gradient"])
def test_the_gradient_of_a_leaf_is_no_array_that_others_hold(which):
    x = leaf(1.0, 2.0)
    y = Keeps(which)(x)
    y.backward(retain_grad=True)
    assert x.grad.data.flags.writeable
    assert not any(np.shares_memory(x.grad.data, other.data) for other in (x, y, y.grad))


@pytest.mark.parametrize(
    "rule",
    [
        lambda gy: gy.data * 2,
        lambda gy: np.multiply(gy.data, 2),
        lambda gy: (gy * 2).data,
        lambda gy: gy.data.copy() + gy.data.sum() / gy.data.size,
        lambda gy: as_variable(gy.data * 2),
        lambda gy: as_variable(gy * 2),
        lambda gy: F.mul(gy.data, 2),
        lambda gy: gy.data.__imul__(2),
        lambda gy: (gy.data.__setitem__(gy.data > 0, 2.0), gy)[1],
        lambda gy: (setattr(gy, "data", gy.data * 2), gy)[1],
        lambda gy: gy.reshape(gy.shape).data.astype(np.float64) * 2,
    ],
)
@pytest.mark.parametrize("values", [(1.0, 2.0), 3.0])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_has_its_array_in_data(rule, values, create_graph):
    """DeZero gives a rule Variables, so that ``gy.data`` is an array; ours is one, and answers for it."""

    class T(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return rule(gy)

    x = Variable(np.array(values))
    y = x + T()(x)
    y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.grad, np.full(x.shape, 3.0))
    assert type(x.grad.data) is np.ndarray


@pytest.mark.parametrize("number", [2.0, 2, np.float64(2), np.float32(2), np.array(2.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_may_be_a_number(number, dtype, create_graph):
    class Double(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, gy):
            return number

    x = Variable(np.array(3.0, dtype))
    Double()(x).backward(create_graph=create_graph)
    assert (x.grad.item(), x.grad.dtype) == (2.0, dtype)
    with pytest.raises(ShapeError, match=r"gradient of shape \(\) .*F.broadcast_to\(gy, \(2,\)\)"):
        Double()(leaf(1.0, 2.0)).backward(create_graph=create_graph)


BUFFER = np.ones(2)


class Holder(Function):
    """Its rule returns what someone else holds, too."""

    buffer = np.ones(2)

    def __init__(self, which):
        self.which = which
        self.kept = [np.ones(2)]

    def forward(self, x):
        return x * 1.0

    def backward(self, gy):
        return {
            "module": BUFFER,
            "class": self.buffer,
            "list": self.kept[0],
            "view": self.buffer[:],
            "turned": BUFFER.reshape(2),
            "input": self.input,
            "boxed": as_variable(BUFFER),
            "twice": (gy, gy)[0],
        }[self.which]


@pytest.mark.parametrize("which", ["module", "class", "list", "view", "turned", "input", "boxed", "twice"])
@pytest.mark.parametrize("way", [{}, {"retain_grad": True}, {"create_graph": True}])
def test_a_gradient_is_no_buffer_that_others_hold(which, way):
    if "create_graph" in way and which in ("input", "boxed"):
        return  # What a rule gives is then a part of the graph, and stays the Variable that it is.
    x = leaf(1.0, 1.0)
    f = Holder(which)
    f(x).backward(**way)
    x.grad.data[...] = 5.0
    for held in (BUFFER, f.buffer, f.kept[0], x.data):
        np.testing.assert_array_equal(held, [1.0, 1.0])


def test_an_array_that_the_rule_has_made_is_not_copied():
    made = []

    class Made(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            gx = gy * 2.0
            made.append(gx.ctypes.data)
            return gx

    x = leaf(1.0, 1.0)
    Made()(x).backward()
    assert x.grad.data.ctypes.data == made[0]


# What forward may return.


@pytest.mark.parametrize(
    "view", [lambda x: x[:, :1], lambda x: x.T, lambda x: x.reshape(-1), lambda x: x[::-1], lambda x: x]
)
def test_a_view_of_an_input_is_as_writeable_as_that(view):
    class View(Function):
        def forward(self, x):
            return view(x)

    array = np.ones((2, 2))
    y = View()(Variable(array))
    y.data *= 2
    assert np.shares_memory(y.data, array)
    array.flags.writeable = False
    assert not View()(Variable(array)).data.flags.writeable


def test_a_stretched_input_stays_read_only():
    class Stretched(Function):
        def forward(self, x):
            return np.broadcast_to(x, (3, 2))

    assert not Stretched()(leaf(1.0, 2.0)).data.flags.writeable


def test_truth_values_of_python_take_no_gradient():
    class Positive(Function):
        def forward(self, x):
            return bool(x.sum() > 0)

    y = Positive()(leaf(1.0))
    assert (y.dtype, y.requires_grad) == (bool, False)


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: (y,), lambda y: [y]])
@pytest.mark.parametrize("wrap_gradient", [lambda g: g, lambda g: (g,), lambda g: [g]])
def test_one_output_is_one_variable_however_it_is_returned(wrap, wrap_gradient):
    class Square(Function):
        def forward(self, x):
            return wrap(x**2)

        def backward(self, gy):
            return wrap_gradient(2 * self.input * gy)

    assert type(Square()(np.array([3.0]))) is np.ndarray
    x = leaf(3.0)
    y = Square()(x)
    assert type(y) is Variable
    y.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize("kind", [tuple, list])
def test_several_outputs_may_be_a_list(kind):
    class Halves(Function):
        def forward(self, x):
            return kind([x[:1], x[1:]])

        def backward(self, ga, gb):
            return F.concatenate([ga, gb])

    x = leaf(1.0, 2.0)
    a, b = Halves()(x)
    (a * b).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 1.0])


def test_numbers_of_python_are_results_too():
    import math

    class Sin(Function):
        def forward(self, x):
            return math.sin(x)

        def backward(self, gy):
            return math.cos(self.input) * gy

    for dtype in (np.float64, np.float32):
        x = Variable(np.array(0.5, dtype))
        y = Sin()(x)
        y.backward()
        assert (y.dtype, x.grad.dtype) == (dtype, dtype)
        np.testing.assert_allclose([y.item(), x.grad.item()], [np.sin(0.5), np.cos(0.5)], rtol=1e-6)


def test_an_identity_returns_its_input():
    class Identity(Function):
        def forward(self, x):
            return x

        def backward(self, gy):
            return gy

    x = leaf(1.0, 2.0)
    y = Identity()(x)
    assert y is not x
    assert y.data is x.data
    assert y.data.flags.writeable
    (y * y).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


@pytest.mark.parametrize("result", [None, "no", {"y": np.ones(2)}])
def test_other_results_are_refused(result):
    class Odd(Function):
        def forward(self, x):
            return result

    with pytest.raises(DTypeError, match=r"Odd.forward returned .*; it must return an array"):
        Odd()(leaf(1.0))


def test_a_variable_made_in_forward_is_refused():
    class Odd(Function):
        def forward(self, x):
            return Variable(x * 2)

    with pytest.raises(DTypeError, match="forward returned a Variable; it must return an array"):
        Odd()(leaf(1.0))


# What backward may return.


class Wrong(Function):
    """A function whose rule returns what it is told to."""

    def __init__(self, forward, gradient):
        self.function, self.gradient = forward, gradient

    def forward(self, *xs):
        return self.function(*xs)

    def backward(self, gy):
        return self.gradient(gy)


@pytest.mark.parametrize(
    ("forward", "gradient", "match"),
    [
        (np.sum, lambda gy: gy, r"shape \(\) for an input of shape \(2, 3\).*F.broadcast_to\(gy, \(2, 3\)\)"),
        (lambda x: x.sum(axis=0), lambda gy: gy, r"shape \(3,\) for an input of shape \(2, 3\).*F.broadcast_to"),
        (lambda x: x.mean(1, keepdims=True), lambda gy: gy, r"shape \(2, 1\) .*\(2, 3\).*F.broadcast_to"),
        (lambda x: x.sum(axis=1), lambda gy: gy, r"shape \(2,\) for an input of shape \(2, 3\); they must be equal$"),
        (lambda x: x.T, lambda gy: gy, r"shape \(3, 2\) for an input of shape \(2, 3\).*gx.T"),
        (lambda x: x.reshape(-1), lambda gy: gy, r"shape \(6,\) .*gx.reshape\(\(2, 3\)\)"),
        (lambda x: x * 1, lambda gy: np.ones((4, 2, 3)), r"shape \(4, 2, 3\) .*F.sum_to\(gx, \(2, 3\)\)"),
        (lambda x: x * 1, lambda gy: np.ones(5), r"shape \(5,\) for an input of shape \(2, 3\)"),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_of_another_shape_names_both_and_the_fix(forward, gradient, match, create_graph):
    x = Variable(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"Wrong.backward returned a gradient of " + match):
        Wrong(forward, gradient)(x).backward(create_graph=create_graph)
    assert x.grad is None


def test_a_rule_without_return_is_named():
    with pytest.raises(GraphError, match=r"Wrong.backward returned None; return the gradient"):
        Wrong(np.square, lambda gy: None)(leaf(1.0)).backward()
    x, z = leaf(1.0), leaf(2.0)
    (Wrong(np.square, lambda gy: (None,))(x) + z).backward()
    assert (x.grad, z.grad) == (None, 1.0)


def test_labels_need_no_gradient():
    x, t = Variable(np.ones((2, 3))), np.array([0, 2])
    for labels in (t, Variable(t)):
        x.cleargrad()
        f = Wrong(lambda x, t: x[np.arange(len(t)), t].sum(), lambda gy: gy * np.eye(3)[t])
        f(x, labels).backward()
        np.testing.assert_array_equal(x.grad, np.eye(3)[t])
    with pytest.raises(GraphError, match="returned 1 gradients for 2 inputs"):
        Wrong(np.add, lambda gy: gy)(leaf(1.0), leaf(2.0)).backward()
    with pytest.raises(GraphError, match="returned 2 gradients for 1 inputs"):
        Wrong(np.square, lambda gy: (gy, gy))(leaf(1.0)).backward()


# Inputs.


class Affine(Function):
    """The book's linear function, whose bias may be None."""

    def forward(self, x, W, b):
        y = x.dot(W)
        return y if b is None else y + b

    def backward(self, gy):
        x, W, b = self.inputs
        gb = None if b.data is None else F.sum_to(gy, b.shape)
        return F.matmul(gy, W.T), F.matmul(x.T, gy), gb


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_input_may_be_none(create_graph):
    x, W, b = Variable(np.ones((2, 3))), Variable(np.ones((3, 4))), Variable(np.ones(4))
    y = Affine()(x, W, None)
    assert [v.data is None for v in y.creator.inputs] == [False, False, True]
    y.backward(create_graph=create_graph)
    np.testing.assert_array_equal(W.grad, np.full((3, 4), 2.0))
    Affine()(x, W, b).backward(create_graph=create_graph)
    np.testing.assert_array_equal(b.grad, np.full(4, 2.0))
    Affine()(x, W, Parameter(None)).backward()


def test_constants_are_variables_in_a_rule():
    class Scaled(Function):
        def forward(self, x, factor, number):
            return x * factor * number

        def backward(self, gy):
            _, factor, number = self.inputs
            return gy * factor.data * number.data, None, None

    x = Variable(np.ones(2, np.float32))
    y = Scaled()(x, np.array([2.0, 3.0], np.float32), 4.0)
    assert [type(v) for v in y.creator.inputs] == [Variable] * 3
    assert y.dtype == np.float32
    y.backward()
    np.testing.assert_array_equal(x.grad, [8.0, 12.0])


@pytest.mark.parametrize("read", ["input", "inputs[0]", "x", "unpacked", "backward"])
def test_a_function_that_was_not_called_says_so(read):
    class Square(Unary):
        def forward(self, x):
            return x**2

        def backward(self, gy):
            if read == "unpacked":
                (x,) = self.inputs
            else:
                x = {"inputs[0]": lambda: self.inputs[0], "x": lambda: self.x}.get(read, lambda: self.input)()
            return 2 * x * gy

    with pytest.raises(GraphError, match="call it first"):
        Square().backward(np.array(1.0))
    f = Square()
    with no_grad():
        f(leaf(1.0))
    with pytest.raises(GraphError, match=r"not under no_grad\(\)"):
        f.backward(np.array(1.0))
    with pytest.raises(GraphError, match="call it first"):
        F.exp(leaf(1.0)).creator.__class__().backward(np.array(1.0))


@pytest.mark.parametrize("inputs", [[1, 2], (1, 2)])
def test_inputs_are_given_one_by_one(inputs):
    class Add(Function):
        def forward(self, a, b):
            return a + b

    a, b = leaf(1.0), leaf(2.0)
    with pytest.raises(DTypeError, match=r"add: .* give the inputs one by one, Add\(\)\(a, b\)"):
        Add()(type(inputs)([a, b]))


def test_the_memory_of_an_array_is_no_array():
    y = F.softmax(np.ones((1, 2)))
    for wrong in (lambda: F.exp(y.data), lambda: Variable(y.data), lambda: leaf(1.0) * y.data):
        with pytest.raises(
            DTypeError, match=r"memoryview is not supported; it is the .data of an array.* leave .data out"
        ):
            wrong()

    class Square(Function):
        def forward(self, x):
            return x.data**2 if self.early else x**2

        def backward(self, gy):
            return 2 * self.input * gy.data

    f = Square()
    f.early = True
    with pytest.raises(DTypeError, match=r"square.*memoryview.*given arrays, which need no \.data"):
        f(leaf(1.0))
    f.early = False
    x = leaf(1.0)
    f(x).backward()
    assert x.grad == 2.0


# Second derivatives of rules that read numbers.


class Relu(Function):
    """The book's."""

    def forward(self, x):
        return np.maximum(x, 0.0)

    def backward(self, gy):
        (x,) = self.inputs
        mask = x.data > 0
        return gy * mask


class MaskedRelu(Function):
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, gy):
        return gy * self.mask


class WhereRelu(Function):
    def forward(self, x):
        return np.where(x > 0, x, 0)

    def backward(self, gy):
        return F.where(self.input.data > 0, gy, 0.0)


class SignRelu(Function):
    def forward(self, x):
        return np.maximum(x, 0.0)

    def backward(self, gy):
        return gy * (np.sign(self.input.data) > 0).astype(gy.dtype)


class DroppedOut(Function):
    def forward(self, x):
        self.mask = np.array([True, False, True])[: len(x)]
        return x * self.mask / 0.5

    def backward(self, gy):
        return gy * self.mask / 0.5


@pytest.mark.parametrize("relu", [Relu, MaskedRelu, WhereRelu, SignRelu])
def test_rules_with_masks_have_a_second_derivative(relu):
    first, second = derivatives(lambda x: relu()(x) ** 3, -1.0, 2.0, 3.0)
    np.testing.assert_array_equal(first, [0.0, 12.0, 27.0])
    np.testing.assert_array_equal(second, [0.0, 12.0, 18.0])


def test_a_mask_of_dropout_has_a_second_derivative():
    first, second = derivatives(lambda x: DroppedOut()(x) ** 3, 1.0, 2.0, 3.0)
    np.testing.assert_array_equal(first, [24.0, 0.0, 216.0])
    np.testing.assert_array_equal(second, [48.0, 0.0, 144.0])


def test_an_index_found_in_a_rule_has_a_second_derivative():
    class Max(Function):
        def forward(self, x):
            return x.max()

        def backward(self, gy):
            x = self.input
            return gy * (np.arange(x.size) == x.data.argmax())

    first, second = derivatives(lambda x: Max()(x) ** 3, 1.0, 2.0)
    np.testing.assert_array_equal(first, [0.0, 12.0])
    np.testing.assert_array_equal(second, [0.0, 12.0])


@pytest.mark.parametrize(
    "rule",
    [
        lambda x, gy: 3 * x.data**2 * gy,
        lambda x, gy: 3 * np.square(x.data) * gy,
        lambda x, gy: gy * 3 * np.asarray(x) ** 2,
        lambda x, gy: gy * 3 * np.array([float(v) for v in x.data]) ** 2,
        lambda x, gy: gy * 3 * x.data.copy() ** 2,
        lambda x, gy: gy * np.where(x.data > 0, 3 * x.data**2, 0),
        lambda x, gy: gy * 3 * x.data.reshape(-1) * x,
        lambda x, gy: gy * 3 * np.multiply(x.data, x.data),
        lambda x, gy: gy * 3 * (x.data.T @ np.eye(2)) * x,
        lambda x, gy: gy * 3 * np.full(2, x.data.max()) * x,
        lambda x, gy: gy * 3 * x.data.astype(np.float32) * x,
        lambda x, gy: gy * 3 * np.array(x.data.tolist()) * x,
        lambda x, gy: gy * 3 * np.clip(x.data, 0, 9) * x,
        lambda x, gy: gy * 3 * abs(x.data) * x,
    ],
)
def test_numbers_read_in_a_rule_never_give_a_wrong_second_derivative(rule):
    class Cube(Function):
        def forward(self, x):
            return x**3

        def backward(self, gy):
            return rule(self.input, gy)

    x = leaf(2.0, 2.0)
    y = Cube()(x)
    y.backward(create_graph=True)
    gx = x.grad
    np.testing.assert_allclose(gx.data, np.full(2, 12.0))
    with pytest.raises(SecondOrderError, match="Cube has no second derivative"):
        gx.backward()


# Integers.


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_gradients_of_integers_are_of_floating_point_numbers(dtype):
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]], dtype))
    for y, expected in [
        (F.reshape(x, (6,)), np.ones((2, 3))),
        (F.transpose(x), np.ones((2, 3))),
        (F.sum(x), np.ones((2, 3))),
        (x + x, 2 * np.ones((2, 3))),
        (x * x, 2.0 * x.data),
        (x**2, 2.0 * x.data),
        (F.get_item(x, 1), [[0] * 3, [1] * 3]),
        (F.broadcast_to(x, (2, 2, 3)), np.full((2, 3), 2.0)),
        (F.sum_to(x, (1, 3)), np.ones((2, 3))),
        (F.sin(x), np.cos(x.data)),
        (x / 4, np.full((2, 3), 0.25)),
        (F.max(x), [[0] * 3, [0, 0, 1]]),
    ]:
        x.cleargrad()
        y.backward(retain_grad=True)
        assert x.grad.dtype.kind == y.grad.dtype.kind == "f"
        np.testing.assert_allclose(x.grad, expected, rtol=1e-3)


def test_integers_among_floating_point_numbers_lose_no_gradient():
    n, x = Variable(np.array([2, 3])), leaf(0.5, 0.25)
    y = F.sum(n * n * x)
    y.backward()
    np.testing.assert_array_equal(n.grad, [2.0, 1.5])
    np.testing.assert_array_equal(x.grad, [4.0, 9.0])
    x0, x1 = Variable(np.array([1, 2, 3])), Variable(np.array([10]))
    (x0 + x1).backward()
    np.testing.assert_array_equal(x1.grad, [3.0])


def test_second_derivatives_of_integers():
    x = Variable(np.array([2, 3]))
    y = F.sum(x**3)
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    np.testing.assert_array_equal(gx.data, [12.0, 27.0])
    np.testing.assert_array_equal(x.grad, [12.0, 18.0])

    class Cube(Function):
        def forward(self, x):
            self.slope = 3 * x * x  # Integers, which depend on the input.
            return x**3

        def backward(self, gy):
            return self.slope * gy

    x.cleargrad()
    Cube()(x).backward(create_graph=True)
    with pytest.raises(SecondOrderError, match=r"self\.slope"):
        x.grad.backward()


def test_integers_and_labels_of_other_functions_are_left_alone():
    x, t = Variable(np.ones((2, 3))), Variable(np.array([0, 2]))
    F.softmax_cross_entropy(x, t).backward()
    assert t.grad is None
    y = x.astype(np.int64)
    assert y.creator is None
    x.cleargrad()
    (x * y).backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    assert not Variable(np.array([True])).requires_grad


# Functions as objects.


class Power(Function):
    """Kept by a layer, and called again and again."""

    def __init__(self, c):
        self.c = c

    def forward(self, x):
        self.x = x
        return x**self.c

    def backward(self, gy):
        return self.c * self.input ** (self.c - 1) * gy


class Slotted(Power):
    __slots__ = ("factor",)


@dataclass
class Scaled(Function):
    factor: float = 2.0

    def forward(self, x):
        return self.factor * x

    def backward(self, gy):
        return self.factor * gy


class Equal(Power):
    def __eq__(self, other):
        return self.c == other.c


FUNCTIONS = {"plain": lambda: Power(3), "slots": lambda: Slotted(3), "dataclass": Scaled, "equal": lambda: Equal(3)}
COPIES = {
    "pickle": lambda f: pickle.loads(pickle.dumps(f)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "in a layer": lambda f: copy.deepcopy([f, {"f": f}])[1]["f"],
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_function_that_was_called_can_be_copied(make, copied):
    f = make()
    if isinstance(f, Slotted):
        f.factor = 5.0
    for kept in (True, False):
        x = leaf(1.0, 2.0)
        y = f(x)
        if not kept:
            del y
        g = copied(f)
        assert (g is not f, g.serial, getattr(g, "factor", 5.0)) == (True, 0, getattr(f, "factor", 5.0))
        with pytest.raises(GraphError, match="call it first"):
            g.input  # noqa: B018
        z = leaf(1.0, 2.0)
        g(z).backward()
    f(x).backward()
    np.testing.assert_array_equal(z.grad, x.grad)


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_graph_of_equal_functions(make):
    x = leaf(1.0, 2.0)
    f = make()
    y = f(f(x)) + make()(x)
    assert y.generation == 3
    assert len({y.creator, *[v.creator for v in y.creator.inputs]}) == 3
    y.backward(create_graph=True)
    expected = [6.0, 6.0] if make is Scaled else [12.0, 9 * 2.0**8 + 12.0]
    np.testing.assert_array_equal(x.grad, expected)


def test_numbers_of_numpy_are_boxed_with_as_array():
    x = Variable(np.array(1.0))
    with pytest.raises(DTypeError, match=r"float64 is not supported; write np\.array\(0\.5\), or as_array"):
        Variable(x.data - 0.5)
    assert Variable(as_array(x.data - 0.5)) == 0.5

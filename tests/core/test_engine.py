"""The graph and the walk back, with as little as possible of the function library."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from typing import Any, ClassVar

import numpy as np
import pytest

from passus import Config, Function, Parameter, Variable, no_grad, using_config
from passus.core import Unary, add, broadcast_to, sum_to
from passus.core.backward import gradients
from passus.errors import DTypeError, GraphError, ShapeError
from passus.functions import exp, mul, square


class Halves(Function):
    """Two outputs: the first and second half of a vector."""

    def forward(self, x):
        n = len(x) // 2
        return x[:n], x[n:]

    def backward(self, ga, gb):
        return np.concatenate([ga, gb])


class Recorder(Unary):
    """The identity, which notes in which order rules are called."""

    visits: ClassVar[list[str]] = []

    def __init__(self, name):
        self.name = name

    def forward(self, x):
        return x + 0.0

    def backward(self, gy):
        self.visits.append(self.name)
        return gy


def leaf(*values: float) -> Variable:
    return Variable(np.array(values))


# The order of the walk.


def test_branches_are_visited_once_and_only_when_all_gradients_have_arrived():
    Recorder.visits = []
    x = leaf(1.0)
    a = Recorder("a")(x)
    b, c = Recorder("b")(a), Recorder("c")(a)
    d = Recorder("d")(add(b, c))
    e = Recorder("e")(add(d, a))  # A long way and a short way from a to e.
    e.backward()
    assert Recorder.visits == ["e", "d", "c", "b", "a"]
    assert x.grad == 3.0


def test_order_does_not_depend_on_how_deep_a_branch_is():
    x = leaf(2.0)
    a = square(x)
    deep = a
    for _ in range(5):
        deep = add(deep, 0.0)
    y = mul(deep, a)
    y.backward()
    assert x.grad == 4 * 2.0**3


def test_a_graph_of_many_diamonds_is_walked_in_linear_time():
    def steps(n: int) -> int:
        x = y = leaf(1.0)
        for _ in range(n):
            y = add(y, y)
        calls = 0
        rule = Add.backward

        def counted(self, gy):
            nonlocal calls
            calls += 1
            return rule(self, gy)

        Add.backward = counted
        try:
            y.backward()
        finally:
            Add.backward = rule
        assert x.grad == 2.0**n
        return calls

    from passus.core.basic import Add

    assert [steps(n) for n in (10, 20, 40)] == [10, 20, 40]


def test_a_hundred_thousand_steps_deep():
    x = y = leaf(1.0)
    n = 100_000
    assert n > 10 * sys.getrecursionlimit()
    for _ in range(n):
        y = add(y, 1.0)
    assert y.generation == n
    y.backward()
    assert (y.data, x.grad) == (n + 1, 1.0)
    y.backward(create_graph=True)
    y.unchain_backward()
    assert y.creator is None
    y = x
    for _ in range(n):
        y = add(y, 1.0)
    del y  # Freed without recursion too.


# What is kept, and what is freed.


def test_a_training_step_leaves_no_reference_cycle():
    W, x = Parameter(np.ones((3, 2))), np.ones((4, 3))

    def step():
        W.cleargrad()
        y = square(exp(add(mul(W, 2.0), broadcast_to(W, (5, 3, 2)))))
        y.backward()
        W.data -= 0.1 * W.grad
        return x

    step()
    np.testing.assert_no_gc_cycles(step)


def test_the_graph_is_freed_with_its_end():
    gc.disable()
    try:
        x = leaf(1.0)
        y = exp(square(x))
        middle = weakref.ref(y.creator.input)
        y.backward()
        assert middle() is not None
        del y
        assert middle() is None
    finally:
        gc.enable()


def test_gradients_between_are_kept_only_on_request():
    x = leaf(1.0)
    a = square(x)
    y = exp(a)
    y.backward()
    assert (a.grad, y.grad) == (None, None)
    assert x.grad is not None
    y.backward(retain_grad=True)
    assert y.grad == 1.0
    np.testing.assert_allclose(a.grad, np.e)


def test_retained_gradients_do_not_pile_up():
    x = leaf(1.0)
    a = square(x)
    y = add(a, a)
    y.backward(retain_grad=True)
    y.cleargrad()
    y.backward(retain_grad=True)
    assert a.grad == 2.0
    assert x.grad == 8.0  # The leaf's does.


class Turned(Function):
    """A rule that returns views: of an array of its own, of one that it keeps, or of a part of one."""

    def __init__(self, way):
        self.way, self.made = way, []

    def forward(self, x):
        return x.T.copy()

    def backward(self, gy):
        array = np.zeros((4, 3) if self.way == "part" else (2, 3))
        array[:2] = 2 * gy
        if self.way == "kept":
            self.made.append(array)
        if self.way == "another view kept":
            self.made.append(array[:1])
        self.address = array.ctypes.data
        view = array[:2].T
        if self.way == "read-only":
            view.flags.writeable = False
        return view


@pytest.mark.parametrize("way", ["its own", "kept", "another view kept", "part", "read-only"])
@pytest.mark.parametrize("returned", [True, False])
def test_a_view_becomes_a_gradient_as_it_is_only_if_nobody_else_can_see_it(way, returned):
    x, function = Variable(np.ones((3, 2))), Turned(way)
    y = function(x)
    if returned:
        (gx,) = gradients([y], [x])
    else:
        y.backward()
        gx = x.grad
    np.testing.assert_array_equal(gx, np.full((3, 2), 2.0))
    assert gx.data.flags.writeable
    assert (gx.data.ctypes.data == function.address) == (way == "its own")


def test_no_two_variables_share_a_gradient_and_none_is_read_only():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = np.ones(2)
    y = add(a, b)
    y.grad = seed
    y.backward(retain_grad=True)
    gradients = [a.grad.data, b.grad.data, seed]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(gradients) for q in gradients[:i])
    x = leaf(1.0, 2.0)
    sum_to(x, ()).backward()
    assert x.grad.data.flags.writeable
    x.grad.data *= 2
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_adding_up_never_changes_an_array_that_someone_holds():
    x = leaf(1.0)
    x.grad = first = np.array([5.0])
    y = add(add(x, x), add(x, add(x, x)))
    y.backward()
    assert x.grad == 10.0
    assert first == 5.0
    before = x.grad.data
    y.backward()
    assert (before, x.grad.data) == (10.0, 15.0)


# Several outputs, leaves, and calls again.


@pytest.mark.parametrize("used", [0, 1])
def test_an_unused_output_has_gradient_zero(used):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = Halves()(x)[used]  # The other one is dropped and gone.
    square(y).backward()
    expected = np.array([2.0, 4.0, 0.0, 0.0]) if used == 0 else np.array([0.0, 0.0, 6.0, 8.0])
    np.testing.assert_array_equal(x.grad, expected)


def test_both_outputs_used():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    a, b = Halves()(x)
    assert [y() for y in a.creator.outputs] == [a, b]
    mul(a, b).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 4.0, 1.0, 2.0])


def test_backward_on_a_leaf():
    x = leaf(1.0, 2.0)
    x.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])
    x.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_the_seed_may_have_any_shape_that_the_result_has():
    x = leaf(1.0, 2.0)
    y = square(x)
    y.grad = np.array([1.0, 10.0])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 40.0])


def test_backward_twice_adds_the_same_again():
    x = leaf(3.0)
    y = square(x)
    y.backward()
    y.backward()
    assert x.grad == 12.0


def test_one_instance_called_twice_keeps_both_graphs():
    f = Recorder("f")
    x0, x1 = leaf(1.0), leaf(2.0)
    y0 = square(f(x0))
    y1 = square(f(x1))
    assert f.input is x1
    y0.backward()
    y1.backward()
    assert (x0.grad, x1.grad) == (2.0, 4.0)


def test_an_instance_used_twice_in_one_graph():
    f = Recorder("f")
    x = leaf(1.0)
    y = f(f(f(x)) + 1.0)
    y.backward()
    assert x.grad == 1.0
    assert y.generation == 4


def test_unchain_and_unchain_backward():
    x = leaf(2.0)
    a = square(x)
    b = square(a)
    y = square(b)
    b.unchain()
    y.backward()
    assert x.grad is None
    assert b.grad == 2 * b.data
    y = square(square(x))
    middle = y.creator.input
    y.unchain_backward()
    assert (y.creator, middle.creator) == (None, None)


def test_truncated_backpropagation():
    x, h = leaf(1.0), leaf(1.0)
    for _ in range(3):
        h = mul(h, x)
    h.unchain_backward()
    mul(h, x).backward()
    assert x.grad == 1.0


# Broadcasting and dtypes are undone for every rule.


def test_a_rule_need_not_undo_broadcasting_nor_dtypes():
    class Plus(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy, gy

    a, b = Variable(np.ones((2, 3))), Variable(np.ones((3,), np.float32))
    y = Plus()(a, b)
    y.backward()
    assert (a.grad.shape, b.grad.shape) == ((2, 3), (3,))
    assert (a.grad.dtype, b.grad.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(b.grad, [2.0, 2.0, 2.0])


def test_arrays_in_arrays_out():
    y = square(np.array([1.0, 2.0]))
    assert type(y) is np.ndarray
    a, b = Halves()(np.arange(4.0))
    assert (type(a), type(b)) == (np.ndarray, np.ndarray)


def test_no_gradient_is_computed_for_constants():
    class Greedy(Function):
        def forward(self, x, c):
            return x * c

        def backward(self, gy):
            assert self.needs == (True, False)
            return gy * self.saved(self.inputs[1]), None

    x = leaf(2.0)
    Greedy()(x, np.array([3.0])).backward()
    assert x.grad == 3.0


# Errors.


def test_backward_without_a_graph_says_why():
    x = leaf(1.0)
    with no_grad():
        y = square(x)
    with pytest.raises(GraphError, match="no_grad"):
        y.backward()
    with pytest.raises(GraphError, match=r"bool, through which no gradient flows; .*np\.array"):
        Variable(np.array(True)).backward()
    with pytest.raises(GraphError, match=r"int64 .* through which no gradient flows"):
        (x.astype(np.int64) * 2).backward()
    with pytest.raises(GraphError, match="holds no data"):
        Parameter(None).backward()
    square(x).backward()
    with pytest.raises(GraphError, match=r"create_graph=True"):
        x.grad.backward()


def test_a_seed_of_another_shape_is_refused():
    y = square(leaf(1.0, 2.0))
    with pytest.raises(ShapeError, match=r"shape \(3,\) does not fit data of shape \(2,\)"):
        y.grad = np.ones(3)
    with pytest.raises(DTypeError, match="gradient of int64"):
        y.grad = np.ones(2, int)
    with pytest.raises(DTypeError, match="not supported"):
        y.grad = 1.0
    assert y.grad is None


def test_a_failing_rule_changes_nothing_and_is_named():
    class Broken(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            raise ZeroDivisionError("oops")

    a, x = leaf(1.0), leaf(1.0)
    y = add(square(a), Broken()(x))
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward(retain_grad=True)
    assert "in the backward pass of broken" in "".join(caught.value.__notes__)
    assert (a.grad, x.grad, y.grad) == (None, None, None)
    assert Config.enable_backprop


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (lambda gy: (gy, gy), GraphError, "returned 2 gradients for 1 inputs"),
        (lambda gy: 1.0, ShapeError, r"gradient of shape \(\) for an input of shape \(2,\)"),
        (lambda gy: np.ones(5), ShapeError, r"gradient of shape \(5,\) for an input of shape \(2,\)"),
        (lambda gy: "no", DTypeError, "returned a str"),
    ],
)
def test_what_a_rule_may_return(returned: Any, error: type[Exception], match: str):
    class Odd(Function):
        def forward(self, x):
            return x * 1.0

        def backward(self, gy):
            return returned(gy)

    x = leaf(1.0, 2.0)
    with pytest.raises(error, match=match):
        Odd()(x).backward()
    assert x.grad is None


def test_shapes_and_dtypes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"add\(float64\[3\], float64\[4\]\)"):
        add(Variable(np.ones(3)), np.ones(4))
    with pytest.raises(ShapeError, match=r"sum_to: \(3,\) is not what broadcasting \(4,\) can give"):
        sum_to(Variable(np.ones(3)), (4,))
    with pytest.raises(DTypeError, match="add: str is not supported"):
        add(Variable(np.ones(3)), "a")
    with pytest.raises(DTypeError, match="array of <U1 is not supported"):
        add(Variable(np.ones(3)), np.array(["a"]))
    with pytest.raises(DTypeError, match="array of object is not supported"):
        Variable(np.array([1, None]))
    with pytest.raises(DTypeError, match="array of complex128 is not supported"):
        Variable(np.array([1j]))
    with pytest.raises(DTypeError, match="input 0 holds no data yet"):
        add(Parameter(None), 1.0)
    with pytest.raises(DTypeError, match="masked"):
        Variable(np.ma.masked_array([1.0], [True]))


# Data edited between forward and backward.


def test_data_edited_after_the_forward_pass_are_noticed():
    x = leaf(3.0)
    y = square(x)
    x.data -= 1.0
    with pytest.raises(GraphError, match=r"square.*edited|Square.backward: the data of .* were edited"):
        y.backward()
    assert x.grad is None
    y = square(x)
    x.data = np.array([7.0])
    with pytest.raises(GraphError, match="edited"):
        y.backward()
    square(x).backward()
    assert x.grad == 14.0


def test_edits_that_no_rule_reads_do_no_harm():
    x = leaf(3.0)
    y = add(x, 1.0)
    x.data = np.array([7.0])
    y.backward()
    assert x.grad == 1.0


def test_debug_mode_notices_edits_of_elements_and_shows_where_the_call_was():
    x = leaf(3.0)
    with using_config("debug", True):
        y = square(x)
    x.data[0] = 5.0
    with pytest.raises(GraphError, match="edited in place") as caught:
        y.backward()
    assert "test_debug_mode_notices_edits" in str(caught.value)


def test_debug_mode_notices_edits_of_constants_and_of_what_a_rule_keeps():
    class Masked(Function):
        def __init__(self, mask, parts):
            self.mask, self.parts = mask, parts

        def forward(self, x):
            return x * self.mask

        def backward(self, gy):
            return gy * self.mask

    x, c, mask, part = leaf(1.0, 2.0), np.ones(2), np.array([True, False]), np.zeros(1)
    for edited in (c, mask, part):
        with using_config("debug", True):
            y = Masked(mask, [part])(mul(x, c))
        edited[0] = not edited[0]
        with pytest.raises(GraphError, match="edited in place"):
            y.backward()


# Switches belong to one thread.


def test_no_grad_in_one_thread_does_not_touch_another():
    inside, done = threading.Event(), threading.Event()

    def other():
        with no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    try:
        y = square(leaf(2.0))
        assert Config.enable_backprop
        y.backward()
        assert y.creator is not None
    finally:
        done.set()
        thread.join()


def test_threads_may_walk_graphs_over_shared_parameters():
    W = Parameter(np.ones(50))
    results = []

    def work(k):
        for _ in range(50):
            x = Variable(np.full(50, float(k)))
            y = mul(square(x), W.data)
            y.backward()
            results.append(np.array_equal(x.grad.data, np.full(50, 2.0 * k)))
            time.sleep(0)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 200
    assert all(results)


def test_frozen_parameters_take_no_gradient():
    W, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    W.requires_grad = False
    y = add(mul(W, 3.0), b)
    assert y.creator.input.creator is None  # Nothing was recorded for W alone.
    y.backward()
    assert W.grad is None
    np.testing.assert_array_equal(b.grad, [1.0, 1.0])


def test_an_array_subclass_is_seen_as_an_array(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(3,))
    assert type(Variable(mapped).data) is np.ndarray
    assert type(square(Variable(mapped)).data) is np.ndarray


@pytest.mark.parametrize("seed", [np.ones(2), np.array(1.0), Variable(np.ones(2)), [1.0, 1.0], 1.0])
def test_a_gradient_is_no_argument_of_backward(seed):
    x = leaf(1.0, 2.0)
    y = square(x)
    with pytest.raises(DTypeError, match=r"does not take a gradient.*y\.grad = gy"):
        y.backward(seed)
    assert x.grad is None

"""Hooks on Variables and layers observe the numbers of both passes, and change nothing."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable, gradients, no_grad, using_config
from passus.errors import DTypeError, GraphError
from passus.layers import Layer, Linear, ReLU, Sequential
from passus.visualize import draw, steps


class Double(Function):
    """A class outside passus."""

    def forward(self, x: Any) -> Any:
        return x * 2

    def backward(self, gy: Any) -> Any:
        gy *= 2
        return gy


def noted(x: Variable) -> list[Any]:
    seen: list[Any] = []
    x.add_gradient_hook(lambda gx: seen.append(gx.copy()))
    return seen


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("debug", [False, True])
def test_gradients_are_those_of_the_pass(create_graph: bool, debug: bool) -> None:
    with using_config("debug", debug):
        x = Variable(np.array([1.0, 2.0]))
        y = F.exp(x)
        seen_x, seen_y = noted(x), noted(y)
        z = F.sum(y * y + y)
        z.backward(create_graph=create_graph, retain_grad=True)
    assert x.grad is not None
    assert y.grad is not None
    [gy], [gx] = seen_y, seen_x
    np.testing.assert_array_equal(gy, y.grad.data)
    np.testing.assert_array_equal(gx, x.grad.data)


class FirstOrder(Function):
    """A rule that cannot be recorded, and is called again with arrays."""

    def forward(self, x: Any) -> Any:
        return x**2

    def backward(self, gy: Any) -> Any:
        return 2 * self.input.data * gy


def test_a_hook_is_called_once_for_a_rule_that_cannot_be_recorded() -> None:
    x = Variable(np.array(3.0))
    y = FirstOrder()(x)
    seen = noted(y)
    y.backward(create_graph=True)
    assert seen == [1.0]


def test_hooks_at_the_end_of_a_walk() -> None:
    x = Variable(np.array(3.0))
    y = x * x
    seen = noted(y)
    gradients(y * 2.0, y)
    assert seen == [2.0]


def test_second_derivatives_flow_through_a_hooked_function() -> None:
    x = Variable(np.array(2.0))
    y = x**3
    noted(y)
    y.backward(create_graph=True)
    gx: Any = x.grad
    x.cleargrad()
    gx.backward()
    assert x.grad is not None
    assert x.grad.item() == 12.0


def test_a_rule_outside_passus_may_still_edit_its_gradient() -> None:
    x = Variable(np.array([1.0, 2.0]))
    y = Double()(x)
    seen = noted(y)
    F.sum(y * 3.0).backward()
    np.testing.assert_array_equal(seen[0], [3.0, 3.0])
    np.testing.assert_array_equal(x.grad.data, [6.0, 6.0])  # type: ignore[union-attr]


def test_each_output_has_its_own_hooks() -> None:
    x = Variable(np.arange(4.0))
    a, b = F.split(x, 2)
    seen_a, seen_b = noted(a), noted(b)
    F.sum(a * 2.0 + b * 3.0).backward()
    np.testing.assert_array_equal(seen_a, [[2.0, 2.0]])
    np.testing.assert_array_equal(seen_b, [[3.0, 3.0]])


def test_an_instance_called_again_leaves_its_hooks_to_the_first_graph() -> None:
    x, double = Variable(np.array([1.0])), Double()
    first = double(x)
    seen = noted(first)
    second = double(x)
    second.backward()
    assert seen == []
    (first * 5.0).backward()
    assert [list(gy) for gy in seen] == [[5.0]]
    assert x.grad is not None
    assert x.grad.item() == 12.0


def test_a_hook_sees_read_only_numbers() -> None:
    x = Variable(np.ones(2))
    y = x * 2.0

    def edit(gy: Any) -> None:
        gy += 1

    y.add_gradient_hook(edit)
    with pytest.raises(ValueError, match="read-only"):
        F.sum(y).backward()
    assert x.grad is None


def test_hooks_are_removed() -> None:
    x = Variable(np.ones(2))
    y, seen = x * 2.0, []
    hook = y.add_gradient_hook(seen.append)
    with x.add_gradient_hook(seen.append):
        F.sum(y).backward()
    assert len(seen) == 2
    hook.remove()
    hook.remove()
    F.sum(y).backward()
    assert len(seen) == 2


def test_gradients_calls_hooks_too() -> None:
    x = Variable(np.array(3.0))
    seen = noted(x)
    gradients(x * x, x)
    assert seen == [6.0]


def test_a_graph_with_hooks_is_freed_without_the_collector() -> None:
    gc.disable()
    try:
        y = Variable(np.ones(2)) * 2.0
        noted(y)
        reference = weakref.ref(y.creator)
        del y
        assert reference() is None
    finally:
        gc.enable()


def test_copies_have_no_hooks() -> None:
    x = Variable(np.ones(2))
    seen = noted(x)
    for other in (copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))):
        F.sum(other * 2.0).backward()
    assert seen == []


def test_bad_hooks() -> None:
    x = Variable(np.ones(2))
    with pytest.raises(DTypeError, match="pass a function"):
        x.add_gradient_hook(3)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="no gradient flows"):
        x.detach().add_gradient_hook(print)
    with pytest.raises(DTypeError, match=r"linear\.add_forward_hook"):
        Linear(2).add_forward_hook(None)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match=r"linear\.add_backward_hook"):
        Linear(2).add_backward_hook("print")  # type: ignore[arg-type]


def test_layers_show_values_and_gradients() -> None:
    model, seen = Sequential(Linear(3, rng=0), ReLU()), []
    for path, layer in model.named_layers():
        layer.add_forward_hook(lambda layer, inputs, y, path=path: seen.append((path, inputs[0].shape, y.shape)))
        layer.add_backward_hook(lambda layer, gy, path=path: seen.append((path, gy.shape)))
    y = model(np.ones((2, 4), np.float32))
    assert seen == [("l0", (2, 4), (2, 3)), ("l1", (2, 3), (2, 3)), ("", (2, 4), (2, 3))]
    seen.clear()
    F.sum(y).backward()
    assert seen == [("l1", (2, 3)), ("", (2, 3)), ("l0", (2, 3))]


def test_hooks_of_layers_are_removed_and_not_copied() -> None:
    layer, seen = Linear(2, rng=0), []
    hook = layer.add_forward_hook(lambda *given: seen.append(given))
    copy.deepcopy(layer)(np.ones((1, 2), np.float32))
    assert seen == []
    layer(np.ones((1, 2), np.float32))
    assert len(seen) == 1
    hook.remove()
    layer(np.ones((1, 2), np.float32))
    assert len(seen) == 1
    assert "_hooks" not in layer.state_dict()


def test_backward_hooks_allow_inference() -> None:
    layer, seen = Linear(2, rng=0), []
    layer.add_backward_hook(lambda *given: seen.append(given))
    with no_grad():
        layer(np.ones((1, 2), np.float32))
    assert layer.predict(np.ones((1, 2), np.float32)).shape == (1, 2)
    assert seen == []


def test_a_leaf_that_is_differentiated_itself() -> None:
    x = Variable(np.array(2.0))
    seen = noted(x)
    x.backward()
    assert seen == [1.0]


def test_drawings_and_tables_of_steps_call_no_hooks() -> None:
    x = Variable(np.array(2.0))
    y = x * x
    seen_x, seen_y = noted(x), noted(y)
    steps(y)
    draw(y, gradients=True)
    assert (seen_x, seen_y) == ([], [])
    y.backward()
    assert (seen_x, seen_y) == ([4.0], [1.0])


def test_a_layer_called_twice_shows_both_calls() -> None:
    layer, seen = Linear(2, rng=0), []
    layer.add_forward_hook(lambda layer, inputs, y: seen.append("forward"))
    layer.add_backward_hook(lambda layer, gy: seen.append("backward"))
    F.sum(layer(layer(np.ones((1, 2), np.float32)))).backward()
    assert seen == ["forward", "forward", "backward", "backward"]


class Nested(Layer):
    def forward(self, x: Any) -> Any:
        return x * 2.0, (x * 3.0, {"a": x * 4.0, "b": None})


def test_backward_hooks_of_nested_results() -> None:
    layer, seen = Nested(), []
    layer.add_backward_hook(lambda layer, gy: seen.append(gy.item()))
    p, (q, more) = layer(Variable(np.array(1.0)))
    (p * 5.0 + q * 6.0 + more["a"] * 7.0).backward()
    assert sorted(seen) == [5.0, 6.0, 7.0]


def test_gradients_of_a_parameter_are_those_of_each_pass() -> None:
    layer, x = Linear(1, in_size=1, nobias=True), np.ones((1, 1), np.float32)
    seen = noted(layer.W)
    for _ in range(2):
        F.sum(layer(x) * 3.0).backward()
    np.testing.assert_array_equal(seen, [[[3.0]], [[3.0]]])
    assert layer.W.grad is not None
    assert layer.W.grad.item() == 6.0, "the gradient accumulates"


class Hooked(Exception):
    pass


def failing(*given: Any) -> None:
    raise Hooked


def test_an_error_in_a_hook_ends_the_pass_and_leaves_gradients_unchanged() -> None:
    x = Variable(np.array(2.0))
    y = x * x
    hook = y.add_gradient_hook(failing)
    with pytest.raises(Hooked):
        y.backward()
    assert (x.grad, y.grad) == (None, None)
    hook.remove()
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 4.0
    layer = Sequential(Linear(2, rng=0))
    hook = layer.add_forward_hook(failing)
    with pytest.raises(Hooked):
        layer(np.ones((1, 2), np.float32))
    hook.remove()
    assert layer(np.ones((1, 2), np.float32)).shape == (1, 2)


def test_a_hook_may_remove_itself() -> None:
    x, seen = Variable(np.array(2.0)), []

    def once(gx: Any) -> None:
        seen.append(gx.item())
        hook.remove()

    hook = x.add_gradient_hook(once)
    later = noted(x)
    for _ in range(2):
        (x * 3.0).backward()
    assert seen == [3.0]
    assert later == [3.0, 3.0]

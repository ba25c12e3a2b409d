"""Small programs on the machine of native operations, beside the eager step."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable
from passus.errors import LabelError, PassusError
from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.channels import channel_sums
from passus.layers import Layer, Linear
from passus.models import MLP
from passus.optimizers import SGD, Adam, AdamW, ClipGrad, MomentumSGD, Nesterov, RMSprop
from passus.recording.lowering.assembler import LARGEST
from passus.recording.machine import Machine

pytest.importorskip("numba")

Step = Callable[..., Any]


def parts(step: Any) -> list[bool]:
    """By number of an instruction of a compiled step, whether it runs on the machine."""
    return [isinstance(i.function, Machine) for i in step.versions[0].executed.instructions]


def is_complete(step: Any) -> bool:
    """Whether the machine computes all operations."""
    return parts(step) == [True]


def is_shared(step: Any) -> bool:
    """Whether the machine computes all operations, on two threads."""
    return is_complete(step) and step.versions[0].executed.instructions[0].function.is_shared


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


def perceptron(sizes: tuple[int, ...], activation: Any) -> Layer:
    with passus.random.using_rng(0):
        return MLP(sizes[1:], activation=activation, in_size=sizes[0])


def training(sizes: tuple[int, ...], activation: Any, loss: Any, optimizer: Any) -> tuple[Layer, Any, Step]:
    model = perceptron(sizes, activation)
    optimizer = optimizer().setup(model)

    def step(x: Any, t: Any) -> Any:
        y = loss(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y

    return model, optimizer, step


def batch(n: int, sizes: tuple[int, ...], labels: bool) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, sizes[0]), np.float32)
    return x, rng.integers(0, sizes[-1], n) if labels else rng.standard_normal((n, sizes[-1]), np.float32)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 33, 64])
@pytest.mark.parametrize("sizes", [(4, 64, 64, 2), (3, 17, 10), (1, 1), (70, 33, 40, 5), (16, 1, 31)])
@pytest.mark.parametrize(
    ("activation", "loss", "labels"),
    [(F.tanh, F.mean_squared_error, False), (F.relu, F.softmax_cross_entropy, True)],
    ids=["regression", "classes"],
)
def test_perceptron_of_any_size_trains_as_the_eager_one(
    n: int, sizes: tuple[int, ...], activation: Any, loss: Any, labels: bool
) -> None:
    model, _, step = training(sizes, activation, loss, lambda: SGD(lr=0.1))
    compiled_model, _, compiled_step = training(sizes, activation, loss, lambda: SGD(lr=0.1))
    compiled_step = passus.compile(compiled_step)
    x, t = batch(n, sizes, labels)
    for _ in range(4):
        np.testing.assert_allclose(compiled_step(x, t).item(), step(x, t).item(), rtol=1e-5, atol=1e-6)
    assert is_complete(compiled_step)
    for p, expected in zip(compiled_model.params(), model.params(), strict=True):
        np.testing.assert_allclose(p.data, expected.data, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(p.grad.data, expected.grad.data, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: SGD(lr=0.1),
        lambda: MomentumSGD(lr=0.05),
        lambda: Nesterov(lr=0.05),
        lambda: Adam(lr=0.01),
        lambda: AdamW(lr=0.01),
        lambda: SGD(lr=passus.schedules.cosine(0.1, 10)),
        lambda: RMSprop(lr=0.01),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adamw", "schedule", "in Python"],
)
def test_optimizers_end_in_the_eager_state(optimizer: Any) -> None:
    sizes = (5, 9, 3)
    model, eager, step = training(sizes, F.tanh, F.mean_squared_error, optimizer)
    compiled_model, compiled, compiled_step = training(sizes, F.tanh, F.mean_squared_error, optimizer)
    compiled_step = passus.compile(compiled_step)
    x, t = batch(8, sizes, labels=False)
    for _ in range(5):
        step(x, t)
        compiled_step(x, t)
    expected = passus.tree.flatten(eager.state_dict())
    for path, leaf in passus.tree.flatten(compiled.state_dict()).items():
        np.testing.assert_allclose(leaf, expected[path], rtol=1e-4, atol=1e-6, err_msg=path)
    for p, q in zip(compiled_model.params(), model.params(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-4, atol=1e-5)


def test_eager_and_compiled_steps_alternate() -> None:
    sizes = (5, 9, 3)
    model, _, step = training(sizes, F.tanh, F.mean_squared_error, lambda: Adam(lr=0.01))
    other, optimizer, alternating = training(sizes, F.tanh, F.mean_squared_error, lambda: Adam(lr=0.01))
    compiled = passus.compile(alternating)
    x, t = batch(8, sizes, labels=False)
    for i in range(8):
        step(x, t)
        (alternating if i % 3 == 2 else compiled)(x, t)
        if i == 5:
            optimizer.load_state_dict(optimizer.state_dict())
    for p, q in zip(other.params(), model.params(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-4, atol=1e-5)


def test_hook_that_is_added_later_is_called() -> None:
    sizes = (5, 9, 3)
    model, optimizer, step = training(sizes, F.tanh, F.mean_squared_error, lambda: SGD(lr=0.1))
    compiled = passus.compile(step)
    x, t = batch(8, sizes, labels=False)
    for _ in range(3):
        compiled(x, t)
    hook = ClipGrad(1e-6)
    optimizer.add_hook(hook)
    before = [p.data.copy() for p in model.params()]
    compiled(x, t)
    assert hook.norm > 1e-6
    for p, earlier in zip(model.params(), before, strict=True):
        np.testing.assert_allclose(p.data, earlier, atol=1e-6)


def test_gradients_that_the_user_keeps_are_not_overwritten() -> None:
    sizes = (5, 9, 3)
    model, _, step = training(sizes, F.tanh, F.mean_squared_error, lambda: SGD(lr=0.1))
    compiled = passus.compile(step)
    x, t = batch(8, sizes, labels=False)
    boxes, arrays, copies = [], [], []
    W = next(iter(model.params()))
    for i in range(6):
        compiled(x, t)
        boxes.append(W.grad)
        arrays.append(W.grad.data[1:] if i % 2 else W.grad.data)
        copies.append((boxes[-1].data.copy(), arrays[-1].copy()))
    for box, array, (box_copy, array_copy) in zip(boxes, arrays, copies, strict=True):
        np.testing.assert_array_equal(box.data, box_copy)
        np.testing.assert_array_equal(array, array_copy)
    assert len({id(box.data) for box in boxes}) == len(boxes)


def test_results_that_the_user_keeps_are_not_overwritten() -> None:
    compiled = passus.compile(lambda x: [x * 2, x.sum(), x])
    results = [compiled(np.full((2, 3), i, np.float32)) for i in range(1, 6)]
    for i, (doubled, total, same) in enumerate(results, 1):
        assert (doubled == 2 * i).all()
        assert total == 6 * i
        assert (same == i).all()


def test_parameters_are_exchanged() -> None:
    sizes = (5, 9, 3)
    model, _, step = training(sizes, F.tanh, F.mean_squared_error, lambda: SGD(lr=0.1))
    other, _, compiled = training(sizes, F.tanh, F.mean_squared_error, lambda: SGD(lr=0.1))
    compiled = passus.compile(compiled)
    x, t = batch(8, sizes, labels=False)
    for i in range(6):
        if i == 3:
            for p, q in zip(model.params(), other.params(), strict=True):
                p.data, q.data = p.data * 0.5, q.data * 0.5
        step(x, t)
        compiled(x, t)
    for p, q in zip(other.params(), model.params(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("in_place", [False, True])
def test_parameters_that_became_read_only_are_not_written(in_place: bool) -> None:
    model, _, step = training((5, 9, 3), F.tanh, F.mean_squared_error, lambda: SGD(lr=0.1))
    compiled = passus.compile(step)
    x, t = batch(8, (5, 9, 3), labels=False)
    for _ in range(3):
        compiled(x, t)
    W = next(iter(model.params()))
    if not in_place:
        W.data = W.data.copy()
    W.data.flags.writeable = False
    before = W.data.copy()
    with pytest.raises(PassusError, match="read-only"):
        compiled(x, t)
    np.testing.assert_array_equal(W.data, before)


@pytest.mark.parametrize("wrong", [-1, 3, 1 << 40, -(1 << 62)])
def test_wrong_label_raises_and_changes_nothing(wrong: int) -> None:
    sizes = (5, 9, 3)
    model, optimizer, step = training(sizes, F.relu, F.softmax_cross_entropy, lambda: SGD(lr=0.1))
    compiled = passus.compile(step)
    x, t = batch(8, sizes, labels=True)
    for _ in range(3):
        compiled(x, t)
    before = [p.data.copy() for p in model.params()]
    t[3] = wrong
    with pytest.raises(LabelError):
        compiled(x, t)
    assert optimizer.step == 3
    for p, earlier in zip(model.params(), before, strict=True):
        np.testing.assert_array_equal(p.data, earlier)
    t[3] = 0
    compiled(x, t)
    assert optimizer.step == 4


def test_threads_share_a_compiled_layer() -> None:
    model = perceptron((6, 20, 4), F.tanh)
    compiled = passus.compile(model)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((5, 6), np.float32) for _ in range(4)]
    with passus.no_grad():
        expected = [model(x).data for x in inputs]
    faults: list[int] = []

    def serve(i: int) -> None:
        for _ in range(200):
            if not np.allclose(compiled(inputs[i]).data, expected[i], atol=1e-6):
                faults.append(i)

    threads = [threading.Thread(target=serve, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-42, -1e-42, 3e38, -3e38, 88.0, -88.0, 0.5], np.float32
)

ELEMENTWISE = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "negative": lambda x, y: -x,
    "absolute": lambda x, y: abs(x),
    "greater": lambda x, y: np.where(x > y, x, y),
    "greater_equal": lambda x, y: np.where(x >= y, x, y),
    "less": lambda x, y: np.where(x < y, x, 0.0),
    "less_equal": lambda x, y: np.where(y <= x, 1.0, x),
    "mask as factor": lambda x, y: (x > y) * x,
    "mask as term": lambda x, y: y - (x <= 0.5),
    "two masks": lambda x, y: np.where((x > y) & (x <= 1.0), x, y),
    "logical and": lambda x, y: np.where(np.logical_and(np.logical_and(x > y, x < 1.0), y >= -1.0), x, 0.0),
    "square root": lambda x, y: np.sqrt(x) + y,
    "power -1": lambda x, y: x**-1 + y,
    "power 0.5": lambda x, y: x**0.5 + y,
    "power 1": lambda x, y: x**1 + y,
    "power 2": lambda x, y: x**2 + y,
    "power 3": lambda x, y: x**3 + y,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_operations_equal_those_of_numpy_at_special_values(name: str) -> None:
    function = ELEMENTWISE[name]
    x, y = [v.ravel().copy() for v in np.meshgrid(SPECIAL, SPECIAL)]
    compiled = passus.compile(lambda x, y: function(x, y) if name != "x" else x)
    with np.errstate(all="ignore"):
        for _ in range(3):
            result = compiled(x, y)
        expected = function(x, y)
    assert is_complete(compiled)
    np.testing.assert_array_equal(result, expected)
    if name not in ("maximum", "minimum"):
        np.testing.assert_array_equal(
            np.signbit(result)[~np.isnan(expected)], np.signbit(expected)[~np.isnan(expected)]
        )


@pytest.mark.parametrize("function", [np.exp, np.tanh, np.log, np.log1p, lambda x: x**-0.5])
def test_functions_are_as_accurate_as_those_of_numpy(function: Any) -> None:
    powers = np.exp(np.linspace(-103, 88, 5001)).astype(np.float32)
    near = np.linspace(-1e-3, 1e-3, 201, dtype=np.float32)
    x = np.concatenate(
        [SPECIAL, np.linspace(-104, 89, 5001, dtype=np.float32), powers, -powers, near, 1 + near, near - 1]
    )
    compiled = passus.compile(lambda x: function(x) + 0.0)
    with np.errstate(all="ignore"):
        for _ in range(3):
            result = compiled(x)
        expected = function(x.astype(np.float64)).astype(np.float32)
    assert is_complete(compiled)
    np.testing.assert_allclose(result, expected, rtol=3e-7, atol=1e-44)


@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ((4, 5), (5,)),
        ((4, 5), (4, 1)),
        ((4, 5), (1, 5)),
        ((4, 5), ()),
        ((3, 4, 5), (5,)),
        ((3, 4, 5), (3, 1, 1)),
        ((1, 1), (1,)),
    ],
)
def test_operands_broadcast(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape, np.float32), rng.standard_normal(other, np.float32)
    for function in (lambda x, y: x - y, lambda x, y: y / x):
        compiled = passus.compile(function)
        for _ in range(3):
            result = compiled(x, y)
        np.testing.assert_array_equal(result, function(x, y))
        assert is_complete(compiled)


def test_products_read_transposed_matrices_and_slices() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 19), np.float32), rng.standard_normal((37, 23), np.float32)

    def products(a: Any, b: Any) -> Any:
        return a.T @ b, b.T @ a, a @ a.T, (a[::2] @ b[:19])[:, 1:], a[:, 2:9] @ b[3:10]

    compiled = passus.compile(products)
    for _ in range(3):
        results = compiled(a, b)
    for result, expected in zip(results, products(a, b), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


SHAPES = [(5,), (3, 4), (2, 1, 3), (2, 3, 4, 5), (4, 1, 7, 7)]


@pytest.mark.parametrize("name", ["sum", "max"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("shape", "axes"), [(s, a) for s in SHAPES for n in range(5) for a in combinations(range(len(s)), n)]
)
def test_reductions(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool, name: str) -> None:
    def step(x: Any) -> Any:
        return (getattr(x * 2, name)(axis=axes, keepdims=keepdims) + 1) * 3 - x[(0,) * x.ndim]

    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    x[(-1,) * x.ndim] = np.nan if name == "max" else 1
    compiled = passus.compile(step)
    for _ in range(3):
        np.testing.assert_allclose(compiled(x), step(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axes", [0, -1, (2, 3), (0, 1), (1, 2, 3), None, ()])
def test_sums_over_neighbouring_axes_run_on_the_machine(axes: Any) -> None:
    compiled = passus.compile(lambda x: (x * 2).sum(axis=axes) * 3 + 1)
    for _ in range(3):
        compiled(np.ones((2, 3, 4, 5), np.float32))
    assert is_complete(compiled)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("shape", [(700, 300), (1, 1 << 18), (1 << 18, 1), (3, 90000)])
def test_large_elementwise_operations_are_shared_by_threads(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, row, column = [rng.standard_normal(s, np.float32) for s in (shape, shape[1:], (shape[0], 1))]
    compiled = passus.compile(lambda x, row, column: (x * row - column) * 0.5)
    for _ in range(3):
        y = compiled(x, row, column)
    np.testing.assert_array_equal(y, (x * row - column) * np.float32(0.5))
    assert is_shared(compiled)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("n", "expected"), [(1, False), (2, True), (3, True), (8, True), (20, True), (200, False)])
def test_products_are_shared_by_threads_unless_a_kernel_is_faster(n: int, expected: bool) -> None:
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((n, 700), np.float32), rng.standard_normal((700, 530), np.float32)
    gy = rng.standard_normal((n, 530), np.float32)
    compiled = passus.compile(lambda x, W, gy: (x @ W, gy @ W.T, x[:, :50].T @ gy))
    for _ in range(3):
        results = compiled(x, W, gy)
    for result, reference in zip(results, (x @ W, gy @ W.T, x[:, :50].T @ gy), strict=True):
        np.testing.assert_allclose(result, reference, rtol=1e-4, atol=1e-4)
    assert is_shared(compiled) == expected


@pytest.mark.usefixtures("two_threads")
def test_larger_product_is_shared_by_threads_if_it_stays_in_the_cache() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((230, 256), np.float32), rng.standard_normal((256, 250), np.float32)
    compiled = passus.compile(lambda x, y: x @ y + 1)
    for _ in range(3):
        result = compiled(x, y)
    assert is_shared(compiled)
    np.testing.assert_allclose(result, x @ y + 1, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("n", "expected"), [(700, True), (1024, True), (1025, False)])
def test_gradient_of_a_bias_is_a_sum_on_the_machine_unless_it_is_long(n: int, expected: bool) -> None:
    x = np.random.default_rng(0).standard_normal((n, 80), np.float32)
    compiled = passus.compile(lambda x: channel_sums(x * 2) + 1)
    for _ in range(3):
        result = compiled(x)
    np.testing.assert_allclose(result, 2 * x.sum(0, dtype=np.float64) + 1, rtol=1e-4, atol=1e-4)
    assert is_complete(compiled) == expected


@pytest.mark.usefixtures("two_threads")
def test_large_parameters_are_updated_by_threads() -> None:
    sizes = (300, 500, 10)
    model, _, step = training(sizes, F.tanh, F.mean_squared_error, lambda: Adam(lr=0.001))
    other, _, compiled = training(sizes, F.tanh, F.mean_squared_error, lambda: Adam(lr=0.001))
    compiled = passus.compile(compiled)
    x, t = batch(16, sizes, labels=False)
    for _ in range(4):
        np.testing.assert_allclose(compiled(x, t).item(), step(x, t).item(), rtol=1e-5)
    assert is_shared(compiled)
    for p, q in zip(other.params(), model.params(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-3, atol=2e-5)


def test_small_programs_are_run_by_one_thread() -> None:
    compiled = passus.compile(lambda x: x * 2 + 1)
    for _ in range(3):
        compiled(np.ones(100, np.float32))
    assert is_complete(compiled)
    assert not is_shared(compiled)


def test_largest_arrays_stay_with_numpy() -> None:
    compiled = passus.compile(lambda x: x * 2 + 1)
    x = np.ones(LARGEST + 1, np.float32)
    for _ in range(3):
        compiled(x)
    assert not any(parts(compiled))


LARGE = 1 << 17
"""Number of elements of arrays that are not copied to the machine."""


def is_direct(step: Any) -> bool:
    """Whether the machine reads the first argument of a compiled step where it is."""
    assert is_complete(step)
    return bool(step.versions[0].executed.instructions[0].function._free[0]._inputs[0][-1])


@pytest.mark.parametrize(
    "arranged",
    [
        lambda x: x,
        lambda x: np.repeat(x, 2)[::2],
        lambda x: x[::-1],
        lambda x: np.frombuffer(x.tobytes(), x.dtype),
        lambda x: np.frombuffer(b"0" + x.tobytes(), np.uint8)[1:].view(x.dtype),
    ],
    ids=["contiguous", "with gaps", "reversed", "read-only", "not aligned"],
)
def test_large_arguments_of_any_arrangement(arranged: Any) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal(LARGE, np.float32) for _ in range(2))
    compiled = passus.compile(lambda x: x * 2 + 1)
    for x in (first, arranged(second), second, arranged(first), first):
        np.testing.assert_array_equal(compiled(x), x * 2 + 1)
    assert is_direct(compiled)


def test_large_results_belong_to_the_caller() -> None:
    compiled = passus.compile(lambda x: (x * 2 + 1, x - 1))
    x = np.ones(LARGE, np.float32)
    results = [compiled(x) for _ in range(4)]
    results[0][0][:] = 7
    compiled(x)
    compiled(x)[0][:] = 8
    for y, z in results[1:]:
        np.testing.assert_array_equal(y, 3)
        np.testing.assert_array_equal(z, 0)
    assert (results[0][0] == 7).all()
    np.testing.assert_array_equal(compiled(x)[0], 3)


def test_large_result_as_the_next_argument() -> None:
    compiled = passus.compile(lambda x: x[::-1] + x * 0.5)
    x = expected = np.random.default_rng(0).standard_normal(LARGE, np.float32)
    for _ in range(6):
        x, expected = compiled(x), expected[::-1] + expected * 0.5
        np.testing.assert_array_equal(x, expected)
    y = compiled(compiled(x))
    np.testing.assert_array_equal(y, (lambda x: x[::-1] + x * 0.5)(expected[::-1] + expected * 0.5))


def views(x: Any) -> Any:
    return x.reshape(4, -1).reshape(-1, 4)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x * 2, views(x)),
        lambda x: ((x * 2 + 1), views(x * 2 + 1)),
        lambda x: views(x).T,
        lambda x: (y := x * 2, views(y), y[::2]),
    ],
    ids=["of an argument", "of a result", "alone", "of a result that is returned"],
)
def test_views_of_large_arrays_are_those_of_this_call(function: Any) -> None:
    rng = np.random.default_rng(0)
    compiled = passus.compile(function)
    kept = []
    for _ in range(5):
        x = rng.standard_normal(LARGE, np.float32)
        kept.append(compiled(x))
        for result, expected in zip(
            passus.tree.tree_leaves(kept[-1]), passus.tree.tree_leaves(function(x)), strict=True
        ):
            np.testing.assert_array_equal(result, expected)


def test_views_of_parameters_and_gradients_are_those_of_this_call() -> None:
    model = Linear(4, in_size=4, rng=0)

    def step(x: Any) -> Any:
        model.cleargrads()
        F.sum(model(x) * 2).backward()
        return views(model.W.data), views(model.W.grad.data), model.W.grad

    compiled = passus.compile(step)
    kept = []
    for i in range(5):
        model.W.data = np.full((4, 4), i, np.float32)
        x = np.full((3, 4), i + 1, np.float32)
        kept.append(compiled(x))
        np.testing.assert_array_equal(kept[-1][0], i)
        np.testing.assert_array_equal(kept[-1][1], 6 * (i + 1))


def test_large_arguments_and_results_are_freed() -> None:
    compiled = passus.compile(lambda x: x * 2 + 1)
    for _ in range(3):
        x = np.ones(LARGE, np.float32)
        compiled(x)
    argument = weakref.ref(x)
    del x
    assert argument() is None


def test_parameter_as_a_large_argument_of_its_own_update() -> None:
    def trained(compiles: bool) -> tuple[Any, Any]:
        model = Linear(1, in_size=LARGE, rng=0)
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any) -> Any:
            y = x * 1.0
            loss = F.sum(model(x))
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return y, x * 1.0

        chosen = passus.compile(step) if compiles else step
        for _ in range(3):
            results = chosen(model.W.data.reshape(1, LARGE))
        return results, model.W.data

    for result, expected in zip(
        passus.tree.tree_leaves(trained(True)), passus.tree.tree_leaves(trained(False)), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-7)


def test_threads_share_a_function_of_large_arrays() -> None:
    compiled = passus.compile(lambda x: x * 2 + 1)
    compiled(np.ones(LARGE, np.float32))
    faults: list[int] = []

    def work(number: int) -> None:
        x = np.full(LARGE, number, np.float32)
        for _ in range(20):
            if not (compiled(x) == 2 * number + 1).all():
                faults.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


@pytest.mark.parametrize("size", [4, 64])
def test_kernels_stay_kernels_where_copies_to_the_machine_would_take_longer(size: int) -> None:
    layers = passus.layers
    model = layers.Sequential(layers.Conv2d(8, 3, pad=1, rng=0), F.relu, F.flatten, Linear(4, rng=1))
    optimizer = SGD(0.1).setup(model)

    def step(x: Any, t: Any) -> Variable:
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    x, t = np.random.default_rng(0).standard_normal((8, 3, size, size), np.float32), np.arange(8) % 4
    model(x)
    compiled = passus.compile(step)
    for _ in range(3):
        compiled(x, t)
    names = [i.function.__name__ for i in compiled.versions[0].executed.instructions if hasattr(i.function, "__name__")]
    assert ("machine" in names) is (size == 4)
    assert ("limited" in names) is (size == 64)


def test_switch_native_turns_the_machine_off() -> None:
    compiled = passus.compile(lambda x: x * 2 + 1)
    x = np.ones(8, np.float32)
    with passus.using_config("native", False):
        for _ in range(3):
            compiled(x)
        assert not any(parts(compiled))
    for _ in range(3):
        compiled(x)
    assert is_complete(compiled)


def test_instructions_in_python_are_between_parts_of_the_table() -> None:
    def step(x: Any) -> Any:
        y = np.cumsum((x * 2 + 1) * x - 3, axis=1) + 1
        return np.sort((y * y + x) * 3, axis=0) - x

    compiled = passus.compile(step)
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = rng.standard_normal((3, 4), np.float32)
        np.testing.assert_allclose(compiled(x), step(x), rtol=1e-5)
    assert parts(compiled) == [True, False, True, False, False]


def test_linear_layer_of_one_row_and_no_rows() -> None:
    model = Linear(3, in_size=4, rng=0)
    compiled = passus.compile(model)
    for n in (1, 0, 1, 0):
        x = np.ones((n, 4), np.float32)
        y = compiled(x)
        assert isinstance(y, Variable)
        with passus.no_grad():
            np.testing.assert_allclose(y.data, model(x).data, rtol=1e-6)


@pytest.mark.parametrize("labels", [[0, 1, 2, 1], [-1, 0, -5, 4], [0, 1, 5, 0], [0, 1, 2, -6]])
def test_index_of_rows_and_columns_is_checked_as_by_numpy(labels: list[int]) -> None:
    x, t = np.arange(20, dtype=np.float32).reshape(4, 5), np.array([0, 1, 2, 3])
    rows = np.arange(4)
    compiled = passus.compile(lambda x, t: (x * 2 + 1)[rows, t] * 3 + 1)
    for _ in range(3):
        compiled(x, t)
    t = np.array(labels)
    try:
        expected = (x * 2 + 1)[rows, t] * 3 + 1
    except IndexError:
        with pytest.raises(IndexError):
            compiled(x, t)
    else:
        np.testing.assert_array_equal(compiled(x, t), expected)


def test_operations_in_place_on_parts_that_overlap() -> None:
    def step(x: Any) -> Any:
        y = x * 1
        y[1:] += y[:-1]
        y[::-1] *= y + 1
        return y - 3

    compiled, x = passus.compile(step), np.arange(1, 9, dtype=np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), step(x))


def test_mask_that_the_machine_cannot_compute() -> None:
    def step(x: Any, n: Any) -> Any:
        y = (x * 2 + 1) * x - 3
        return np.where(n > 2, y, x) * y + 1

    compiled, x, n = passus.compile(step), np.arange(6, dtype=np.float32), np.arange(6)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x, n), step(x, n))
    assert parts(compiled) == [True, False, False, False, False]


def operations(step: Any) -> int:
    """The number of operations of the machine that computes a compiled step."""
    assert is_complete(step)
    machine = step.versions[0].executed.instructions[0].function
    return len(machine._free[0]._table._operations)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


@pytest.mark.parametrize(("shape", "count"), [((1,), 1), ((5000,), 1), ((3, 2000), 1), ((20, 300), 1), ((7, 5), 4)])
def test_elementwise_chain_is_one_operation(shape: tuple[int, ...], count: int) -> None:
    """Short rows are computed as one, except for the steps that read another array again for each row."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    bias = np.random.default_rng(1).standard_normal(shape[-1:], np.float32)
    compiled = passus.compile(lambda x, bias: gelu(x + bias) * np.where(x > bias, x, 1.0))
    for _ in range(3):
        result = compiled(x, bias)
    assert operations(compiled) == count
    np.testing.assert_allclose(result, gelu(x + bias) * np.where(x > bias, x, 1.0), rtol=1e-5, atol=1e-6)


def test_chain_that_threads_share_has_an_operation_for_each(two_threads: None) -> None:
    x = np.random.default_rng(0).standard_normal((300, 1000), np.float32)
    compiled = passus.compile(gelu)
    for _ in range(3):
        result = compiled(x)
    assert is_shared(compiled)
    assert operations(compiled) == 2
    np.testing.assert_allclose(result, gelu(x), rtol=1e-5, atol=1e-6)


def test_results_that_only_a_chain_reads_need_no_memory() -> None:
    def f(x: Any) -> Any:
        for _ in range(20):
            x = x * 1.5 - x
        return x

    x = np.ones(100_000, np.float32)
    compiled = passus.compile(f)
    for _ in range(2):
        result = compiled(x)
    machine = compiled.versions[0].executed.instructions[0].function
    np.testing.assert_array_equal(result, f(x))
    assert machine._free[0].nbytes < 8 * x.nbytes  # 40 results would be many more, if no two had the same memory.


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_with_views_and_operations_in_place(seed: int) -> None:
    """Views in another order, sums in place, and memory that is used again must not meet in one block."""

    def f(x: Any, row: Any) -> Any:
        rng = np.random.default_rng(seed)
        values = [x, row, x * 2, row + x]
        own = values[2:]
        for _ in range(rng.integers(3, 40)):
            a, b = (values[rng.integers(max(0, len(values) - 6), len(values))] for _ in range(2))
            kind = rng.integers(8)
            if kind == 0:
                values.append(own[-1].T)
            elif kind == 1:
                values.append(own[-1][::-1])
            elif kind == 2 and own[-1].shape == x.shape:
                own[-1] += 0.25 * b
            elif kind == 3:
                values.append(np.where(a > b, x, b))
            else:
                y = (a + b, a - b, a * 0.5 + x, np.maximum(a, b) * 0.5)[kind - 4]
                values.append(y)
                if y.shape == x.shape:
                    own.append(y)
        return values[-1] + own[-1], own[len(own) // 2] * 1.0

    rng = np.random.default_rng(100 + seed)
    x, row = rng.standard_normal((33, 33), np.float32), rng.standard_normal(33, np.float32)
    compiled = passus.compile(f)
    for _ in range(3):
        results = compiled(x, row)
    for result, expected in zip(results, f(x, row)):
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


def condition(x: Any) -> Any:
    y = x * 2 + 1
    return y - 1 if ((y > 0) & (y < np.inf)).all() else -y


@pytest.mark.parametrize("shape", [(3, 4), (1,), (5, 1, 1)])
def test_condition_on_a_mask_is_checked_on_the_machine(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    compiled = passus.compile(condition)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x), condition(x))
    assert is_complete(compiled)
    with np.errstate(all="ignore"):
        for number in (-3.0, -0.5, np.inf, np.nan, 0.25):
            x.flat[-1] = number
            np.testing.assert_array_equal(compiled(x), condition(x))


def test_mask_that_is_used_elsewhere_is_no_part_of_a_condition() -> None:
    def step(x: Any) -> Any:
        mask = x > 0
        return (x * 2 + 1, mask) if mask.all() else (x, ~mask)

    x = np.ones((2, 3), np.float32)
    compiled = passus.compile(step)
    for number in (1.0, 2.0, -1.0, 1.0, -2.0):
        x[0, 0] = number
        for result, expected in zip(compiled(x), step(x), strict=True):
            np.testing.assert_array_equal(result, expected)


def test_layer_norm_runs_on_the_machine_unless_it_needs_float64() -> None:
    gamma, beta = np.array([2.0, 1.0, 3.0], np.float32), np.array([0.5, 0.0, -1.0], np.float32)
    x = np.random.default_rng(0).standard_normal((4, 3), np.float32)
    compiled = passus.compile(lambda x: F.layer_norm(x, gamma, beta) * 2)
    for _ in range(3):
        result = compiled(x)
    assert is_complete(compiled)
    np.testing.assert_allclose(result, F.layer_norm(x, gamma, beta) * 2, rtol=1e-5, atol=1e-6)
    large = x * np.float32(1e25)
    np.testing.assert_allclose(compiled(large), F.layer_norm(large, gamma, beta) * 2, rtol=1e-5, atol=1e-6)


def test_rows_of_a_matrix_at_labels() -> None:
    W = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    compiled = passus.compile(lambda labels, W: F.embed_id(labels, W) * 2)
    for labels in (np.array([[3, 0], [1, 1]]), np.array([[0, 1], [2, 3]])):
        for _ in range(3):
            np.testing.assert_array_equal(compiled(labels, W), W[labels] * 2)
    assert is_complete(compiled)
    for wrong in (4, -1):
        with pytest.raises(LabelError):
            compiled(np.array([[0, 1], [wrong, 3]]), W)


def test_rows_at_labels_that_were_not_checked_are_left_to_numpy() -> None:
    W = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    compiled = passus.compile(lambda labels, W: W[labels] * 2 + 1)
    for labels in (np.array([3, 0]), np.array([-1, 2])):
        for _ in range(3):
            np.testing.assert_array_equal(compiled(labels, W), W[labels] * 2 + 1)
    with pytest.raises(IndexError):
        compiled(np.array([4, 0]), W)

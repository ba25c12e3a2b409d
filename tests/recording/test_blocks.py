"""Batches of images in blocks: which programs may be computed so, and that the numbers are those of the whole batch."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus.backend.trace import Method
from passus.kernels import get_num_threads, set_num_threads
from passus.layers import BatchNorm, Conv2d, Flatten, GlobalAveragePooling, Layer, Linear, MaxPooling, Sequential
from passus.models import LeNet
from passus.recording import blocks
from passus.recording.batches import with_rows
from passus.recording.machine import Machine
from passus.recording.program import Instruction, Program, Value

pytest.importorskip("numba")

FLOAT = np.dtype(np.float32)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.fixture(autouse=True)
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CACHE", 1 << 15)
    monkeypatch.setattr(blocks, "MOST_WEIGHTS", 1 << 10)


class Residual(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.first = Conv2d(16, 3, pad=1, rng=0)
        self.second = Conv2d(16, 3, pad=1, rng=1)

    def forward(self, x: Any) -> Any:
        y = F.relu(self.first(x))
        return F.relu(self.second(y) + y)


def images(n: int, *shape: int) -> Any:
    return np.random.default_rng(n).standard_normal((n, *shape), np.float32)


def machines(compiled: Any) -> list[Any]:
    executed = compiled.versions[0].executed.instructions
    assert all(isinstance(i.function, Machine) for i in executed)
    return [i.function for i in executed]


def rows(compiled: Any) -> list[int | None]:
    """By number of a machine, the rows of its blocks; None without blocks."""
    return [None if m.blocks is None else m.blocks.rows for m in machines(compiled)]


def assert_as_eager(model: Layer, compiled: Any, x: Any) -> None:
    with passus.no_grad(), passus.test_mode():
        expected = model(x).data
    for _ in range(3):
        y = compiled(x).data
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert y.shape == expected.shape


def networks() -> dict[str, tuple[Layer, tuple[int, ...]]]:
    pooled = Sequential(
        Conv2d(8, 3, pad=1, rng=0), BatchNorm(activation="relu"), MaxPooling(2), Flatten(), Linear(10, rng=1)
    )
    separable = Sequential(
        Conv2d(16, 1, rng=0),
        F.relu,
        Conv2d(16, 3, pad=1, groups=16, rng=1),
        F.tanh,
        GlobalAveragePooling(),
        Linear(3, rng=2),
    )
    return {
        "lenet": (LeNet(rng=0), (1, 28, 28)),
        "pooled": (pooled, (3, 12, 12)),
        "residual": (Sequential(Residual(), F.sigmoid), (3, 20, 20)),
        "separable": (separable, (3, 16, 16)),
    }


@pytest.mark.parametrize("n", [6, 7, 12, 64])
@pytest.mark.parametrize("name", ["lenet", "pooled", "residual", "separable"])
def test_networks_compute_a_batch_in_blocks(name: str, n: int, threads: int) -> None:
    model, shape = networks()[name]
    x = images(n, *shape)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    (found,) = rows(compiled)
    if n in (12, 64) or (n == 6 and threads > 1):
        assert found is not None
    if found is not None:
        assert n % found == 0
    assert_as_eager(model, compiled, x[::-1])


def test_every_image_has_a_result_of_its_own(threads: int) -> None:
    model, shape = networks()["pooled"]
    x = images(12, *shape)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    expected = compiled(x).data
    for i in range(12):
        other = x.copy()
        other[i] = np.nan
        y = compiled(other).data
        assert np.isnan(y[i]).all()
        np.testing.assert_array_equal(np.delete(y, i, 0), np.delete(expected, i, 0))


def test_results_belong_to_the_caller() -> None:
    model, shape = networks()["residual"]
    x = images(12, *shape)
    model(x)
    compiled = passus.compile(model)
    for _ in range(3):
        y = compiled(x).data
    before = y.copy()
    compiled(x * 2)
    np.testing.assert_array_equal(y, before)


def test_large_products_are_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGEST_WEIGHTS", 1 << 12)
    model, shape = networks()["lenet"]
    x = images(64, *shape)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    first, second = rows(compiled)
    assert first is not None
    assert second is None


def test_networks_of_more_weights_than_images_are_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_WEIGHTS", 3)
    model = Sequential(Conv2d(64, 3, rng=0), F.relu, Conv2d(64, 3, rng=1), GlobalAveragePooling())
    x = images(64, 8, 6, 6)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    assert rows(compiled) == [None]


def test_single_images_and_small_batches_are_not_divided() -> None:
    model, shape = networks()["pooled"]
    model(images(2, *shape))
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, images(1, *shape))
    assert rows(compiled) == [None]


def test_several_threads_call_a_program_in_blocks() -> None:
    model, shape = networks()["lenet"]
    x = images(32, *shape)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    with passus.no_grad(), passus.test_mode():
        expected = [model(x * i).data for i in range(4)]
    wrong: list[int] = []

    def serve(i: int) -> None:
        for _ in range(20):
            if not np.allclose(compiled(x * i).data, expected[i], rtol=1e-4, atol=1e-5):
                wrong.append(i)

    serving = [threading.Thread(target=serve, args=(i,)) for i in range(4)]
    for thread in serving:
        thread.start()
    for thread in serving:
        thread.join()
    assert not wrong


def test_changed_parameters_are_noticed() -> None:
    model, shape = networks()["pooled"]
    x = images(12, *shape)
    model(x)
    compiled = passus.compile(model)
    assert_as_eager(model, compiled, x)
    model[0].W.data = model[0].W.data * 2
    assert_as_eager(model, compiled, x)
    assert rows(compiled)[0] is not None


# Which rows are independent.


def program(
    function: Any, shapes: list[tuple[int, ...]], result: tuple[int, ...], *args: Any, **options: Any
) -> Program:
    """A program of one instruction. Its input has 8 rows; further arrays are constants."""
    x, *constants = [Value(i, shape, FLOAT) for i, shape in enumerate(shapes)]
    y = Value(9, result, FLOAT)
    instruction = Instruction(function, (x, *constants, *args), options, y)
    return Program([x], [instruction], [y], constants={v: np.zeros(v.shape, FLOAT) for v in constants})


INDEPENDENT = {
    "elementwise": program(np.exp, [(8, 3)], (8, 3)),
    "number": program(operator.mul, [(8, 3)], (8, 3), 2.0),
    "row": program(operator.add, [(8, 3), (3,)], (8, 3)),
    "row of one": program(operator.add, [(8, 3), (1, 3)], (8, 3)),
    "product": program(np.dot, [(8, 3), (3, 5)], (8, 5)),
    "reshape": program(Method("reshape"), [(8, 3, 2)], (8, 6), 8, -1),
    "sum": program(Method("sum"), [(8, 3)], (8,), axis=1),
    "maximum": program(Method("max"), [(8, 3, 2)], (8, 1, 1), axis=(-1, 1), keepdims=True),
}

DEPENDENT = {
    "column": program(operator.add, [(8, 3), (8, 1)], (8, 3)),
    "vector with as many elements as rows": program(operator.add, [(8,), (8, 8)], (8, 8)),
    "second factor": program(lambda x, y: np.dot(y, x), [(8, 8), (8, 8)], (8, 8)),
    "product of a vector": program(np.dot, [(8,), (8, 8)], (8,)),
    "reshape across rows": program(Method("reshape"), [(8, 8)], (64,), 64),
    "reshape of rows": program(Method("reshape"), [(8, 3)], (4, 6), 4, 6),
    "sum over rows": program(Method("sum"), [(8, 3)], (3,), axis=0),
    "sum of all": program(Method("sum"), [(8, 3)], ()),
    "sum over rows kept": program(Method("sum"), [(8, 3)], (1, 3), axis=0, keepdims=True),
    "square sum over rows": program(Method("sum"), [(8, 8)], (8,), axis=0),
    "sum over all but one": program(Method("sum"), [(8, 8)], (8,), axis=-2),
    "transposed": program(Method("transpose"), [(8, 8)], (8, 8)),
    "unknown": program(np.sort, [(8, 3)], (8, 3)),
    "with options": program(np.add, [(8, 3), (3,)], (8, 3), where=True),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_programs_for_fewer_rows(name: str) -> None:
    part = with_rows(INDEPENDENT[name], 2)
    assert part is not None
    assert part.inputs[0].shape[0] == part.outputs[0].shape[0] == 2
    assert part.outputs[0].shape[1:] == INDEPENDENT[name].outputs[0].shape[1:]
    x = np.random.default_rng(0).standard_normal(part.inputs[0].shape, np.float32)
    (i,) = part.instructions
    values = {part.inputs[0]: x, **part.constants}
    y = i.function(*[values.get(v, v) if isinstance(v, Value) else v for v in i.args], **i.options)
    assert y.shape == part.outputs[0].shape


@pytest.mark.parametrize("name", DEPENDENT)
def test_rows_that_depend_on_each_other_stay_together(name: str) -> None:
    assert with_rows(DEPENDENT[name], 2) is None


def test_results_that_are_the_same_for_all_rows_and_states_are_not_divided() -> None:
    x, y = Value(0, (8, 3), FLOAT), Value(1, (8, 3), FLOAT)
    constant = Program(
        [x], [Instruction(np.exp, (y,), {}, Value(2, (8, 3), FLOAT))], [y], constants={y: np.ones((8, 3))}
    )
    assert with_rows(constant, 2) is None
    two = Program([x, Value(3, (4, 3), FLOAT)], [], [x])
    assert with_rows(two, 2) is None
    assert with_rows(Program([Value(0, (), FLOAT)]), 2) is None

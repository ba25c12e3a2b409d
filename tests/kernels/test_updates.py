"""Compiled updates of parameters beside their references, which they follow in every bit."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passus import Parameter, set_num_threads, using_config
from passus.kernels import get_num_threads, updates
from passus.kernels.blocks import BLOCK
from passus.kernels.dispatch import native_module
from passus.optimizers import SGD, AdaGrad, Adam, AdamW, AMSGrad, Lion, MomentumSGD, Nesterov, RMSprop
from passus.tree import flatten
from tests.helpers.drawing import generators

RULES = {
    "sgd": (0, (0.1,)),
    "momentum_sgd": (1, (0.1, 0.9)),
    "nesterov": (1, (0.1, 0.9)),
    "adam": (2, (0.1, (0.9, 0.999), 1e-8, 0.99)),
    "amsgrad": (3, (0.1, (0.9, 0.999), 1e-8)),
    "rmsprop": (1, (0.1, 0.99, 1e-8)),
    "adagrad": (1, (0.1, 1e-8)),
    "lion": (1, (0.1, (0.9, 0.99), 0.99)),
}
OPTIMIZERS = [SGD, MomentumSGD, Nesterov, Adam, AMSGrad, AdamW, RMSprop, AdaGrad, Lion]
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42, 3e38], np.float32)

loud = pytest.mark.filterwarnings("ignore:(invalid|overflow|divide):RuntimeWarning")


@pytest.fixture(autouse=True)
def numba_is_loaded() -> None:
    assert native_module("updates") is not None


def drawn(rng: np.random.Generator, shape: tuple[int, ...], special: bool) -> np.ndarray:
    x = np.abs(rng.standard_normal(shape)).astype(np.float32)
    return np.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), x) if special else x


@pytest.mark.parametrize("name", RULES)
@loud
@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
    order=st.sampled_from(["C", "F"]),
    special=st.booleans(),
    data=st.data(),
    rng=generators(),
)
@settings(max_examples=25, deadline=None)
def test_the_kernel_follows_the_reference_in_every_bit(
    name: str, shape: tuple[int, ...], order: Any, special: bool, data: Any, rng: np.random.Generator
) -> None:
    slots, numbers = RULES[name]
    arrays = [np.asarray(drawn(rng, shape, special), order=order) for _ in range(2 + slots)]
    arrays[2:] = [x + np.float32(0) for x in arrays[2:]]  # No -0: NumPy's maximum of 0 and -0 is either.
    arrays[1].flags.writeable = data.draw(st.booleans())
    ours, theirs = ([x.copy("K") if i != 1 else x for i, x in enumerate(arrays)] for _ in range(2))
    rule = getattr(updates, name)
    for _ in range(2):
        rule.compiled()(*ours, *numbers, np.empty_like)
        rule.reference(*theirs, *numbers, lambda x, index=0: np.empty_like(x))
    for x, y in zip(ours, theirs):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(np.signbit(x[x == 0]), np.signbit(y[y == 0]))


@given(
    shape=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    order=st.randoms(),
    count=st.sampled_from([1, 2, 5]),
    rng=generators(),
)
@settings(max_examples=40, deadline=None)
def test_a_gradient_is_put_into_order(shape: list[int], order: Any, count: int, rng: np.random.Generator) -> None:
    axes = list(range(1, len(shape)))
    order.shuffle(axes)
    x = rng.standard_normal([*[shape[axis] for axis in axes], shape[0]], np.float32)  # The first axis last in memory.
    g = x.transpose([len(axes), *np.argsort(axes)])
    g.flags.writeable = False
    before = get_num_threads()
    set_num_threads(count)
    found = updates.ordered.compiled()(g)
    set_num_threads(before)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, g)


@pytest.mark.parametrize(
    ("axes", "suits"), [((3, 2, 0, 1), True), ((0, 1, 2, 3), False), ((2, 3, 0, 1), False), ((3, 0, 1, 2), True)]
)
def test_which_gradients_are_put_into_order_by_a_kernel(axes: Any, suits: bool, rng: np.random.Generator) -> None:
    g = rng.standard_normal((16, 16, 16, 16), np.float32).transpose(axes)
    assert updates.ordered.suits(g) is suits
    assert not updates.ordered.suits(g.astype(np.float64))
    assert not updates.ordered.suits(g[:, :8])
    assert not updates.ordered.suits(g[::-1])
    np.testing.assert_array_equal(updates.ordered(g), g)
    assert updates.ordered(g).flags.c_contiguous


class Target:
    def __init__(self, *arrays: np.ndarray) -> None:
        self.params = [Parameter(x.copy("K")) for x in arrays]

    def named_params(self) -> Any:
        return [(f"p{i}", p) for i, p in enumerate(self.params)]


def train(make: Any, arrays: list[np.ndarray], gradients: list[np.ndarray], steps: int = 3) -> tuple[Any, Any]:
    target = Target(*arrays)
    optimizer = make().setup(target)
    for _ in range(steps):
        for p, g in zip(target.params, gradients):
            p.grad = g
        optimizer.update()
    return [p.data for p in target.params], flatten(optimizer.state_dict())


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_training_gives_the_same_numbers_with_and_without_kernels(
    make: Any, count: int, rng: np.random.Generator
) -> None:
    shapes = [(3 * BLOCK + 5,), (40, 30, 3, 3), (50, 50), (3,)]
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    gradients = [rng.standard_normal(shape, np.float32) for shape in shapes]
    gradients[1] = rng.standard_normal((3, 3, 30, 40), np.float32).transpose(3, 2, 0, 1)  # As a convolution leaves it.
    before = get_num_threads()
    set_num_threads(count)
    found, state = train(make, arrays, gradients)
    set_num_threads(before)
    with using_config("native", False):
        expected, expected_state = train(make, arrays, gradients)
    for x, y in zip([*found, *state.values()], [*expected, *expected_state.values()], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", RULES)
def test_a_large_parameter_is_given_to_the_kernel_whole_and_to_numpy_in_blocks(name: str) -> None:
    slots, numbers = RULES[name]
    arrays = [np.ones(2 * BLOCK + 1, np.float32) for _ in range(2 + slots)]
    sizes = set()

    def scratch(x: np.ndarray, index: int = 0) -> np.ndarray:
        sizes.add(x.size)
        return np.empty_like(x)

    getattr(updates, name)(*arrays, *numbers, scratch)
    assert sizes == set()  # Kernels need none.
    with using_config("native", False):
        getattr(updates, name)(*arrays, *numbers, scratch)
    assert sizes == {BLOCK, 1}


@pytest.mark.parametrize("kind", ["float64", "gaps", "reversed", "other order"])
def test_what_the_kernel_does_not_take(kind: str, rng: np.random.Generator) -> None:
    p, g = rng.standard_normal((2, 300, 200), np.float32)
    if kind == "float64":
        p, g = p.astype(np.float64), g.astype(np.float64)
    elif kind == "gaps":
        p = np.repeat(p, 2, axis=1)[:, ::2]
    elif kind == "reversed":
        p = p[::-1]
    elif kind == "other order":
        g = np.asfortranarray(g)
    target = Target(p)
    target.params[0].data = p = p if kind == "gaps" else p.copy("K")
    target.params[0].grad = g
    expected = p - p.dtype.type(0.5) * g
    SGD(0.5).setup(target).update()
    assert target.params[0].data is p  # In place, as without kernels.
    np.testing.assert_array_equal(p, expected)


def test_small_parameters_do_not_load_numba() -> None:
    script = """
        import sys
        import numpy as np
        from passus.layers import Linear
        from passus.optimizers import Adam
        layer = Linear(100, in_size=100)
        adam = Adam().setup(layer)
        layer.W.grad, layer.b.grad = np.ones((100, 100), np.float32), np.ones(100, np.float32)
        adam.update()
        print("numba" in sys.modules)
    """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"

"""What kernels do with arguments that do not belong together: what their references do, or an error; no memory beyond is met.

Every array lies between guards: a number that is read there is NaN, and bytes that are written there are found.
"""

from __future__ import annotations

import ctypes
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.kernels
from passus import Parameter, Variable, using_config
from passus.core.backward import gradients
from passus.errors import DTypeError, GraphError, ShapeError
from passus.kernels.attention import Settings, attention
from passus.kernels.convolution import convolve
from passus.kernels.dispatch import Kernel, start_using
from passus.kernels.pooling import max_pooling
from passus.kernels.recurrent import recurrence, results_before

GUARD = 1 << 12
"""Bytes on either side."""

rng = np.random.default_rng(7)
pytestmark = pytest.mark.filterwarnings("ignore:(invalid|overflow|divide):RuntimeWarning")


@pytest.fixture(autouse=True)
def kernels_are_in_use() -> None:
    start_using()


def drawn(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def channels_last(*shape: int) -> np.ndarray:
    return np.moveaxis(drawn(shape[0], *shape[2:], shape[1]), -1, 1)


def all_kernels() -> dict[str, Kernel[Any, Any]]:
    found = {}
    for info in pkgutil.iter_modules(passus.kernels.__path__):
        if not info.ispkg:
            module = importlib.import_module(f"passus.kernels.{info.name}")
            found |= {name: x for name, x in vars(module).items() if isinstance(x, Kernel)}
    return found


KERNELS = all_kernels()


# Arguments that suit each kernel.

IMAGES = channels_last(2, 5, 9, 8)
WINDOW = ((2, 1), ((1, 1), (0, 1)), (1, 2))
POOLED = (3, 2), (2, 2), ((1, 1), (0, 1))


def arguments() -> dict[str, tuple[Any, ...]]:
    x, W, b = IMAGES, drawn(6, 5, 3, 2), drawn(6)
    y = convolve.reference(x, W, b, *WINDOW, 1)
    wide, of_channels = channels_last(3, 20, 9, 8), [drawn(20) for _ in range(5)]
    pooled, places = max_pooling.reference(wide, *POOLED)
    rows, groups = drawn(30, 100), np.moveaxis(drawn(3, 6, 6, 4, 5), (-2, -1), (1, 2))
    statistics = [drawn(30, 1), drawn(30, 1)]
    long, labels = drawn(256, 256), rng.integers(0, 100, 30)
    p, slots = drawn(70, 30), [abs(drawn(70, 30)) for _ in range(3)]
    limits, betas = (0.0, 6.0), (0.9, 0.99)
    qkv, mask, causal = (
        (drawn(2, 6, 20, 7), drawn(2, 6, 50, 7), drawn(2, 6, 50, 9)),
        drawn(2, 1, 20, 50),
        Settings(0.3, True),
    )
    attended = attention.reference(*qkv, mask, causal)

    steps = {
        "lstm": (drawn(3, 9, 56), drawn(3, 9), drawn(3, 14), drawn(9, 56) / 8, None, drawn(14, 9)),
        "gru": (drawn(3, 9, 42), drawn(3, 14), None, drawn(14, 42) / 8, drawn(14), None),
    }
    ends = np.array([9, 0, 2])

    def of_gradient(cell: str, lengths: np.ndarray | None, reverse: bool) -> tuple[Any, ...]:
        xs, h, c, W_h, b_h, W_p = steps[cell]
        y, _, _, kept = recurrence.reference(cell, xs, h, c, W_h, b_h, W_p, lengths, reverse)
        gc = None if c is None else drawn(*c.shape)
        before = results_before(y, h, lengths, reverse)
        return cell, drawn(*y.shape), drawn(*h.shape), gc, y, before, c, *kept[:2], W_h, W_p, lengths, reverse

    def scratch(x: np.ndarray, index: int = 0) -> np.ndarray:
        return np.empty_like(x)

    return {
        "convolve": (x, W, b, *WINDOW, 1),
        "convolve_input_gradient": (y, W, (9, 8), *WINDOW, 1),
        "convolve_weight_gradient": (x, y, (3, 2), *WINDOW, 1),
        "max_pooling": (wide, *POOLED),
        "max_pooling_gradient": (channels_last(*pooled.shape), places, (9, 8), *POOLED),
        "average_pooling": (wide, *POOLED, 6.0),
        "average_pooling_gradient": (channels_last(*pooled.shape), (9, 8), *POOLED, 6.0),
        "channel_moments": (wide,),
        "channel_sums": (wide,),
        "scaled_channels": (wide, *of_channels[:3], limits),
        "channel_products": (channels_last(*wide.shape), wide, *of_channels[:3], limits),
        "scaled_gradient": (channels_last(*wide.shape), wide, *of_channels, limits),
        "normalized": (rows, drawn(100), drawn(100), (-1,), 1e-5),
        "normalized_gradients": (drawn(30, 100), rows, drawn(100), *statistics, (-1,)),
        "rms_normalized": (rows, drawn(100), (-1,), 1e-5),
        "rms_normalized_gradients": (drawn(30, 100), rows, drawn(100), statistics[0], (-1,)),
        "normalized in groups": (groups, drawn(4, 5, 1, 1), drawn(4, 5, 1, 1), (2, 3, 4), 1e-5),
        "normalized_gradients in groups": (
            drawn(*groups.shape),
            groups,
            drawn(4, 5, 1, 1),
            *[drawn(3, 4, 1, 1, 1) for _ in range(2)],
            (2, 3, 4),
        ),
        "attention": (*qkv, mask, causal),
        "attention of few queries": (qkv[0][..., :2, :], *qkv[1:], mask[..., :2, :] > 0, Settings(0.3)),
        "attention_gradients": (drawn(2, 6, 20, 9), *qkv, mask, *attended, causal),
        "softmax": (rows, 1),
        "softmax_gradient": (drawn(30, 100), rows, 1),
        "log_softmax": (rows, 1),
        "log_softmax_gradient": (drawn(30, 100), rows, -1),
        "cross_entropy": (rows, labels, 0.1),
        "cross_entropy_gradient": (drawn(30), rows, labels, rows.max(axis=1), 1 + abs(drawn(30)), None, 0.1),
        "recurrence": ("lstm", *steps["lstm"], ends, True),
        "recurrence of gru": ("gru", *steps["gru"], None, False),
        "recurrence_gradient": of_gradient("lstm", ends, True),
        "recurrence_gradient of gru": of_gradient("gru", None, False),
        "scatter_add": ((40, 25), rng.integers(-40, 40, 100), drawn(100, 25)),
        "product": (drawn(80, 70), drawn(70, 60), drawn(60)),
        "kept": (long, rng.integers(0, 9, long.shape, np.uint32), 4, 2.0),
        "limited": (long, *limits),
        "limited_sum": (long, drawn(256, 256), *limits),
        "limited_gradient": (long, drawn(256, 256), *limits),
        "sigmoid_gradient": (drawn(64, 70), drawn(64, 70)),
        "tanh_gradient": (drawn(64, 70), drawn(64, 70)),
        "ordered": (channels_last(300, 250)[:, :, None].transpose(1, 0, 2),),
        "sgd": (p, drawn(70, 30), 0.1, scratch),
        "momentum_sgd": (p, drawn(70, 30), slots[0], 0.1, 0.9, scratch),
        "nesterov": (p, drawn(70, 30), slots[0], 0.1, 0.9, scratch),
        "adam": (p, drawn(70, 30), *slots[:2], 0.1, betas, 1e-8, 0.99, scratch),
        "amsgrad": (p, drawn(70, 30), *slots, 0.1, betas, 1e-8, scratch),
        "rmsprop": (p, drawn(70, 30), slots[0], 0.1, 0.99, 1e-8, scratch),
        "adagrad": (p, drawn(70, 30), slots[0], 0.1, 1e-8, scratch),
        "lion": (p, drawn(70, 30), slots[0], 0.1, betas, 0.99, scratch),
    }


ARGUMENTS = arguments()


def test_each_kernel_is_tried() -> None:
    assert {name.split()[0] for name in ARGUMENTS} == set(KERNELS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_suit_the_kernel(name: str) -> None:
    assert KERNELS[name.split()[0]].suits(*ARGUMENTS[name])


# Arguments that do not.


class Subclass(np.ndarray):
    pass


def misaligned(x: np.ndarray) -> np.ndarray:
    y = np.frombuffer(bytearray(x.nbytes + 1), x.dtype, x.size, offset=1).reshape(x.shape)
    y[...] = x
    return y


def read_only(x: np.ndarray) -> np.ndarray:
    y = x.copy(order="K")
    y.flags.writeable = False
    return y


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=-1)[..., ::2]


def reversed_in_memory(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x[..., ::-1])[..., ::-1]


CHANGES: dict[str, Callable[[np.ndarray], Any]] = {
    "dropped axis": lambda x: x[0],
    "one more axis": lambda x: x[None],
    "one more axis at the end": lambda x: x[..., None],
    "flat": lambda x: x.reshape(-1),
    "transposed": lambda x: x.T,
    "transposed in memory": lambda x: np.ascontiguousarray(x.T).T,
    "C order": np.ascontiguousarray,
    "channels last": lambda x: np.moveaxis(
        np.ascontiguousarray(np.moveaxis(x, min(1, x.ndim - 1), -1)), -1, min(1, x.ndim - 1)
    ),
    "strided": strided,
    "reversed": reversed_in_memory,
    "one number stretched": lambda x: np.broadcast_to(x.reshape(-1)[:1].reshape((1,) * x.ndim), x.shape),
    "misaligned": misaligned,
    "read-only": read_only,
    "a subclass": lambda x: x.view(Subclass),
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "another byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "int32": lambda x: x.astype(np.int32),
    "uint8": lambda x: x.astype(np.uint8),
    "one number": lambda x: x.reshape(-1)[0],
    "no axes": lambda x: x.reshape(-1)[:1].reshape(()),
    "None": lambda x: None,
}


def resized(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The array with one axis smaller, larger, or empty."""
    for axis, n in enumerate(x.shape):
        for size in sorted({0, 1, n - 1, n + 1, 2 * n, 40 * n} - {n}):
            yield f"axis {axis} of {size}", np.take(x, np.arange(size) % n, axis=axis)


def changed(x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, np.ndarray):
        yield from ((name, change(x)) for name, change in CHANGES.items())
        yield from resized(x)
    elif isinstance(x, int):
        yield from ((str(n), n) for n in (-1, 0, x - 1, x + 1, x + 7, 40 * x) if n != x)
    elif isinstance(x, tuple) and x and not any(isinstance(n, float) for n in x):
        yield from (("shorter", x[:-1]), ("longer", (*x, x[-1])))
        for i, part in enumerate(x):
            yield from ((f"{i}: {name}", (*x[:i], other, *x[i + 1 :])) for name, other in changed(part))


def cases(arguments: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    yield "as it should be", arguments
    for i, x in enumerate(arguments):
        for name, other in changed(x):
            yield f"argument {i}: {name}", (*arguments[:i], other, *arguments[i + 1 :])


def guarded(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, slice]:
    """The same numbers at the same distances, with guards around them; the memory, and where in it they are."""
    low, high = np.lib.array_utils.byte_bounds(x)
    first = x.ctypes.data
    begin = GUARD + low % 64
    memory = np.full(begin + high - low + GUARD, 0xFF, np.uint8)
    inside = slice(begin, begin + high - low)
    memory[inside] = np.frombuffer(ctypes.string_at(low, high - low), np.uint8)
    y = np.ndarray(x.shape, x.dtype, memory.data, begin + first - low, x.strides).view(type(x))
    y.flags.writeable = x.flags.writeable
    return y, memory, inside


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...], native: bool) -> Any:
    """What a call returns and leaves in its arguments, or its error."""
    given, guards = [], []
    for x in arguments:
        if isinstance(x, np.ndarray) and x.size:
            x, *guard = guarded(x)
            guards.append(guard)
        given.append(x)
    try:
        with using_config("native", native):
            result: Any = function(*given)
        result = [x.copy() if isinstance(x, np.ndarray) else x for x in (*_all(result), *given)]
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "O" for x in result):  # NumPy takes None for an object.
            result = TypeError("no array of numbers")
    except Exception as error:
        result = error
    for memory, inside in guards:
        assert (memory[: inside.start] == 0xFF).all()
        assert (memory[inside.stop :] == 0xFF).all()
    return result


def _all(result: Any) -> tuple[Any, ...]:
    """The arrays of a result, those of a tuple in it among them."""
    if not isinstance(result, tuple):
        return (result,)
    return tuple([part for parts in result for part in (_all(parts) if isinstance(parts, tuple) else (parts,))])


def compare(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    found, expected = outcome(function, arguments, True), outcome(function, arguments, False)
    if isinstance(expected, Exception):
        assert isinstance(found, Exception), "no error"
        return
    assert not isinstance(found, Exception), f"{found!r} where there is a result"
    for x, y in zip(found, expected, strict=True):
        if isinstance(y, np.ndarray) and x is not None:
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            scale = np.abs(y[np.isfinite(y)]).max(initial=0.1) if y.dtype.kind == "f" else 0
            # A number of float16 is rounded once, from float32 numbers that differ in their last digits: by one place.
            rtol = max(1e-4, float(np.finfo(y.dtype).eps)) if y.dtype.kind == "f" else 0
            np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-4 * scale)


def compare_all(function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    wrong = []
    for name, others in cases(arguments):
        try:
            compare(function, others)
        except AssertionError as error:
            wrong.append(f"{name}: {str(error).strip()[:300]}")
    assert not wrong, "\n".join(wrong)


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
def test_indices_that_do_not_exist(dtype: np.dtype) -> None:
    """What they name is not looked for in memory, in whatever integers they are given."""
    x = drawn(100, 40)
    for i in INDICES:
        if not np.iinfo(dtype).min <= i <= np.iinfo(dtype).max:
            continue
        t = np.arange(100).astype(dtype) % dtype.type(40)
        t[7] = i
        cases = {
            "scatter_add": ((40, 30), t, drawn(100, 30)),
            "cross_entropy": (x, t),
            "cross_entropy_gradient": (drawn(100), x, t, x.max(axis=1), 1 + abs(drawn(100))),
        }
        for name, arguments in cases.items():
            if -40 <= i < 40:
                compare(KERNELS[name], arguments)
            else:
                assert isinstance(outcome(KERNELS[name], arguments, True), IndexError), (name, i)


def test_places_that_no_window_has() -> None:
    gy, places, *window = ARGUMENTS["max_pooling_gradient"]
    compare(KERNELS["max_pooling_gradient"], (gy, rng.integers(0, 256, places.shape, np.uint8), *window))


# Functions that choose a kernel by themselves.

SLOPES, BIAS = drawn(20), drawn(20)
ON_CHANNELS = channels_last(3, 20, 9, 8)
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    **{
        name: (getattr(F, name), (drawn(64, 70),))
        for name in ("relu", "sigmoid", "tanh", "gelu", "elu", "mish", "relu6")
    },
    "bias_activation": (lambda x, b: F.bias_activation(x, b, "gelu"), (drawn(300, 20), BIAS)),
    "bias_activation of channels": (lambda x, b: F.bias_activation(x, b, "relu", axis=1), (ON_CHANNELS, BIAS)),
    "prelu": (F.prelu, (ON_CHANNELS, SLOPES)),
    "batch_norm": (lambda x, gamma, beta: F.batch_norm(x, gamma, beta, None, None), (ON_CHANNELS, SLOPES, BIAS)),
    "layer_norm": (F.layer_norm, (drawn(300, 20), SLOPES, BIAS)),
    "rms_norm": (F.rms_norm, (drawn(300, 20), SLOPES)),
    "group_norm": (lambda x, gamma, beta: F.group_norm(x, gamma, beta, 4), (ON_CHANNELS, SLOPES, BIAS)),
    "conv2d": (lambda x, W: F.conv2d(x, W, pad=1), (ON_CHANNELS, drawn(7, 20, 3, 3))),
    "deconv2d": (lambda x, W: F.deconv2d(x, W, stride=2), (ON_CHANNELS, drawn(20, 7, 3, 3))),
    "pooling": (lambda x: F.pooling(x, 2, stride=2), (ON_CHANNELS,)),
    "average_pooling": (lambda x: F.average_pooling(x, 2, stride=2), (ON_CHANNELS,)),
    "attention": (F.scaled_dot_product_attention, (drawn(3, 20, 8), drawn(3, 30, 8), drawn(3, 30, 9))),
    "softmax": (F.softmax, (drawn(300, 20),)),
    "log_softmax": (F.log_softmax, (drawn(300, 20),)),
    "linear": (F.linear, (drawn(80, 70), drawn(70, 60), drawn(60))),
    "embed_id": (lambda W: F.embed_id(np.arange(300) % 40, W), (drawn(40, 30),)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_rule_called_by_hand_is_given_any_gradient(name: str) -> None:
    function, inputs = FUNCTIONS[name]
    y = function(*[Variable(x) for x in inputs])

    def rule(gy: Any) -> tuple[Any, ...]:
        if gy is None:
            raise ValueError("a rule is never given None alone")
        gxs = _all(y.creator.backward(gy))
        # What broadcasting has stretched may come as it is.
        return tuple([F.sum_to(gx, x.shape) if gx is not None else None for gx, x in zip(gxs, y.creator.inputs)])

    compare_all(rule, (drawn(*y.shape),))


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
    """The graph knows nothing of the new array: there is an error, and no gradient has changed."""
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


def test_data_of_the_same_shape_are_no_matter_where_no_rule_reads_them() -> None:
    x = Variable(drawn(3))
    y = x + 1.0
    z = y + 1.0
    y.data = drawn(3)
    z.backward()
    assert x.grad.data.tolist() == [1, 1, 1]


def test_a_gradient_goes_with_data_of_its_shape() -> None:
    x = Variable(drawn(3))
    (x * 2.0).backward()
    x.data = drawn(5)
    assert x.grad is None
    (x * 2.0).backward()
    assert x.grad.data.tolist() == [2] * 5


def test_a_seed_has_the_shape_of_the_result() -> None:
    x = Variable(drawn(4096))
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

"""The choice between a kernel and its reference: by size and dtype, after checkpoints, and without a working compiler."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable, using_config
from passus.errors import PassusWarning
from passus.kernels import dispatch, products, warm_up, warming
from passus.kernels.convolution import convolve, convolve_input_gradient, convolve_weight_gradient
from passus.layers import Conv2d, Sequential
from passus.models import MLP, EfficientNetLite0, MobileNetV2
from passus.optimizers import Adam
from passus.random import using_rng


def test_large_arrays_take_the_kernel_and_its_gradients_are_right(
    kernel_calls: list[str], rng: np.random.Generator
) -> None:
    x, W = (
        Variable(rng.standard_normal((16, 8, 32, 32), np.float32)),
        Variable(rng.standard_normal((16, 8, 3, 3), np.float32)),
    )
    grads = []
    for on in (True, False):
        with using_config("native", on):
            x.cleargrad()
            W.cleargrad()
            F.sum(F.conv2d(x, W, pad=1) ** 2).backward(create_graph=True)
            first = x.grad
            W.cleargrad()
            F.sum(first**2).backward()
            grads.append([first.data, W.grad.data])
    assert set(kernel_calls) == {"convolve", "convolve_input_gradient", "convolve_weight_gradient"}
    for fast, plain in zip(*grads):
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-4 * abs(plain).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_arrays_and_other_dtypes_never_wait_for_a_compiler(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(name: str) -> None:
        raise AssertionError(f"{name} was asked for")

    monkeypatch.setattr(dispatch, "native_module", asked)
    monkeypatch.setattr(dispatch, "_in_use", False)
    size = 8 if dtype == np.float32 else 64
    F.conv2d(np.zeros((8, 3, size, size), dtype), np.zeros((8, 3, 3, 3), dtype))


@pytest.mark.compiles
def test_once_kernels_are_in_use_small_arrays_take_them_too_and_so_after_a_checkpoint(tmp_path: Path) -> None:
    first = """
        import sys, numpy as np, passus.functions as F
        from passus.kernels.dispatch import in_use
        from passus.serializers import load_checkpoint, save_checkpoint
        small, large = np.zeros((1, 3, 8, 8), np.float32), np.zeros((16, 8, 64, 64), np.float32)
        F.conv2d(small, np.zeros((4, 3, 3, 3), np.float32))
        assert not in_use() and "numba" not in sys.modules
        F.conv2d(large, np.zeros((16, 8, 3, 3), np.float32))
        assert in_use()
        save_checkpoint(sys.argv[1])
    """
    second = """
        import sys, numpy as np
        from passus.kernels.dispatch import in_use
        from passus.serializers import load_checkpoint
        assert not in_use()
        load_checkpoint(sys.argv[1])
        assert in_use()
    """
    for script in (first, second):
        path = str(tmp_path / "run.safetensors")
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], check=True)


def test_without_numba_there_is_one_warning() -> None:
    script = """
        import sys, warnings
        sys.modules["llvmlite"] = sys.modules["numba"] = None
        import numpy as np, passus.functions as F
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(2):
                F.conv2d(np.zeros((16, 8, 64, 64), np.float32), np.zeros((16, 8, 3, 3), np.float32))
        (warning,) = seen
        print(warning.category.__name__, warning.message)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "PassusWarning" in done.stdout
    assert "pip install numba" in done.stdout


def test_a_broken_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from passus.kernels.native import processor

    def broken() -> None:
        raise OSError("no LLVM")

    monkeypatch.setattr(processor, "probe", broken)
    dispatch._numba_works.cache_clear()
    dispatch._loaded.cache_clear()
    try:
        with pytest.warns(PassusWarning, match="no LLVM"):
            assert convolve.compiled() is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert convolve.compiled() is None
    finally:
        dispatch._numba_works.cache_clear()
        dispatch._loaded.cache_clear()


def kernel_factories() -> Iterator[tuple[Any, str]]:
    """Yield the module and name of each cached function in the modules of kernels that declares one when it is called."""
    for module in [value for name, value in sys.modules.items() if name.startswith("passus.kernels.native.")]:
        for name, value in vars(module).items():
            if hasattr(value, "cache_info") and value.__annotations__["return"] in ("Callable[..., None]", "Kernel"):
                yield module, name


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[Any, ...]]]:
    """What the factories of kernels are asked for. They are replaced, so nothing is compiled."""
    for name in warming.MODULES:
        assert dispatch.native_module(name) is not None
    native = {name: dispatch.native_module(name) for name in ("convolution", "products", "tile", "winograd")}
    asked: set[tuple[Any, ...]] = set()

    def recording(name: str, factory: Any, *options: Any) -> Any:
        asked.add((name, *options))
        return NoKernel(partial(factory, *options))

    for module, name in [*kernel_factories()]:
        monkeypatch.setattr(module, name, partial(recording, name, getattr(module, name)))
    for module, name in [
        *(("convolution", "_convolution"), ("convolution", "_weight_gradient"), ("products", "_product")),
        *(("winograd", "_winograd"), ("winograd", "_winograd_gradient")),
    ]:
        monkeypatch.setattr(native[module], name, NoKernel(partial(as_it_is, getattr(native[module], name))))
    cached = [getattr(native["tile"], name) for name in ("tiles", "tiles_for", "even_tiles_for")]
    for function in cached:
        function.cache_clear()
    yield asked
    for function in cached:
        function.cache_clear()


def requested_by_warm_up(requested: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch.native_module("compiling").Kernel, "build", lambda kernel: None)
        assert warm_up()
    prepared = {*requested}
    requested.clear()
    return prepared


def as_it_is(kernel: Any) -> Any:
    return kernel


class NoKernel:
    """In place of a kernel. ``declare``: returns that kernel, whose types are needed where it is called at its address."""

    address = 0

    def __init__(self, declare: Callable[[], Any]) -> None:
        self._declare = declare

    @property
    def declared_types(self) -> Any:
        return self._declare().declared_types

    def __call__(self, *args: Any) -> None:
        """Nothing is written."""


def test_warm_up_requests_all_tiles_that_convolutions_and_products_use(requested: set[tuple[Any, ...]]) -> None:
    prepared = requested_by_warm_up(requested)
    assert prepared > {("_activation", "gelu"), ("_biased_gradient", "gelu"), ("_forward", "lstm"), ("few_queries",)}

    window = (1, 1), ((0, 0), (0, 0)), (1, 1)
    for pixels, channels in product(range(1, 66), (1, 5, 8, 9, 16, 32, 37)):
        x, W = np.zeros((1, 3, 1, pixels + 1), np.float32), np.zeros((channels, 3, 1, 2), np.float32)
        y = np.zeros((1, channels, 1, pixels), np.float32)
        with np.errstate(all="ignore"):  # The results are never written.
            convolve.compiled()(x, W, None, *window, 1)
            convolve_input_gradient.compiled()(y, W, x.shape[2:], *window, 1)
            convolve_weight_gradient.compiled()(x, y, W.shape[2:], *window, 1)
            products.product.compiled()(np.zeros((pixels, 4), np.float32), np.zeros((4, channels), np.float32))
    assert {name for name, *_ in requested} == {"_tiles"}
    assert requested <= prepared


@pytest.mark.parametrize("model", [MobileNetV2, EfficientNetLite0])
def test_warm_up_requests_the_depthwise_convolutions_of_models(model: Any, requested: set[tuple[Any, ...]]) -> None:
    prepared = requested_by_warm_up(requested)
    with np.errstate(all="ignore"):
        model(num_classes=2, rng=0)(np.zeros((1, 3, 224, 224), np.float32)).sum().backward()
    assert {name for name, *_ in requested} >= {"_depthwise", "_depthwise_gradient", "_depthwise_input_gradient"}
    assert requested <= prepared


def inference() -> tuple[Any, tuple[Any, ...]]:
    """A network whose convolutions and poolings take all kernels that a recorded step puts on the machine."""
    model = Sequential(
        Conv2d(32, 3, pad=1, in_channels=3, rng=0),
        F.relu,
        Conv2d(32, 3, pad=1, in_channels=32, rng=1),
        Conv2d(32, 3, pad=1, in_channels=32, groups=32, rng=2),
        lambda x: F.pooling(x, 2, stride=2),
        lambda x: F.average_pooling(x, 2, stride=2),
        Conv2d(1, 5, in_channels=32, rng=3),
    )
    return model, (np.zeros((2, 3, 56, 56), np.float32),)


def training() -> tuple[Any, tuple[Any, ...]]:
    """A step that trains a perceptron."""
    with using_rng(0):
        model = MLP((20, 20, 5), in_size=7)
    optimizer = Adam().setup(model)

    def step(x: Any, t: Any) -> Variable:
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step, (np.ones((16, 7), np.float32), np.arange(16) % 5)


@pytest.mark.parametrize(("make", "calls_kernels"), [(inference, True), (training, False)])
def test_warm_up_requests_what_recorded_steps_put_on_the_machine(
    make: Any, calls_kernels: bool, requested: set[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = requested_by_warm_up(requested)
    declared = {kernel.label for kernel in warming.all_kernels()}
    on_machine: set[str] = set()

    def address(kernel: Any) -> int:
        on_machine.add(kernel.label)
        return 0

    step, args = make()
    step = passus.compile(step)
    requested.clear()
    with np.errstate(all="ignore"):
        step.warm_up(*args)
        monkeypatch.setattr(dispatch.native_module("compiling").Kernel, "address", property(address))
        step.versions[0]._prepare()  # The program is never run: nothing is at the address 0.
    assert [type(i.function).__name__ for i in step.versions[0].executed.instructions] == ["Machine"]
    assert requested <= prepared
    assert on_machine <= declared
    callers = {name for name in prepared if name[0] == "_operation"}
    assert requested & callers == (callers if calls_kernels else set())
    assert on_machine >= (set() if calls_kernels else {"machine.elementwise", "machine.adam"})

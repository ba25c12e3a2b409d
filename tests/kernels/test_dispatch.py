"""The choice between a kernel and its reference: by size and dtype, after checkpoints, and without a working compiler."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable, using_config
from passus.errors import PassusWarning
from passus.kernels import dispatch, warm_up
from passus.kernels.convolution import convolve


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


@pytest.mark.slow
def test_warming_up_leaves_nothing_to_compile() -> None:
    assert warm_up()
    known = dispatch.native_module("convolution")._convolution
    before = known.cache_info().currsize
    x, W = np.zeros((1, 3, 9, 13), np.float32), np.zeros((40, 3, 3, 3), np.float32)
    convolve.compiled()(x, W, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert known.cache_info().currsize == before

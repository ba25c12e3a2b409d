"""Which of several algorithms a compiled kernel uses: one that is never used would otherwise go unnoticed, for results are equal."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from passus.kernels import get_num_threads, set_num_threads
from passus.kernels.convolution import convolve, convolve_input_gradient, convolve_weight_gradient
from passus.kernels.dispatch import native_module
from passus.kernels.layout import window_counts
from passus.kernels.products import PRODUCTS_IN_FLOAT32, product

pytestmark = pytest.mark.skipif(native_module("convolution") is None, reason="Numba is missing")


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(4)
    yield
    set_num_threads(before)


# Convolution: (images, weights, stride, padding, groups), and the algorithms for the output, the gradient for the images and that
# for the weights.

RESULTS = {
    "winograd_plan": lambda *_: lambda *_: [],
    "winograd_gradient": lambda x, gy, columns, window: np.zeros((9, x.shape[3] * gy.shape[3])),
    "depthwise_plan": lambda *_: lambda *_: [],
    "depthwise_input_gradient": lambda gx, *_: None,
    "depthwise_gradient": lambda x, gy, kernel, window: np.zeros((x.shape[3], *kernel)),
    "add_columns": lambda *_: native_module("works").Work(lambda *_: None, (), 1, 1),
    "joined_kernel": None,
    "joined_gradient": None,
    "_merged_rows": None,
    "_planned_by_tiles": lambda *_: lambda *_: [],
    "_gradient_by_tiles": lambda x, gy, kernel, window, groups: np.zeros(
        (gy.shape[3], x.shape[3] // groups, *kernel), np.float32
    ),
}
"""Functions of each algorithm, and what they return here instead of compiling and computing; None: they are called."""

CONVOLUTIONS = {
    "3 x 3": (
        ((2, 32, 16, 16), (32, 32, 3, 3), (1, 1), ((1, 1), (1, 1)), 1),
        (["winograd_plan"], ["winograd_plan"], ["winograd_gradient"]),
    ),
    "3 x 3 with a stride": (
        ((2, 32, 16, 16), (32, 32, 3, 3), (2, 2), ((1, 1), (1, 1)), 1),
        (["_planned_by_tiles"], ["_planned_by_tiles"] * 4, ["_gradient_by_tiles"]),
    ),
    "each channel by itself": (
        ((2, 32, 16, 16), (32, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), 32),
        (["depthwise_plan"], ["depthwise_plan"], ["depthwise_gradient"]),
    ),
    "each channel by itself with a stride": (
        ((2, 32, 16, 16), (32, 1, 3, 3), (2, 2), ((1, 1), (1, 1)), 32),
        (["depthwise_plan"], ["depthwise_input_gradient"], ["depthwise_gradient"]),
    ),
    "few channels, whose neighbours are joined": (
        ((2, 1, 16, 16), (2, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), 1),
        (
            ["joined_kernel", "_planned_by_tiles"],
            ["joined_kernel", "_planned_by_tiles"],
            ["_gradient_by_tiles", "joined_gradient"],
        ),
    ),
    "few channels, as columns of a large kernel": (
        ((2, 64, 20, 20), (1, 64, 9, 9), (1, 1), ((4, 4), (4, 4)), 1),
        (
            ["_planned_by_tiles", "add_columns"],
            ["_planned_by_tiles"],
            ["_gradient_by_tiles", "joined_gradient"],
        ),
    ),
    "groups": (
        ((2, 32, 16, 16), (32, 16, 3, 3), (1, 1), ((1, 1), (1, 1)), 2),
        (["_planned_by_tiles"], ["_planned_by_tiles"], ["_gradient_by_tiles"]),
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_algorithm_of_a_convolution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (x_shape, W_shape, stride, padding, groups), expected = CONVOLUTIONS[name]
    native, calls = native_module("convolution"), []

    def noted(called: str, result: Any) -> Any:
        return lambda *args: calls.append(called) or result(*args)

    for called, result in RESULTS.items():
        monkeypatch.setattr(native, called, noted(called, result or getattr(native, called)))
    x, W = np.zeros(x_shape, np.float32), np.zeros(W_shape, np.float32)
    gy = np.zeros((len(x), len(W), *window_counts(x_shape[2:], W_shape[2:], stride, padding)), np.float32)
    window = stride, padding, (1, 1), groups
    for kernel, arguments, algorithm in zip(
        (convolve, convolve_input_gradient, convolve_weight_gradient),
        ((x, W, None, *window), (gy, W, x_shape[2:], *window), (x, gy, W_shape[2:], *window)),
        expected,
    ):
        calls.clear()
        kernel.compiled()(*arguments)
        assert calls == algorithm


@pytest.mark.parametrize(("kernel", "rows"), [(1, 2), (3, 0)])
def test_pixels_of_pointwise_convolutions_are_merged_rows(
    kernel: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    native, calls = native_module("convolution"), []
    merged_rows = native._merged_rows
    monkeypatch.setattr(native, "_merged_rows", lambda size: calls.append(size) or merged_rows(size))
    monkeypatch.setattr(native, "_convolution", lambda *sizes: lambda *arguments: None)
    x, W = np.zeros((2, 4, 5, 7), np.float32), np.zeros((40, 4, kernel, kernel), np.float32)
    convolve.compiled()(x, W, None, (1, 1), ((kernel // 2,) * 2,) * 2, (1, 1), 1)
    assert len(calls) == rows


@pytest.mark.parametrize(("pad", "copied"), [(0, False), (1, True)])
def test_images_without_a_border_are_read_in_place(pad: int, copied: bool) -> None:
    bands = importlib.import_module("passus.kernels.native.bands")
    window = bands.Window2d(1, 1, 1, 1, pad, pad)
    found = bands.bands_of((2, 16, 16, 8), (14 + 2 * pad, 14 + 2 * pad, 8), (3, 3), window)
    assert (found.size > 0) is copied


@pytest.mark.parametrize(("channels_last", "copied"), [(False, True), (True, False)])
def test_images_of_users_are_transposed_by_a_kernel(
    channels_last: bool, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts = importlib.import_module("passus.kernels.native.layouts")
    calls, run = [], layouts.run
    monkeypatch.setattr(layouts, "run", lambda *args: calls.append(args) or run(*args))
    x = np.zeros((2, 5, 5, 3), np.float32).transpose(0, 3, 1, 2)
    layouts.with_channels_last(x if channels_last else np.ascontiguousarray(x))
    assert bool(calls) is copied


# Products of matrices.


@pytest.mark.parametrize(
    ("shape", "order", "by_tiles"),
    [
        ((300, 60, 700), "C", True),
        ((700, 60, 512), "C", True),
        ((4000, 60, 100), "C", False),
        ((700, 60, 300), "F", False),
        ((4, 1200, 700), "F", True),
    ],
)
def test_shares_of_a_product_are_columns_or_rows(
    shape: tuple[int, int, int], order: str, by_tiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    native, calls = native_module("products"), []
    monkeypatch.setattr(native._Product, "_compute", lambda self, *args: calls.append(args))
    n, k, m = shape
    product.compiled()(np.zeros((n, k), np.float32, order), np.zeros((k, m), np.float32))
    ((found, share, count, threads),) = calls
    assert (found, threads) == (by_tiles, 4)
    assert share < count


@pytest.mark.parametrize(("order", "columns", "steps"), [("C", 100, (60, 1)), ("F", 60, (1, 50)), ("F", 1000, (0, 0))])
def test_left_matrices_are_read_in_place_but_transposed_ones_of_wide_products(
    order: str, columns: int, steps: tuple[int, int]
) -> None:
    native = native_module("products")
    found = native._Product(np.zeros((50, 60), np.float32, order), np.zeros((60, columns), np.float32))
    assert found.steps == steps


def test_long_products_are_summed_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    native, depths = native_module("products"), []
    compiled, count = native.product, 2 * PRODUCTS_IN_FLOAT32 + 100
    monkeypatch.setattr(native, "product", lambda a, *args: depths.append(a.shape[1]) or compiled(a, *args))
    product.compiled()(np.zeros((8, count), np.float32), np.zeros((count, 40), np.float32))
    assert depths == [count, PRODUCTS_IN_FLOAT32, PRODUCTS_IN_FLOAT32, 100]

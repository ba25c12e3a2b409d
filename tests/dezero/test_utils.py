from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Function, Variable, utils
from passus.errors import ArgumentError, DTypeError, ShapeError
from passus.testing import check_grads, gradient_check, numerical_grad


@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3), 0), ((2, 3), -1), ((2, 3, 4), (0, 2)), ((2, 3), None), ((0, 3), 0), ((), None)]
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reshape_sum_backward_broadcasts_to_the_input(shape: Any, axis: Any, keepdims: bool) -> None:
    x = np.ones(shape)
    expected = x.sum(axis=axis, keepdims=True)
    gy = x.sum(axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(utils.reshape_sum_backward(gy, shape, axis, keepdims), expected, strict=True)
    assert utils.reshape_sum_backward(Variable(np.asarray(gy)), shape, axis, keepdims).shape == expected.shape
    assert utils.max_backward_shape(x, axis) == expected.shape


def test_logsumexp_keeps_the_reduced_axis() -> None:
    x = np.array([[1000.0, 1000.0], [0.0, -np.inf]])
    np.testing.assert_allclose(utils.logsumexp(x), [[1000 + np.log(2)], [0.0]])


@pytest.mark.parametrize("size", [5, 6, 7])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(1, 1, 0), (3, 1, 1), (3, 2, 1), (5, 3, 2)])
def test_output_sizes_of_convolution_and_deconvolution(size: int, kernel: int, stride: int, pad: int) -> None:
    padded = np.zeros(size + 2 * pad)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel)[::stride]
    assert utils.get_conv_outsize(size, kernel, stride, pad) == len(windows)
    length = utils.get_deconv_outsize(len(windows), kernel, stride, pad)
    assert utils.get_conv_outsize(length, kernel, stride, pad) == len(windows)
    assert utils.get_conv_outsize(length - 1, kernel, stride, pad) == len(windows) - 1 or length == 1


def test_invalid_window_sizes_raise() -> None:
    with pytest.raises(ShapeError, match="does not fit"):
        utils.get_conv_outsize(2, 5, 1, 1)
    with pytest.raises(ShapeError, match="less padding"):
        utils.get_deconv_outsize(1, 3, 1, 2)
    for kernel, stride in ((0, 1), (3, 0)):
        with pytest.raises(ArgumentError, match="at least 1"):
            utils.get_conv_outsize(5, kernel, stride, 0)
        with pytest.raises(ArgumentError, match="at least 1"):
            utils.get_deconv_outsize(5, kernel, stride, 0)


def test_pair() -> None:
    assert utils.pair(2) == utils.pair((2, 2)) == (2, 2)
    for wrong in ((1, 2, 3), "ab", 2.0):
        with pytest.raises(DTypeError, match="neither a number nor a tuple"):
            utils.pair(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("check", [numerical_grad, gradient_check, check_grads])
def test_a_step_among_the_arguments_of_the_function_is_explained(check: Callable[..., Any]) -> None:
    class Twice(Function):
        def forward(self, x: Any) -> Any:
            return 2 * x

        def backward(self, gy: Any) -> Any:
            return 2 * gy

    x = np.array([1.0, 2.0])
    for f in (lambda x: x**2, Twice(), F.sum):
        with pytest.raises(
            DTypeError, match=rf"{check.__name__}: arguments after x are.*{check.__name__}\(f, x, eps=0.5"
        ):
            check(f, x, 0.5)
    with pytest.raises(TypeError, match=r"lambda>\(\) takes 1 positional argument but 2 were given$"):
        check(lambda x: x**2, x, "a")
    np.testing.assert_allclose(numerical_grad(F.leaky_relu, -x, 0.1), 0.1)


def test_the_step_of_gradient_check_is_eps() -> None:
    x = np.array([1.0, -1.0])
    assert gradient_check(abs, x, eps=1e-3)
    assert not gradient_check(abs, x, eps=2.0), "differences across the kink"

"""Convolution layers for signals, images and volumes, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

import passus.functions as F
from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.core import Operand, Parameter, Result
from passus.errors import ArgumentError, ShapeError
from passus.functions.checks import check_activation
from passus.functions.nn.windows import check_pad_mode, per_axis, window_of
from passus.initializers import Initializer, lecun_normal, normal
from passus.layers.base import Layer
from passus.layers.inputs import check_channels_second, in_dtype_of_parameter
from passus.layers.lazy import LazyParameter, length
from passus.random import RNG

__all__ = ["Conv1d", "Conv2d", "Conv3d", "Deconv1d", "Deconv2d", "Deconv3d"]


class ConvolutionBase(Layer):
    """The base of convolution layers: the options of the window, a kernel W that may be lazy, and a bias b."""

    axes: ClassVar[int]
    """The number of spatial axes."""
    function: ClassVar[Callable[..., Result]]

    def __new__(cls, *given: Any, **named: Any) -> Self:
        init: Any = cls.__init__
        if len(given) > 2 and init in (Convolution.__init__, Deconvolution.__init__):
            _check_order(cls.__name__, *given[:3])
        return super().__new__(cls, *given, **named)

    def _set_options(
        self, out_channels: int, kernel_size: Any, stride: Any, pad: Any, dilation: Any, groups: int
    ) -> None:
        name = type(self).__name__
        self.out_channels = checked_count(name, "out_channels", out_channels)
        self.kernel_size, self.stride, self.pad, self.dilation = kernel_size, stride, pad, dilation
        self.groups = checked_count(name, "groups", groups)
        self._per_group("out_channels", self.out_channels)
        window_of(name, self._kernel, self._kernel, stride, pad, dilation)  # Raises for invalid options.

    @property
    def _kernel(self) -> tuple[int, ...]:
        """The size of the kernel on each spatial axis."""
        return per_axis(type(self).__name__, "kernel_size", self.kernel_size, self.axes)

    def _per_group(self, name: str, channels: int) -> int:
        """The number of channels per group. Raises `ShapeError` if the groups do not divide the channels."""
        if channels % self.groups:
            raise ShapeError(f"{type(self).__name__}: {name}={channels} must be a multiple of groups={self.groups}")
        return channels // self.groups

    def _bias(self, nobias: bool, dtype: DTypeLike) -> Parameter | None:
        order = "; output channels and kernel size come first, and input channels are inferred on the first call"
        if checked_flag(type(self).__name__, "nobias", nobias, order):
            return None
        return Parameter(np.zeros(self.out_channels, dtype), name="b")


def _check_order(name: str, out_channels: Any, kernel: Any, stride: Any) -> None:
    """Raise `ArgumentError` for three numbers that look like PyTorch's order: input channels, output channels, kernel
    size.
    """
    if all(isinstance(n, (int, np.integer)) for n in (out_channels, kernel, stride)) and not _is_usual(kernel, stride):
        raise ArgumentError(
            f"{name}({out_channels}, {kernel}, {stride}) means {out_channels} output channels, kernels of {kernel} and "
            f"stride {stride}. Input channels are inferred on the first call, so PyTorch's Conv({out_channels}, "
            f"{kernel}, {stride}) is {name}({kernel}, {stride}) here; to set the stride, write stride={stride}"
        )


def _is_usual(kernel: int, stride: int) -> bool:
    """Whether a kernel size and a stride are a usual pair. Few pairs of output channels and kernel size are.

    >>> [_is_usual(*pair) for pair in ((3, 1), (1, 2), (4, 2), (11, 4), (16, 16), (16, 3), (32, 3), (64, 1))]
    [True, True, True, True, True, False, False, False]
    """
    if stride in (kernel, kernel / 2):
        return stride != 3 or kernel == 3
    if stride == 1:
        return kernel <= 4 or kernel % 2 == 1
    return stride in (2, 4) and kernel <= 11 and (kernel % 2 == 1 or kernel <= 6)


class Convolution(ConvolutionBase):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad: Any = 0,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        in_channels: int | None = None,
        dilation: Any = 1,
        groups: int = 1,
        pad_mode: str = "zeros",
        initializer: Initializer | None = None,
        rng: RNG = None,
        activation: str | None = None,
    ) -> None:
        name = type(self).__name__
        self._set_options(out_channels, kernel_size, stride, pad, dilation, groups)
        self.activation = None if activation is None else check_activation(name, activation)
        self.pad_mode = check_pad_mode(name, pad_mode)
        known = in_channels
        if in_channels is not None:
            known = self._per_group("in_channels", checked_count(name, "in_channels", in_channels))
        shape = (self.out_channels, known, *self._kernel)
        self.W = LazyParameter(shape, initializer or lecun_normal, dtype, rng, name="W")
        self.b = self._bias(nobias, dtype)

    def forward(self, x: Operand) -> Result:
        if self.W._data is None:
            check_channels_second(type(self).__name__, x)
            self.W.resolve(self._per_group("the channels of x", length(self.function.__name__, x, 1)))
        x = in_dtype_of_parameter(self, x, self.W)
        options = (self.stride, self.pad, self.dilation, self.groups, self.pad_mode)
        if self.activation is None:
            return self.function(x, self.W, self.b, *options)
        return F.bias_activation(self.function(x, self.W, None, *options), self.b, self.activation, axis=1)


class Conv1d(Convolution):
    """The convolution of signals, (N, C, L) to (N, O, OL); options as in `Conv2d`.

    >>> layer = Conv1d(4, 3, pad=((2, 0),), rng=0)  # Causal: no output depends on later inputs.
    >>> layer(np.ones((2, 3, 8), np.float32)).shape
    (2, 4, 8)
    """

    axes = 1
    function = staticmethod(F.conv1d)


class Conv2d(Convolution):
    """The convolution of images, (N, C, H, W) to (N, O, OH, OW), with a kernel W (O, C / groups, KH, KW) and a bias b
    (O,).

    ``out_channels``: O. ``kernel_size``, ``stride``, ``pad``, ``dilation``, ``groups``, ``pad_mode``: as in
    `passus.functions.conv2d`. ``nobias``: no b. ``in_channels``: C; inferred on the first call by default.
    ``initializer``: of W, `lecun_normal` by default; b starts at 0. ``rng``: generator or seed for W. ``activation``:
    the name of an activation that is fused with the addition of b, see `passus.functions.bias_activation`.

    Raises `ShapeError` for images with other channels or smaller than the kernel, and for channels that are no multiple
    of groups; `ArgumentError` for an unknown activation.

    >>> layer = Conv2d(8, 3, stride=2, pad=1, rng=0)
    >>> layer(np.ones((2, 3, 32, 32), np.float32)).shape
    (2, 8, 16, 16)
    >>> layer.W.shape
    (8, 3, 3, 3)
    """

    axes = 2
    function = staticmethod(F.conv2d)


class Conv3d(Convolution):
    """The convolution of volumes or videos, (N, C, D, H, W) to (N, O, OD, OH, OW); options as in `Conv2d`.

    >>> layer = Conv3d(4, (1, 3, 3), pad="same", rng=0)
    >>> layer(np.ones((2, 3, 4, 8, 8), np.float32)).shape
    (2, 4, 4, 8, 8)
    """

    axes = 3
    function = staticmethod(F.conv3d)


class Deconvolution(ConvolutionBase):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad: Any = 0,
        nobias: bool = False,
        dtype: DTypeLike = np.float32,
        in_channels: int | None = None,
        outsize: Any = None,
        dilation: Any = 1,
        groups: int = 1,
        initializer: Initializer | None = None,
        rng: RNG = None,
    ) -> None:
        name = type(self).__name__
        self._set_options(out_channels, kernel_size, stride, pad, dilation, groups)
        self.outsize = outsize if outsize is None else per_axis(name, "outsize", outsize, self.axes)
        if in_channels is not None:
            self._per_group("in_channels", checked_count(name, "in_channels", in_channels))
        shape = (in_channels, self.out_channels // self.groups, *self._kernel)
        self.W = LazyParameter(shape, initializer or partial(_lecun_normal, groups=self.groups), dtype, rng, name="W")
        self.b = self._bias(nobias, dtype)

    def forward(self, x: Operand) -> Result:
        if self.W._data is None:
            check_channels_second(type(self).__name__, x)
            channels = length(self.function.__name__, x, 1)
            self._per_group("the channels of x", channels)
            self.W.resolve(channels)
        x = in_dtype_of_parameter(self, x, self.W)
        options = (self.stride, self.pad, self.outsize, self.dilation, self.groups)
        return self.function(x, self.W, self.b, *options)


def _lecun_normal(shape: tuple[int, ...], dtype: DTypeLike, rng: RNG, *, groups: int) -> Array:
    """`lecun_normal` for a kernel (C, O / groups, ...), whose first axis is that of the inputs."""
    fan_in = shape[0] // groups * math.prod(shape[2:])
    return normal(shape, dtype, rng, std=1.0 / math.sqrt(fan_in or 1.0))


class Deconv1d(Deconvolution):
    """The transposed convolution of signals, (N, C, L) to (N, O, OL); options as in `Deconv2d`.

    >>> layer = Deconv1d(4, 2, stride=2, rng=0)
    >>> layer(np.ones((2, 3, 8), np.float32)).shape
    (2, 4, 16)
    """

    axes = 1
    function = staticmethod(F.deconv1d)


class Deconv2d(Deconvolution):
    """The transposed convolution of images, (N, C, H, W) to (N, O, OH, OW), with W (C, O / groups, KH, KW) and b (O,).

    ``out_channels``: O. ``kernel_size``, ``stride``, ``pad``, ``outsize``, ``dilation``, ``groups``: as in
    `passus.functions.deconv2d`. Other options: see `Conv2d`; an ``initializer`` is called with the shape of W.

    Raises `ShapeError` for images with other channels, or an impossible ``outsize``.

    >>> layer = Deconv2d(3, 4, stride=2, pad=1, rng=0)
    >>> layer(np.ones((2, 8, 16, 16), np.float32)).shape
    (2, 3, 32, 32)
    >>> layer.W.shape
    (8, 3, 4, 4)
    """

    axes = 2
    function = staticmethod(F.deconv2d)


class Deconv3d(Deconvolution):
    """The transposed convolution of volumes, (N, C, D, H, W) to (N, O, OD, OH, OW); options as in `Deconv2d`.

    >>> layer = Deconv3d(4, 2, stride=2, rng=0)
    >>> layer(np.ones((1, 3, 4, 4, 4), np.float32)).shape
    (1, 4, 8, 8, 8)
    """

    axes = 3
    function = staticmethod(F.deconv3d)

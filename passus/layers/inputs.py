"""What a layer with parameters does about its input before it computes: the dtype, and the order of the axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import is_array
from passus.core import Operand, Parameter, Variable
from passus.functions.checks import channels_last
from passus.functions.nn.windows import channels_are_last
from passus.layers.parts import Holder
from passus.notices import notice

__all__ = ["check_channels_second", "in_dtype_of_parameter"]


def in_dtype_of_parameter(layer: Holder, x: Operand, parameter: Parameter) -> Operand:
    """A constant in the dtype of a parameter, where that of the result would else be a wider one.

    Data in float64 would make all that follows float64, which takes several times as long. What gradients flow to stays as
    it is, so that its gradient has its own precision. Each layer warns once of either.
    """
    data = x._data if isinstance(x, Variable) else x
    if getattr(data, "dtype", None) is parameter._data.dtype:
        return x  # What it nearly always is, found out quickly.
    return _converted(layer, x, data, parameter)


def _converted(layer: Holder, x: Any, data: Any, parameter: Parameter) -> Operand:
    if not is_array(data):
        return x  # The function that is called next names what it was given.
    dtype, given = parameter.dtype, data.dtype
    if given == dtype or given.kind not in "fiu":
        return x
    if given.kind == "f" and given.itemsize < dtype.itemsize:
        return x  # float16 becomes float32 by itself.
    differentiable = isinstance(x, Variable) and x.requires_grad
    if "_warned_of_dtype" not in layer.__dict__:
        layer.__dict__["_warned_of_dtype"] = True
        done = (
            f"the layer computes in {np.result_type(data, dtype)}" if differentiable else "x is converted at each call"
        )
        notice(
            f"{type(layer).__name__} with {parameter.name} {parameter.shape}: x is {data.dtype} and the parameters are {dtype}; "
            f"{done}. {_fix(x, data, dtype)}"
        )
    return x if differentiable else data.astype(dtype)


def _fix(x: Any, data: Any, dtype: np.dtype[Any]) -> str:
    if isinstance(x, Variable) and x.creator is not None:
        return f"Look for a {data.dtype} array in what made x, and write array.astype(np.{dtype})"
    scaled = " / 255, which brings pixels to 0..1" if data.dtype == np.uint8 else ""
    return f"Convert the data once: x.astype(np.{dtype}){scaled}"


def check_channels_second(name: str, x: Any) -> None:
    """Warn of images with channels last, from which a first call would take the wrong axis for the channels."""
    shape: tuple[int, ...] = getattr(x, "shape", ())
    from_outside = not isinstance(x, Variable) or (x.creator is None and x.requires_grad)
    if from_outside and channels_last(shape):
        notice(
            f"{name}: channels are on axis 1, (N, C, H, W), so x {shape} has {shape[1]} of them"
            f"{channels_are_last(shape, shape[-1])}"
        )

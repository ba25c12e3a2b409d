"""Checks of the inputs of layers with parameters: the dtype, and the order of the axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.backend import is_array
from passus.core import Operand, Parameter, Variable
from passus.functions.checks import channels_last
from passus.functions.nn.windows import channels_are_last
from passus.layers.nodes import LayerBase
from passus.notices import notice

__all__ = ["check_channels_second", "in_dtype_of_parameter"]


def in_dtype_of_parameter(layer: LayerBase, x: Operand, parameter: Parameter) -> Operand:
    """The input in the dtype of a parameter, if it has a wider dtype and no gradient flows to it.

    Otherwise float64 data would make all later results float64, which is several times slower. Inputs with gradients
    keep their dtype, so that their gradients have it, too. Each layer warns once of wider inputs.
    """
    data = x._data if isinstance(x, Variable) else x
    if getattr(data, "dtype", None) is parameter._data.dtype:
        return x  # The usual case, checked fast.
    return _converted(layer, x, data, parameter)


def _converted(layer: LayerBase, x: Any, data: Any, parameter: Parameter) -> Operand:
    if not is_array(data):
        return x  # The function that is called next raises.
    dtype, given = parameter.dtype, data.dtype
    if given == dtype or given.kind not in "fiu":
        return x
    if given.kind == "f" and given.itemsize < dtype.itemsize:
        return x  # NumPy promotes float16 to float32.
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
    """Warn if images seem to have their channels last: the first call would infer the channels from the wrong axis."""
    shape: tuple[int, ...] = getattr(x, "shape", ())
    from_outside = not isinstance(x, Variable) or (x.creator is None and x.requires_grad)
    if from_outside and channels_last(shape):
        notice(
            f"{name}: channels are on axis 1, (N, C, H, W), so x {shape} has {shape[1]} of them"
            f"{channels_are_last(shape, shape[-1])}"
        )

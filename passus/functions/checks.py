"""Argument checks shared by several functions. Each error names the function, the argument and a fix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from passus.backend import Array, backend_of, invalid, is_array
from passus.backend.trace import is_numpy, plain
from passus.core.data import checked
from passus.core.variable import data_of
from passus.errors import ArgumentError, DTypeError, LabelError, ShapeError
from passus.kernels.formulas import FORMULAS

__all__ = [
    "PAD_MODES",
    "WITH_AXIS",
    "array_of",
    "channels_last",
    "check_activation",
    "check_channels",
    "check_label_shape",
    "check_labels",
    "check_reduction",
    "check_same_shape",
    "check_signs",
    "integers_of",
    "limits_of",
]

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""The padding modes of convolutions, and NumPy's names for them."""

WITHOUT_IGNORE_INDEX = ("accuracy", "one_hot", "softmax_cross_entropy_simple")
"""Functions of labels without the option ``ignore_index``."""

WITH_AXIS = (
    "Accuracy",
    "BitsPerCharacter",
    "Perplexity",
    "TopKAccuracy",
    "accuracy",
    "nll_loss",
    "softmax_cross_entropy",
)
"""Functions of labels with the option ``axis`` for the axis of the classes."""

LIMITS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
"""The lower and upper limit of activations that clip, by name."""


def array_of(name: str, x: Any) -> Array:
    """The array of an operand. Raises `DTypeError` for other types.

    >>> from passus import Variable
    >>> array_of("relu", Variable(np.array([1.0])))
    array([1.])
    """
    data = data_of(x)
    if type(data) is np.ndarray and data.dtype.kind in "fiub":
        return data  # The usual case, checked fast.
    return checked(np.asarray(data) if isinstance(data, (int, float, np.generic)) else data, name)


def check_same_shape(name: str, x: Any, t: Any, arguments: tuple[str, str] = ("x", "t")) -> None:
    """Raise `ShapeError` unless two operands, such as predictions and targets, have the same shape.

    >>> check_same_shape("l1_loss", np.ones(3), np.zeros(3))
    """
    shape, target_shape = array_of(name, x).shape, array_of(name, t).shape
    if shape != target_shape:
        raise ShapeError(
            f"{name}: {arguments[0]} {shape} and {arguments[1]} {target_shape} must have the same shape, because broadcasting "
            f"would compare every prediction with every target; {_shape_hint(shape, target_shape, arguments)}"
        )


def _shape_hint(shape: tuple[int, ...], target_shape: tuple[int, ...], arguments: tuple[str, str]) -> str:
    """A hint how to give two operands the same shape."""
    x, t = arguments
    if math.prod(shape) == math.prod(target_shape):
        return f"reshape one, as in {t}.reshape({shape})"
    if len(shape) > max(len(target_shape), 2) and shape[:1] == target_shape[:1]:
        return f"{x} still has spatial axes; apply F.flatten before the linear layers"
    broadcasts = len(target_shape) <= len(shape) and all(n in (1, m) for n, m in zip(target_shape[::-1], shape[::-1]))
    if broadcasts:
        return f"if this is intended, write np.broadcast_to({t}, {shape})"
    return f"make the last layer's output size match {t}"


def integers_of(name: str, argument: str, values: Any) -> Array:
    """The array of one or several integers. Raises `DTypeError` for other numbers, and for rows of unequal lengths.

    >>> integers_of("roll", "shift", (1, -1))
    array([ 1, -1])
    """
    try:
        array = (
            values
            if not is_numpy(values) and is_array(values)
            else np.asarray(values, dtype=np.intp if isinstance(values, (list, tuple)) and not values else None)
        )
    except ValueError:
        array = np.empty(0, object)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{name}: {argument} must be integers, not {values!r}")
    return array.astype(backend_of(array).intp, copy=False)


def check_channels(name: str, x: Any, **per_channel: Any) -> None:
    """Raise `ShapeError` unless ``x`` has shape (N, C, ...) and the arrays per channel have shape (C,).

    >>> check_channels("batch_norm", np.ones((2, 3, 5)), gamma=np.ones(3))
    """
    shape = array_of(name, x).shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: x {shape} needs the axes (N, C, ...); for one example write x[None]")
    for argument, v in per_channel.items():
        if array_of(name, v).shape != shape[1:2]:
            raise ShapeError(
                f"{name}: {argument} {array_of(name, v).shape} must hold one number for each channel, axis 1 of x {shape}"
            )


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape probably have their channels last, as in (N, H, W, 3).

    A last axis of length 1, 3 or 4 after lengths of at least 8 does not occur in images (N, C, H, W).

    >>> channels_last((32, 28, 28, 1)), channels_last((32, 64, 4, 4)), channels_last((32, 64, 28, 1))
    (True, False, False)
    """
    *_, H, W, C = shape if len(shape) in (4, 5) else (0, 0, 0)
    return C in (1, 3, 4) and min(shape[1:-1]) >= 8 and max(H, W) <= (4 if C > 1 else 1) * min(H, W)


def check_reduction(name: str, reduction: str, count: float) -> None:
    """Raise `ArgumentError` for an unknown reduction, or for a mean over zero losses.

    >>> check_reduction("l1_loss", "sum", 0)
    """
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{name}: reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    empty = f"{name}: the mean over an empty batch, or over ignored labels only, is undefined; skip such batches"
    if reduction == "mean" and invalid(count == 0, ArgumentError, empty):
        raise ArgumentError(empty)


def check_label_shape(name: str, x: Any, t: Any, axis: int = 1) -> int:
    """The number of classes C of ``x`` (N, C, ...). Raises `ShapeError` unless ``t`` has the shape of labels, (N, ...).

    ``axis``: the original axis of the classes, for the message.

    >>> check_label_shape("accuracy", np.ones((2, 3)), np.array([0, 2]))
    3
    """
    shape, label_shape = array_of(name, x).shape, array_of(name, t).shape
    if len(shape) < 2:
        if len(label_shape) == 2 and label_shape[:1] == shape:
            raise ShapeError(f"{name}: x {shape} and t {label_shape} are swapped; scores come first, then labels")
        if shape and label_shape == shape:
            raise ShapeError(
                f"{name}: x {shape} must have shape (N, C), with a score for each class; "
                + (
                    "for one score per example use sigmoid_cross_entropy, or compare x > 0 with t"
                    if array_of(name, x).dtype.kind == "f"
                    else "for predicted classes write (x == t).mean()"
                )
            )
        raise ShapeError(f"{name}: x {shape} needs the axes (N, C, ...); for one example write x.reshape(1, -1)")
    expected = shape[:1] + shape[2:]
    if label_shape != expected:
        if axis % len(shape) != 1:
            given = list(expected)
            given.insert(axis % len(shape), shape[1])
            raise ShapeError(
                f"{name}: labels {label_shape} do not match x {tuple(given)}, which has its classes on axis {axis}; "
                f"their shape must be {expected}"
            )
        raise ShapeError(
            f"{name}: labels {label_shape} do not match x {shape}, which has its classes on axis 1; "
            + _label_hint(name, shape, label_shape, expected)
        )
    classes: int = shape[1]
    return classes


def _label_hint(name: str, shape: tuple[int, ...], label_shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """A hint how to give labels the right shape."""
    if len(shape) > 2 and label_shape == shape[:1]:
        return "x still has spatial axes; flatten it before the last linear layers, with F.flatten or L.Flatten()"
    if label_shape == shape:
        return "for one-hot labels write t.argmax(axis=1); probabilities must be floating-point numbers"
    if label_shape == (*expected, 1):
        return f"their shape must be {expected}; write t[..., 0]"
    for axis in (len(shape) - 1, 0):
        if label_shape == shape[:axis] + shape[axis + 1 :]:
            fix = f"pass axis={axis}" if axis and name in WITH_AXIS else f"write F.moveaxis(x, {axis}, 1)"
            return f"for classes on axis {axis} {fix}"
    return f"their shape must be {expected}"


def check_labels(name: str, t: Any, count: int, arguments: tuple[str, str] = ("label", "classes")) -> Array:
    """The array of labels ``t``, integers from 0 to ``count - 1``, as np.intp.

    Raises `DTypeError` for other dtypes, `LabelError` for a label out of range.

    >>> check_labels("one_hot", np.array([2, 0]), 3)
    array([2, 0])
    """
    labels = array_of(name, t)
    if labels.dtype.kind not in "iu":
        fix = "convert them with astype(np.int64)"
        raise DTypeError(f"{name}: {arguments[0]} values must be integers, not {labels.dtype}; {fix}")
    rule = LabelError, f"{name}: a {arguments[0]} is out of range: the {count} {arguments[1]} are 0 to {count - 1}"
    if labels.size and (invalid(labels.min() < 0, *rule) or invalid(labels.max() >= count, *rule)):
        numbers = plain(labels)  # Of a step that is recorded, too.
        wrong = numbers[(numbers < 0) | (numbers >= count)].ravel()[0]
        fix = ""
        if arguments[1] == "classes":
            if count == 1:
                fix = "; for one score per example use sigmoid_cross_entropy, or compare x > 0 with t"
            elif (wrong < 0 or wrong == 255) and name not in WITHOUT_IGNORE_INDEX:
                fix = f"; to leave such labels out, pass ignore_index={wrong}"
            elif labels.min() > 0 and wrong == count:
                fix = "; for labels counted from 1 write t - 1"
        raise LabelError(
            f"{name}: {arguments[0]} {wrong} is out of range: the {count} {arguments[1]} are 0 to {count - 1}{fix}"
        )
    return labels.astype(backend_of(labels).intp, copy=False)


def check_signs(name: str, t: Any) -> Array:
    """The array of labels ``t``, each 1 or -1. Raises `LabelError` for other values.

    >>> check_signs("hinge", np.array([1, -1]))
    array([ 1, -1])
    """
    labels = array_of(name, t)
    if invalid((abs(labels) != 1).any(), LabelError, f"{name}: t must be 1 or -1 everywhere"):
        raise LabelError(f"{name}: t must be 1 or -1 everywhere; for a boolean array write np.where(t, 1, -1)")
    return labels


def check_activation(operation: str, activation: Any) -> str:
    """The name of an activation. Raises `ArgumentError` for an unknown name.

    >>> check_activation("bias_activation", "relu")
    'relu'
    """
    if activation not in FORMULAS:
        raise ArgumentError(f"{operation}: activation must be one of {', '.join(FORMULAS)}, not {activation!r}")
    name: str = activation
    return name


def limits_of(operation: str, activation: str | None) -> tuple[float, float] | None:
    """The lower and upper limit of an activation that clips; None for None.

    Raises `ArgumentError` for an unknown name.
    """
    if activation is None:
        return None
    if activation not in LIMITS:
        raise ArgumentError(f"{operation}: activation must be one of {', '.join(LIMITS)} or None, not {activation!r}")
    return LIMITS[activation]

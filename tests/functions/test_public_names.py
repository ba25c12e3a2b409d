"""Error messages contain the names of public functions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Function, Variable
from passus.recompute import checkpoint

NAMED_BY_THE_CALL = {"Conv", "ConvGradW", "Deconv", "Fft"}
"""Classes of several public functions; an instance has the name of the called function."""

INTERNAL = {"FirstOrderOnly"}
"""Internal classes with separate error messages."""


def subclasses(cls: type[Function]) -> Iterator[type[Function]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


OPERATIONS = sorted(
    {
        cls
        for cls in subclasses(Function)
        if cls.__module__.startswith("passus.") and cls.__name__ not in NAMED_BY_THE_CALL | INTERNAL
        if not any(c.__module__.startswith("passus.") for c in cls.__subclasses__())
    },
    key=lambda cls: cls.__name__,
)


def test_classes_are_named_after_public_functions() -> None:
    names = {cls.__name__: cls.public_name for cls in OPERATIONS}
    assert len(names) > 120
    assert {cls: name for cls, name in names.items() if name not in {*F.__all__, checkpoint.__name__}} == {}


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", ["conv", "deconv"])
def test_public_name_of_a_convolution_contains_its_number_of_axes(name: str, axes: int) -> None:
    x, W = Variable(np.ones((1, 1, *[4] * axes))), Variable(np.ones((1, 1, *[2] * axes)))
    y = getattr(F, f"{name}{axes}d")(x, W)
    assert y.creator.public_name == f"{name}{axes}d"
    y.backward(create_graph=True)
    assert W.grad.creator.public_name == f"conv{axes}d"


@pytest.mark.parametrize("name", ["fft", "ifft"])
def test_public_name_of_a_fourier_transform(name: str) -> None:
    real, _ = getattr(F, name)(Variable(np.ones(4)))
    assert real.creator.public_name == name


def test_public_name_of_a_user_defined_class_is_derived() -> None:
    class MyReLU6(Function):
        def forward(self, x: np.ndarray) -> np.ndarray:
            return x + np.ones(3)

    with pytest.raises(passus.errors.ShapeError, match=r"^my_relu6\(float64\[2\]\): "):
        MyReLU6()(np.ones(2))

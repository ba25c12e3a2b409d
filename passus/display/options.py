"""Objects with options show themselves as the call that creates them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from passus.constructors import parameters_of
from passus.display.numbers import numbers

__all__ = ["ShowsOptions", "described_value"]


class ShowsOptions:
    """A base whose ``repr`` is the name of the class with its options: the attributes that are arguments of the constructor.

    >>> class Crop(ShowsOptions):
    ...     def __init__(self, size, fill, rng=None):
    ...         self.size, self.fill, self.rng, self.count = size, fill, rng, 0
    >>> Crop((8, 8), np.zeros(3))
    Crop(size=(8, 8), fill=[0 0 0])
    """

    def __repr__(self) -> str:
        attributes = vars(self)
        options = [(name, attributes.get(name)) for name in parameters_of(type(self)) if name != "rng"]
        shown = [f"{name}={described_value(value)}" for name, value in options if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"


def described_value(value: Any) -> str:
    """The text of an option: the numbers of an array, the name of a function or class.

    >>> described_value(np.ones(2)), described_value(len), described_value("cat")
    ('[1 1]', 'len', "'cat'")
    """
    if isinstance(value, np.ndarray):
        return " ".join(numbers(value).split())
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(described_value, value))}]"
    if isinstance(value, PurePath):
        return repr(str(value))
    text: str = getattr(value, "__name__", None) or repr(value)
    return type(value).__name__ if "\n" in text else text

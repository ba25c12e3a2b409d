"""Objects with options show themselves as the call that creates them."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus.display.numbers import numbers

__all__ = ["ShowsOptions", "described_value"]


class ShowsOptions:
    """A base whose ``repr`` is the name of the class with the public attributes that are not None.

    >>> class Crop(ShowsOptions):
    ...     def __init__(self):
    ...         self.size, self.fill, self.rng = (8, 8), np.zeros(3), None
    >>> Crop()
    Crop(size=(8, 8), fill=[0 0 0])
    """

    def __repr__(self) -> str:
        options = [(name, value) for name, value in vars(self).items() if name[0] != "_" and value is not None]
        shown = [f"{name}={described_value(value)}" for name, value in options if name != "rng"]
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
    return getattr(value, "__name__", None) or repr(value)

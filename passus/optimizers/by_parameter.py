"""Optimizers written as in the book: a rule ``update_one(param)`` that keeps its numbers and arrays on ``self``.

Such a rule finds the arrays of a parameter under ``id(param)``, which differs from process to process. In the saved
state they are named by the path of the parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from passus.backend import is_array
from passus.core import Parameter
from passus.errors import ShapeError, WeightsError
from passus.tree import Tree

__all__ = ["attributes_state", "checked_attributes", "takes_parameter", "update_by_parameter"]

Named = Iterable[tuple[str, Parameter]]


def takes_parameter(rule: Callable[..., Any]) -> bool:
    """Whether a rule is written as in the book, with a parameter as its only argument.

    >>> takes_parameter(lambda self, param: None)
    True
    """
    required = [p for p in inspect.signature(rule).parameters.values() if p.default is p.empty]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(required) == 2 and all(p.kind in positional for p in required)


def update_by_parameter(name: str, rule: Callable[[Parameter], None], path: str, p: Parameter) -> None:
    """Update one parameter and restore its dtype. Raises `ShapeError` if the rule changes its shape."""
    shape, dtype = p.shape, p.dtype
    rule(p)
    if p.shape != shape:
        raise ShapeError(
            f"{name}.update_one: {path} had shape {shape} and has {p.shape} now; an update keeps the shape"
        )
    if p.dtype != dtype:  # A float64 number in the rule must not turn the model into float64.
        p.data = p.data.astype(dtype)
    p.mark_edited()


def attributes_state(where: str, attributes: Mapping[str, Any], named: Named) -> Tree:
    """The numbers, arrays, and dicts of arrays by parameter among the attributes of an optimizer.

    Raises `WeightsError` for a dict with any other key or value.
    """
    paths = {id(p): path for path, p in named}
    state: Tree = {}
    for name, value in attributes.items():
        if isinstance(value, (bool, int, float)):
            state[name] = value
        elif is_array(value):
            state[name] = value.copy()
        elif isinstance(value, dict):
            invalid = [str(key) for key, array in value.items() if key not in paths or not is_array(array)]
            if invalid:
                raise WeightsError(
                    f"{where}: {name} cannot be saved, for {invalid[0]} is not the id of a parameter with an array; "
                    "keep "
                    'the arrays in slots = ("v",), with update_one(self, p, g, slots, o)'
                )
            state[name] = {paths[key]: array.copy() for key, array in value.items()}
    return state


def checked_attributes(where: str, attributes: Mapping[str, Any], state: Tree, named: Named) -> dict[str, Any]:
    """Return the attributes that `attributes_state` saved. Raises `WeightsError` if they do not fit."""
    ids = {path: id(p) for path, p in named}
    known = {
        name for name, value in attributes.items() if isinstance(value, (bool, int, float, dict)) or is_array(value)
    }
    unfit = sorted(known ^ set(state))
    loaded: dict[str, Any] = {}
    for name in known & set(state):
        saved, current = state[name], attributes[name]
        if isinstance(current, dict):
            arrays = saved if isinstance(saved, Mapping) else {name: saved}
            unfit += [f"{name}.{path}" for path, array in arrays.items() if path not in ids or not is_array(array)]
            loaded[name] = {ids.get(path): np.array(array) for path, array in arrays.items()}
        elif is_array(current) and is_array(saved) and saved.dtype.kind in "fiub":
            loaded[name] = np.array(saved)
        elif np.ndim(saved) == 0:
            loaded[name] = type(current)(np.asarray(saved).item())
        else:
            unfit.append(name)
    if unfit:
        raise WeightsError(f"{where}: the state does not fit in {', '.join(unfit)}. Nothing was changed")
    return loaded

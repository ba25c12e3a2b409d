"""Optimizers written as in the book: a rule ``update_one(param)`` that keeps its own numbers and arrays on ``self``.

Such a rule finds the arrays of a parameter under ``id(param)``, which is another number in each process. In the state of
the optimizer they are named by the path of the parameter.
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

__all__ = ["own_state", "take_own_state", "takes_parameter", "update_by_parameter"]

Named = Iterable[tuple[str, Parameter]]


def takes_parameter(rule: Callable[..., Any]) -> bool:
    """Whether a rule is one of the book's, with a parameter as its only argument.

    >>> takes_parameter(lambda self, param: None)
    True
    """
    required = [p for p in inspect.signature(rule).parameters.values() if p.default is p.empty]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(required) == 2 and all(p.kind in positional for p in required)


def update_by_parameter(name: str, rule: Callable[[Parameter], None], path: str, p: Parameter) -> None:
    """Update one parameter, which keeps its dtype. Raises `ShapeError` for a rule that gives it another shape."""
    shape, dtype = p.shape, p.dtype
    rule(p)
    if p.shape != shape:
        raise ShapeError(
            f"{name}.update_one: {path} had shape {shape} and has {p.shape} now; an update keeps the shape"
        )
    if p.dtype != dtype:  # A number of float64 in the rule is no reason to compute all of the model so.
        p.data = p.data.astype(dtype)
    p.mark_edited()


def own_state(what: str, attributes: Mapping[str, Any], named: Named) -> Tree:
    """The numbers, the arrays, and the arrays by parameter among the attributes of an optimizer.

    Raises `WeightsError` for a dict that holds anything else than an array for each parameter.
    """
    paths = {id(p): path for path, p in named}
    state: Tree = {}
    for name, value in attributes.items():
        if isinstance(value, (bool, int, float)):
            state[name] = value
        elif is_array(value):
            state[name] = value.copy()
        elif isinstance(value, dict):
            state[name] = {paths.get(key, str(key)): array for key, array in value.items()}
            foreign = [str(key) for key, array in value.items() if key not in paths or not is_array(array)]
            if foreign:
                raise WeightsError(
                    f"{what}: {name} cannot be saved, for {foreign[0]} is not the id of a parameter with an array; keep "
                    'the arrays in slots = ("v",), with update_one(self, p, g, slots, o)'
                )
            state[name] = {path: array.copy() for path, array in state[name].items()}
    return state


def take_own_state(what: str, attributes: dict[str, Any], state: Tree, named: Named) -> Callable[[], None]:
    """Check what `own_state` gave; the function that is returned puts it in its place.

    Raises `WeightsError` for what does not fit.
    """
    ids = {path: id(p) for path, p in named}
    known = {
        name for name, value in attributes.items() if isinstance(value, (bool, int, float, dict)) or is_array(value)
    }
    unfit = sorted(known ^ set(state))
    new: dict[str, Any] = {}
    for name in known & set(state):
        value, mine = state[name], attributes[name]
        if isinstance(mine, dict):
            arrays = value if isinstance(value, Mapping) else {name: value}
            unfit += [f"{name}.{path}" for path, array in arrays.items() if path not in ids or not is_array(array)]
            new[name] = {ids.get(path): np.array(array) for path, array in arrays.items()}
        elif is_array(mine) and is_array(value) and value.dtype.kind in "fiub":
            new[name] = np.array(value)
        elif np.ndim(value) == 0:
            new[name] = type(mine)(np.asarray(value).item())
        else:
            unfit.append(name)
    if unfit:
        raise WeightsError(f"{what}: the state does not fit in {', '.join(unfit)}. Nothing was changed")
    return lambda: attributes.update(new)

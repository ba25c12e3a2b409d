"""The paths of parameters, inputs and functions in a model.

A function belongs to the innermost layer between whose inputs and outputs it was called. A layer holds weak references to
the arguments and results of its last call only; functions of earlier calls are found by the parameters that they use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from passus.core import Function, Variable
from passus.errors import DTypeError, kind_of
from passus.layers import Layer

__all__ = ["names_in", "paths_of_functions"]


def names_in(model: Layer | None) -> dict[int, str]:
    """The names of parameters and of the inputs of the last call, by ``id``.

    >>> import numpy as np
    >>> from passus.layers import Linear
    >>> layer, x = Linear(2), np.ones((1, 3), np.float32)
    >>> y = layer(x)
    >>> names = names_in(layer)
    >>> names[id(layer.W)], names[id(x)]
    ('W', 'input')
    """
    if model is None:
        return {}
    if not isinstance(model, Layer):
        raise DTypeError(f"visualize: {kind_of(model)} is not a layer; pass the model whose parameters are to be named")
    inputs = [x for x in _called(model, "inputs") if hasattr(x, "shape")]
    named = {id(x): "input" if len(inputs) == 1 else f"input {i}" for i, x in enumerate(inputs)}
    return named | {id(parameter): path for path, parameter in model.named_params()}


def paths_of_functions(model: Layer | None, functions: list[Function]) -> dict[int, str]:
    """The path of the layer that called each function, by ``id``; functions outside of layers are left out."""
    if model is None:
        return {}
    layers = {path for path, _ in model.named_layers()}
    parameters = {id(p): path.rpartition(".")[0] for path, p in model.named_params()}
    paths: dict[int, str] = {}
    for function in functions:
        own = [parameters[id(x)] for x in function.operands if id(x) in parameters]
        if own and own[0] in layers:
            paths[id(function)] = own[0]
    drawn = {id(function) for function in functions}
    for path, layer in model.named_layers():  # Parents before children, whose paths replace theirs.
        for function in _last_call(layer) if path else ():  # The model itself has no frame.
            if id(function) in drawn and not paths.get(id(function), "").startswith(f"{path}."):
                paths[id(function)] = path
    return {key: path for key, path in paths.items() if path}


def _last_call(layer: Layer) -> Iterator[Function]:
    """The functions between the inputs and outputs of the last call of a layer."""
    inputs = [x for x in _called(layer, "inputs") if isinstance(x, Variable)]
    start = max([x.creator.serial for x in inputs if x.creator is not None], default=0)
    waiting = [y.creator for y in _called(layer, "outputs") if isinstance(y, Variable)]
    seen: set[int] = set()
    while waiting:
        function = waiting.pop()
        # A carried state leads to earlier calls, which are older than the inputs.
        if function is None or id(function) in seen or function.serial <= start:
            continue
        seen.add(id(function))
        yield function
        known = [x for x in function.operands if isinstance(x, Variable)]
        waiting += [x.creator for x in known if not any(x is own for own in inputs)]


def _called(layer: Layer, attribute: str) -> list[Any]:
    """The arguments or results of the last call that still exist, without the lists around them."""
    found: list[Any] = []
    references = list(vars(layer).get(attribute, []))
    for reference in references:
        if isinstance(reference, list):
            references += reference
        elif (value := reference()) is not None:
            found.append(value)
    return found

"""State that layers carry from one call to the next: collection, loading, reset, and preservation around a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from passus.attributes import preserved_attributes
from passus.backend import copied, is_array
from passus.core.variable import constant_variable
from passus.errors import WeightsError, kind_of
from passus.layers.nodes import LayerBase, StateRef
from passus.layers.partial import Loaded
from passus.layers.walk import walk
from passus.loading import Loading

__all__ = ["carried_state", "new_sequences", "preserved_state", "reset_carried_state", "verify_carried"]


def carried_state(layer: LayerBase) -> dict[str, StateRef]:
    """References to the attributes that carry state from one call to the next, by path."""
    owners = [(path, node) for path, node in walk(layer) if isinstance(node, LayerBase) and node._carried]
    return {f"{path}.{name}".lstrip("."): StateRef(node, name) for path, node in owners for name in node._carried}


def reset_carried_state(model: Any) -> None:
    """Let all layers of a model begin new sequences. Does nothing for other objects."""
    for ref in carried_state(model).values() if isinstance(model, LayerBase) else ():
        ref.set(None)


@contextmanager
def preserved_state() -> Iterator[None]:
    """Restore, after the block, the state that layers carry.

    >>> from passus.layers import RNN
    >>> import numpy as np
    >>> layer = RNN(2, rng=0)
    >>> with preserved_state():
    ...     y = layer(np.ones((1, 3), np.float32))
    >>> layer.h is None
    True
    """
    with preserved_attributes(lambda snapshot: snapshot.name in getattr(snapshot.owner, "_carried", ())):
        yield


@contextmanager
def new_sequences(model: Any) -> Iterator[None]:
    """Let a model begin new sequences inside the block, and continue the earlier ones after it."""
    with preserved_state():
        reset_carried_state(model)
        yield


def verify_carried(
    refs: Mapping[str, StateRef], given: Mapping[str, Any], loading: Loading, loaded: Loaded | None, where: str
) -> None:
    """Verify the carried state in ``given`` and let ``loading`` assign it.

    ``loaded``: the result of loading a part of a state; the outcome is added to it, and state that is missing or does
    not fit stays unchanged. Without it, missing state becomes None, and state that does not fit raises `WeightsError`.
    """
    faults = _faults(refs, given)
    if faults and loaded is None:
        listed = "; ".join([f"{path} {fault}" for path, fault in faults.items()])
        raise WeightsError(
            f"{where}: the state does not fit: {listed}. Make the layer with the sizes of the one that kept this state, or leave "
            f"{', '.join(faults)} out of the state, to begin new sequences. Nothing was changed"
        )
    for path, ref in refs.items():
        value = given.get(path)
        if loaded is not None and path in given:
            (loaded.misfits if path in faults else loaded.taken).append(path)
        if loaded is None or (path in given and path not in faults):
            loading.assign(ref.owner, ref.attribute, None if value is None else constant_variable(copied(value)))


def _faults(refs: Mapping[str, StateRef], given: Mapping[str, Any]) -> dict[str, str]:
    """The reasons why carried state does not fit, by path."""
    faults: dict[str, str] = {}
    paths_of: dict[int, dict[str, str]] = {}
    for path, ref in refs.items():
        value = given.get(path)
        if value is not None and not is_array(value):
            faults[path] = f"is {kind_of(value)}, no array"
        elif value is not None and value.dtype.kind != "f":
            faults[path] = f"is of {value.dtype}, not of floating-point numbers"
        paths_of.setdefault(id(ref.owner), {})[ref.attribute] = path
    for paths in paths_of.values():
        if not any(path in faults for path in paths.values()):
            owner = refs[next(iter(paths.values()))].owner
            found = owner._carried_faults({name: given.get(path) for name, path in paths.items()})
            faults |= {paths[name]: fault for name, fault in found.items()}
    return faults

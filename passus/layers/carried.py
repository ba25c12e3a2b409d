"""What layers keep from one call to the next: where it is, how it is loaded, and blocks that leave it alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from passus.attributes import noted_attributes, put
from passus.backend import copied, is_array
from passus.core.variable import constant_variable
from passus.errors import WeightsError, kind_of
from passus.layers.partial import Loaded
from passus.layers.parts import Holder, Slot
from passus.layers.walk import walk
from passus.loading import Loading

__all__ = ["carried_slots", "new_sequences", "reset", "unmoved", "verify_carried"]


def carried_slots(layer: Holder) -> dict[str, Slot]:
    """The attributes that hold what one call leaves to the next, by path."""
    holders = [(path, node) for path, node in walk(layer) if isinstance(node, Holder) and node._carried]
    return {f"{path}.{name}".lstrip("."): Slot(node, name) for path, node in holders for name in node._carried}


def reset(model: Any) -> None:
    """Let all layers of a model begin new sequences; what is no layer keeps nothing."""
    for slot in carried_slots(model).values() if isinstance(model, Holder) else ():
        slot.put(None)


@contextmanager
def unmoved() -> Iterator[None]:
    """After the block, all layers keep what they kept before it.

    >>> from passus.layers import RNN
    >>> import numpy as np
    >>> layer = RNN(2, rng=0)
    >>> with unmoved():
    ...     y = layer(np.ones((1, 3), np.float32))
    >>> layer.h is None
    True
    """
    with noted_attributes() as notes:
        try:
            yield
        finally:
            put({key: noted for key, noted in notes.items() if noted.name in getattr(noted.owner, "_carried", ())})


@contextmanager
def new_sequences(model: Any) -> Iterator[None]:
    """Inside the block a model begins with new sequences; after it, it goes on with those of before."""
    with unmoved():
        reset(model)
        yield


def verify_carried(
    slots: Mapping[str, Slot], given: Mapping[str, Any], loading: Loading, loaded: Loaded | None, what: str
) -> None:
    """Let ``loading`` know what layers are to keep, or to keep no more.

    ``loaded``: what was found of a part of a state, to which this is added; what is not given, or does not fit, then stays as it
    is. Raises `WeightsError` otherwise for a state that does not fit.
    """
    faults = _faults(slots, given)
    if faults and loaded is None:
        listed = "; ".join([f"{path} {fault}" for path, fault in faults.items()])
        raise WeightsError(
            f"{what}: the state does not fit. {listed}. Make the layer with the sizes of the one that kept this state, or leave "
            f"{', '.join(faults)} out of the state, to begin new sequences. Nothing was changed"
        )
    for path, slot in slots.items():
        kept = given.get(path)
        if loaded is not None and path in given:
            (loaded.misfits if path in faults else loaded.taken).append(path)
        if loaded is None or (path in given and path not in faults):
            loading.put(slot.owner, slot.attribute, None if kept is None else constant_variable(copied(kept)))


def _faults(slots: Mapping[str, Slot], given: Mapping[str, Any]) -> dict[str, str]:
    """Why parts of a state cannot be kept."""
    faults: dict[str, str] = {}
    owners: dict[int, dict[str, str]] = {}
    for path, slot in slots.items():
        kept = given.get(path)
        if kept is not None and not is_array(kept):
            faults[path] = f"is {kind_of(kept)}, no array"
        elif kept is not None and kept.dtype.kind != "f":
            faults[path] = f"is of {kept.dtype}, not of floating-point numbers"
        owners.setdefault(id(slot.owner), {})[slot.attribute] = path
    for paths in owners.values():
        if not any(path in faults for path in paths.values()):
            owner = slots[next(iter(paths.values()))].owner
            found = owner._misfits({name: given.get(path) for name, path in paths.items()})
            faults |= {paths[name]: fault for name, fault in found.items()}
    return faults

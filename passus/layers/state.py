"""The state of a layer: taken as a dict, given back, and kept in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, overload

import numpy as np

from passus import cuda
from passus.backend import Array, copied
from passus.core import Parameter
from passus.errors import WeightsError
from passus.files import FilePath
from passus.functions.checks import array_of
from passus.layers.carried import carried_slots, verify_carried
from passus.layers.partial import Loaded, Rename, fitting, renamed, untied
from passus.layers.parts import Holder, Slot, label, slot_of
from passus.layers.walk import aliases, walk
from passus.loading import Loading, load
from passus.random import rng_state, verify_rng_state
from passus.serializers.weights import read_weights, write_weights
from passus.tree import Spec, Tree, check_tree, compare

__all__ = ["State"]


class State(Holder):
    """The part of `passus.layers.Layer` that takes, gives back and keeps all that it learnt."""

    def state_dict(self) -> Tree:
        """Copies of all parameters and buffers (None for one that is not there yet), the states of random generators, and
        what recurrent layers keep for their next step, if they do.

        They are named by their paths. Generators are those of the layers themselves, as in ``Dropout(rng=0)``.
        """
        arrays = {path: None if slot.array is None else copied(slot.array) for path, slot in self._slots().items()}
        kept = {
            path: copied(array_of(path, slot.array))
            for path, slot in carried_slots(self).items()
            if slot.array is not None
        }
        return arrays | kept | {path: rng_state(generator) for path, generator in self._generators().items()}

    @overload
    def load_state_dict(self, state: Mapping[str, Any], cast: bool = False) -> None: ...

    @overload
    def load_state_dict(
        self,
        state: Mapping[str, Any],
        cast: bool = False,
        *,
        strict: bool,
        prefix: str = "",
        rename: Rename | None = None,
    ) -> Loaded | None: ...

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        cast: bool = False,
        *,
        strict: bool = True,
        prefix: str = "",
        rename: Rename | None = None,
    ) -> Loaded | None:
        """Take copies of the arrays of a state; parameters not there yet take their shapes from it.

        ``cast``, ``strict``, ``prefix``, ``rename``: see `load_weights`. All or nothing: raises `WeightsError` with a list
        of what is missing, extra, or of another shape or dtype, `ArgumentError` for the state of another kind of
        generator, and changes nothing then.
        """
        loaded: Loaded | None = load(self, state, cast=cast, strict=strict, prefix=prefix, rename=rename)
        return loaded

    def verify_state(
        self,
        state: Mapping[str, Any],
        loading: Loading,
        cast: bool = False,
        strict: bool = True,
        prefix: str = "",
        rename: Rename | None = None,
    ) -> Loaded | None:
        """Raise what `load_state_dict` raises, and let ``loading`` know what is to be assigned."""
        what = f"{label(self)}.load_state_dict"
        check_tree(what, state)
        given = renamed(state, prefix, rename, what)
        generators = {path: generator for path, generator in self._generators().items() if strict or path in given}
        for path, generator in generators.items():
            if path not in given:
                raise WeightsError(f"{what}: the state does not fit. missing: {path}. Nothing was changed")
            verify_rng_state(given[path], generator, loading)
        carried = carried_slots(self)
        arrays = {path: array for path, array in given.items() if path not in generators and path not in carried}
        loaded = self._verify(arrays, loading, cast, strict, what)
        verify_carried(carried, given, loading, loaded, what)
        return loaded

    def save_weights(self, path: FilePath) -> None:
        """Write all parameters and buffers to a file ``.npz`` or ``.safetensors``, which appears whole or not at all.

        Raises `WeightsError` if the shapes are not known before the first call, `ArgumentError` for a file of another
        kind.
        """
        write_weights(path, {name: slot.array for name, slot in self._slots().items()})

    @overload
    def load_weights(self, path: FilePath, cast: bool = False) -> None: ...

    @overload
    def load_weights(
        self, path: FilePath, cast: bool = False, *, strict: bool, prefix: str = "", rename: Rename | None = None
    ) -> Loaded | None: ...

    def load_weights(
        self,
        path: FilePath,
        cast: bool = False,
        *,
        strict: bool = True,
        prefix: str = "",
        rename: Rename | None = None,
    ) -> Loaded | None:
        """Read all parameters and buffers from a file that `save_weights` wrote, here or in DeZero.

        ``cast``: accept floating-point numbers of another precision. ``strict=False``: take what fits, leave the rest as
        it is, and return which arrays were taken, missing, unexpected, or misfits of another shape. ``prefix``: take those
        that are called so, ``encoder`` for ``encoder.l1.W``, without it. ``rename``: a dict of old names, or first parts
        of names, to new ones, or a function of a name (None leaves an array out). A parameter that the model has under
        two names may be in the file under one of them, or under both.

        All or nothing: raises `WeightsError` for a file that is broken or of another model, also if nothing in it fits,
        `FileNotFoundError` if there is none, and changes nothing then.

        >>> import tempfile
        >>> from passus.layers import Linear, Sequential
        >>> path = tempfile.mkdtemp() + "/old.safetensors"
        >>> Sequential(Linear(4, in_size=3), Linear(10, in_size=4)).save_weights(path)
        >>> model = Sequential(Linear(4, in_size=3), Linear(2, in_size=4))
        >>> model.load_weights(path, strict=False)
        Loaded(2 taken; misfits: l1.W, l1.b)
        >>> Linear(4).load_weights(path, strict=False, prefix="l0")
        Loaded(2 taken)
        """
        return self._take(renamed(self._read_weights(path), prefix, rename, f"{path}"), cast, strict, f"{path}")

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        """The arrays of a file; a model whose weights are published in another form reads that, too."""
        return read_weights(path)

    def to_cpu(self) -> Self:
        """Move all parameters and buffers to main memory; returns the layer itself."""
        return self._move(cuda.as_numpy)

    def to_gpu(self) -> Self:
        """Move all parameters and buffers to the GPU; returns the layer itself. Raises `DependencyError` without CuPy."""
        return self._move(cuda.as_cupy)

    def _slots(self) -> dict[str, Slot]:
        return {path: slot_of(node) for path, node in walk(self) if isinstance(node, (Parameter, Slot))}

    def _generators(self) -> dict[str, np.random.Generator]:
        return {path: node for path, node in walk(self) if isinstance(node, np.random.Generator)}

    def _take(self, state: Mapping[str, Array | None], cast: bool, strict: bool, what: str) -> Loaded | None:
        loading = Loading()
        loaded = self._verify(state, loading, cast, strict, what)
        loading.commit()
        return loaded

    def _verify(
        self, state: Mapping[str, Array | None], loading: Loading, cast: bool, strict: bool, what: str
    ) -> Loaded | None:
        slots = self._slots()
        state = untied(state, {alias: path for alias, path in aliases(self).items() if alias not in slots}, what)
        expected = {path: slot.expected for path, slot in slots.items()}
        absent = {path for path, slot in slots.items() if slot.array is None and path in state and state[path] is None}
        given: dict[str, Any] = {path: expected[path] if path in absent else a for path, a in state.items()}
        if cast:
            given = {path: _cast(a, expected.get(path)) for path, a in given.items()}
        loaded = None
        if strict:
            compare(expected, given, what, fix="Floating-point numbers of another precision are taken with cast=True")
        else:
            loaded = fitting(expected, given, what)
            given = {path: given[path] for path in loaded.taken}
        wrong = [path for path in given if path not in absent and given[path].dtype.kind not in "fiub"]
        if wrong:
            raise WeightsError(f"{what}: the state does not fit. not numeric: {', '.join(wrong)}. Nothing was changed")
        for path, array in given.items():
            loading.put(slots[path].owner, slots[path].attribute, None if path in absent else slots[path].copied(array))
        return loaded

    def _move(self, to: Callable[[Array], Array]) -> Self:
        for slot in self._slots().values():
            array = slot.array
            moved = None if array is None else to(array)
            if moved is not array:
                slot.put(moved)
        return self


def _cast(array: Any, expected: Spec | None) -> Any:
    """Floating-point numbers in the precision that is expected; all else as it is."""
    kinds = [getattr(getattr(x, "dtype", None), "kind", "") for x in (array, expected)]
    return array.astype(expected.dtype, copy=False) if expected is not None and kinds == ["f", "f"] else array

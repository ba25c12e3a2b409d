"""The state of a layer as a dict and in files: saving, verifying and loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, overload

import numpy as np

from passus.backend import Array, Device, copied, to_device
from passus.core import Parameter
from passus.errors import WeightsError
from passus.files import FilePath
from passus.functions.checks import array_of
from passus.layers.carried import carried_state, verify_carried
from passus.layers.nodes import LayerBase, StateRef, label, state_ref
from passus.layers.partial import Loaded, Rename, check_level, fitting, renamed, untied
from passus.layers.walk import aliases, walk
from passus.loading import Loading, load
from passus.random import rng_state, verify_rng_state
from passus.serializers.weights import read_weights, write_weights
from passus.tree import Spec, Tree, check_tree, compare

__all__ = ["State"]


class State(LayerBase):
    """The methods of `passus.layers.Layer` that save and load its state."""

    def state_dict(self) -> Tree:
        """Copies of all parameters and buffers (None before they are initialized), the states of random generators, and
        the state that recurrent layers carry to their next step.

        The keys are paths. Generators are those that layers own, as in ``Dropout(rng=0)``.
        """
        arrays = {path: None if ref.array is None else copied(ref.array) for path, ref in self._state_refs().items()}
        carried = {
            path: copied(array_of(path, ref.array))
            for path, ref in carried_state(self).items()
            if ref.array is not None
        }
        return arrays | carried | {path: rng_state(generator) for path, generator in self._generators().items()}

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
        """Load copies of the arrays of a state; parameters without a shape take that of the loaded array.

        ``cast``, ``strict``, ``prefix``, ``rename``: see `load_weights`. Loads all or nothing. Raises `WeightsError`
        with a list of missing and extra paths and wrong shapes and dtypes, `ArgumentError` for the state of another
        kind of generator.
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
        """Verify a state as `load_state_dict` does, and let ``loading`` assign it."""
        where = f"{label(self)}.load_state_dict"
        check_tree(where, state)
        given = self._renamed(state, prefix, rename, where)
        generators = {path: generator for path, generator in self._generators().items() if strict or path in given}
        for path, generator in generators.items():
            if path not in given:
                raise WeightsError(f"{where}: the state does not fit: missing: {path}. Nothing was changed")
            verify_rng_state(given[path], generator, loading)
        carried = carried_state(self)
        arrays = {path: array for path, array in given.items() if path not in generators and path not in carried}
        loaded = self._verify(arrays, loading, cast, strict, where)
        verify_carried(carried, given, loading, loaded, where)
        return loaded

    def save_weights(self, path: FilePath) -> None:
        """Write all parameters and buffers to a file ``.npz`` or ``.safetensors``. The file is written atomically.

        Raises `WeightsError` if a shape is unknown before the first call, `ArgumentError` for another file extension.
        """
        write_weights(path, {name: ref.array for name, ref in self._state_refs().items()})

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

        ``cast``: accept floating-point numbers of another precision. ``strict=False``: load the arrays that fit, leave
        the rest unchanged, and return which arrays were taken, missing, unexpected, or misfits of another shape.
        ``prefix``: load only names with this prefix, and remove it: ``encoder`` for ``encoder.l1.W``, ``model`` for a
        checkpoint. ``rename``: a dict of old names or prefixes to new ones, or a function of a name (None skips an
        array). A parameter with two names in the model may have either name or both in the file.

        Loads all or nothing. Raises `WeightsError` if the file is damaged or belongs to another model, or if nothing in
        it fits, `FileNotFoundError` if it does not exist.

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
        given = self._renamed(self._read_weights(path), prefix, rename, f"{path}")
        return self._take(given, cast, strict, f"{path}")

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        """The arrays of a file. Models override this to read weights that are published in another format."""
        return read_weights(path)

    def to_cpu(self) -> Self:
        """Move all parameters and buffers to main memory; returns the layer itself."""
        return self.to_device("cpu")

    def to_gpu(self) -> Self:
        """Move all parameters and buffers to the first GPU; returns the layer itself.

        Raises `DependencyError` without JAX or a GPU.
        """
        return self.to_device("gpu")

    def to_device(self, device: Device) -> Self:
        """Move all parameters, their gradients, and buffers to a device; returns the layer itself.

        ``device``: ``"cpu"`` (main memory, arrays of NumPy), ``"gpu"``, ``"gpu:1"``, ``"tpu"`` (arrays of JAX), or ``"xla"``, the
        default device of JAX. Parameters that get their shapes in the first call are created on the device of its input.

        Raises `DependencyError` without JAX or such a device, `DTypeError` for float64 unless JAX computes in it; then nothing
        was moved.

        >>> from passus.layers import Linear
        >>> type(Linear(2, in_size=3).to_device("cpu").W.data)
        <class 'numpy.ndarray'>
        """
        to_device(np.empty(0, np.float32), device)  # Raises for a device that does not exist.
        refs = list(self._state_refs().values())
        moved = [None if ref.array is None else to_device(ref.array, device) for ref in refs]
        for ref, array in zip(refs, moved):
            ref.move(array, device)
        return self

    def _state_refs(self) -> dict[str, StateRef]:
        return {path: state_ref(node) for path, node in walk(self) if isinstance(node, (Parameter, StateRef))}

    def _generators(self) -> dict[str, np.random.Generator]:
        return {path: node for path, node in walk(self) if isinstance(node, np.random.Generator)}

    def _renamed(self, state: Mapping[str, Any], prefix: str, rename: Rename | None, where: str) -> dict[str, Any]:
        given = renamed(state, prefix, rename, where)
        if rename is None:
            check_level(self._state_refs(), given, prefix, where)
        return given

    def _take(self, state: Mapping[str, Array | None], cast: bool, strict: bool, where: str) -> Loaded | None:
        loading = Loading()
        loaded = self._verify(state, loading, cast, strict, where)
        loading.commit()
        return loaded

    def _verify(
        self, state: Mapping[str, Array | None], loading: Loading, cast: bool, strict: bool, where: str
    ) -> Loaded | None:
        refs = self._state_refs()
        state = untied(state, {alias: path for alias, path in aliases(self).items() if alias not in refs}, where)
        expected = {path: ref.expected for path, ref in refs.items()}
        absent = {path for path, ref in refs.items() if ref.array is None and path in state and state[path] is None}
        given: dict[str, Any] = {path: expected[path] if path in absent else a for path, a in state.items()}
        if cast:
            given = {path: _cast(a, expected.get(path)) for path, a in given.items()}
        loaded = None
        if strict:
            compare(expected, given, where, fix="Floating-point numbers of another precision are taken with cast=True")
        else:
            loaded = fitting(expected, given, where)
            given = {path: given[path] for path in loaded.taken}
        wrong = [path for path in given if path not in absent and given[path].dtype.kind not in "fiub"]
        if wrong:
            raise WeightsError(f"{where}: the state does not fit: not numeric: {', '.join(wrong)}. Nothing was changed")
        for path, array in given.items():
            loading.assign(refs[path].owner, refs[path].attribute, None if path in absent else refs[path].copied(array))
        return loaded


def _cast(array: Any, expected: Spec | None) -> Any:
    """Convert floating-point numbers to the expected precision; return everything else unchanged."""
    kinds = [getattr(getattr(x, "dtype", None), "kind", "") for x in (array, expected)]
    return array.astype(expected.dtype, copy=False) if expected is not None and kinds == ["f", "f"] else array

"""The state of an optimizer: the arrays and numbers of each parameter, saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_count
from passus.backend import Array, backend_of, copied, others
from passus.core import Parameter
from passus.errors import ArgumentError
from passus.kernels.sums import at_least_float32
from passus.loading import Loading, Verified, leaf
from passus.notices import notice
from passus.optimizers.by_parameter import attributes_state, checked_attributes
from passus.optimizers.groups import GroupedOptions
from passus.optimizers.options import Rate, checked_option
from passus.optimizers.parameters import Target, check_float, check_update, untrained_variables
from passus.optimizers.slots import ParamState, SlotArrays
from passus.tree import Stateful, Tree, check_tree, compare, flatten, unflatten

__all__ = ["OptimizerState", "loaded_arrays"]


class OptimizerState(GroupedOptions, Verified):
    """The part of an optimizer that is saved: its step, options, slots, and the states of hooks and schedules."""

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays of the optimizer for each parameter."""
    by_parameter: ClassVar[bool] = False
    """Whether `update_one` takes a parameter, as in the book; read from its signature."""

    target: Target | None
    hooks: list[Callable[[list[Parameter]], None]]

    def __init__(self, lr: Rate, options: dict[str, Any]) -> None:
        super().__init__(lr, options)
        self._states: dict[str, ParamState] = {}
        self._base_attributes: frozenset[str] = frozenset()
        self._searched_at: int | None = None
        self._untrained: set[str] = set()

    def init(self, p: Array) -> dict[str, Array]:
        """The slots of a parameter before its first update: zeros of its shape; those of float16 are float32."""
        zeros_like = backend_of(p).xp.zeros_like
        return {name: zeros_like(p) for name in self.slots}

    def state_dict(self) -> Tree:
        """Copies of the step, options and slots, and the states of hooks and schedules that have one."""
        leaves = copy.deepcopy(self._leaves(self._states))
        children = {name: child.state_dict() for name, child in self._children().items()}
        named = () if self.target is None else self._named_params()
        own = attributes_state(f"{self._name}.state_dict", self._own_attributes(), named)
        return unflatten(leaves) | children | ({"own": own} if own else {})

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state for `load_state_dict`; groups, hooks and schedules must be those of the saved run.

        Raises `WeightsError` with the list of mismatches, `ArgumentError` for an option out of range.
        """
        where = f"{self._name}.load_state_dict"
        check_tree(where, state)
        own = checked_attributes(where, self._own_attributes(), state.get("own", {}), self._named_params())
        children = self._children()
        given = flatten({name: node for name, node in state.items() if name not in children and name != "own"})
        states = self._empty_states(given, loading)
        missing = {name: 0 for name in children if name not in state}
        arrays = _as_arrays(given)
        compare(_as_arrays(self._leaves(states) | missing), arrays, where)
        options = [self._saved_options(path, known, arrays) for path, known in self._option_sets().items()]
        for name, child in children.items():
            loading.verify(child, state[name], name)
        for path, new in states.items():
            new.step = checked_count(where, f"slots.{path}.step", leaf(arrays[f"slots.{path}.step"]), low=0)
            new.slots = SlotArrays({name: copied(arrays[f"slots.{path}.{name}"]) for name in new.slots})
        loading.assign(self, "step", checked_count(where, "step", leaf(arrays["step"]), low=0))
        loading.assign(self, "_states", states)
        for name, value in own.items():
            loading.assign(self, name, value)
        owners: list[Any] = [self, *self.groups]
        for owner, saved in zip(owners, options):
            loading.assign(owner, "options", owner.options | saved)

    # States of parameters.

    def _checked_state(self, path: str, p: Parameter) -> ParamState:
        """The state of a parameter, created at its first update. Raises if the parameter cannot be updated."""
        state = self._states.get(path) or self._new_state(path, p._data)
        if others and state.is_elsewhere(p._data):
            state.move_to(p._data)
            self._regroup()
        if state.group is None:
            state.group = self._group_index(path, p)
            self._warn_of_variables()
        check_update(self._name, path, p, state.shape, state.dtype)
        self._states[path] = state
        return state

    def _warn_of_variables(self) -> None:
        """Warn once of each Variable that was probably meant as a parameter, at an update of new parameters."""
        if self._searched_at == self._step:
            return
        self._searched_at = self._step
        found = [path for path in untrained_variables(self.target) if path not in self._untrained]
        self._untrained.update(found)
        if found:
            notice(
                f"{self._name}.update does not change {', '.join(found)}: a Variable with a gradient, but no Parameter. Write "
                "Parameter(...); for a constant, write x.requires_grad = False"
            )

    def _new_state(self, path: str, data: Array) -> ParamState:
        check_float(self._name, path, data)
        slots = self.init(at_least_float32(data))
        asarray = backend_of(data).asarray
        return ParamState(0, data.shape, data.dtype, SlotArrays({name: asarray(slot) for name, slot in slots.items()}))

    def _regroup(self) -> None:
        """Let the next update find the group of each parameter again."""
        raise NotImplementedError

    def _empty_states(self, leaves: Mapping[str, Any], loading: Loading) -> dict[str, ParamState]:
        """New states for the parameters whose states were saved."""
        saved = [(path, p) for path, p in self._named_params() if f"slots.{path}.step" in leaves]
        return {path: self._new_state(path, loading.pending(p, "data")) for path, p in saved}

    # What else is saved.

    def _named_params(self) -> Iterable[tuple[str, Parameter]]:
        if self.target is None:
            raise ArgumentError(f"{self._name}: no model to update; call setup(model) first")
        return self.target.named_params()

    def _option_sets(self) -> dict[str, dict[str, Any]]:
        """The options of the optimizer and of its groups, by their paths in the state."""
        return {"options": self.options} | {f"groups.{i}": group.options for i, group in enumerate(self.groups)}

    def _leaves(self, states: Mapping[str, ParamState]) -> dict[str, Any]:
        """The leaves of the saved state: step, options and slots; schedules are functions and are not saved."""
        leaves: dict[str, Any] = {"step": self._step}
        for path, options in self._option_sets().items():
            leaves |= {f"{path}.{name}": value for name, value in options.items() if not callable(value)}
        for path, state in states.items():
            leaves |= state.leaves(path)
        return leaves

    def _saved_options(self, path: str, options: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
        """The saved options at a path of the state, checked."""
        names = [name for name, value in options.items() if not callable(value)]
        return {name: checked_option(self._name, name, arrays[f"{path}.{name}"].tolist()) for name in names}

    def _children(self) -> dict[str, Stateful]:
        """The schedules and hooks that have a state."""
        children: dict[str, Any] = {f"schedule{i}": o.get("lr") for i, o in enumerate(self._option_sets().values())}
        children |= {f"hook{i}": hook for i, hook in enumerate(self.hooks)}
        return {name: child for name, child in children.items() if isinstance(child, Stateful)}

    def _own_attributes(self) -> dict[str, Any]:
        """The attributes that hold the numbers and arrays of a rule written as in the book."""
        if not self.by_parameter:
            return {}
        return {name: value for name, value in self.__dict__.items() if name not in self._base_attributes}


def _as_arrays(leaves: Mapping[str, Any]) -> dict[str, Array]:
    """Convert numbers, pairs and names to arrays, as they are read from a file; other leaves are returned unchanged."""
    return {name: np.asarray(value) if _is_plain(value) else value for name, value in leaves.items()}


def _is_plain(value: Any) -> bool:
    """Whether a leaf is a number or a name, or a short sequence of them."""
    items: Sequence[Any] = value if isinstance(value, (tuple, list)) and len(value) < 10 else (value,)
    return all(isinstance(item, (bool, int, float, str, np.generic)) for item in items)


def loaded_arrays(
    state: Tree, name: str, params: Iterable[tuple[str, Parameter]], loading: Loading, where: str
) -> dict[str, Array]:
    """Copy the arrays under ``name`` by path; each must fit the parameter at its path. An empty tree may be missing.

    Arrays of float16 parameters are float32. Raises `WeightsError` with the list of mismatches.

    >>> parameter = Parameter(np.ones(1))
    >>> loaded_arrays({"sums": {"b": np.zeros(1)}}, "sums", [("b", parameter)], Loading(), "example")
    {'b': array([0.])}
    """
    tree = state.get(name) or {}
    check_tree(f"{where}, {name}", tree)
    given = _as_arrays(flatten(tree))
    pending = {path: loading.pending(p, "data") for path, p in params if path in given}
    compare({path: at_least_float32(data) for path, data in pending.items() if data is not None}, given, where)
    return {path: copied(x) for path, x in given.items()}

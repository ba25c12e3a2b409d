"""What all optimizers share: the walk over the parameters, groups, hooks, and state that can be saved."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable
from inspect import getattr_static
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from passus.answers import ASSIGNED, CheckedOptions, Foreign, answers, check_assigned
from passus.arguments import checked_count, checked_number
from passus.backend import Array, copied
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, MissingAttributeError, ShapeError, WeightsError, kind_of
from passus.foreign import OPTIMIZER
from passus.kernels.sums import at_least_float32
from passus.kernels.updates import compiled_for, ordered
from passus.loading import Loading, Verified, leaf
from passus.notices import notice
from passus.optimizers.blocks import BLOCK, Scratch, blocks
from passus.optimizers.bundle import SMALL, Bundle, Member, in_bundles
from passus.optimizers.options import Group, Options, Rate, Where, checked_option
from passus.optimizers.own import own_state, take_own_state, takes_parameter, update_by_parameter
from passus.optimizers.state import SlotArrays, Slots, as_arrays, slot_leaves
from passus.tree import Stateful, Tree, check_tree, compare, flatten, unflatten

__all__ = ["Hook", "Optimizer", "Target", "check_gradient", "check_target"]


NO_RATE: Any = object()
"""Of an optimizer that was given no learning rate."""


class Target(Protocol):
    """What an optimizer updates: a layer, or anything else whose parameters have paths."""

    def named_params(self) -> Iterable[tuple[str, Parameter]]:
        """The paths and the parameters, always in the same order."""


def check_target(what: str, target: Any) -> None:
    """Raise `DTypeError` for what is no layer or model; ``what`` is who asks, for the message.

    >>> from passus.layers import Linear
    >>> check_target("SGD.setup", Linear(3))
    """
    if isinstance(target, type):
        raise DTypeError(f"{what}: {target.__name__} is a class; write {target.__name__}(...)")
    if not hasattr(target, "named_params"):
        several = ", with the parameters or models as its attributes" if np.iterable(target) else ""
        raise DTypeError(f"{what}: the target is {kind_of(target)}; give a layer or model{several}")


def check_gradient(what: str, path: str, p: Parameter) -> None:
    """Raise `ShapeError` unless the gradient of a parameter has its shape; ``what`` is who asks, for the message.

    >>> check_gradient("SGD", "l1.b", Parameter(np.zeros(2)))
    """
    if p._grad is not None and p._grad.shape != p._data.shape:
        raise ShapeError(f"{what}: the gradient {p._grad.shape} of {path} must have its shape {p._data.shape}")


class Hook(CheckedOptions):
    """Something that happens at each update; it is given the parameters that have a gradient.

    Any function of a list of parameters is a hook, too: it is called before the update.
    """

    def __call__(self, params: list[Parameter]) -> None:
        """Before the update: gradients may be changed, or cleared so that a parameter stays as it is."""

    def updated(self, params: list[Parameter]) -> None:
        """After the update."""


class Steps(int):
    """A number of updates, which says what to write instead of calling it."""

    def __call__(self, *arguments: Any) -> None:
        raise MissingAttributeError(f"step is the number of updates ({self:d}), not a method; write update()")


class Optimizer(Verified, CheckedOptions):
    """The base of every optimizer: a subclass names its slots and writes `update_one`.

    ``options`` are its numbers: ``lr`` (a number or a schedule) and what else the rule needs, each at least 0.
    Raises `ArgumentError` or `DTypeError` for others.

    >>> class SignSGD(Optimizer):
    ...     def update_one(self, p, g, slots, o):
    ...         t = np.sign(g, out=self.scratch(p))
    ...         t *= o.lr
    ...         p -= t
    >>> SignSGD(lr=0.1)
    SignSGD(lr=0.1), step 0

    A rule may also be written as in the book, ``update_one(self, param)``, with numbers, and dicts of arrays by
    ``id(param)``, as attributes; they are saved, too. Options are read and changed as attributes: ``optimizer.momentum``.

    >>> class SGD(Optimizer):
    ...     def __init__(self, lr=0.01):
    ...         super().__init__()
    ...         self.lr = lr
    ...     def update_one(self, param):
    ...         param.data -= self.lr * param.grad.data
    >>> SGD(lr=0.1)
    SGD(lr=0.1), step 0
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that are kept for each parameter."""
    elementwise: ClassVar[bool] = True
    """Whether each element is updated by itself, so that `update_one` may be given a large parameter in pieces, and small
    ones together."""
    fused: ClassVar[bool] = False
    """Whether `update_one` is one kernel, which goes through a large parameter once, in several threads."""

    by_parameter: ClassVar[bool] = False
    """Whether `update_one` takes a parameter, as in the book; found out from its arguments."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.by_parameter = takes_parameter(cls.update_one)

    def __init__(self, lr: Rate = NO_RATE, **options: Any) -> None:
        self._name = type(self).__name__
        options = options if lr is NO_RATE else {"lr": lr} | options
        self.options = {name: checked_option(self._name, name, value) for name, value in options.items()}
        self.step = 0
        self._warned = False
        self.target: Target | None = None
        self.hooks: list[Callable[[list[Parameter]], None]] = []
        self.groups: list[Group] = []
        self.scratch = Scratch()
        self._slots: dict[str, Slots] = {}
        self._bundles: list[Bundle] = []
        self._group_of: dict[str, int] = {}
        self._inherited = frozenset(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        """An option that is no attribute, such as ``momentum``."""
        foreign = getattr_static(type(self), name, None)
        if isinstance(foreign, Foreign):  # Its error has brought Python here.
            foreign.__get__(self, type(self))
        options = self.__dict__.get("options")
        if options is None and not name.startswith("__"):
            raise AttributeError(f"{type(self).__name__}: call super().__init__() first in its __init__")
        if name not in (options or ()):
            known = ", ".join(options or ())
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; its options are {known or 'none'}")
        return self.options[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("options", ()) and name != "lr":
            value = self.options[name] = checked_option(self._name, name, value)
        else:
            if name in ASSIGNED:
                check_assigned(self, name)
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles get: all but the bundles, for the slots of a copy are no views of them any more."""
        return self.__dict__ | {"_bundles": []}

    # What a subclass writes.

    def init(self, p: Array) -> dict[str, Array]:
        """The slots of a parameter before its first update: zeros of its shape; those of float16 are float32."""
        return {name: np.zeros_like(p) for name in self.slots}

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        """Change the array ``p`` and its slots in place, by the gradient ``g``, which is only read.

        Intermediate results go into ``self.scratch(p)``, so that nothing is allocated.
        """
        raise NotImplementedError(f"{type(self).__name__}.update_one is not implemented")

    # What a user calls.

    def setup(self, target: Target) -> Self:
        """Name the layer or model whose parameters are to be updated."""
        check_target(f"{self._name}.setup", target)
        self.target = target
        self._group_of.clear()
        return self

    def update(self) -> None:
        """Take one step: change each parameter that has a gradient and is not frozen.

        Raises `ArgumentError` before `setup`, for a rate that has become NaN, and for a read-only parameter;
        `ShapeError` for a parameter whose shape or dtype is not what it was, and for a gradient of another shape. Then no
        parameter was changed.
        """
        named = [(path, p) for path, p in self._named_params() if p._grad is not None and p.requires_grad]
        if not named:
            self._warn_of_nothing_to_do()
        params = [p for _, p in named]
        if self.hooks:
            for path, p in named:
                check_gradient(self._name, path, p)  # With which hooks compute.
        for hook in self.hooks:
            hook(params)
        options = [self._options_of(group) for group in (None, *self.groups)]
        # All checks of all parameters, before the first of them is changed. A hook may have cleared a gradient.
        work = [(p, self._slots_for(path, p), self._place(path, p)) for path, p in named if p._grad is not None]
        self._update_all(work, options)
        self.step += 1
        for hook in self.hooks:
            if isinstance(hook, Hook):
                hook.updated(params)

    def add_hook(self, hook: Callable[[list[Parameter]], None]) -> None:
        """Let ``hook(params)`` be called before each update; hooks are called in the order they were added."""
        if isinstance(hook, type):
            raise DTypeError(f"{self._name}.add_hook: {hook.__name__} is a class; write add_hook({hook.__name__}(...))")
        if not callable(hook):
            raise DTypeError(f"{self._name}.add_hook: hook is {kind_of(hook)}; give a Hook, such as ClipGrad(1.0)")
        self.hooks.append(hook)

    def add_group(self, where: Where, **options: Any) -> None:
        """Give some parameters options of their own; what is not named here they share with all others.

        Raises `ArgumentError` for a path that does not exist, a parameter that is in another group already, and an
        option that this optimizer does not have.
        """
        if self.by_parameter:
            raise ArgumentError(
                f"{self._name}.add_group: its rule takes its numbers from self; a rule with groups is written "
                "update_one(self, p, g, slots, o), and reads them from o"
            )
        unknown = [name for name in options if name not in self.options]
        if unknown:
            raise ArgumentError(f"{self._name} has no option {', '.join(unknown)}; it has {', '.join(self.options)}")
        group = Group(where, {name: checked_option(self._name, name, value) for name, value in options.items()})
        found = [(path, p) for path, p in self._named_params() if group.holds(path, p)]
        if not found:
            known = ", ".join(path for path, _ in self._named_params())
            raise ArgumentError(f"{self._name}.add_group: no parameter is at {where!r}; there are {known}")
        for path, p in found:
            if any(other.holds(path, p) for other in self.groups):
                raise ArgumentError(f"{self._name}.add_group: {path} is in a group already, and it can be in one only")
        self.groups.append(group)
        self._group_of.clear()

    @property
    def step(self) -> int:
        """How many updates were done."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = Steps(step)

    @property
    def lr(self) -> float:
        """The learning rate of the next update; a number or a schedule may be assigned to it."""
        if "lr" not in self.options:
            raise AttributeError("lr")  # __getattr__ says more.
        return self._rate(self.options["lr"])

    @lr.setter
    def lr(self, lr: Rate) -> None:
        self.options["lr"] = checked_option(self._name, "lr", lr)

    def state_dict(self) -> Tree:
        """Copies of counts, options and slots, and the states of hooks and of a schedule that have one."""
        leaves = self._numbers()
        for path, slots in self._slots.items():
            leaves |= slot_leaves(path, slots)
        state = unflatten(copy.deepcopy(leaves)) | {name: part.state_dict() for name, part in self._parts().items()}
        named = () if self.target is None else self._named_params()
        own = own_state(f"{self._name}.state_dict", self._own(), named)
        return state | ({"own": own} if own else {})

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """What `load_state_dict` does first; groups, hooks and schedules must have been set up as they were.

        Raises `WeightsError` with the list of what does not fit, `ArgumentError` for an option out of range.
        """
        what = f"{self._name}.load_state_dict"
        check_tree(what, state)
        parts = self._parts()
        own = self._own()
        put_own = take_own_state(f"{self._name}.load_state_dict", own, state.get("own", {}), self._named_params())
        given = flatten({name: node for name, node in state.items() if name not in parts and name != "own"})
        expected = self._numbers() | {name: 0 for name in parts if name not in state}
        loaded: dict[str, Slots] = {}
        for path, p in self._named_params():
            if f"slots.{path}.step" in given:
                loaded[path] = self._init(path, loading.pending(p, "data"))
                expected |= slot_leaves(path, loaded[path])
        arrays = as_arrays(given)
        compare(as_arrays(expected), arrays, what)
        options = self._read_options(arrays)
        for name, part in parts.items():
            loading.part(part, state[name], name)
        for path, slots in loaded.items():
            slots.step = checked_count(what, f"slots.{path}.step", leaf(arrays[f"slots.{path}.step"]), low=0)
            slots.arrays = SlotArrays({name: copied(arrays[f"slots.{path}.{name}"]) for name in slots.arrays})
        loading.put(self, "step", checked_count(what, "step", leaf(arrays["step"]), low=0))
        loading.put(self, "_slots", loaded)
        put_own()
        for name, value in own.items():
            loading.put(self, name, value)
        owners: list[Any] = [self, *self.groups]
        for owner, new in zip(owners, options):
            loading.put(owner, "options", owner.options | new)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in vars(self._options_of(None)).items())
        return f"{self._name}({options}), step {self.step}"

    # How it is done.

    def _warn_of_nothing_to_do(self) -> None:
        """Warn once of an update without any gradient, which is likely to be a mistake of the loop."""
        if self._warned:
            return
        self._warned = True
        params = [p for _, p in self._named_params()]
        if params and all(not p.requires_grad for p in params):
            why = "all parameters are frozen. Call unfreeze() to train them"
        elif not params:
            why = f"{type(self.target).__name__} has no parameters. Create its layers in __init__, as attributes or in lists or dicts"
        else:
            why = (
                f"no parameter of {type(self.target).__name__} has a gradient. Call loss.backward() before update(), do not "
                "call cleargrads() between them, and compute the loss with the model given to setup()"
            )
        notice(f"{self._name}.update changes nothing: {why}")

    def _named_params(self) -> Iterable[tuple[str, Parameter]]:
        if self.target is None:
            raise ArgumentError(f"{self._name}: no model to update; call setup(model) first")
        return self.target.named_params()

    def _own(self) -> dict[str, Any]:
        """The attributes that a rule as in the book keeps its numbers and arrays in."""
        if not self.by_parameter:
            return {}
        return {name: value for name, value in self.__dict__.items() if name not in self._inherited}

    def _rate(self, lr: Rate) -> float:
        return checked_number(self._name, "lr", lr(self.step) if callable(lr) else lr)

    def _options_of(self, group: Group | None) -> Options:
        options = self.options if group is None else self.options | group.options
        return Options(**options | ({"lr": self._rate(options["lr"])} if "lr" in options else {}))

    def _place(self, path: str, p: Parameter) -> int:
        """The number of the group a parameter is in, counted from 1; 0 if it is in none."""
        place = self._group_of.get(path)
        if place is None:
            holding = (i for i, group in enumerate(self.groups, 1) if group.holds(path, p))
            place = self._group_of[path] = next(holding, 0)
        return place

    def _slots_for(self, path: str, p: Parameter) -> Slots:
        """The slots of a parameter, made at its first update; checks that it can be updated."""
        data = p._data
        if not data.flags.writeable:
            raise ArgumentError(f"{self._name}: {path} is read-only; write p.data = p.data.copy() before training")
        slots = self._slots.get(path)
        if slots is None:
            slots = self._slots[path] = self._init(path, data)
        if data.shape != slots.shape or data.dtype != slots.dtype:
            raise ShapeError(
                f"{self._name}: {path} is {data.dtype} {data.shape} now, but was {slots.dtype} {slots.shape} before; "
                "its optimizer state no longer fits. Create a new optimizer"
            )
        check_gradient(self._name, path, p)
        return slots

    def _init(self, path: str, data: Array | None) -> Slots:
        if data is None:
            raise WeightsError(f"{self._name}: {path} has no shape yet; load its weights or call the model once, first")
        if data.dtype.kind != "f":
            raise DTypeError(
                f"{self._name}: {path} is {data.dtype}, and steps are no integers; make it of floating-point numbers, "
                "Parameter(array.astype(np.float32))"
            )
        return Slots(0, data.shape, data.dtype, SlotArrays(self.init(at_least_float32(data))))

    def _update_all(self, work: list[tuple[Parameter, Slots, int]], options: list[Options]) -> None:
        """Update small parameters together, all others one by one."""
        small: dict[tuple[int, int, Any], list[Member]] = defaultdict(list)
        for p, slots, place in work:
            slots.step += 1
            if self.by_parameter:
                update_by_parameter(self._name, self.update_one, p._label(), p)  # type: ignore[arg-type]  # the book's
            elif self.elementwise and p._data.size <= SMALL:
                small[place, slots.step, slots.dtype].append((p, slots))
            else:
                o = options[place]
                o.step = slots.step
                self._update_param(p, slots.arrays, o)
        bundles = []
        for (place, step, _), members in small.items():
            o = options[place]
            o.step = step
            bundles += [self._update_bundle(part, o) for part in in_bundles(members)]
        self._bundles = bundles

    def _update_bundle(self, members: list[Member], o: Options) -> Bundle:
        params, slots = zip(*members)
        bundle = next((bundle for bundle in self._bundles if bundle.holds(slots)), None) or Bundle(slots)
        bundle.update(params, self.update_one, o)
        return bundle

    def _update_param(self, p: Parameter, slots: dict[str, Array], o: Options) -> None:
        data, g = p.data, p.grad.data  # type: ignore[union-attr]  # those without a gradient were left out
        if data.dtype == np.float16:  # Computed in float32 and rounded once.
            wide = data.astype(np.float32)
            self.update_one(wide, at_least_float32(g), slots, o)
            data[...] = wide
            p.mark_edited()
            return
        if data.flags.c_contiguous:
            g = ordered(g)  # That of a convolution is not.
        arrays = (data, g, *slots.values())
        if not self.elementwise or data.size <= BLOCK or (self.fused and compiled_for(*arrays)):
            self.update_one(data, g, slots, o)
        else:
            for part, gradient, *parts in blocks(*arrays):
                self.update_one(part, gradient, SlotArrays(zip(slots, parts)), o)
        p.mark_edited()

    def _places(self) -> dict[str, dict[str, Any]]:
        """The options of the optimizer and of its groups, by their paths in the state."""
        return {"options": self.options} | {f"groups.{i}": group.options for i, group in enumerate(self.groups)}

    def _numbers(self) -> dict[str, Any]:
        """The count and the options as leaves of the state; a schedule is a function, which cannot be saved."""
        leaves: dict[str, Any] = {"step": int(self.step)}
        for place, options in self._places().items():
            leaves |= {f"{place}.{name}": value for name, value in options.items() if not callable(value)}
        return leaves

    def _parts(self) -> dict[str, Stateful]:
        """The schedules and hooks that have a state of their own."""
        parts: dict[str, Any] = {f"schedule{i}": own.get("lr") for i, own in enumerate(self._places().values())}
        parts |= {f"hook{i}": hook for i, hook in enumerate(self.hooks)}
        return {name: part for name, part in parts.items() if isinstance(part, Stateful)}

    def _read_options(self, arrays: dict[str, Array]) -> list[dict[str, Any]]:
        """The saved options of each place, checked."""
        return [
            {
                name: checked_option(self._name, name, arrays[f"{place}.{name}"].tolist())
                for name, value in options.items()
                if not callable(value)
            }
            for place, options in self._places().items()
        ]


answers(Optimizer, OPTIMIZER)

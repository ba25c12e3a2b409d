"""One update of an optimizer: the parameters, their options, the hooks before and after, and the step itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from passus.answers import answers
from passus.backend import Array
from passus.backend.trace import host_call
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, kind_of
from passus.foreign import OPTIMIZER
from passus.kernels.blocks import Scratch
from passus.notices import notice
from passus.optimizers.by_parameter import takes_parameter, update_by_parameter
from passus.optimizers.groups import NO_RATE
from passus.optimizers.hooks import Hook
from passus.optimizers.options import Options, Rate, Where
from passus.optimizers.parameters import Target, check_gradient, check_target, missing_gradients
from passus.optimizers.slots import ParamState
from passus.optimizers.state import OptimizerState
from passus.optimizers.stepping import Stepper

__all__ = ["Optimizer"]


class Optimizer(OptimizerState):
    """The base of every optimizer: a subclass names its slots and defines `update_one`.

    ``options``: the numbers of the rule, each at least 0; ``lr`` may be a schedule. They are read and changed as
    attributes, such as ``optimizer.momentum``. Raises `ArgumentError` or `DTypeError` for other values.

    >>> import numpy as np
    >>> class SignSGD(Optimizer):
    ...     def update_one(self, p, g, slots, o):
    ...         t = np.sign(g, out=self.scratch(p))
    ...         t *= o.lr
    ...         p -= t
    >>> SignSGD(lr=0.1)
    SignSGD(lr=0.1), step 0

    A rule may also be written as in the book, ``update_one(self, param)``. Its attributes are saved if they are
    numbers, arrays, or dicts of arrays by ``id(param)``.

    >>> class SGD(Optimizer):
    ...     def __init__(self, lr=0.01):
    ...         super().__init__()
    ...         self.lr = lr
    ...     def update_one(self, param):
    ...         param.data -= self.lr * param.grad.data
    >>> SGD(lr=0.1)
    SGD(lr=0.1), step 0
    """

    elementwise: ClassVar[bool] = True
    """Whether `update_one` treats each element separately, so that it may be given blocks of a large parameter, and
    small parameters joined in one array."""
    rule: ClassVar[Any] = None
    """The kernel of `passus.kernels.updates` that changes a parameter. A class without one overrides `update_one`."""
    fused: ClassVar[bool] = False
    """Whether `update_one` splits a large parameter by itself, as the rules of `passus.kernels.updates` do."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.by_parameter = takes_parameter(cls.update_one)

    def __init__(self, lr: Rate = NO_RATE, **options: Any) -> None:
        super().__init__(lr, options)
        self.target = None
        self.hooks = []
        self.scratch = Scratch()
        self._stepper = Stepper()
        self._warned = False
        self._base_attributes = frozenset(self.__dict__)

    def update_one(self, p: Array, g: Array, slots: dict[str, Array], o: Options) -> None:
        """Change the array ``p`` and its slots in place, by the gradient ``g``, which is only read.

        Intermediate results go into ``self.scratch(p)``, so that nothing is allocated.
        """
        if self.rule is None:
            raise NotImplementedError(f"{type(self).__name__}.update_one is not implemented")
        self.rule(p, g, *[slots[name] for name in self.slots], *self.rule_options(o), self.scratch)

    def rule_options(self, o: Options) -> tuple[Any, ...]:
        """What `rule` takes after the arrays, for this update."""
        raise NotImplementedError(f"{type(self).__name__}.rule_options is not implemented")

    def setup(self, target: Target) -> Self:
        """Set the layer or model whose parameters are updated."""
        check_target(f"{self._name}.setup", target)
        self.target = target
        self._regroup()
        return self

    @host_call
    def update(self) -> None:
        """Update each parameter that has a gradient and is not frozen.

        Raises `ArgumentError` before `setup`, for a rate that has become NaN, and for a read-only parameter;
        `ShapeError` for a parameter of another shape or dtype than before, and for a gradient of another shape. In
        these cases no parameter has been changed.
        """
        named = [(path, p) for path, p in self._named_params() if p._grad is not None and p.requires_grad]
        if not named:
            self._warn_of_missing_gradients()
        params = [p for _, p in named]
        if self.hooks:
            self._call_hooks(named, params)
            named = [(path, p) for path, p in named if p._grad is not None]  # A hook may clear a gradient.
        options = self._current_options()
        states = [self._checked_state(path, p) for path, p in named]  # All checks come before the first change.
        self._step_all([p for _, p in named], states, options)
        self._step += 1
        for hook in self.hooks:
            if isinstance(hook, Hook):
                hook.updated(params)

    def add_hook(self, hook: Callable[[list[Parameter]], None]) -> None:
        """Call ``hook(params)`` before each update; hooks are called in the order in which they were added."""
        if isinstance(hook, type):
            raise DTypeError(f"{self._name}.add_hook: {hook.__name__} is a class; write add_hook({hook.__name__}(...))")
        if not callable(hook):
            raise DTypeError(f"{self._name}.add_hook: hook is {kind_of(hook)}; give a Hook, such as ClipGrad(1.0)")
        self.hooks.append(hook)

    def add_group(self, where: Where, **options: Any) -> None:
        """Give some parameters different options; those not named here are shared with all other parameters.

        Raises `ArgumentError` for a path that does not exist, a parameter that is in another group already, and an
        option that this optimizer does not have.
        """
        if self.by_parameter:
            raise ArgumentError(
                f"{self._name}.add_group: its rule reads its numbers from self; for groups, write "
                "update_one(self, p, g, slots, o), and read them from o"
            )
        self.groups.append(self._new_group(where, options, list(self._named_params())))
        self._regroup()

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in vars(self._evaluated(self.options)).items())
        return f"{self._name}({options}), step {self.step}"

    def _call_hooks(self, named: list[tuple[str, Parameter]], params: list[Parameter]) -> None:
        for path, p in named:
            check_gradient(self._name, path, p)
        for hook in self.hooks:
            hook(params)

    def _step_all(self, params: list[Parameter], states: list[ParamState], options: list[Options]) -> None:
        if not self.by_parameter:
            self._stepper.step(self, params, states, options)
            return
        rule: Any = self.update_one
        for p, state in zip(params, states):
            state.step += 1
            update_by_parameter(self._name, rule, p._label(), p)

    def _regroup(self) -> None:
        """Let the next update find the group of each parameter again."""
        for state in self._states.values():
            state.group = None
        self._stepper = Stepper()

    def _warn_of_missing_gradients(self) -> None:
        """Warn once of an update without any gradient, which is likely to be a mistake in the training loop."""
        if not self._warned:
            self._warned = True
            why = missing_gradients(self.target, [p for _, p in self._named_params()])
            notice(f"{self._name}.update changes nothing: {why}")


answers(Optimizer, OPTIMIZER)

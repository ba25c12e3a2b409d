"""Options as attributes of an optimizer, and groups of parameters with different options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getattr_static
from typing import Any

from passus.answers import ASSIGNED, Foreign, check_assigned
from passus.arguments import checked_number
from passus.constructors import CheckedOptions
from passus.core import Parameter
from passus.errors import ArgumentError, MissingAttributeError
from passus.optimizers.options import Options, Rate, Where, checked_option

__all__ = ["NO_RATE", "Group", "GroupedOptions"]

NO_RATE: Any = object()
"""Default of ``lr`` in an optimizer that has no learning rate."""


@dataclass
class Group:
    """A selection of parameters, and the options that differ from those of the optimizer."""

    where: Where
    options: dict[str, Any]

    def includes(self, path: str, p: Parameter) -> bool:
        """Whether a parameter belongs to this group."""
        if callable(self.where):
            return bool(self.where(path, p))
        return path == self.where or path.startswith(f"{self.where}.")


class StepCount(int):
    """A number of updates; calling it raises an error that names `Optimizer.update`."""

    def __call__(self, *arguments: Any) -> None:
        raise MissingAttributeError(f"step is the number of updates ({self:d}), not a method; write update()")


class GroupedOptions(CheckedOptions):
    """The options of an optimizer: read and changed as attributes, and overridden for groups of parameters."""

    def __init__(self, lr: Rate, options: dict[str, Any]) -> None:
        self._name = type(self).__name__
        options = options if lr is NO_RATE else {"lr": lr} | options
        self.options = self._checked(options)
        self.groups: list[Group] = []
        self._step = 0

    def __getattr__(self, name: str) -> Any:
        """Return an option that is not an attribute, such as ``momentum``."""
        foreign = getattr_static(type(self), name, None)
        if isinstance(foreign, Foreign):  # Python looks here after the AttributeError of a foreign name.
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

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return StepCount(self._step)

    @step.setter
    def step(self, step: int) -> None:
        self._step = int(step)

    @property
    def lr(self) -> float:
        """The learning rate of the next update; a number or a schedule may be assigned."""
        if "lr" not in self.options:
            raise AttributeError("lr")  # __getattr__ explains it.
        return self._rate(self.options["lr"])

    @lr.setter
    def lr(self, lr: Rate) -> None:
        self.options["lr"] = checked_option(self._name, "lr", lr)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: checked_option(self._name, name, value) for name, value in options.items()}

    def _rate(self, lr: Rate) -> float:
        return checked_number(self._name, "lr", lr(self.step) if callable(lr) else lr)

    def _new_group(self, where: Where, options: dict[str, Any], named: Sequence[tuple[str, Parameter]]) -> Group:
        """Create a group of some of these parameters, after the checks of `Optimizer.add_group`."""
        unknown = [name for name in options if name not in self.options]
        if unknown:
            raise ArgumentError(f"{self._name} has no option {', '.join(unknown)}; it has {', '.join(self.options)}")
        group = Group(where, self._checked(options))
        members = [(path, p) for path, p in named if group.includes(path, p)]
        if not members:
            known = ", ".join(path for path, _ in named)
            raise ArgumentError(f"{self._name}.add_group: no parameter is at {where!r}; there are {known}")
        for path, p in members:
            if self._group_index(path, p):
                raise ArgumentError(f"{self._name}.add_group: {path} is in a group already, and it can be in one only")
        return group

    def _group_index(self, path: str, p: Parameter) -> int:
        """The index of the options of a parameter in `_current_options`: 0 if it is in no group."""
        return next((i for i, group in enumerate(self.groups, 1) if group.includes(path, p)), 0)

    def _current_options(self) -> list[Options]:
        """The options of the next update: those outside all groups, then those of each group."""
        return [
            self._evaluated(self.options),
            *[self._evaluated(self.options | group.options) for group in self.groups],
        ]

    def _evaluated(self, options: dict[str, Any]) -> Options:
        o = Options(**options)
        if "lr" in options:
            o.lr = self._rate(options["lr"])
        return o

"""Transactional loading of saved states: all states are verified before any is assigned.

An object with several parts passes them to one `Loading`. Each part verifies its state and schedules assignments, which are
carried out only if all parts succeed. Foreign objects, which only have ``load_state_dict``, are rolled back if a later one
fails.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from passus.arguments import shown
from passus.errors import PassusError, WeightsError
from passus.tree import Stateful, Tree

__all__ = ["Loading", "Verified", "leaf", "load", "load_all"]


class Loading:
    """Assignments that are scheduled while states are verified, and carried out together.

    >>> from passus.schedules import OnPlateau
    >>> lr, loading = OnPlateau(0.1), Loading()
    >>> loading.verify(lr, OnPlateau(0.5).state_dict())
    >>> lr(0)
    0.1
    >>> loading.commit()
    >>> lr(0)
    0.5
    """

    def __init__(self) -> None:
        self.model: Any = None
        """The trained model, if a trainer is among the parts."""
        self._steps: list[_Assignment | _ForeignLoad] = []
        self._pending: dict[tuple[int, str], Any] = {}
        self._names: list[str | None] = []

    def assign(self, owner: Any, attribute: str, value: Any) -> None:
        """Schedule the assignment of a verified value."""
        self._steps.append(_Assignment(owner, attribute, value))
        self._pending[id(owner), attribute] = value

    def pending(self, owner: Any, attribute: str) -> Any:
        """The scheduled value of an attribute, or its current value."""
        key = id(owner), attribute
        return self._pending[key] if key in self._pending else getattr(owner, attribute)

    def verify(self, part: Stateful, state: Any, name: str | None = None, **options: Any) -> None:
        """Verify the state of a part and schedule its assignments; ``name``: the part in messages.

        Raises a `PassusError` if the state does not fit.
        """
        if _verifies(part):
            self._names.append(name)
            with _Named(name):
                part.verify_state(state, self, **options)  # type: ignore[attr-defined]
            self._names.pop()
            return
        path = ".".join(n for n in (*self._names, name) if n is not None)
        self._steps.append(_ForeignLoad(part, state, path or None))
        if hasattr(part, "verify_state"):
            self._pending |= _expected_assignments(part, state)

    def commit(self) -> None:
        """Carry out all assignments; an error or Ctrl-C rolls them back."""
        undo: list[Callable[[], object]] = []
        try:
            for step in self._steps:
                undo.append(step.undo())
                step.apply()
        except BaseException:
            for roll_back in reversed(undo):
                with suppress(Exception):  # A foreign object that cannot load its own state must not block the others.
                    roll_back()
            raise


class Verified:
    """The base of classes that verify a state before loading it; subclasses define `state_dict` and `verify_state`.

    >>> class Counter(Verified):
    ...     count = 0
    ...     def state_dict(self):
    ...         return {"count": self.count}
    ...     def verify_state(self, state, loading):
    ...         loading.assign(self, "count", int(state["count"]))
    >>> counter = Counter()
    >>> counter.load_state_dict({"count": 3})
    >>> counter.count
    3
    """

    def state_dict(self) -> Tree:
        """The whole state; the caller only reads it."""
        raise NotImplementedError(f"{type(self).__name__}.state_dict is not implemented")

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Verify a state and schedule its assignments with ``loading``. Raises a `PassusError` if it does not fit."""
        raise NotImplementedError(f"{type(self).__name__}.verify_state is not implemented")

    def load_state_dict(self, state: Tree) -> None:
        """Load a state. Raises a `PassusError` if it does not fit; then nothing is changed."""
        load(self, state)


def load(part: Any, state: Any, **options: Any) -> Any:
    """Verify and load a state; returns the result of ``part.verify_state``.

    >>> from passus.schedules import OnPlateau
    >>> load(OnPlateau(0.1), {"lr": 0.5})
    Traceback (most recent call last):
        ...
    passus.errors.ArgumentError: OnPlateau: a state has lr, best, waited, resting; given: lr
    """
    loading = Loading()
    with _Named(None):
        result = part.verify_state(state, loading, **options)
    loading.commit()
    return result


def load_all(pairs: Iterable[tuple[Stateful, Tree]]) -> None:
    """Load the states of several parts; if one does not fit, none is changed.

    >>> from passus.schedules import OnPlateau
    >>> lr = OnPlateau(0.1)
    >>> load_all([(lr, OnPlateau(0.5).state_dict())])
    >>> lr(0)
    0.5
    """
    loading = Loading()
    for part, state in pairs:
        loading.verify(part, state)
    loading.commit()


def leaf(value: Any) -> Any:
    """Convert a scalar of a state to a Python number; some file formats return it as an array without axes.

    >>> leaf(np.array(3)), leaf("a")
    (3, 'a')
    """
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0 else value


class _Assignment(NamedTuple):
    owner: Any
    attribute: str
    value: Any

    def undo(self) -> Callable[[], object]:
        return partial(setattr, self.owner, self.attribute, getattr(self.owner, self.attribute))

    def apply(self) -> None:
        setattr(self.owner, self.attribute, self.value)


class _ForeignLoad(NamedTuple):
    part: Stateful
    state: Any
    name: str | None

    def undo(self) -> Callable[[], object]:
        before = copy.deepcopy(self.part.state_dict())
        if hasattr(self.part, "verify_state"):  # A subclass whose load_state_dict has side effects: bypass it.
            rollback = Loading()
            try:
                self.part.verify_state(before, rollback)
            except Exception:  # noqa: S110 - the subclass also extends the state
                pass
            else:
                return rollback.commit
        return partial(self.part.load_state_dict, before)

    def apply(self) -> None:
        with _Named(self.name):
            self.part.load_state_dict(self.state)


class _Named:
    """Prefixes errors with the name of a part, and converts foreign errors to `WeightsError`."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, PassusError):
            if self.name is not None:
                error.within(self.name)
        elif isinstance(error, Exception):
            name = "" if self.name is None else f"{self.name}: "
            raise WeightsError(f"{name}cannot load its state: {shown(error)}. Nothing was changed") from error


def _verifies(part: Any) -> bool:
    """Whether load_state_dict of a part only calls its verify_state, that is, no subclass overrides it."""
    for cls in type(part).__mro__:
        if "verify_state" in vars(cls):
            return True
        if "load_state_dict" in vars(cls):
            return False
    return False


def _expected_assignments(part: Any, state: Any) -> dict[tuple[int, str], Any]:
    """The assignments that a part with its own load_state_dict is expected to make, for parts that depend on them."""
    scratch = Loading()
    try:
        part.verify_state(state, scratch)
    except Exception:  # Its load_state_dict will raise the error.
        return {}
    return scratch._pending

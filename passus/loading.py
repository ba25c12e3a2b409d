"""Taking back saved states: all of them are verified before the first is taken.

Whatever has a state of several parts hands them to one `Loading`, with which they verify what they are given and note
what they are to become; only when all have agreed is anything assigned. Parts of somebody else, which can only be asked
to load, are put back as they were if one of them refuses.
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
    """What is to be assigned once all states have been verified.

    >>> from passus.schedules import OnPlateau
    >>> lr, loading = OnPlateau(0.1), Loading()
    >>> loading.part(lr, OnPlateau(0.5).state_dict())
    >>> lr(0)
    0.1
    >>> loading.commit()
    >>> lr(0)
    0.5
    """

    def __init__(self) -> None:
        self.model: Any = None
        """The model that is trained, if a trainer is among the parts."""
        self._steps: list[_Put | _Ask] = []
        self._pending: dict[tuple[int, str], Any] = {}
        self._names: list[str | None] = []

    def put(self, owner: Any, attribute: str, value: Any) -> None:
        """Assign a value, which has been verified, when all else has been, too."""
        self._steps.append(_Put(owner, attribute, value))
        self._pending[id(owner), attribute] = value

    def pending(self, owner: Any, attribute: str) -> Any:
        """What an attribute will be, or what it is if nothing has been put there."""
        key = id(owner), attribute
        return self._pending[key] if key in self._pending else getattr(owner, attribute)

    def part(self, part: Stateful, state: Any, name: str | None = None, **options: Any) -> None:
        """Let a part verify its state; ``name``: what it is called in messages.

        Raises a `PassusError` if the state does not fit.
        """
        if _verifies(part):
            self._names.append(name)
            with _Named(name):
                part.verify_state(state, self, **options)  # type: ignore[attr-defined]
            self._names.pop()
            return
        path = ".".join(n for n in (*self._names, name) if n is not None)
        self._steps.append(_Ask(part, state, path or None))
        if hasattr(part, "verify_state"):
            self._pending |= _foreseen(part, state)

    def commit(self) -> None:
        """Assign everything; an error or Ctrl-C on the way leaves everything as it was."""
        undo: list[Callable[[], object]] = []
        try:
            for step in self._steps:
                undo.append(step.undo())
                step.take()
        except BaseException:
            for back in reversed(undo):
                with suppress(Exception):  # One that takes not even its own state hinders no other.
                    back()
            raise


class Verified:
    """The base of what verifies a state before any of it is taken: a subclass writes `state_dict` and `verify_state`.

    >>> class Counter(Verified):
    ...     count = 0
    ...     def state_dict(self):
    ...         return {"count": self.count}
    ...     def verify_state(self, state, loading):
    ...         loading.put(self, "count", int(state["count"]))
    >>> counter = Counter()
    >>> counter.load_state_dict({"count": 3})
    >>> counter.count
    3
    """

    def state_dict(self) -> Tree:
        """The whole state; the caller only reads it."""
        raise NotImplementedError(f"{type(self).__name__}.state_dict is not implemented")

    def verify_state(self, state: Tree, loading: Loading) -> None:
        """Raise a `PassusError` for a state that does not fit, and let ``loading`` know what is to be assigned."""
        raise NotImplementedError(f"{type(self).__name__}.verify_state is not implemented")

    def load_state_dict(self, state: Tree) -> None:
        """Take back a state, all or nothing: raises a `PassusError` if it does not fit, and changes nothing then."""
        load(self, state)


def load(part: Any, state: Any, **options: Any) -> Any:
    """Let a part that can verify states take one; returns what its ``verify_state`` returned.

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
    """Give each part its state; if one refuses, none has changed.

    >>> from passus.schedules import OnPlateau
    >>> lr = OnPlateau(0.1)
    >>> load_all([(lr, OnPlateau(0.5).state_dict())])
    >>> lr(0)
    0.5
    """
    loading = Loading()
    for part, state in pairs:
        loading.part(part, state)
    loading.commit()


def leaf(value: Any) -> Any:
    """A number of a state as a number of Python; from some files it comes as an array without axes.

    >>> leaf(np.array(3)), leaf("a")
    (3, 'a')
    """
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0 else value


class _Put(NamedTuple):
    owner: Any
    attribute: str
    value: Any

    def undo(self) -> Callable[[], object]:
        return partial(setattr, self.owner, self.attribute, getattr(self.owner, self.attribute))

    def take(self) -> None:
        setattr(self.owner, self.attribute, self.value)


class _Ask(NamedTuple):
    part: Stateful
    state: Any
    name: str | None

    def undo(self) -> Callable[[], object]:
        before = copy.deepcopy(self.part.state_dict())
        if hasattr(self.part, "verify_state"):  # One of ours, whose load_state_dict does more than that: past it.
            back = Loading()
            try:
                self.part.verify_state(before, back)
            except Exception:  # noqa: S110 - its state is more than ours, too
                pass
            else:
                return back.commit
        return partial(self.part.load_state_dict, before)

    def take(self) -> None:
        with _Named(self.name):
            self.part.load_state_dict(self.state)


class _Named:
    """Puts the name of a part in front of its errors, and makes `WeightsError` of those that are not ours."""

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
    """Whether the load_state_dict of a part does what its verify_state says, and no more."""
    for cls in type(part).__mro__:
        if "verify_state" in vars(cls):
            return True
        if "load_state_dict" in vars(cls):
            return False
    return False


def _foreseen(part: Any, state: Any) -> dict[tuple[int, str], Any]:
    """What a part that does more than to verify will probably put; others may depend on it."""
    scratch = Loading()
    try:
        part.verify_state(state, scratch)
    except Exception:  # It will say so itself.
        return {}
    return scratch._pending

"""Random numbers in a program: each draw is an instruction, so that each run draws anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from passus.errors import RecordingError
from passus.random import get_rng

__all__ = ["Draw", "Replacements", "TracedGenerator"]

Record = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class Draw:
    """A method of a random generator; ``rng`` None is the current generator of each run.

    >>> Draw(np.random.default_rng(0), "integers")(10, size=3)
    array([8, 6, 5])
    """

    def __init__(self, rng: np.random.Generator | None, method: str) -> None:
        self.rng, self.method, self.__name__ = rng, method, f"rng.{method}"

    def __call__(self, *args: Any, **options: Any) -> Any:
        generator = get_rng(self.rng)
        if isinstance(generator, TracedGenerator):  # While the step is recorded.
            generator = generator._original
        return getattr(generator, self.method)(*args, **options)

    @property
    def state(self) -> Any:
        """The state of the generator."""
        return get_rng(self.rng).bit_generator.state

    @state.setter
    def state(self, state: Any) -> None:
        get_rng(self.rng).bit_generator.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Draw) and self.rng is other.rng and self.method == other.method

    __hash__ = object.__hash__


class TracedGenerator(np.random.Generator):
    """A generator whose draws are recorded.

    A call that is repeated for its gradients, as by `passus.checkpoint`, must draw the same numbers again: it returns to an
    earlier position, from which on earlier draws are repeated.
    """

    def __init__(self, generator: np.random.Generator, rng: np.random.Generator | None, record: Record) -> None:
        super().__init__(generator.bit_generator)
        self._original, self._draw = generator, (rng, record)
        self._drawn: list[tuple[str, Any]] = []
        self._position = 0
        """Number of the next draw."""

    def __deepcopy__(self, memo: dict[int, Any]) -> TracedGenerator:
        copy = TracedGenerator(self._original, *self._draw)
        copy._drawn, copy._position = self._drawn, self._position
        return copy

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)
        if name in ("bit_generator", "spawn"):
            raise RecordingError(
                f"the {name} of a random generator is used while the step is recorded, and each run needs its own; draw numbers "
                "with its methods, such as rng.random(size)"
            )
        rng, record = self._draw

        def drawn(*args: Any, **options: Any) -> Any:
            if self._position == len(self._drawn):
                self._drawn.append((name, record(Draw(rng, name), args, options)))
            method, result = self._drawn[self._position]
            if method != name:
                raise RecordingError("a call that is repeated for its gradients draws other random numbers than before")
            self._position += 1
            return result

        return drawn


class Replacements(Mapping[np.random.Generator, np.random.Generator]):
    """Traced generators by the generators that a step uses, with their states at first use."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.original: np.random.Generator | None = None
        """The current generator."""
        self.states: dict[np.random.Generator, Mapping[str, Any]] = {}
        self._traced: dict[tuple[np.random.Generator, np.random.Generator | None], TracedGenerator] = {}

    def __getitem__(self, rng: np.random.Generator) -> np.random.Generator:
        if isinstance(rng, TracedGenerator):
            return rng
        return self.traced(rng, rng)

    def __len__(self) -> int:
        return len(self.states)

    def __iter__(self) -> Iterator[np.random.Generator]:
        return iter(self.states)

    def get(self, rng: Any, default: Any = None) -> Any:
        return self[rng]

    def current(self) -> TracedGenerator:
        """The current generator, traced."""
        self.original = get_rng()
        return self.traced(self.original, None)

    def traced(self, generator: np.random.Generator, rng: np.random.Generator | None) -> TracedGenerator:
        """The traced generator for ``rng``; ``generator`` draws its numbers while the step is recorded."""
        self.states.setdefault(generator, generator.bit_generator.state)
        if (generator, rng) not in self._traced:
            self._traced[generator, rng] = TracedGenerator(generator, rng, self.record)
        return self._traced[generator, rng]

    def restore(self) -> None:
        """Undo all draws."""
        for traced in self._traced.values():
            traced._drawn.clear()
        for generator, state in self.states.items():
            generator.bit_generator.state = state

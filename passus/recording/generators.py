"""Random numbers in a program: each draw is an instruction, so that each run draws anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    """A generator whose draws are recorded."""

    def __init__(self, generator: np.random.Generator, rng: np.random.Generator | None, record: Record) -> None:
        super().__init__(generator.bit_generator)
        self._original, self._draw = generator, (rng, record)

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
            return record(Draw(rng, name), args, options)

        return drawn


class Replacements(Mapping[np.random.Generator, np.random.Generator]):
    """Traced generators by the generators that a step uses, with their states at first use."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.original: np.random.Generator | None = None
        """The current generator."""
        self.states: dict[np.random.Generator, Mapping[str, Any]] = {}
        self._traced: dict[np.random.Generator, TracedGenerator] = {}

    def __getitem__(self, rng: np.random.Generator) -> np.random.Generator:
        if isinstance(rng, TracedGenerator):
            return rng
        return self.traced(rng, rng)

    def __len__(self) -> int:
        return len(self._traced)

    def __iter__(self) -> Any:
        return iter(self._traced)

    def get(self, rng: Any, default: Any = None) -> Any:
        return self[rng]

    def current(self) -> TracedGenerator:
        """The current generator, traced."""
        self.original = get_rng()
        return self.traced(self.original, None)

    def traced(self, generator: np.random.Generator, rng: np.random.Generator | None) -> TracedGenerator:
        """The traced generator for ``rng``; ``generator`` draws its numbers while the step is recorded."""
        self.states.setdefault(generator, generator.bit_generator.state)
        if generator not in self._traced:
            self._traced[generator] = TracedGenerator(generator, rng, self.record)
        return self._traced[generator]

    def restore(self) -> None:
        """Undo all draws."""
        for generator, state in self.states.items():
            generator.bit_generator.state = state

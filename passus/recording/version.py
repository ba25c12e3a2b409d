"""One program of a recorded function: what it requires of a call, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from passus.backend import copied
from passus.core import Variable
from passus.core.variable import constant_variable
from passus.recording.emitter import emit
from passus.recording.faults import locate
from passus.recording.generators import Draw
from passus.recording.passes import simplified
from passus.recording.places import InputGradPlace
from passus.recording.program import OtherBranchError, Program, expect
from passus.recording.recorder import Recorder
from passus.recording.signature import ArraySpec, SequenceSpec, Structure

__all__ = ["Slot", "Version", "build"]


class Slot:
    """A place in the result of a step: the number of an output, and whether it is boxed in a Variable."""

    __slots__ = ("boxed", "index")

    def __init__(self, index: int, boxed: bool) -> None:
        self.index, self.boxed = index, boxed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.index, self.boxed) == (other.index, other.boxed)

    __hash__ = None  # type: ignore[assignment]


class Version:
    """A program, with the requirements of its calls.

    ``result``: the tree that the step returns, with Slots for arrays.
    """

    def __init__(
        self,
        program: Program,
        recorder: Recorder,
        arguments: SequenceSpec,
        result: Any,
        required: tuple[bool, ...],
        requirements: Callable[[], tuple[bool, ...]],
        changed: set[str],
    ) -> None:
        self.arguments, self.result = arguments, result
        self.program = simplified(program, recorder.shared_results(program))
        self.required, self.requirements = required, requirements
        self.structure = Structure(recorder.layers, changed)
        self.is_checked = False
        """Whether a second recording was the same."""
        leaves = [leaf for leaf in recorder.leaves if leaf.index is None]
        self._variables = [(v, leaf.requires_grad) for leaf in leaves if (v := leaf.variable()) is not None]
        self._without_grad = [v for leaf in leaves if (v := leaf.variable()) is not None and leaf.needs_no_gradient]
        self._state = [(place, ArraySpec(recorder.originals[value])) for value, place in self.program.state]
        self._run: Callable[..., Any] | None = None
        self._places = [place for place, _ in self.program.writes]
        self._draws = [i.function for i in self.program.instructions if isinstance(i.function, Draw)]
        if not any(i.function is expect for i in self.program.instructions):
            self._draws = []  # No condition ends a run.

    def accepts(self, args: tuple[Any, ...], found: list[Any]) -> bool:
        """Whether the program computes what the step would; the arrays of the arguments are appended to ``found``."""
        return (
            self.arguments.matches(args, found)
            and self.requirements() == self.required
            and self.structure.holds()
            and self._accepts_variables()
            and self._reads(found)
        )

    def _accepts_variables(self) -> bool:
        for x, requires_grad in self._variables:
            if x.requires_grad is not requires_grad:
                return False
        return all(x._grad is None for x in self._without_grad)

    def _reads(self, found: list[Any]) -> bool:
        """Append the arrays of the state to ``found``; False if one has another shape or type."""
        for place, spec in self._state:
            array = place.get()
            if not spec.fits(array):
                return False
            found.append(array)
        return True

    def run(self, arrays: list[Any], args: tuple[Any, ...]) -> Any:
        """Run the program on the arrays of the arguments and of the state, and return what the step returns."""
        if self._run is None:
            self._run = emit(self.program)
        states = [(draw, draw.state) for draw in self._draws]
        try:
            outputs, written = self._run(*arrays)
        except OtherBranchError:
            for draw, state in states:
                draw.state = state
            raise
        except Exception as error:
            locate(error, self.program)
            raise
        if written:
            self._write(written, args)
        return build(self.result, outputs)

    def _write(self, arrays: tuple[Any, ...], args: tuple[Any, ...]) -> None:
        for place, array in zip(self._places, arrays):
            if type(place) is InputGradPlace:
                variables_in(args)[place.index]._grad = constant_variable(array)
            else:
                place.set(array)


def build(tree: Any, outputs: tuple[Any, ...]) -> Any:
    """A result with arrays for Slots."""
    kind = type(tree)
    if kind is Slot:
        array = outputs[tree.index]
        return constant_variable(array) if tree.boxed else array
    if kind is tuple or kind is list:
        return kind([build(v, outputs) for v in tree])
    if kind is dict:
        return {name: build(v, outputs) for name, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*[build(v, outputs) for v in tree])
    if isinstance(tree, Variable):
        return constant_variable(copied(tree._data))
    return tree.copy() if isinstance(tree, np.ndarray) else tree


def variables_in(tree: Any) -> list[Variable]:
    """The Variables in nested lists, tuples and dicts."""
    if isinstance(tree, Variable):
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [x for v in tree for x in variables_in(v)]
    if isinstance(tree, dict):
        return variables_in(list(tree.values()))
    return []

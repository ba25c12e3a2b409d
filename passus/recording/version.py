"""One program of a recorded function: what it requires of a call, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from threading import RLock
from typing import Any

from passus.recording.entry import MISS, entry, gradient_hooks
from passus.recording.faults import locate
from passus.recording.frozen import Frozen
from passus.recording.generators import Draw
from passus.recording.machine import on_machine
from passus.recording.passes import simplified
from passus.recording.passes.convolutions import with_prepared_convolutions
from passus.recording.passes.folding import folded
from passus.recording.places import AttributePlace, DataPlace
from passus.recording.program import OtherBranchError, Place, Program, expect
from passus.recording.recorder import Recorder
from passus.recording.signature import ArraySpec, SequenceSpec, Structure

__all__ = ["Version"]


def _is_fixed(place: Place) -> bool:
    """Whether the array of a place changes in training only: that of a parameter, or a buffer."""
    return isinstance(place, DataPlace) or (
        isinstance(place, AttributePlace) and place.attribute in place.owner._buffers
    )


class Version:
    """A program, with the requirements of its calls.

    ``arguments``: the requirement of the positional and the named arguments. ``result``: the tree that the step returns, with
    Slots for arrays. ``switches``, ``required``: the switches that it depends on, their values, and whether kernels are in use.
    """

    def __init__(
        self,
        program: Program,
        recorder: Recorder,
        arguments: SequenceSpec,
        result: Any,
        switches: tuple[ContextVar[bool], ...],
        required: tuple[bool, ...],
        changed: set[str],
        exact: bool,
        is_inference: bool,
    ) -> None:
        self.arguments, self.result = arguments, result
        self.program = simplified(program, recorder.shared)
        self.executed = self.program
        """The program as it runs, after the passes that depend on this machine."""
        self._exact = exact
        self.captured = recorder.captured
        self.switches, self.required = switches, required
        self.structure = Structure(recorder.layers, changed)
        self.branches = [i.args[1] for i in self.program.instructions if i.function is expect]
        """The truth values of its conditions."""
        self.is_checked = False
        """Whether a second recording was the same."""
        leaves = [(v, leaf) for leaf in recorder.leaves if leaf.index is None and (v := leaf.variable()) is not None]
        self.variables = [(v, leaf.requires_grad) for v, leaf in leaves]
        self.hooks = [(v, gradient_hooks(v)) for v, _ in leaves]
        """Variables, and what their hooks call."""
        self.without_grad = [v for v, leaf in leaves if leaf.needs_no_gradient]
        fixed = [(v, p) for v, p in self.program.state if is_inference and _is_fixed(p)]
        self.frozen = Frozen(fixed) if fixed else None
        """Parameters and buffers that are constants."""
        self._specs = {value: ArraySpec(recorder.originals[value]) for value, _ in self.program.state}
        self.assigned = [(s.layer, name, v) for s in recorder.layers for name, v in s.assigned.items()]
        self._lock = RLock()
        self._entry: Callable[..., Any] | None = None
        draws = [i.function for i in self.program.instructions if isinstance(i.function, Draw)]
        ends = any(i.function is expect for i in self.program.instructions)
        self._draws = draws if ends else []
        """Draws that must be undone if a condition ends a run."""

    @property
    def state_specs(self) -> list[ArraySpec]:
        """What is required of the arrays of the state that are read in each run."""
        return [self._specs[value] for value, _ in self.executed.state]

    def is_alike(self, other: Version) -> bool:
        """Whether another version was recorded for the same kind of call, and has not been compared with this one."""
        if self.is_checked or self.required != other.required or not self.arguments.is_same(other.arguments):
            return False
        specs = list(self._specs.values()), list(other._specs.values())
        return (
            self.captured.changed() is None
            and self.structure.is_same(other.structure)
            and self.branches == other.branches
            and len(specs[0]) == len(specs[1])
            and len(self.without_grad) == len(other.without_grad)
            and all(a.is_same(b) for a, b in zip(*specs))
        )

    def _prepared(self) -> Callable[..., Any] | None:
        """The entry, after the passes that depend on the numbers of the state, and on this machine; None if they do not fit."""
        with self._lock:
            if self._entry is None or (self.frozen is not None and self.frozen.has_changed()):
                if not all(self._specs[value].fits(place.get()) for value, place in self.program.state):
                    return None
                self._prepare()
                self._entry = entry(self)
            return self._entry

    def _prepare(self) -> None:
        program = self.program
        if self.frozen is not None:
            self.frozen.update()
            program = with_prepared_convolutions(folded(program, self.frozen.constants()), fuse=not self._exact)
        if not self._exact:
            program = on_machine(program, [place.get() for _, place in program.state])
        self.executed = program

    def takes(self, args: tuple[Any, ...], options: dict[str, Any], required: tuple[bool, ...]) -> bool:
        """Whether the program is for such arguments and switches."""
        return required == self.required and self.arguments.matches((args, options), [])

    def run(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result of a call; `MISS` if the program does not hold for it."""
        run = self._entry
        if run is None or (self.frozen is not None and self.frozen.has_changed()):
            run = self._prepared()
            if run is None:
                return MISS
        states = [(draw, draw.state) for draw in self._draws]
        try:
            return run(args, options)
        except OtherBranchError:
            for draw, state in states:
                draw.state = state
            raise
        except Exception as error:
            locate(error, self.executed)
            raise

"""Profiles of programs: the time and the memory traffic of each instruction."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array
from passus.display import html_table, text_table
from passus.kernels.dispatch import in_use
from passus.recording.generators import Draw
from passus.recording.host import Host, Observer
from passus.recording.machine import Machine
from passus.recording.program import Instruction, OtherBranchError, Program, Value, mapped, values_in
from passus.recording.recorder import twin
from passus.recording.version import Version

__all__ = ["Profile", "ProfileRow", "Total", "kept_profile", "profiled"]

LEAST, MOST = 3, 50
"""Numbers of measured runs."""

SECONDS = 0.3
"""Time after which no further run begins."""

WIDTH = 72
"""Number of characters of an instruction that a table shows."""


class Total(NamedTuple):
    """The sum of some instructions: seconds, and bytes read and written."""

    seconds: float
    read: int
    written: int


@dataclass(frozen=True)
class ProfileRow:
    """One instruction: the median of its seconds, NaN if it was not run, and the bytes that it reads and writes.

    Arrays are counted whole, and once; views cost none.
    """

    instruction: Instruction
    seconds: float
    read: int
    written: int

    @property
    def is_run(self) -> bool:
        """Whether it was run: calls outside of the program, such as updates of optimizers, are not."""
        return self.seconds == self.seconds

    @property
    def layer(self) -> str:
        """The path of the layer; empty outside of layers."""
        return self.instruction.source.layer

    @property
    def is_backward(self) -> bool:
        """Whether it belongs to a backward pass."""
        return self.instruction.source.backward


@dataclass(frozen=True)
class Profile:
    """The time and the bytes of each instruction of a program, in its order. It is shown as a table.

    ``is_joined``: whether calls of the step run the whole program as one call of compiled code, which takes less time than
    the instructions one by one.
    """

    name: str
    rows: tuple[ProfileRow, ...]
    is_joined: bool = False

    @property
    def total(self) -> Total:
        """The sum of all instructions."""
        return _total(self.rows)

    def by_layer(self) -> dict[str, Total]:
        """The sum of each layer by its path, forward and backward; instructions outside of layers have the path ""."""
        return {layer: _total([r for r in self.rows if r.layer == layer]) for layer in self._layers()}

    def by_direction(self) -> dict[str, Total]:
        """The sums of the forward and of the backward pass."""
        directions = {"forward": False, "backward": True}
        return {name: _total([r for r in self.rows if r.is_backward is value]) for name, value in directions.items()}

    def __str__(self) -> str:
        parts = [self._title(), *[text_table(head, rows, right) for head, rows, right, _ in self._tables()]]
        return "\n\n".join(parts + [NOTE] * self.is_joined)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [
            html_table(head, rows, right, title, [[share] for share in shares])
            for (head, rows, right, shares), title in zip(self._tables(), (self._title(), "by layer"))
        ]
        return "<br>".join(parts + [NOTE] * self.is_joined)

    def _title(self) -> str:
        count = len(self.rows)
        return f"{self.name}: {count} instruction{'s' * (count != 1)}, {_microseconds(self.total.seconds)} us"

    def _tables(self) -> list[tuple[list[str], list[list[str]], int, list[float]]]:
        """The table of instructions and that of layers: head, rows, columns to the right, and shares of the time."""
        total = self.total
        rows = [
            [_shortened(str(r.instruction)), r.layer, "backward" if r.is_backward else "", *self._cells(r, r.is_run)]
            for r in self.rows
        ]
        first = ["instruction", "layer", "", "us", "kB", "GB/s", "%"]
        second = ["layer", "forward us", "backward us", "us", "kB", "GB/s", "%"]
        layers = [
            [layer or "outside of layers", *self._directions(layer), *self._cells(sums)]
            for layer, sums in self.by_layer().items()
        ]
        directions = [_microseconds(sums.seconds) for sums in self.by_direction().values()]
        shares = [self._share(r) for r in self.rows], [self._share(sums) for sums in self.by_layer().values()]
        return [
            (first, [*rows, ["total", "", "", *self._cells(total)]], 4, [*shares[0], 0.0]),
            (second, [*layers, ["total", *directions, *self._cells(total)]], 6, [*shares[1], 0.0]),
        ]

    def _cells(self, x: Any, is_run: bool = True) -> list[str]:
        if not is_run:
            return ["not run", "", "", ""]
        size = x.read + x.written
        speed = f"{size / x.seconds / 1e9:,.1f}" if size and x.seconds else ""
        return [_microseconds(x.seconds), f"{size / 1e3:,.1f}" if size else "", speed, f"{100 * self._share(x):.0f}"]

    def _share(self, x: Any) -> float:
        whole = self.total.seconds
        return float(x.seconds / whole) if whole and x.seconds == x.seconds else 0.0

    def _directions(self, layer: str) -> list[str]:
        rows = [r for r in self.rows if r.layer == layer]
        return [_microseconds(_total([r for r in rows if r.is_backward is value]).seconds) for value in (False, True)]

    def _layers(self) -> list[str]:
        return list(dict.fromkeys([r.layer for r in self.rows]))


NOTE = "The instructions were run one by one. Calls of the step run them as one call of compiled code, which takes less time."


def kept_profile(versions: Iterable[Version], args: tuple[Any, ...], options: dict[str, Any]) -> Profile | None:
    """The profile of the program, of those that a function keeps, that holds for a call; None if none does."""
    for version in versions:
        if version.is_checked and _holds(version):
            try:
                return profiled(version, args, options)
            except (_NoFitError, OtherBranchError):
                continue
    return None


def profiled(version: Version, args: tuple[Any, ...], options: dict[str, Any]) -> Profile:
    """Run a program some times, on copies of the arguments and of the state, and measure each instruction.

    Calls outside of the program are not made, and nothing is written to the places of the state. Random generators are left
    as they were.
    """
    inputs: list[Array] = []
    if not version.arguments.matches((args, options), inputs):
        raise _NoFitError
    is_joined = any(isinstance(i.function, Machine) for i in version.executed.instructions)
    program = version.program if is_joined else version.executed
    draws = [(i.function, i.function.state) for i in program.instructions if isinstance(i.function, Draw)]
    try:
        runs = _measured(program, inputs)
    finally:
        for draw, state in draws:
            draw.state = state
    traffic = runs.pop(0).traffic
    times = list(zip(*[run.seconds for run in runs]))
    rows = [ProfileRow(i, float(np.median(ts)), *bytes_) for i, ts, bytes_ in zip(program.instructions, times, traffic)]
    return Profile(program.name, tuple(rows), is_joined)


class _NoFitError(Exception):
    """A program does not hold for the arguments of a call."""


def _holds(version: Version) -> bool:
    """Whether the switches, the layers and the state are as a program requires."""
    switches = (*[bool(switch.get()) for switch in version.switches], in_use())
    if switches != tuple(version.required) or not version.structure.holds():
        return False
    return all(spec.fits(place.get()) for spec, (_, place) in zip(version.state_specs, version.executed.state))


def _measured(program: Program, inputs: Sequence[Array]) -> list[_Run]:
    """Runs of a program. The first one warms up, and notes the memory traffic."""
    runs = [_Run(program, inputs, notes=True)]
    started = perf_counter()
    while len(runs) <= LEAST or (len(runs) <= MOST and perf_counter() - started < SECONDS):
        runs.append(_Run(program, inputs))
    return runs


class _Run:
    """One run of a program: the seconds and the memory traffic of each instruction."""

    def __init__(self, program: Program, inputs: Sequence[Array], notes: bool = False) -> None:
        self.seconds: list[float] = []
        self.traffic: list[tuple[int, int]] = []
        self._arrays: dict[Value, Any] = dict(program.constants)
        self._arrays |= {value: twin(x) for value, x in zip(program.inputs, inputs)}
        self._arrays |= {value: twin(place.get()) for value, place in program.state}
        last = _last_uses(program)
        for i, instruction in enumerate(program.instructions):
            self._run(instruction, notes)
            for value in last.get(i, ()):  # As in the program, so that memory is used again.
                self._arrays.pop(value, None)

    def _run(self, instruction: Instruction, notes: bool) -> None:
        function = instruction.function
        if isinstance(function, (Host, Observer)):
            if isinstance(function, Host):
                self._arrays |= zip(instruction.result, self._after(function, instruction))
            self.seconds.append(np.nan)
            self.traffic.append((0, 0))
            return
        args, options = mapped(instruction.args, self._array), mapped(instruction.options, self._array)
        with np.errstate(**(instruction.errstate or {})):  # type: ignore[arg-type]  # names of NumPy's options
            start = perf_counter()
            result = function(*args, **options)
            self.seconds.append(perf_counter() - start)
        if notes:
            targets = [self._arrays[value] for value in instruction.writes]
            self.traffic.append(_traffic(function, args, options, targets, result))
        self._bind(instruction.result, result)

    def _array(self, x: Any) -> Any:
        return self._arrays[x] if isinstance(x, Value) else x

    def _bind(self, tree: Any, result: Any) -> None:
        if isinstance(tree, Value):
            self._arrays[tree] = result
        elif isinstance(tree, (list, tuple)):
            for value, x in zip(tree, result):
                self._bind(value, x)

    def _after(self, call: Host, instruction: Instruction) -> Iterator[Array]:
        """Arrays in place of those that a call would leave in the places of the state."""
        for value, place in zip(instruction.result, call.reads):
            written = [self._arrays[v] for v, p in zip(instruction.args, call.writes) if p.is_same(place)]
            x = written[0] if written else place.get()
            yield np.zeros(value.shape, value.dtype) if x is None or x.shape != value.shape else twin(x)


def _last_uses(program: Program) -> dict[int, list[Value]]:
    """By number of an instruction, the Values that nothing reads after it."""
    last: dict[Value, int] = {}
    for i, instruction in enumerate(program.instructions):
        last |= dict.fromkeys(values_in([instruction.args, instruction.options, instruction.result]), i)
    for value in [*program.results, *program.constants]:
        last.pop(value, None)
    uses: dict[int, list[Value]] = {}
    for value, i in last.items():
        uses.setdefault(i, []).append(value)
    return uses


def _traffic(function: Callable[..., Any], args: Any, options: Any, targets: list[Any], result: Any) -> tuple[int, int]:
    """The bytes that an instruction reads and writes."""
    given = _distinct([args, options])
    new = [x for x in _distinct(result) if not any(np.may_share_memory(x, y) for y in [*given, *targets])]
    if function is operator.setitem:
        part = args[0][args[1]].nbytes
        return _size(_distinct(args[1:])), part
    if not targets and not new:
        return 0, 0  # A view, or a check.
    if function is operator.getitem:
        return _size(new) + _size(_distinct(args[1:])), _size(new)
    return _size(given), _size(_distinct(targets)) + _size(new)


def _distinct(tree: Any) -> list[Any]:
    """The arrays in nested lists, tuples and dicts, each once."""
    found: dict[int, Any] = {}

    def note(x: Any) -> Any:
        if isinstance(x, (np.ndarray, np.generic)):
            found[id(x)] = x
        return x

    mapped(tree, note)
    return list(found.values())


def _size(arrays: Iterable[Any]) -> int:
    return sum([int(x.nbytes) for x in arrays])


def _total(rows: Iterable[ProfileRow]) -> Total:
    run = [r for r in rows if r.is_run]
    return Total(sum([r.seconds for r in run]), sum([r.read for r in run]), sum([r.written for r in run]))


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def _shortened(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."

"""`compile`: a step that is recorded at its first calls, and runs as a program from then on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from passus import config
from passus.arguments import checked_callable, checked_flag
from passus.backend import copied
from passus.backend.trace import Traced, current
from passus.config import no_grad, test_mode
from passus.core import Variable
from passus.errors import RecordingError
from passus.kernels.dispatch import in_use
from passus.layers import Layer
from passus.notices import notice, notice_once
from passus.recording.differences import difference
from passus.recording.program import OtherBranchError, Program, mapped
from passus.recording.recorder import NotReadyError, Recorder, recorded
from passus.recording.signature import SWITCHES, SequenceSpec, spec_of
from passus.recording.version import Slot, Version, build

__all__ = ["RecordedFunction", "compile", "record"]

P = ParamSpec("P")
R = TypeVar("R")

MAX_VERSIONS = 8
"""Number of programs that a function keeps."""

MAX_WAITS = 3
"""Number of calls that run without recording because parameters or buffers get their shapes in them."""


class RecordedFunction(Generic[P, R]):
    """A step that runs as a program; see `compile`."""

    def __init__(self, function: Callable[P, R], fallback: bool = False) -> None:
        self.function = function
        self.fallback = fallback
        self.versions: list[Version] = []
        """The programs, the one that was used last first."""
        self.switches: tuple[ContextVar[bool], ...] = SWITCHES
        self._changed: set[str] = set()
        self._waited = 0
        self._eager: str | None = None
        self._lock = RLock()
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **options: P.kwargs) -> R:
        if self._eager is not None or current.get() is not None or config.debug.get():
            return self.function(*args, **options)
        call: tuple[Any, ...] = (args, options)
        for version in self.versions:
            arrays: list[Any] = []
            if version.is_checked and version.accepts(call, arrays):
                try:
                    result: R = version.run(arrays, call)
                except OtherBranchError:
                    continue
                if version is not self.versions[0]:
                    self.versions = [version, *[v for v in self.versions if v is not version]]
                return result
        with self._lock:
            return self._recorded(call)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method of a class, bound to an instance."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return type(self), (self.function, self.fallback)

    @property
    def program(self) -> Program:
        """The program that ran last; its text shows every operation. Raises `RecordingError` before the first call."""
        if not self.versions:
            reason = self._eager or "it has not been called yet"
            raise RecordingError(f"{self._name}: there is no program: {reason}")
        return self.versions[0].program

    def warm_up(self, *args: P.args, **options: P.kwargs) -> None:
        """Record the program for such arguments, before the first call that matters; the state is left as it was.

        >>> import numpy as np
        >>> double = compile(lambda x: x * 2)
        >>> double.warm_up(np.zeros(3))
        >>> print(double.program)
        <lambda>(x: float64[3])
            x1: float64[3] = x * 2
            return [x1]
        """
        with self._lock:
            for _ in range(MAX_WAITS + 2):
                arrays: list[Any] = []
                if self._eager is not None or any(
                    v.is_checked and v.accepts((args, options), arrays) for v in self.versions
                ):
                    return
                self._recorded((args, options), keeps=False)

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", None) or type(self.function).__name__

    def _recorded(self, call: tuple[Any, ...], keeps: bool = True) -> R:
        """Call the step, and record it. ``keeps``: whether its changes of the state are kept."""
        arrays: list[Any] = []
        pending = next((v for v in self.versions if not v.is_checked and v.accepts(call, arrays)), None)
        if pending is None and len(self.versions) >= MAX_VERSIONS:
            self._warn_of_changes(call)
            return self._called(call)
        recorder = Recorder(patient=self._waited < MAX_WAITS)
        try:
            version, result = self._record(call, recorder)
            if pending is not None:
                fault = difference(pending, version)
                if fault is not None:
                    self.versions.remove(pending)
                    raise RecordingError(f"{self._name}: {fault}")
        except NotReadyError:
            recorder.abort()
            self._waited += 1
            return self._called(call)
        except RecordingError as error:
            recorder.abort()
            if not self.fallback:
                raise
            self._eager = str(error)
            notice(f"compile: {self._name} runs without a program: {error}")
            return self._called(call)
        except BaseException:
            recorder.abort()
            raise
        if not keeps:
            recorder.abort()
        if pending is None:
            self.versions = [version, *self.versions]
        else:
            pending.is_checked = True
        return result

    def _called(self, call: tuple[Any, ...]) -> R:
        args, options = call
        return self.function(*args, **options)

    def _record(self, call: tuple[Any, ...], recorder: Recorder) -> tuple[Version, R]:
        spec = spec_of(call)
        assert isinstance(spec, SequenceSpec)
        traced = _traced(call, recorder, self._names(call))
        before = self._requirements()
        with recorded(recorder):
            outputs: list[Traced] = []
            result = _slots(self._called(traced), outputs)
        values = [recorder.value(x) for x in outputs]
        del traced
        program = recorder.finish(values, self._name)
        version = Version(program, recorder, spec, result, before, self._requirements, self._changed)
        return version, build(result, tuple([copied(x.array) for x in outputs]))

    def _requirements(self) -> tuple[bool, ...]:
        return (*[bool(switch.get()) for switch in self.switches], in_use())

    def _names(self, call: tuple[Any, ...]) -> list[str]:
        """The names of the positional arguments."""
        try:
            bound = inspect.signature(self.function).bind(*call[0], **call[1]).arguments
        except (TypeError, ValueError):
            return []
        names: list[str] = []
        for name, value in bound.items():
            names += (
                [f"{name}[{i}]" for i in range(len(value))] if len(names) < len(call[0]) and name == "args" else [name]
            )
        return names

    def _warn_of_changes(self, call: tuple[Any, ...]) -> None:
        shown = [v.arguments.items[0].shown() for v in self.versions[:2]] + [spec_of(call[0]).shown()]
        changes = (
            f"attributes that change: {', '.join(sorted(self._changed))}"
            if self._changed
            else f"arguments: {'; '.join(shown)}"
        )
        notice_once(
            (id(self), "versions"),
            f"compile: {self._name} keeps {MAX_VERSIONS} programs, and other calls run without one. What differs from call to call "
            f"is a constant of each program ({changes}). Pass numbers as arrays, and keep to few shapes",
        )


class Inference(RecordedFunction[P, R]):
    """A layer that runs as a program, in test mode and without gradients."""

    def __init__(self, layer: Layer, fallback: bool = False) -> None:
        self.layer = layer
        super().__init__(layer, fallback)
        self.switches = SWITCHES[2:]

    def __reduce__(self) -> Any:
        return Inference, (self.layer, self.fallback)

    def _called(self, call: tuple[Any, ...]) -> R:
        with no_grad(), test_mode():
            return super()._called(call)


def compile(function: Any = None, *, fallback: bool = False) -> Any:
    """Record a step as a flat program of array operations, which runs instead of the step from its third call on.

    ``function``: a training step, any function of arrays, or a `Layer`, which is then called in `test_mode` and under
    `no_grad`. Also a decorator, ``@compile`` or ``@compile(fallback=True)``.

    The first two calls of each kind run the step itself and record it; they must agree. A program holds for the shapes,
    dtypes and memory orders of arguments and parameters, the switches of `passus.Config`, and the structure of the
    layers. For anything else the step is recorded again; `MAX_VERSIONS` programs are kept. Parameters, gradients,
    buffers, carried state and random generators are read and written in each run, and optimizers update between two
    parts of a program. Numbers and names among the arguments are constants. Whatever else the step does in Python, such
    as printing, happens only while it is recorded.

    Conditions such as ``if loss.data > 3`` are checked in each run. Raises `RecordingError` if the step reads other
    numbers, as ``float(loss)`` does, or differs from call to call in a way that a program would miss; with ``fallback``
    it warns instead, and runs without a program.

    >>> import numpy as np
    >>> from passus import functions as F
    >>> from passus.layers import Linear
    >>> from passus.optimizers import SGD
    >>> model = Linear(1, in_size=2, rng=0)
    >>> optimizer = SGD(lr=0.1).setup(model)
    >>> @compile
    ... def step(x, t):
    ...     loss = F.mean_squared_error(model(x), t)
    ...     model.cleargrads()
    ...     loss.backward()
    ...     optimizer.update()
    ...     return loss
    >>> x, t = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    >>> losses = [step(x, t).item() for _ in range(20)]
    >>> losses[-1] < 1e-3 * losses[0]
    True
    """
    if function is None:
        return lambda function: compile(function, fallback=fallback)
    checked_flag("compile", "fallback", fallback)
    if isinstance(function, Layer):
        return Inference(function, fallback)
    return RecordedFunction(checked_callable("compile", "function", function), fallback)


def record(function: Callable[..., Any], arrays: Sequence[Any]) -> Program:
    """The program of ``function(*arrays)``, which returns arrays in lists, tuples and dicts; the state is left as it was.

    >>> import passus.functions as F
    >>> print(record(lambda x: F.exp(x) * 2, [np.ones(3)]))
    <lambda>(x: float64[3])
        x1: float64[3] = exp(x)
        x2: float64[3] = x1 * 2
        return [x2]
    """
    recorder = Recorder()
    try:
        version, _ = RecordedFunction(function)._record((tuple(arrays), {}), recorder)
    finally:
        recorder.abort()
    return version.program


def _traced(tree: Any, recorder: Recorder, names: Sequence[str] = (), path: str = "") -> Any:
    """The arguments of a call with traced arrays."""
    count = 0

    def traced(value: Any, name: str) -> Any:
        nonlocal count
        if isinstance(value, Variable) and value._data is not None:
            recorder.adopt_argument(value, count, name)
            count += 1
            return value
        if isinstance(value, (np.ndarray, np.generic)):
            return recorder.input(value, name)
        if type(value) in (list, tuple):
            return type(value)([traced(v, f"{name}[{i}]") for i, v in enumerate(value)])
        if type(value) is dict:
            return {key: traced(v, f"{name}[{key!r}]") for key, v in value.items()}
        return value

    args, options = tree
    named = [*names[: len(args)], *[f"args[{i}]" for i in range(len(names), len(args))]]
    return tuple([traced(v, name) for v, name in zip(args, named)]), {key: traced(v, key) for key, v in options.items()}


def _slots(tree: Any, outputs: list[Traced]) -> Any:
    """The result of a step with Slots for traced arrays, which are appended to ``outputs``."""

    def slot(value: Any) -> Any:
        data = value._data if isinstance(value, Variable) else value
        if type(data) is not Traced:
            return value
        outputs.append(data)
        return Slot(len(outputs) - 1, isinstance(value, Variable))

    return mapped(tree, slot)

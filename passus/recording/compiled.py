"""`compile`: a step that is recorded at its first calls, and runs as a program from then on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import update_wrapper
from threading import RLock
from types import MethodType
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numpy as np

from passus import config
from passus.arguments import checked_callable, checked_flag
from passus.backend.trace import Traced, current
from passus.config import no_grad, test_mode
from passus.core import Variable
from passus.errors import RecordingError
from passus.kernels.dispatch import in_use, start_using
from passus.layers import Layer
from passus.notices import notice, notice_once
from passus.recording.differences import difference
from passus.recording.entry import MISS
from passus.recording.leaves import Leaf
from passus.recording.profiling import Profile, kept_profile, profiled
from passus.recording.program import OtherBranchError, Program, mapped
from passus.recording.recorder import NotReadyError, Recorder, recorded
from passus.recording.results import Same, Slot
from passus.recording.signature import SWITCHES, SequenceSpec, spec_of
from passus.recording.version import Version

__all__ = ["RecordedFunction", "compile", "record"]

P = ParamSpec("P")
R = TypeVar("R")

MAX_VERSIONS = 8
"""Number of programs that a function keeps."""

MAX_WAITS = 3
"""Number of calls that run without recording because parameters or buffers get their shapes in them."""


MAX_WASTED = 2
"""Number of recordings without a place after which calls that fit no program are not recorded."""


class RecordedFunction(Generic[P, R]):
    """A step that runs as a program; see `compile`."""

    def __init__(self, function: Callable[P, R], fallback: bool = False, exact: bool = False) -> None:
        self.function = function
        self.fallback, self.exact = fallback, exact
        self.is_inference = False
        """Whether parameters and buffers are constants, until they change."""
        self.versions: list[Version] = []
        """The programs, the one that was used last first."""
        self.switches: tuple[ContextVar[bool], ...] = SWITCHES
        self._changed: set[str] = set()
        self._waited = 0
        self._wasted = 0
        """Number of recordings that found no place among the programs."""
        self._eager: str | None = None
        self._lock = RLock()
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **options: P.kwargs) -> R:
        if self._eager is not None or current.get() is not None or config.debug.get():
            return cast(R, self._called(args, options))
        for version in self.versions:
            if version.is_checked:
                result = self._run(version, args, options)
                if result is not MISS:
                    return cast(R, result)
        with self._lock:
            return self._recorded(args, options)

    def _run(self, version: Version, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The result of a program; `MISS` if it does not hold for a call."""
        try:
            result = version.run(args, options)
        except OtherBranchError:
            return MISS
        if result is not MISS and version is not self.versions[0]:
            self.versions = [version, *[v for v in self.versions if v is not version]]
        return result

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method of a class, bound to an instance."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return type(self), (self.function, self.fallback, self.exact)

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
            for _ in range(2):
                required = self._required()
                known = any(v.is_checked and v.takes(args, options, required) for v in self.versions)
                if self._eager is None and not known and not self._is_full(args, options):
                    self._version(args, options)

    def profile(self, *args: P.args, **options: P.kwargs) -> Profile:
        """The time and the bytes of each instruction for such arguments, measured in several runs; see `Profile`.

        The runs compute with copies, and the state is left as it was. Calls outside of the program, such as updates of
        optimizers, are listed, but not made.

        >>> import numpy as np
        >>> profile = compile(lambda x: np.exp(x) * 2).profile(np.zeros(1000))
        >>> [(row.instruction.label, row.read, row.written) for row in profile.rows]
        [('exp', 8000, 8000), ('*', 8000, 8000)]
        """
        with self._lock:
            recorder = Recorder()
            try:
                found = kept_profile(self.versions, args, options)
                return profiled(self._record(args, options, recorder), args, options) if found is None else found
            except NotReadyError:
                raise RecordingError(f"{self._name}: its parameters have no shapes yet; call it once first") from None
            finally:
                recorder.abort()

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", None) or type(self.function).__name__

    def _recorded(self, args: tuple[Any, ...], options: dict[str, Any]) -> R:
        """Record a call, and run the program."""
        for version in self.versions:  # Another thread may have recorded it.
            result = self._run(version, args, options) if version.is_checked else MISS
            if result is not MISS:
                return cast(R, result)
        if self._is_full(args, options):
            self._warn_of_changes((args, options))
            return cast(R, self._called(args, options))
        version_ = self._version(args, options)
        result = MISS if version_ is None else self._run(version_, args, options)
        return cast(R, self._called(args, options) if result is MISS else result)

    def _is_full(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Whether no further program is kept, and none that has been recorded once is of this kind of call."""
        required = self._required()
        waiting = [v for v in self.versions if not v.is_checked and v.takes(args, options, required)]
        return len(self.versions) >= MAX_VERSIONS and (not waiting or self._wasted >= MAX_WASTED)

    def _required(self) -> tuple[bool, ...]:
        """The switches as they are now, and whether kernels are in use."""
        return (*[bool(switch.get()) for switch in self.switches], in_use())

    def _version(self, args: tuple[Any, ...], options: dict[str, Any]) -> Version | None:
        """Record a call, and compare it with an earlier recording. None if the step has to run without a program."""
        recorder = Recorder(patient=self._waited < MAX_WAITS)
        try:
            version = self._record(args, options, recorder)
            same = next((v for v in self.versions if v.is_alike(version)), None)
            fault = None if same is None else difference(same, version)
            if fault is not None:
                self.versions = [v for v in self.versions if v is not same]
                raise RecordingError(f"{self._name}: {fault}")
        except NotReadyError:
            recorder.abort()
            self._waited += 1
            return None
        except RecordingError as error:
            recorder.abort()
            if not self.fallback:
                raise
            self._eager = str(error)
            notice(f"compile: {self._name} runs without a program: {error}")
            return None
        except BaseException:
            recorder.abort()
            raise
        if same is not None:
            same.is_checked = True
            return same
        if len(self.versions) >= MAX_VERSIONS:
            self._wasted += 1
            self._warn_of_changes((args, options))
            return None
        self.versions = [version, *self.versions]
        return version

    def _called(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return self.function(*args, **options)

    def _record(self, args: tuple[Any, ...], options: dict[str, Any], recorder: Recorder) -> Version:
        spec = spec_of((args, options))
        assert isinstance(spec, SequenceSpec)
        start_using()  # Who compiles a step waits for Numba, too.
        required = self._required()
        traced = _traced((args, options), recorder, self._names(args, options))
        with recorded(recorder, self.function):
            outputs: list[Traced] = []
            result = _slots(self._called(*traced), outputs)
        known = {i: leaf for i, x in enumerate(outputs) for leaf in recorder.leaves if leaf.traced is x}
        program = recorder.finish([recorder.value(x) for x in outputs], self._name)
        result = mapped(result, lambda slot: _returned_as_it_is(slot, known))
        version = Version(
            program, recorder, spec, result, self.switches, required, self._changed, self.exact, self.is_inference
        )
        recorder.release()
        return version

    def _names(self, args: tuple[Any, ...], options: dict[str, Any]) -> list[str]:
        """The names of the positional arguments."""
        try:
            signature = inspect.signature(self._signature)
            bound = signature.bind(*args, **options).arguments
        except (TypeError, ValueError):
            return []
        names: list[str] = []
        for name, value in bound.items():
            several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            names += [f"{name}[{i}]" for i in range(len(value))] if several else [name]
        return names

    @property
    def _signature(self) -> Callable[..., Any]:
        """The function that names the arguments."""
        return self.function

    def _warn_of_changes(self, call: tuple[Any, ...]) -> None:
        for version in self.versions:
            version.structure.holds()
        kinds = [v.arguments.items[0].shown() for v in self.versions[:2]] + [spec_of(call[0]).shown()]
        changes = (
            f"attributes that change: {', '.join(sorted(self._changed))}"
            if self._changed
            else f"arguments: {'; '.join(kinds)}"
        )
        notice_once(
            (id(self), "versions"),
            f"compile: {self._name} keeps {MAX_VERSIONS} programs, and other calls run without one. What differs from call to call "
            f"is a constant of each program ({changes}). Pass numbers as arrays, and keep to few shapes",
        )


class Inference(RecordedFunction[P, R]):
    """A layer that runs as a program, in test mode and without gradients."""

    def __init__(self, layer: Layer, fallback: bool = False, exact: bool = False) -> None:
        self.layer = layer
        super().__init__(layer, fallback, exact)
        self.switches, self.is_inference = SWITCHES[2:], True

    def __reduce__(self) -> Any:
        return Inference, (self.layer, self.fallback, self.exact)

    def _called(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with no_grad(), test_mode():
            return super()._called(args, options)

    @property
    def _signature(self) -> Callable[..., Any]:
        return self.layer.forward


def compile(function: Any = None, *, fallback: bool = False, exact: bool = False) -> Any:
    """Record a step as a flat program of array operations, and run the program in its place.

    ``function``: a training step, any function of arrays, or a `Layer`, which is then called in `test_mode` and under
    `no_grad`. Also a decorator, ``@compile`` or ``@compile(fallback=True)``.

    The first two calls of each kind record the step, and the recordings must agree. A program holds for the shapes,
    dtypes and memory orders of arguments and parameters, the switches of `passus.Config`, and the structure of the
    layers. For anything else the step is recorded again; `MAX_VERSIONS` programs are kept. Parameters, gradients,
    buffers, carried state and random generators are read and written in each run, and optimizers update between two
    parts of a program. Numbers and names among the arguments are constants. Whatever else the step does in Python, such
    as printing, happens only while it is recorded.

    Programs of small float32 arrays run as one call of compiled code, whose sums have another order, and whose functions
    differ from NumPy's in the last digit (relative differences of 1e-6). With ``exact``, all results equal those of the
    step in each bit.

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
        return lambda function: compile(function, fallback=fallback, exact=exact)
    checked_flag("compile", "fallback", fallback)
    checked_flag("compile", "exact", exact)
    if isinstance(function, Layer):
        return Inference(function, fallback, exact)
    return RecordedFunction(checked_callable("compile", "function", function), fallback, exact)


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
        return RecordedFunction(function)._record(tuple(arrays), {}, recorder).program
    finally:
        recorder.abort()


def _traced(tree: Any, recorder: Recorder, names: Sequence[str]) -> Any:
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


def _returned_as_it_is(slot: Any, known: dict[int, Leaf]) -> Any:
    """`Same` for the Slot of a Variable that existed before the step, and still holds the array that it held.

    ``known``: such Variables, by the numbers of the outputs.
    """
    if not isinstance(slot, Slot) or not slot.boxed:
        return slot
    leaf = known.get(slot.index)
    variable = None if leaf is None else leaf.variable()
    if leaf is None or variable is None:
        return slot
    return Same(None if leaf.index is not None else variable, leaf.index)

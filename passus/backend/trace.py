"""Arrays that note what is computed with them: the array library with which a step is recorded.

A `Traced` holds an array and behaves like it. Each operation on it is computed at once, and noted in a recorder. So
functions, rules and kernels are recorded without knowing it.

The truth value of a traced array, as in ``if x > 0``, becomes a condition of the program. Numbers that are read in Python,
as by ``float(x)``, would be constants of the program: reading them raises `RecordingError`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ClassVar, NoReturn, ParamSpec, Protocol, TypeVar

import numpy as np

from passus.backend.base import Array
from passus.errors import RecordingError

__all__ = [
    "IN_PLACE",
    "Attribute",
    "Method",
    "Recorder",
    "Traced",
    "Tracing",
    "call_hook",
    "call_layer",
    "caller",
    "constants_of",
    "created",
    "current",
    "has_own_rules",
    "host_call",
    "initializing",
    "is_numpy",
    "leaves",
    "made",
    "operation",
    "plain",
    "reset",
    "touch",
    "traced_by",
    "undecorated",
    "visit",
    "writing",
]

P = ParamSpec("P")
R = TypeVar("R")

FACTS = frozenset({"dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides"})
"""Attributes that are the same in each run of a program."""

READS = frozenset({"ctypes", "data", "item", "tobytes", "tofile", "tolist", "tostring"})
"""Attributes through which the numbers leave the array."""

BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISONS = "lt le gt ge eq ne"
UNARY = "neg pos abs invert"
UFUNCS: dict[str, np.ufunc] = {
    "iadd": np.add,
    "isub": np.subtract,
    "imul": np.multiply,
    "itruediv": np.divide,
    "ifloordiv": np.floor_divide,
    "imod": np.remainder,
    "ipow": np.power,
    "iand": np.bitwise_and,
    "ior": np.bitwise_or,
    "ixor": np.bitwise_xor,
}
"""The ufuncs of the operators that write into their first operand."""

KEYWORDS = {"and", "or"}
"""Names to which `operator` appends an underscore."""


class Recorder(Protocol):
    """The recording of a step: it is told of each operation on a traced array, and of what else the step does."""

    def record(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call a function of arrays, and note the call. Returns its result, with traced arrays."""

    def alias(self, traced: Any, array: Any) -> Any:
        """Another traced array for the same numbers, such as a read-only one."""

    def expect(self, condition: Any) -> bool:
        """The truth value of a traced array, which the program holds for."""

    def adopt(self, variable: Any) -> None:
        """Let a Variable that the step has not computed hold a traced array."""

    def cleared(self, variable: Any) -> None:
        """The gradient of a Variable is cleared."""

    def enter(self, layer: Any) -> None:
        """A layer is called."""

    def leave(self) -> None:
        """The call of a layer ends."""

    def reset(self, layer: Any, name: str) -> None:
        """None is assigned to an attribute that carries state."""

    def visit(self, function: Any) -> None:
        """A backward pass visits a function."""

    def called(self, function: Any) -> None:
        """A function is called."""

    def host(self, function: Callable[[], Any], owner: Any) -> Any:
        """Call a function that runs outside of the program, and may change the state of the step."""

    def observe(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call a hook, which only observes its arguments."""

    def initialize(self) -> None:
        """A parameter is about to be initialized: such a call cannot be recorded."""


class Named:
    """A function of an array that is known by a name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.name == self.name

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def __repr__(self) -> str:
        return self.name


class Method(Named):
    """A method of an array, as a function of the array.

    >>> Method("sum")(np.ones((2, 3)), axis=0)
    array([2., 2., 2.])
    """

    __slots__ = ()

    def __call__(self, x: Any, /, *args: Any, **options: Any) -> Any:
        return getattr(x, self.name)(*args, **options)


class Attribute(Named):
    """An attribute of an array, as a function of the array.

    >>> Attribute("T")(np.ones((2, 3))).shape
    (3, 2)
    """

    __slots__ = ()

    def __call__(self, x: Any, /) -> Any:
        return getattr(x, self.name)


current: ContextVar[Recorder | None] = ContextVar("recorder", default=None)
"""The recorder of this thread or task."""


def host_call(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a method that changes the state of a step by itself, such as the update of an optimizer.

    In a recorded step it is called in each run, between two parts of the program.
    """

    @wraps(method)
    def called(*args: P.args, **options: P.kwargs) -> R:
        recorder = current.get()
        if recorder is None:
            return method(*args, **options)
        result: R = recorder.host(partial(method, *args, **options), args[0])
        return result

    return called


def constants_of(xp: Any) -> Any:
    """The module of a backend that creates arrays which are never written to, such as cached ones.

    >>> constants_of(np) is np
    True
    """
    return getattr(xp, "constants", xp)


def is_numpy(x: Any) -> bool:
    """Whether ``x`` is an array of NumPy's own class, or a traced one: functions that choose by the class record the same way.

    >>> is_numpy(np.ones(2)), is_numpy(2.0)
    (True, False)
    """
    return type(x) is np.ndarray or type(x) is Traced


def operation(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function of arrays that is recorded as one operation, because it looks into the memory of its arguments."""

    @wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> R:
        if current.get() is not None and (recorder := traced_by(*args, *options.values())) is not None:
            result: R = recorder.record(function, args, options)
            return result
        return function(*args, **options)

    return called


def writing(*places: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function below `operation` that writes into its arguments at these places, and may be repeated.

    The step must not read before the call what it writes. Then a run that ends at a condition can begin again.
    """

    def marked(function: Callable[P, R]) -> Callable[P, R]:
        function.writes = places  # type: ignore[attr-defined]
        return function

    return marked


def undecorated(function: Any) -> Any:
    """The function that an `operation` is recorded as."""
    return function.__wrapped__


def created(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that creates an array which may be written to: in a recorded step, each run creates its own."""

    @wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> R:
        recorder = current.get()
        if recorder is None:
            return function(*args, **options)
        result: R = recorder.record(function, args, options)
        return result

    return called


def visit(function: Any) -> None:
    """Tell the recorder, if a step is recorded, that a backward pass visits a function; None: that it is over."""
    recorder = current.get()
    if recorder is not None:
        recorder.visit(function)


def made(array: Any) -> Any:
    """The array of a Variable that is created; in a recorded step, each run makes its own, since it may be written to."""
    recorder = current.get()
    if recorder is None or not isinstance(array, (np.ndarray, np.generic)):
        return array
    return recorder.record(_copied, (array,), {})


def _copied(array: Any) -> Any:
    return array.copy(order="K") if isinstance(array, np.ndarray) else array


def touch(variable: Any, cleared: bool = False) -> None:
    """Let a Variable that is read or changed hold a traced array, if a step is recorded."""
    recorder = current.get()
    if recorder is not None:
        if cleared:
            recorder.cleared(variable)
        else:
            recorder.adopt(variable)


def call_layer(layer: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """``layer.forward(*inputs, **options)``, which is told to the recorder, if a step is recorded."""
    recorder = current.get()
    if recorder is None:
        return layer.forward(*inputs, **options)
    recorder.enter(layer)
    try:
        return layer.forward(*inputs, **options)
    finally:
        recorder.leave()


def reset(layer: Any, name: str) -> None:
    """Tell the recorder, if a step is recorded, that None is assigned to an attribute that carries state."""
    recorder = current.get()
    if recorder is not None:
        recorder.reset(layer, name)


def call_hook(function: Callable[..., Any], *args: Any) -> None:
    """Call a hook that observes numbers: in a recorded step, in each run."""
    recorder = current.get()
    if recorder is None:
        function(*args)
    else:
        recorder.observe(function, args)


def initializing() -> None:
    """Tell the recorder, if a step is recorded, that a parameter is about to be initialized."""
    recorder = current.get()
    if recorder is not None:
        recorder.initialize()


def caller() -> str:
    """The file and line of the caller outside of passus and NumPy."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("passus.", "numpy.")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class Traced:
    """An array of the step that is being recorded."""

    __slots__ = ("__weakref__", "array", "recorder", "value")
    __array_priority__ = 1000
    __hash__ = object.__hash__

    array: Any
    recorder: Recorder
    value: Any
    """What stands for it in the program; the recorder assigns it."""

    def __init__(self, array: Any, recorder: Recorder) -> None:
        self.array, self.recorder = array, recorder

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        if any(has_own_rules(type(x)) for x in (*args, *options.get("out", ()))):
            return NotImplemented
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        return self.recorder.record(function, args, options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if any(map(has_own_rules, types)):
            return NotImplemented
        return self.recorder.record(function, args, options)

    def __getitem__(self, index: Any) -> Any:
        return self.recorder.record(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recorder.record(operator.setitem, (self, index, value), {})

    def __getattr__(self, name: str) -> Any:
        if name in FACTS:
            return getattr(self.array, name)
        if name.startswith("__"):
            raise AttributeError(name)
        if name in READS and not _is_attribute(name, self.array):
            self._refuse(f"x.{name}")
        value = getattr(self.array, name)
        if callable(value):
            return lambda *args, **options: self.recorder.record(Method(name), (self, *args), options)
        return self.recorder.record(Attribute(name), (self,), {})

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.array)))

    def __bool__(self) -> bool:
        return self.recorder.expect(self)

    def __float__(self) -> float:
        self._refuse("float(x)")

    def __int__(self) -> int:
        self._refuse("int(x)")

    def __index__(self) -> int:
        self._refuse("an index")

    def __array__(self, *args: Any, **options: Any) -> Any:
        self._refuse("np.asarray(x)")

    def __repr__(self) -> str:
        return f"Traced({self.dtype}{list(self.shape)})"

    def _refuse(self, how: str) -> NoReturn:
        raise RecordingError(
            f"{caller()}: the numbers of an array {self.array.dtype} {self.array.shape} are read while the step is recorded ({how}): the program "
            "would keep this value for ever. Compute with arrays, for example np.where in place of if, and read results after the step"
        )


def _operation(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(operator, f"{name}_" if name in KEYWORDS else name)
    return function


def _is_attribute(name: str, array: Any) -> bool:
    """Whether a class of arrays has an attribute of this name that is no read of memory."""
    return isinstance(array, np.ndarray) and getattr(type(array), name) is not getattr(np.ndarray, name)


def has_own_rules(kind: type) -> bool:
    """Whether NumPy leaves operations with such an operand to it, as with a Variable."""
    return kind is not Traced and not issubclass(kind, (np.ndarray, np.generic)) and hasattr(kind, "__array_ufunc__")


def _define(name: str, function: Callable[..., Any]) -> None:
    ufunc = UFUNCS.get(name)

    def forward(self: Traced, *others: Any) -> Any:
        if others and has_own_rules(type(others[0])):
            return NotImplemented if ufunc is None else ufunc(self, others[0], out=(self,))
        return self.recorder.record(function, (self, *others), {})

    setattr(Traced, f"__{name}__", forward)


def _define_reflected(name: str, function: Callable[..., Any]) -> None:
    def reflected(self: Traced, other: Any) -> Any:
        return self.recorder.record(function, (other, self), {})

    setattr(Traced, f"__r{name}__", reflected)


IN_PLACE = frozenset([_operation(name) for name in UFUNCS])
"""Operators that write into their first argument."""

for _name in f"{BINARY} {COMPARISONS} {UNARY} {' '.join(UFUNCS)}".split():
    _define(_name, _operation(_name))
for _name in BINARY.split():
    _define_reflected(_name, _operation(_name))


def plain(value: Any) -> Any:
    """A value with arrays in place of traced arrays, also in lists, tuples and dicts."""
    kind = type(value)
    if kind is Traced:
        return value.array
    if kind is tuple or kind is list:
        return kind([plain(v) for v in value])
    if kind is dict:
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*[plain(v) for v in value])
    return value


def traced_by(*values: Any) -> Recorder | None:
    """The recorder of the traced arrays among values, also in lists, tuples and dicts.

    None if there are none, or if there are Variables: a function of these is recorded by the operations that it consists of.
    """
    recorder: Recorder | None = None
    for value in leaves(values):
        kind = type(value)
        if kind is Traced:
            recorder = value.recorder
        elif has_own_rules(kind):
            return None
    return recorder


def leaves(values: Iterable[Any]) -> Iterator[Any]:
    """Values, and those in lists, tuples and dicts."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from leaves(value)
        elif isinstance(value, dict):
            yield from leaves(value.values())
        else:
            yield value


class TracedNumPy:
    """NumPy, with all functions recorded that create arrays, or compute with traced ones.

    An array that is created may be written to, so each run of a program needs its own. Some functions of NumPy do not ask all
    of their arguments, such as the indices of np.take.
    """

    NEW = frozenset({"empty", "full", "ones", "zeros"})
    """Functions that create arrays from nothing."""

    constants = np
    """The module that creates arrays which are never written to."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if isinstance(function, (type, np.ufunc)) or not callable(function):
            return function

        def recorded(*args: Any, **options: Any) -> Any:
            recorder = current.get()
            is_new = name in self.NEW
            if recorder is None or not (is_new or traced_by(*args, *options.values()) is not None):
                return function(*args, **options)
            return recorder.record(function, args, options)

        return recorded


class Tracing:
    """The backend of traced arrays. Arrays of NumPy beside them are constants of the program."""

    name: ClassVar[str] = "trace"
    intp: Any = np.dtype(np.intp)

    def __init__(self, numpy: Any) -> None:
        self.numpy = numpy
        self.xp: Any = TracedNumPy()

    def is_array(self, x: object) -> bool:
        return type(x) is Traced

    def asarray(self, x: Any) -> Array:
        return x if type(x) is Traced else np.asarray(x)

    def to_numpy(self, x: Array) -> Array:
        return x

    def has_values(self, x: Array) -> bool:
        return True  # A condition of the program.

    def wide(self, dtype: Any) -> Any:
        return self.numpy.wide(dtype)

    def chosen(self, condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
        return self.numpy.chosen(condition, if_true, if_false)

    def random_bits(self, rng: Any, shape: tuple[int, ...], like: Array | None = None) -> Array:
        return self.numpy.random_bits(rng, shape, like)

    def scatter_add(self, shape: tuple[int, ...], index: Any, values: Array) -> Array:
        return self._recorded(self.numpy.scatter_add, shape, index, values)

    def maximum_at(self, x: Array, index: Array, values: Array) -> Array:
        return self._recorded(self.numpy.maximum_at, x, index, values)

    def add_at(self, x: Array, index: Any, values: Any) -> Array:
        return self._recorded(self.numpy.add_at, x, index, values)

    def _recorded(self, function: Callable[..., Any], *args: Any) -> Any:
        recorder = traced_by(*args)
        assert recorder is not None
        return recorder.record(function, args, {})

"""A step of a computation: what it does forward, and how gradients go back through it.

A subclass writes two methods. ``forward(*arrays)`` computes with arrays. ``backward(*gys)`` is given the gradient of
the result with respect to each output and returns that with respect to each input:

>>> import numpy as np
>>> class Square(Function):
...     def forward(self, x):
...         return x**2
...     def backward(self, gy):
...         return 2 * self.input * gy
>>> x = Variable(np.array(3.0))
>>> y = Square()(x)
>>> y.backward()
>>> print(y, x.grad, y.creator.input is x)
9.0 6.0 True
"""

from __future__ import annotations

import copy
import traceback
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from passus.answers import checked_new
from passus.backend import Array, backend_of, is_array, others
from passus.config import debug, enable_backprop
from passus.core import custom
from passus.core.custom import NOT_CALLED, OutputReference, custom_outputs
from passus.core.variable import Operand, Released, Result, Variable, checked, clock, constant, read_only
from passus.errors import ArgumentError, DTypeError, GraphError, LabelError, PassusError, ShapeError, kind_of

__all__ = ["HALF", "INTEGERS", "Function"]

new = object.__new__

SCALARS: dict[type, str] = {np.dtype(code).type: np.dtype(code).kind for code in "?bhilqBHILQefdg"}
"""What NumPy returns where a result has no axes, and the kind of number that it is."""

KINDS: dict[type, str] = {np.ndarray: "", **SCALARS}
"""What NumPy computes with and returns; the kind of number, where the type says it."""

HALF = "e"
"""The code of float16."""
INTEGERS = "?bhilqBHILQ"
"""The codes of integers and booleans."""
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

RECORD = frozenset(
    {"operands", "outputs", "serial", "output_types", "evidence", "recording", "xp", "_inputs", "_generation"}
)
"""Attributes that belong to a call, and not to what was called."""


class Function:
    """The base of every differentiable operation; calling it computes, and records it for the way back.

    Given a Variable it returns Variables; given only arrays it returns arrays and records nothing, for an array is a
    constant. Several outputs are returned as a tuple, one by itself. In a class outside passus, inputs and
    outputs are read through read-only views, and the gradients given to ``backward`` are its own.

    The rule ``backward`` is written once. In an ordinary backward pass it is given arrays, and under
    ``create_graph=True`` Variables, so that it is recorded and can be differentiated again. `saved` reads inputs and
    outputs in the same form, and so do attributes that hold the very array of an input or output. An array of
    floating-point numbers kept on ``self`` that is neither, but does not depend on the inputs, is declared in
    ``constants``; undeclared, it makes second derivatives through this function raise `SecondOrderError`.

    A gradient that is None flows nowhere. One that has the shape of the output is summed to the shape of its
    input where broadcasting had stretched it, and has its dtype changed where that differs.
    """

    constants: ClassVar[tuple[str, ...]] = ()
    """Attributes that hold arrays of floating-point numbers which do not depend on the inputs, or which the rule reads
    only in an ordinary pass (where ``self.recording`` is False)."""

    public_name: ClassVar[str] = ""
    """What messages call it, where the name of the class does not tell."""
    custom: ClassVar[bool] = False
    """Whether the class was written outside passus; `passus.core.custom` says what that changes."""
    widened: ClassVar[str] = ""
    """Codes of the dtypes that are too narrow for it. `HALF`: float16 is computed in float32 and the result rounded once.
    `INTEGERS`: they are computed as floating-point numbers, for their own sums and products wrap around."""

    operands: tuple[Any, ...] = NOT_CALLED
    """What it was called with: Variables, and constants as they were given."""
    outputs: tuple[OutputReference, ...] = NOT_CALLED
    """Weak references to its results: a graph is kept alive by its end, not by its beginning."""
    serial: int = 0
    """When it was recorded; a function is always younger than those that made its inputs. 0 if it was not."""
    recording: bool = False
    """Whether the backward pass under way is itself being recorded."""
    xp: Any = np
    """The module with the functions for the arrays at hand."""
    output_types: list[tuple[tuple[int, ...], Any]]
    """Of a function with several outputs: their shapes and dtypes, for those that are gone."""
    _inputs: tuple[Variable, ...] | None = None
    evidence: tuple[dict[Any, int], str] | None = None
    """In debug mode: checksums of what its rule may read, and where it was called."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith("passus."):
            cls.custom = True
            cls.outputs = custom_outputs  # type: ignore[assignment]
            cls.__new__ = staticmethod(checked_new)  # type: ignore[method-assign]
            if cls.__hash__ in (None, object.__hash__):  # A dataclass, or a class with __eq__, would have none.
                cls.__hash__ = object.__hash__  # type: ignore[method-assign]
            for name in ("forward", "backward"):
                _check_takes_self(cls.__name__, name, cls.__dict__.get(name))

    def forward(self, *xs: Any) -> Any:
        """Compute the output array (or a tuple of them) from the input arrays."""
        raise NotImplementedError(f"{type(self).__name__}.forward is not implemented")

    def backward(self, *gys: Any) -> Any:
        """Compute the gradient for each input from the gradients of the outputs."""
        raise NotImplementedError(f"{type(self).__name__}.backward is not implemented")

    def __call__(self, *inputs: Operand) -> Result:
        recorded = False
        xs: list[Any] = []
        for x in inputs:
            if isinstance(x, Variable):
                if x.requires_grad:
                    recorded = True
                xs.append(x._data)
            else:
                xs.append(None if x is None and self.custom else self.constant(x, inputs))
        if self.widened:
            for x in xs:
                dtype = getattr(x, "dtype", FLOAT64)
                if dtype is not FLOAT32 and dtype is not FLOAT64 and dtype.char in self.widened:
                    return self.computed_wide(inputs)
        if others:
            self.xp = backend_of(*xs).xp
        if self.serial:
            self._pass_on_record()
        try:
            if self.custom:
                y = custom.forward(self, inputs, xs)
            else:
                y = self.forward(xs[0]) if len(xs) == 1 else self.forward(*xs)
        except PassusError:
            raise
        except (ValueError, TypeError, IndexError, AttributeError, np.linalg.LinAlgError) as error:
            raise self._explained(error, xs) from error
        if type(y) is tuple:
            return self._several(inputs, y, recorded)
        # From here on for one output, the usual case, without a loop or a call: small networks spend their time here.
        kind = KINDS.get(type(y))
        if kind is None:
            y = self._as_output(y, xs)
        if not recorded and not _boxed(inputs):
            return np.asarray(y) if isinstance(y, np.generic) else y
        output = new(Variable)
        output._data = y
        if recorded and enable_backprop.get() and ((kind or y.dtype.kind) == "f" or _of_integers(y, inputs)):
            output.creator = self
            self.operands = inputs
            self.outputs = (OutputReference(output),)
            self.serial = next(clock)
            if debug.get():
                self._keep_evidence()
        else:
            output.requires_grad = False
        return output

    def computed_wide(self, inputs: tuple[Any, ...]) -> Result:
        """The result for inputs that are too narrow; written in `passus.core.precision`, which can change a dtype."""
        raise NotImplementedError

    def _several(self, inputs: tuple[Any, ...], ys: tuple[Any, ...], recorded: bool) -> Result:
        """Box and record several outputs, as ``__call__`` does one."""
        ys = tuple([self._as_output(y, ()) for y in ys])
        if not recorded and not _boxed(inputs):
            return tuple([np.asarray(y) if isinstance(y, np.generic) else y for y in ys])
        recorded = recorded and enable_backprop.get()
        outputs = [new(Variable) for _ in ys]
        for output, y in zip(outputs, ys):
            output._data = y
            if recorded and (y.dtype.kind == "f" or _of_integers(y, inputs)):
                output.creator = self
            else:
                output.requires_grad = False
        if recorded:
            self.operands = inputs
            self.outputs = tuple([OutputReference(output) for output in outputs])
            self.output_types = [(y.shape, y.dtype) for y in ys]
            self.serial = next(clock)
            if debug.get():
                self._keep_evidence()
        return tuple(outputs)

    def _pass_on_record(self) -> None:
        """Called once more, an instance leaves its record to a copy, which takes its place in the older graph."""
        older = copy.copy(self)
        older.__dict__.update(self.__dict__)
        for output in self.outputs:
            y = output()
            if y is not None:
                y.creator = older
        self.inputs, self.outputs, self.serial, self.evidence = NOT_CALLED, NOT_CALLED, 0, None

    def __getstate__(self) -> Any:
        """What copies and pickles get: what the function is made of, but not the graph of its last call."""
        state: Any = super().__getstate__()  # A pair, if a class of a user has slots.
        attributes, *slots = state if isinstance(state, tuple) else (state,)
        attributes = {name: value for name, value in (attributes or {}).items() if name not in RECORD}
        return (attributes, *slots) if slots else attributes

    def exchange(self, scalar: Any, array: Array) -> None:
        """Keep what ``forward`` left on self recognisable as the output, which is an array from now on."""
        for name, value in self.__dict__.items():
            if value is scalar:
                self.__dict__[name] = array

    @property
    def generation(self) -> int:
        """The highest generation among the inputs."""
        assigned: int | None = self.__dict__.get("_generation")
        return generation_of(self) if assigned is None else assigned

    @generation.setter
    def generation(self, generation: int) -> None:
        self.__dict__["_generation"] = generation

    # What a rule, and who walks a graph by hand, may read.

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """What it was called with, as Variables: constants are boxed in the form that ``forward`` was given."""
        if self._inputs is None:
            self._inputs = tuple([self._boxed(x) for x in self.operands])
        return self._inputs

    @inputs.setter
    def inputs(self, inputs: Iterable[Variable]) -> None:
        self.operands, self._inputs = inputs if isinstance(inputs, tuple) else tuple(inputs), None

    def _boxed(self, x: Any) -> Variable:
        return (
            x
            if isinstance(x, Variable)
            else constant(None if x is None else np.asarray(self.constant(x, self.operands)))
        )

    @property
    def input(self) -> Any:
        """The input of a function that has one. Raises `GraphError` if it was not called yet."""
        return self.operands[0]

    @input.setter
    def input(self, x: Variable) -> None:
        self.inputs = (x,)

    @property
    def output(self) -> Variable:
        """The output of a function that has one. Raises `GraphError` if nothing refers to it any more."""
        y = self.outputs[0]() if self.outputs else None
        if y is None:
            raise GraphError(f"{type(self).__name__}: its output is gone; keep a reference to what the call returned")
        return y

    @output.setter
    def output(self, y: Variable) -> None:
        self.outputs = (OutputReference(y),)

    @property
    def needs(self) -> tuple[bool, ...]:
        """For each input, whether anyone wants its gradient."""
        return tuple([isinstance(x, Variable) and x.requires_grad for x in self.operands])

    def saved(self, x: Any) -> Any:
        """An input or output in the form in which gradients are given now: an array, or a Variable to be recorded.

        Raises `GraphError` if its data were edited after the forward pass: the gradient would be wrong.
        """
        if not isinstance(x, Variable):
            return x
        if x.edited > self.serial:
            raise GraphError(
                f"{type(self).__name__}.backward: the data of {x._label()} {x.shape} were edited after the forward "
                "pass that used them, so the gradient would be wrong. Call backward() before editing, or run the "
                "forward pass again"
            )
        if self.recording:
            return x
        return read_only(x._data) if self.custom else x._data

    def check_shapes(self, stand_ins: list[Variable]) -> None:
        """Raise `ShapeError` if data were replaced by an array of another shape after the forward pass that used them.

        Data that were released are replaced by their shape, and these Variables are added to ``stand_ins``.
        """
        for x in (*self.operands, *[output() for output in self.outputs]):
            if isinstance(x, Variable) and x.resized > self.serial:
                if x._data is None and x.released is not None:
                    x._data = x.released
                    stand_ins.append(x)
                if type(x._data) is Released:
                    continue
                raise ShapeError(
                    f"{type(self).__name__}.backward: the data of {x._label()} were replaced by an array of another shape, "
                    f"{'None' if x._data is None else x.shape}, after the forward pass that used them, so there is no gradient. "
                    "Call backward() before, or run the forward pass again"
                )

    # What happens to input that is no Variable, and to output that is no array.

    def constant(self, x: Any, inputs: tuple[Any, ...]) -> Any:
        """What ``forward`` is given for an input that is no Variable: an array, of the dtype that NumPy would choose."""
        if type(x) is np.ndarray and x.dtype.kind in "fiub":
            return x
        if isinstance(x, (int, float, np.generic)):
            # A number takes the dtype of the arrays beside it: float32 stays float32.
            number = x.item() if isinstance(x, np.generic) and len(inputs) > 1 else x
            dtypes = [a.dtype for a in inputs if hasattr(a, "dtype") and not isinstance(a, np.generic)]
            return np.asarray(number, dtype=np.result_type(*dtypes, number) if dtypes else None)
        if self.custom and isinstance(x, (list, tuple)):
            raise DTypeError(
                f"{spelled(self)}: {type(x).__name__} is not supported; give the inputs one by one, {type(self).__name__}()(a, b)"
            )
        return checked(x, spelled(self))

    def _as_output(self, y: Any, xs: Sequence[Any]) -> Array:
        if type(y) in KINDS or (not isinstance(y, Variable) and is_array(y)):
            return y
        if xs and all(isinstance(x, (int, float)) for x in xs):  # Python numbers, and what Python made of them.
            return np.asarray(y)
        raise DTypeError(f"{type(self).__name__}.forward returned {kind_of(y)}; it must return an array")

    # Errors that teach.

    def _explained(self, error: Exception, xs: list[Any]) -> PassusError:
        name = spelled(self)
        if any(x is None for x in xs):
            return DTypeError(f"{name}: input {[x is None for x in xs].index(True)} holds no data yet (it is None)")
        shapes = ", ".join(f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x) for x in xs)
        kind: type[PassusError] = DTypeError if isinstance(error, (TypeError, AttributeError)) else ArgumentError
        if isinstance(error, IndexError):
            kind = LabelError
        if isinstance(error, ValueError) and not isinstance(error, np.linalg.LinAlgError):
            kind = ShapeError  # NumPy's AxisError is both, and about shapes.
        return kind(f"{name}({shapes}): {error}{custom.advice(error) if self.custom else ''}")

    def _keep_evidence(self) -> None:
        self.evidence = self._checksums(), "".join(traceback.format_stack(limit=12)[:-2])

    def place(self, error: Exception) -> str:
        """What a note on an error of the rule says."""
        called = f"; the forward pass was called here:\n{self.evidence[1]}" if self.evidence else ""
        return f"in the backward pass of {spelled(self)}{custom.advice(error) if self.custom else ''}{called}"

    def _checksums(self) -> dict[Any, int]:
        """Of outputs that are still there, and of what self holds: inputs, masks, labels, indices."""
        held = {name: value for name, value in vars(self).items() if name != "outputs"}  # Some may be gone.
        places: dict[Any, Any] = held | {i: output() for i, output in enumerate(self.outputs)}
        return {place: checksum for place, x in places.items() if (checksum := _checksum(x))}

    def check_evidence(self) -> None:
        """In debug mode: raise `GraphError` if an array was edited in place since the forward pass."""
        if self.evidence is None:
            return
        then, now = self.evidence[0], self._checksums()
        if any(now[place] != then[place] for place in then.keys() & now.keys()):
            raise GraphError(
                f"{type(self).__name__}.backward: an array that its forward pass used was edited in place since, so "
                f"the gradient would be wrong. The forward pass was called here:\n{self.evidence[1]}"
            )


def _of_integers(y: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether integers were computed from integers, as in ``x * 2``: a gradient flows through them."""
    return y.dtype.kind in "iu" and all(
        x._data.dtype.kind in "iu" for x in inputs if isinstance(x, Variable) and x.requires_grad
    )


def _checksum(x: Any) -> int:
    """Of the bytes of an array, or of the arrays in a tuple or list; 0 for all else."""
    if isinstance(x, (tuple, list)):
        return sum(_checksum(part) for part in x)
    data = x._data if isinstance(x, Variable) else x
    if isinstance(data, Released):
        return 0
    return zlib.crc32(data.tobytes()) if hasattr(data, "tobytes") else 0


def _check_takes_self(name: str, method: str, function: Any) -> None:
    """Raise `DTypeError` for a static method of (ctx, x), as PyTorch has them."""
    code = getattr(function.__func__, "__code__", None) if isinstance(function, staticmethod) else None
    if code is not None and code.co_varnames[:1] == ("ctx",):
        raise DTypeError(
            f"{name}.{method} is a static method with ctx, as in PyTorch; here it is def {method}(self, ...), and what backward "
            "needs is kept on self"
        )


def _boxed(inputs: tuple[Any, ...]) -> bool:
    return any(isinstance(x, Variable) for x in inputs)


def spelled(function: Function) -> str:
    """The name of the public function: SoftmaxCrossEntropy is softmax_cross_entropy, if the class gives no other."""
    if function.public_name:
        return function.public_name
    name = type(function).__name__.replace("LU", "lu").replace("MatMul", "Matmul")  # ReLU is relu, not re_lu.
    starts = [i for i, c in enumerate(name) if i and c.isupper() and (name[i - 1].islower() or name[i - 1].isdigit())]
    return "_".join(name[i:j].lower() for i, j in zip([0, *starts], [*starts, None]))


def generation_of(function: Function) -> int:
    """The length of the longest path from a leaf to the inputs of a function.

    Only learners and drawings ask for it: the walk back goes by ``serial``, which costs nothing to know.
    """
    known: dict[Function, int] = {}
    waiting = [function]
    while waiting:
        f = waiting[-1]
        makers = {x.creator for x in f.operands if isinstance(x, Variable) and x.creator is not None}
        unknown = [maker for maker in makers if maker not in known]
        if unknown:
            waiting += unknown
        else:
            known[waiting.pop()] = max([known[maker] + 1 for maker in makers], default=0)
    return known[function]

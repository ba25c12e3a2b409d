"""A step of a computation: `Function`, with its forward computation and its rule for gradients.

A subclass writes two methods. ``forward(*arrays)`` computes with arrays. ``backward(*gys)`` is its rule: it receives the
gradient with respect to each output, and returns the gradient with respect to each input.

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

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from passus.backend import Array, backend_of, others
from passus.backend.trace import Recorder, current
from passus.config import debug, enable_backprop
from passus.core import custom, messages, records
from passus.core.checksums import Checksums, checksums_of
from passus.core.data import KINDS, array_from_scalar, array_of_number, checked, is_scalar, output_array
from passus.core.describe import described_call
from passus.core.devices import on_one_device
from passus.core.edits import clock
from passus.core.generation import generation_of
from passus.core.references import NOT_CALLED, OutputReference
from passus.core.variable import Operand, Result, Variable, constant_variable
from passus.core.views import read_only
from passus.errors import GraphError, PassusError

__all__ = ["Function"]

new = object.__new__

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Function:
    """The base of every differentiable operation. Calling an instance computes, and records the call for the backward pass.

    If an input is a Variable, it returns Variables. If all inputs are arrays, it returns arrays and records nothing, because an
    array is a constant. Several outputs are returned as a tuple. A class outside passus reads inputs and outputs through read-only
    views, and its ``backward`` may edit the gradients that it receives.

    The rule ``backward`` is written once. In an ordinary backward pass it receives arrays, and under
    ``create_graph=True`` Variables, so that it is recorded and can be differentiated again. `saved` reads inputs and
    outputs in the same form, and so do attributes that hold the array of an input or output. Any other array of floating-point
    numbers saved on ``self`` must not depend on the inputs, and is declared in ``constants``; undeclared, it makes second
    derivatives through this function raise `SecondOrderError`.

    A rule returns None for an input without gradient. A gradient that has the shape of the output is summed over the axes along
    which the input was broadcast, and is converted to the dtype of the input.
    """

    # Declarations of a class.

    constants: ClassVar[tuple[str, ...]] = ()
    """Attributes that hold arrays of floating-point numbers which do not depend on the inputs, or which the rule reads
    only in an ordinary pass (where ``self.recording`` is False)."""
    public_name: str = "function"
    """The name in messages: that of the public function. It is derived from the name of the class
    (SoftmaxCrossEntropy: softmax_cross_entropy) unless the class declares it."""
    custom: ClassVar[bool] = False
    """Whether the class was written outside passus; `passus.core.custom` describes the differences."""
    upcast_dtypes: ClassVar[str] = ""
    """Codes of the dtypes that are too narrow for it. `HALF`: float16 is computed in float32 and the result rounded once.
    `INTEGERS`: they are computed as floating-point numbers, because sums and products of integers wrap around."""

    # The record of a call.

    operands: tuple[Any, ...] = NOT_CALLED
    """The inputs: Variables, and constants as they were given."""
    outputs: tuple[OutputReference, ...] = NOT_CALLED
    """Weak references to the outputs. An output refers to its creator, so a graph exists as long as its result."""
    serial: int = 0
    """The time of the call, 0 if it was not recorded. A function is younger than the creators of its inputs."""
    output_types: list[tuple[tuple[int, ...], Any]]
    """The shapes and dtypes of several outputs, for those that are freed before the backward pass."""
    checksums: Checksums | None = None
    """In debug mode: checksums of all arrays that the rule may read."""

    # The state while it runs.

    recording: bool = False
    """Whether the backward pass in progress is itself being recorded."""
    xp: Any = np
    """The module with the functions for these arrays: NumPy, or another array library."""
    _inputs: tuple[Variable, ...] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "public_name" not in cls.__dict__:
            cls.public_name = _snake_case(cls.__name__)
        if not cls.__module__.startswith("passus."):
            custom.prepare(cls)

    def forward(self, *xs: Any) -> Any:
        """Compute the output array (or a tuple of them) from the input arrays."""
        raise NotImplementedError(f"{type(self).__name__}.forward is not implemented")

    def backward(self, *gys: Any) -> Any:
        """Compute the gradient for each input from the gradients of the outputs."""
        raise NotImplementedError(f"{type(self).__name__}.backward is not implemented")

    # The call. Small networks spend their time here, so the usual case, one output, has no further loop or call.

    def __call__(self, *inputs: Operand) -> Result:
        recorded = False
        xs: list[Any] = []
        for x in inputs:
            if isinstance(x, Variable):
                if x.requires_grad:
                    recorded = True
                xs.append(x._data)
            else:
                xs.append(None if x is None and self.custom else self.as_input(x, inputs))
        if self.upcast_dtypes:
            for x in xs:
                dtype = getattr(x, "dtype", FLOAT64)
                if dtype is not FLOAT32 and dtype is not FLOAT64 and dtype.char in self.upcast_dtypes:
                    return self.upcast(inputs)
        if others:
            recorder = current.get()
            if recorder is not None:
                xs = _adopted(recorder, self, inputs, xs)
            backend = backend_of(*xs)
            if backend.name == "jax":
                xs = on_one_device(backend, self.public_name, inputs, xs)
            self.xp = backend.xp
        if self.serial:
            records.move_record(self)
        try:
            if self.custom:
                y = custom.forward(self, inputs, xs)
            else:
                y = self.forward(xs[0]) if len(xs) == 1 else self.forward(*xs)
        except PassusError:
            raise
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError, np.linalg.LinAlgError) as error:
            advice = custom.advice(error) if self.custom else ""
            raise messages.failed_forward(self.public_name, error, xs, advice) from error
        kind = KINDS.get(type(y))
        if kind is None:
            if type(y) is tuple:
                return self._box_outputs(inputs, y, recorded)
            y = output_array(y, xs, type(self).__name__)
        elif others and backend.name == "jax":
            y = backend.asarray(y)  # It was computed on the host, or is a constant.
        if not recorded and not _has_variable(inputs):
            return array_from_scalar(y)
        output = new(Variable)
        output._data = y
        if recorded and enable_backprop.get() and ((kind or y.dtype.kind) == "f" or _is_of_integers(y, inputs)):
            output.creator = self
            self.operands = inputs
            self.outputs = (OutputReference(output),)
            self.serial = next(clock)
            if debug.get():
                self.checksums = checksums_of(self._readable())
        else:
            output.requires_grad = False
        return output

    def _box_outputs(self, inputs: tuple[Any, ...], ys: tuple[Any, ...], recorded: bool) -> Result:
        """Box and record several outputs, as ``__call__`` does for a single one."""
        ys = tuple([output_array(y, (), type(self).__name__) for y in ys])
        if not recorded and not _has_variable(inputs):
            return tuple([array_from_scalar(y) for y in ys])
        recorded = recorded and enable_backprop.get()
        outputs = [new(Variable) for _ in ys]
        for output, y in zip(outputs, ys):
            output._data = y
            if recorded and (y.dtype.kind == "f" or _is_of_integers(y, inputs)):
                output.creator = self
            else:
                output.requires_grad = False
        if recorded:
            self.operands = inputs
            self.outputs = tuple([OutputReference(output) for output in outputs])
            self.output_types = [(y.shape, y.dtype) for y in ys]
            self.serial = next(clock)
            if debug.get():
                self.checksums = checksums_of(self._readable())
        return tuple(outputs)

    def as_input(self, x: Any, inputs: tuple[Any, ...]) -> Any:
        """The array that ``forward`` receives for an input that is no Variable. Raises `DTypeError` for other types."""
        if type(x) is np.ndarray and x.dtype.kind in "fiub":
            return x
        if isinstance(x, (int, float)) or is_scalar(x):
            try:
                return array_of_number(x, inputs)
            except OverflowError as error:
                raise messages.number_out_of_range(self.public_name, x, inputs) from error
        if self.custom and isinstance(x, (list, tuple)):
            raise messages.sequence_as_input(self.public_name, type(x).__name__, type(self).__name__)
        return checked(x, self.public_name)

    def upcast(self, inputs: tuple[Any, ...]) -> Result:
        """The result for inputs of `upcast_dtypes`; bound by `passus.core.precision`, which can change a dtype."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return described_call(self)

    def __getstate__(self) -> Any:
        """The state for copies and pickles: the attributes without the record of the last call."""
        return records.without_record(super().__getstate__())

    def exchange(self, scalar: Any, array: Array) -> None:
        """Replace a scalar output that ``forward`` has saved on self by the array that the output has become."""
        for name, value in self.__dict__.items():
            if value is scalar:
                self.__dict__[name] = array

    # For rules.

    @property
    def needs(self) -> tuple[bool, ...]:
        """For each input, whether its gradient is needed."""
        return tuple([isinstance(x, Variable) and x.requires_grad for x in self.operands])

    def saved(self, x: Any) -> Any:
        """An input or output in the form that gradients have in this backward pass: an array, or a Variable if it is recorded.

        Raises `GraphError` if its data were edited after the forward pass: the gradient would be wrong.
        """
        if not isinstance(x, Variable):
            return x
        if x.edited > self.serial:
            raise messages.edited_since(type(self).__name__, x._label(), x.shape)
        if self.recording:
            return x
        return read_only(x._data) if self.custom else x._data

    def _readable(self) -> dict[Any, Any]:
        """All values that the rule may read: attributes by name, and the outputs that still exist by index."""
        attributes = {name: value for name, value in vars(self).items() if name != "outputs"}
        return attributes | {i: output() for i, output in enumerate(self.outputs)}

    # For users who traverse a graph themselves.

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """The inputs as Variables: constants are boxed in the form that ``forward`` received."""
        if self._inputs is None:
            self._inputs = tuple([self._boxed(x) for x in self.operands])
        return self._inputs

    @inputs.setter
    def inputs(self, inputs: Iterable[Variable]) -> None:
        self.operands, self._inputs = inputs if isinstance(inputs, tuple) else tuple(inputs), None

    def _boxed(self, x: Any) -> Variable:
        if isinstance(x, Variable):
            return x
        return constant_variable(None if x is None else np.asarray(self.as_input(x, self.operands)))

    @property
    def input(self) -> Any:
        """The input of a function of one input. Raises `GraphError` if it was not called yet."""
        return self.operands[0]

    @input.setter
    def input(self, x: Variable) -> None:
        self.inputs = (x,)

    @property
    def output(self) -> Variable:
        """The output of a function of one output. Raises `GraphError` if it was freed."""
        y: Variable | None = self.outputs[0]() if self.outputs else None
        if y is None:
            raise GraphError(f"{type(self).__name__}: its output is gone; keep a reference to what the call returned")
        return y

    @output.setter
    def output(self, y: Variable) -> None:
        self.outputs = (OutputReference(y),)

    @property
    def generation(self) -> int:
        """The highest generation among the inputs."""
        assigned: int | None = self.__dict__.get("_generation")
        return generation_of(self) if assigned is None else assigned

    @generation.setter
    def generation(self, generation: int) -> None:
        self.__dict__["_generation"] = generation


def _adopted(recorder: Recorder, function: Function, inputs: tuple[Any, ...], xs: list[Any]) -> list[Any]:
    """The input arrays of a step that is recorded; those of Variables are traced."""
    recorder.called(function)
    for x in inputs:
        if isinstance(x, Variable):
            recorder.adopt(x)
    return [v._data if isinstance(v, Variable) else x for v, x in zip(inputs, xs)]


def _has_variable(inputs: tuple[Any, ...]) -> bool:
    return any(isinstance(x, Variable) for x in inputs)


def _is_of_integers(y: Any, inputs: tuple[Any, ...]) -> bool:
    """Whether integers were computed from integers, as in ``x * 2``: a gradient flows through them."""
    return y.dtype.kind in "iu" and all(
        x._data.dtype.kind in "iu" for x in inputs if isinstance(x, Variable) and x.requires_grad
    )


def _snake_case(name: str) -> str:
    """SoftmaxCrossEntropy in lower case: softmax_cross_entropy."""
    name = name.replace("LU", "lu").replace("MatMul", "Matmul")  # ReLU is relu, not re_lu.
    starts = [i for i, c in enumerate(name) if i and c.isupper() and (name[i - 1].islower() or name[i - 1].isdigit())]
    return "_".join(name[i:j].lower() for i, j in zip([0, *starts], [*starts, None]))

"""Recording: a step is called once with traced arrays, and its operations become a program.

The step computes with copies of its inputs and of its state, and changes nothing. The program does, when it runs.
"""

from __future__ import annotations

import gc
import operator
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CellType
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from passus.attributes import unobserved
from passus.backend import Array, copied, others
from passus.backend.lookup import tracing
from passus.backend.trace import Attribute, Method, Traced, TracedNumPy, caller, current, plain
from passus.core import Variable
from passus.core.edits import clock
from passus.errors import RecordingError
from passus.kernels.dispatch import Kernel
from passus.layers import Layer
from passus.layers.nodes import label
from passus.layers.undo import new_calls
from passus.random import replaced_generators, using_rng
from passus.recording.generators import Replacements
from passus.recording.host import Host, Observer
from passus.recording.leaves import Leaf
from passus.recording.owners import LayerState
from passus.recording.places import AttributePlace, DataPlace, GradPlace, InputGradPlace
from passus.recording.program import Instruction, Place, Program, Source, Value, expect, mapped
from passus.recording.reach import Captured, layers_of
from passus.recording.writers import is_repeatable, written_by

__all__ = ["NotReadyError", "Recorder", "recorded"]

FACTS = frozenset({np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.may_share_memory})
"""Functions of NumPy whose results do not depend on the numbers of arrays."""

CONVERSIONS = frozenset({"asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "astype"})
"""Names of functions that may return their argument itself."""

PLAIN = (int, float, complex, str)
"""Types of results that are no arrays. A bool becomes a condition of the program."""

OPERATORS = "add", "sub", "mul", "truediv", "pow", "matmul", "lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "getitem"

METHODS = "all any argmax argmin astype copy dot max mean min prod ravel repeat reshape squeeze sum swapaxes take transpose view"

PURE = frozenset([getattr(operator, name) for name in OPERATORS])
"""Operators that do not write into their arguments."""

PURE_TYPES: tuple[type, ...] = (Kernel, Attribute)
"""Types of functions that do not write into their arguments."""

PURE_METHODS = frozenset(METHODS.split())
"""Methods that do not write into their arguments, other than ``out``."""

ALIGNMENT = 64
"""Number of bytes modulo which the copy of an array has the address of the original."""

Write = tuple[Place, Value | None]


class NotReadyError(Exception):
    """The step cannot be recorded yet: parameters or buffers get their shapes in this call."""


class Recorder:
    """The operations of the step that is being recorded, and its state.

    ``patient``: let the step run without recording as long as layers have parameters without a shape.
    """

    def __init__(self, patient: bool = False) -> None:
        self.instructions: list[Instruction] = []
        self.inputs: list[Value] = []
        self.state: list[tuple[Value, Place]] = []
        self.originals: dict[Value, Any] = {}
        """The arrays of the state before the step."""
        self.is_open = True
        self.generators = Replacements(self.record)
        self.started = next(clock)
        self._patient = patient
        self._traced: list[weakref.ref[Traced]] = []
        """All traced arrays, by the numbers of their Values; those that the step no longer needs are freed."""
        self._arrays: dict[Value, Any] = {}
        """The arrays of arguments, of the state, of constants, and of copies, which are kept to the end."""
        self._constants: dict[Value, Any] = {}
        self._rebound: dict[int, tuple[Traced, Traced]] = {}
        """Arrays of attributes and what replaced their elements, by the id of the former."""
        self._leaves: list[Leaf] = []
        self._layers: dict[int, LayerState] = {}
        self._names: dict[int, str] = {}
        self._value_names: set[str] = set()
        self._stack: list[str] = []
        self._sources: dict[int, Source] = {}
        self._source: Source | None = None
        self._errstate = np.geterr()
        self.captured = Captured(None)
        """What the names of the step stand for."""
        self._is_disturbed = False
        """Whether another thread has used an array of the step, and may keep it for a while."""
        self._owned: dict[int, Any] = {}
        """The memory of arguments and of the state, by its id."""
        self._written: dict[int, Any] = {}
        """References to the memory into which the step writes, by its id."""
        self._edited: set[int] = set()
        """The ids of that into which it writes in a way that must not be repeated."""
        self.shared: set[Value] = set()
        """Gradients whose arrays have other owners, too."""
        self.effects = False
        """Whether a host call changes state that a condition afterwards could not restore."""

    # Values.

    def input(self, array: Any, name: str = "") -> Traced:
        """A traced copy of an array among the arguments."""
        traced = self._twin(array, name)
        self.inputs.append(self.value(traced))
        return traced

    def from_place(self, array: Any, place: Place) -> Traced:
        """A traced copy of an array of the state."""
        traced = self._twin(array, place.name)
        value = self.value(traced)
        self.state.append((value, place))
        self.originals[value] = array
        return traced

    def _twin(self, array: Any, name: str) -> Traced:
        copy = twin(array, name)
        self._owned[_memory(copy)] = _base(copy)
        return self._kept_to_the_end(self.traced(copy, name))

    def _kept_to_the_end(self, traced: Traced) -> Traced:
        """A traced array whose array is not freed before the end of the recording."""
        self._arrays[self.value(traced)] = traced.array
        return traced

    def _array(self, value: Value) -> Any:
        """The array of a Value that the step still needs."""
        if value in self._arrays:
            return self._arrays[value]
        traced = self._traced[value.number]()
        return next(x for x in self._alive() if x.value == value).array if traced is None else traced.array

    def alias(self, traced: Traced, array: Any) -> Traced:
        """Another traced array for the same Value, such as a read-only one."""
        return self._boxed_as(self.value(traced), array)

    def traced(self, array: Any, name: str = "") -> Traced:
        """A traced array with a Value of its own."""
        _check_dtype(array, name)
        return self._boxed_as(Value(len(self._traced), array.shape, array.dtype, self._unique(name)), array)

    def _boxed_as(self, value: Value, array: Any) -> Traced:
        traced = Traced(array, self)
        traced.value = value
        self._traced.append(weakref.ref(traced))
        return traced

    def value(self, traced: Traced) -> Value:
        """The Value of a traced array. Raises `RecordingError` for one of another recording."""
        if traced.recorder is not self:
            raise RecordingError(
                "the step uses an array that an earlier recording has left somewhere, so the program cannot know where to read "
                "it: return it from the step, and pass it to the next call, or keep it in an attribute of a layer"
            )
        value: Value = traced.value
        return value

    def _unique(self, name: str) -> str:
        """A name that no other Value has: l1.W, and l1.W' after an update."""
        while name and name in self._value_names:
            name += "'"
        self._value_names.add(name)
        return name

    def constant(self, array: Any) -> Value:
        """The Value of an array that is the same in each run."""
        value = self.value(self._kept_to_the_end(self.traced(array)))
        self._constants[value] = array
        return value

    def noted(self, tree: Any) -> Any:
        """A tree of arguments or results with a Value for each traced array; other arrays are constants."""
        return mapped(tree, self._noted_leaf)

    def _noted_leaf(self, x: Any) -> Any:
        if type(x) is TracedNumPy:
            return np
        return self.value(x) if type(x) is Traced else x

    # The recorder's part in operations; see `passus.backend.trace.Recorder`.

    def record(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call a function of arrays, and note the call. Returns its result, with traced arrays."""
        self._check_open()
        if function is operator.setitem and self._replaces(*args):
            return None
        if any(isinstance(x, np.ndarray) for x in written_by(function, args, options)):
            raise RecordingError(
                f"{caller()}: the step writes into an array that is no argument and no result of its operations, so all runs of its "
                "program would write into the same. Create it from another array, as with np.zeros_like(x), or pass it to the step"
            )
        noted = self.noted(args), self.noted(options)
        kept = [] if _is_pure(function, args, options) else [(x, twin(x.array)) for x in _traced_in([args, options])]
        result = function(*plain(args), **plain(options))
        if function in FACTS:
            return result
        if isinstance(result, PLAIN) and not isinstance(result, (bool, np.generic)):
            raise RecordingError(
                f"{caller()}: {_label(function)} reads the numbers of an array while the step is recorded"
            )
        known = next((x for x in _traced_in([args, options]) if x.array is result), None)
        if known is not None and _label(function) in CONVERSIONS:
            return known
        boxed = self._boxed(np.bool_(result) if isinstance(result, bool) else result) if known is None else known
        written = [x for x, before in kept if not _same(x.array, before)] + ([] if known is None else [known])
        written += [x for x in written_by(function, args, options) if type(x) is Traced]
        for x in written:
            self._note_written(x.array, is_repeatable(function))
        self._note(function, *noted, self.noted(boxed), tuple({self.value(x): None for x in written}))
        return self.expect(boxed) if isinstance(result, bool) else boxed

    def expect(self, condition: Traced) -> bool:
        """The truth value of a traced array. A run of the program in which it is another raises `OtherBranchError`."""
        self._check_open()
        found = bool(condition.array)
        if self.effects or not self._edited.isdisjoint(self._owned):
            raise RecordingError(
                f"{caller()}: the step reads a value after it has changed its state or an argument, as with optimizer.update(); "
                "another value could not undo the change. Read it before the change, or after the step"
            )
        self._note(expect, (self.value(condition), found), {}, None)
        return found

    def adopt(self, variable: Variable) -> None:
        """Let a Variable that the step has not computed hold traced arrays, from and for its place."""
        if variable._data is None or type(variable._data) is Traced:
            return
        if variable.creator is not None:
            if variable.creator.serial > self.started:
                return  # A function of the step returned a constant.
            if variable.requires_grad:
                raise RecordingError(
                    f"{caller()}: the step uses {variable._label()}, which was computed before it, and gradients would flow out "
                    "of the program. Call x.detach() or x.unchain() first; for the state of a recurrent network, call "
                    "loss.unchain_backward() at the end of the step"
                )
        self._leaves.append(
            Leaf(variable, self._names.get(id(variable)) or variable.name or f"v{len(self._leaves)}", self)
        )

    def cleared(self, variable: Variable) -> None:
        """The gradient of a Variable is cleared."""
        self.adopt(variable)
        for leaf in self._leaves:
            if leaf.variable() is variable:
                leaf.cleared = True

    def adopt_argument(self, variable: Variable, index: int, name: str) -> None:
        """Let a Variable among the arguments hold a traced array. Raises `RecordingError` for one with a graph behind it."""
        if variable.creator is not None and variable.requires_grad:
            raise RecordingError(
                f"{name} was computed before the step, and gradients would flow out of the program: pass x.detach() or its array"
            )
        self._leaves.append(Leaf(variable, name, self, index))

    def reset(self, layer: Layer, name: str) -> None:
        """None is assigned to an attribute that carries state."""
        if id(layer) not in self._layers:
            self._adopt_layers(layer)
        self._layers[id(layer)].reset.add(name)

    def expect_layer(self, layer: Layer) -> None:
        """The step refers to a layer, and may read its attributes before it calls it."""
        if all(state.is_ready() for state in LayerState.below(layer, "", {})):
            self._adopt_layers(layer)

    def enter(self, layer: Layer) -> None:
        """A layer is called: it and all below it are parts of the step."""
        if id(layer) not in self._layers:
            self._adopt_layers(layer)
        self._stack.append(self._layers[id(layer)].path)

    def leave(self) -> None:
        """The call of a layer ends."""
        self._stack.pop()

    def called(self, function: Any) -> None:
        """A function is called: its gradient belongs to the same layer and line."""
        self._sources[id(function)] = self._here()

    def visit(self, function: Any) -> None:
        """A backward pass visits a function; None: it is over."""
        source = None if function is None else self._sources.get(id(function))
        self._source = None if source is None else source._replace(backward=True)

    def host(self, function: Callable[[], Any], owner: Any) -> None:
        """Note a call that runs outside of the program, and may change the state of the step. It is not made now."""
        self._check_open()
        self.effects = True
        writes = self._with_own_gradients(self._settle(final=False))
        count = len(self.state)
        for leaf in self._leaves:
            leaf.adopt_again(self)
        for layer in self._layers.values():
            layer.adopt(self)
        self.state, read = self.state[:count], self.state[count:]
        call = Host(function, [place for place, _ in writes], [place for _, place in read], _name_of(function, owner))
        self._note(call, tuple([value for _, value in writes]), {}, [value for value, _ in read])

    def observe(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Note the call of a hook. It is made in each run, with the numbers of that run."""
        self._check_open()
        arrays = mapped(args, lambda v: v._data if isinstance(v, Variable) else v)
        boxes = mapped(args, _kind)
        self._note(Observer(function, boxes), self.noted(arrays), {}, None)

    def created(self, where: str) -> None:
        """An attribute holds what the step has created in this call, and later calls may find."""
        if self._patient:
            raise NotReadyError
        raise RecordingError(
            f"{where} holds at each call what the step has put there, a layer or new members of a list or dict, and programs would "
            "not: create it in __init__, or return it"
        )

    def initialize(self) -> None:
        """A parameter is about to be initialized."""
        raise NotReadyError

    # The end.

    def finish(self, outputs: list[Value], name: str) -> Program:
        """The program. All state is as it was before the step."""
        writes = self._settle(final=True)
        constants = dict(self._constants)
        for leaf in self._leaves:
            constants |= leaf.end()
        writes = [
            (place, value) for place, value in writes if place.owner is not None or isinstance(place, InputGradPlace)
        ]
        state = [(value, place) for value, place in self.state if value not in constants]
        program = Program(self.inputs, self.instructions, outputs, state, writes, constants, name)
        self.shared = self._shared_results(program)
        self._restore()
        self._check_kept(outputs)
        return program

    def abort(self) -> None:
        """Undo everything that the step has done, and let nobody hold traced arrays."""
        if self.is_open:
            self._restore()
            self._hand_over()

    def _restore(self) -> None:
        self.is_open = False
        for leaf in self._leaves:
            leaf.restore()
        for layer in self._layers.values():
            layer.restore()
        self.generators.restore()
        for leaf in self._leaves:
            leaf.release()
        for layer in self._layers.values():
            layer.release()
        self._rebound.clear()

    def release(self) -> None:
        """Forget all arrays: the recorder is part of a cycle, so it lives until Python collects it."""
        self._traced.clear()
        self._leaves.clear()
        for known in (self.originals, self._arrays, self._constants, self._owned, self._written):
            known.clear()

    @property
    def layers(self) -> list[LayerState]:
        """The layers that take part in the step."""
        return list(self._layers.values())

    @property
    def leaves(self) -> list[Leaf]:
        """The Variables that the step has not computed."""
        return self._leaves

    # Details.

    def copy_of(self, value: Value) -> Value:
        """The Value of a copy, which is made in each run."""
        copy = self._kept_to_the_end(self.traced(copied(self._array(value))))
        self._note(copied, (value,), {}, self.value(copy))
        return self.value(copy)

    def _with_own_gradients(self, writes: list[Write]) -> list[Write]:
        """The writes before a host call, which may edit gradients: each has an array of its own."""
        own: list[Write] = []
        taken = {*self._owned, *[_memory(x) for x in self._constants.values()]}
        for place, value in writes:
            if isinstance(place, GradPlace) and value is not None:
                x = self._array(value)
                if _memory(x) in taken or (isinstance(x, np.ndarray) and x.base is not None and x.base.size != x.size):
                    value = self.copy_of(value)
                taken.add(_memory(x))
            own.append((place, value))
        return own

    def _note_written(self, array: Any, repeatable: bool) -> None:
        """Note that the step writes into the memory of an array, for as long as that exists."""
        base = _base(array)
        if not isinstance(base, np.ndarray):  # Nothing can write into a scalar of NumPy.
            return
        number = id(base)

        def forget(reference: Any) -> None:
            self._written.pop(number, None)
            self._edited.discard(number)

        self._written[number] = weakref.ref(base, forget)
        if not repeatable:
            self._edited.add(number)

    def is_written(self, traced: Traced) -> bool:
        """Whether the step writes into an array, or into one that shares its memory."""
        return _memory(traced.array) in self._written

    def is_read(self, traced: Traced) -> bool:
        """Whether an operation reads a traced array."""
        value = self.value(traced)
        return any(value in instruction.reads for instruction in self.instructions)

    def has_graph(self, variable: Variable) -> bool:
        """Whether gradients flow from a Variable to one that the step has not computed."""
        stack, seen = [variable], {id(leaf.variable()) for leaf in self._leaves}
        while stack:
            x = stack.pop()
            if id(x) in seen and x.requires_grad:
                return True
            if x.creator is not None:
                stack += [v for v in x.creator.operands if isinstance(v, Variable) and v.requires_grad]
        return False

    def rebound(self, traced: Traced) -> Traced | None:
        """The array with whose elements the elements of an attribute were replaced; None if they were not."""
        return self._rebound.get(id(traced), (traced, None))[1]

    def _shared_results(self, program: Program) -> set[Value]:
        """Gradients whose arrays are views, or part of other results: their owner needs a copy."""
        kept = [*program.inputs, *[v for v, _ in program.state], *program.constants, *program.results]
        memory = [_memory(self._array(value)) for value in kept]
        shared = set()
        for place, value in program.writes:
            if value is None or isinstance(place, (AttributePlace, DataPlace)):
                continue
            x = self._array(value)
            if memory.count(_memory(x)) > 1 or (
                isinstance(x, np.ndarray) and x.base is not None and x.base.size != x.size
            ):
                shared.add(value)
        return shared

    def _check_kept(self, outputs: list[Value]) -> None:
        """Raises `RecordingError` for an array that the step has kept somewhere: runs of the program would keep none."""
        expected = Counter(outputs)
        expected.update(self.inputs)
        kept = [] if self._is_disturbed else self._kept(expected)
        if kept:
            gc.collect()  # It may be in a cycle that nobody refers to.
            kept = self._kept(expected)
        if kept:
            self._hand_over()
            source = next((i.source for i in self.instructions if kept[0] in i.results), Source())
            raise RecordingError(
                f"{source.line or 'the step'}: the step keeps {kept[0].declared()} in a list, a global name or an object that is "
                "no layer, and runs of its program would not. Return it from the step, or keep it in an attribute of a layer"
            )

    def _hand_over(self) -> None:
        """Let others that have kept traced arrays hold plain ones: lists, dicts, and attributes, such as ``data``."""
        alive = self._alive()
        kept = [x for x in alive if sys.getrefcount(x) > 3]
        for owner in gc.get_referrers(*kept) if kept else ():
            if owner is alive or owner is kept:
                continue
            if isinstance(owner, CellType):
                owner.cell_contents = owner.cell_contents.array
            items: Any = owner if type(owner) in (list, dict) else getattr(owner, "__dict__", {})
            for key, x in list(enumerate(items) if type(items) is list else items.items()):
                if type(x) is Traced and x.recorder is self:
                    items[key] = x.array

    def _alive(self) -> list[Traced]:
        """The traced arrays that somebody holds."""
        return [x for reference in self._traced if (x := reference()) is not None]

    def _kept(self, expected: Counter[Value]) -> list[Value]:
        """The arrays to which others refer, besides the expected number of references."""
        alone, alive = [Traced(None, self)], self._alive()
        least = next(sys.getrefcount(x) for x in alone)
        return [
            value
            for x, value in [(x, self.value(x)) for x in alive]
            if sys.getrefcount(x) > least + 1 + expected[value]
        ]

    def _settle(self, final: bool) -> list[Write]:
        """The places that must be written, now that the step, or its part before a host call, has ended."""
        writes = [write for leaf in self._leaves for write in leaf.settle(self, final)]
        return writes + [write for layer in self._layers.values() for write in layer.settle(self, final)]

    def _adopt_layers(self, root: Layer) -> None:
        prefix = f"{label(root)}." if self._layers else ""
        for state in LayerState.below(root, prefix, self._names):
            if id(state.layer) in self._layers:
                continue
            self._layers[id(state.layer)] = state
            if self._patient and not state.is_ready():
                raise NotReadyError
            state.adopt(self)

    def _replaces(self, x: Any, index: Any, value: Any) -> bool:
        """Replace all elements of an attribute, such as a running mean, at the end of the program instead of at once."""
        if not (index is Ellipsis and type(value) is Traced and any(layer.holds(x) for layer in self._layers.values())):
            return False
        if value.array.shape != x.array.shape or value.array.dtype != x.array.dtype:
            return False
        x.array[...] = value.array
        self._rebound[id(x)] = x, value
        x.value = self.value(value)
        return True

    def _boxed(self, result: Any) -> Any:
        if isinstance(result, (np.ndarray, np.generic)):
            return self.traced(result)
        if isinstance(result, (list, tuple)):
            items = [self._boxed(v) for v in result]
            return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
        return result

    def _note(self, function: Any, args: Any, options: Any, result: Any, writes: tuple[Value, ...] = ()) -> None:
        errstate: Any = np.geterr()
        differs = errstate if errstate != self._errstate else None
        source = self._source or self._here()
        self.instructions.append(Instruction(function, args, options, result, source, differs, writes))

    def _here(self) -> Source:
        return Source(self._stack[-1] if self._stack else "", caller())

    def _check_open(self) -> None:
        if self.is_open and current.get() is not self:
            self._is_disturbed = True
            raise RecordingError(
                f"{caller()}: an array of a step that another thread is recording is used. Call warm_up(...) of the compiled step "
                "before other threads use its layers"
            )
        if not self.is_open:
            raise RecordingError(
                f"{caller()}: an array of a recorded step is used after it: the step has kept it, and runs of its program would not. "
                "Return it from the step"
            )


def twin(x: Any, name: str = "") -> Any:
    """A copy with the same strides and the same alignment; NumPy's scalars are returned unchanged.

    An array of objects raises `RecordingError`: its memory holds references, which must not be copied byte by byte.

    >>> x = np.arange(6.0).reshape(2, 3)[:, ::-2]
    >>> twin(x), twin(x).strides == x.strides
    (array([[2., 0.],
           [5., 3.]]), True)
    """
    if not isinstance(x, np.ndarray):
        return x
    _check_dtype(x, name)
    low, high = byte_bounds(x)
    memory = np.empty(high - low + ALIGNMENT, np.uint8)
    start = (low - memory.ctypes.data) % ALIGNMENT
    copy = np.ndarray(x.shape, x.dtype, memory, start + x.ctypes.data - low, x.strides)
    copy[...] = x
    copy.flags.writeable = x.flags.writeable
    return copy


def _check_dtype(x: Any, name: str) -> None:
    if x.dtype.hasobject:
        raise RecordingError(
            f"{name or caller()}: an array of Python objects (dtype {x.dtype}) cannot be recorded. "
            "Use a list or a tuple of the objects, or numbers that stand for them"
        )


def _memory(x: Any) -> int:
    """Identifies the memory of an array while it lives: views have that of their base."""
    return id(_base(x))


def _base(x: Any) -> Any:
    """The array that owns the memory of an array: that itself, or the base of a view."""
    while isinstance(x, np.ndarray) and isinstance(x.base, np.ndarray):
        x = x.base
    return x


def _same(a: Array, b: Array) -> bool:
    """Whether two arrays have equal bits."""
    return (
        np.array_equal(np.ascontiguousarray(a).view(np.uint8), np.ascontiguousarray(b).view(np.uint8))
        if a.ndim
        else a.tobytes() == b.tobytes()
    )


def _is_pure(function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a function is known not to write into its arguments."""
    if isinstance(function, PURE_TYPES):
        return True
    if options.get("out") is not None:
        return False
    if isinstance(function, Method) and function.name in PURE_METHODS:
        return function.name == "dot" or not any(True for _ in _traced_in(args[1:]))  # It could be ``out``.
    return isinstance(function, np.ufunc) or function in PURE


def _traced_in(tree: Any) -> Iterator[Traced]:
    """All traced arrays in nested lists, tuples and dicts."""
    if type(tree) is Traced:
        yield tree
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _traced_in(item)
    elif isinstance(tree, dict):
        yield from _traced_in(list(tree.values()))


def _label(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


def _kind(x: Any) -> str:
    """How a hook expects an argument."""
    if isinstance(x, Variable):
        return "Variable"
    return "read-only" if type(x) is Traced and not x.flags.writeable else ""


def _name_of(function: Any, owner: Any) -> str:
    inner = getattr(function, "func", function)
    return f"{type(owner).__name__}.{getattr(inner, '__name__', 'call')}"


@contextmanager
def recorded(recorder: Recorder, function: Any = None) -> Iterator[None]:
    """Let the operations of a block be recorded. ``function``: the step, whose layers take part from the start."""
    recorder.captured = Captured(function)
    others.append(tracing)
    token = current.set(recorder)
    try:
        with (
            unobserved(),
            new_calls(),
            replaced_generators(recorder.generators),
            using_rng(recorder.generators.current()),
        ):
            for layer in layers_of(function):
                recorder.expect_layer(layer)
            yield
    finally:
        current.reset(token)
        others.remove(tracing)

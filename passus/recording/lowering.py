"""From instructions to operations of the machine."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from passus.backend import Array, copied
from passus.backend.lookup import _numpy
from passus.backend.trace import Attribute, Method, undecorated
from passus.kernels import elementwise, products
from passus.kernels.machine import BLOCK, CODES
from passus.kernels.threads import get_num_threads, pieces_of, split
from passus.recording.layout import Memory, address
from passus.recording.places import DataPlace
from passus.recording.program import Instruction, Program, Value, expect, values_in
from passus.recording.updates import MachineUpdate

__all__ = ["Lowering", "is_small", "is_view"]

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)

LARGEST = 1 << 20
"""Number of elements up to which arrays are small: the machine is not slower than kernels."""

MOST_PRODUCTS = 1 << 23
"""Number of multiplications up to which a product of matrices is small: its matrices are in the cache."""

PIECE_OF_PRODUCTS = 1 << 19
"""Number of multiplications that are worth a thread."""

PIECE_OF_ELEMENTS = 1 << 16
"""Number of elements that are worth a thread."""

FEW_ROWS = 3
"""Number of rows of a product up to which the right matrix is not copied."""

BINARY: dict[Any, CODES] = {
    operator.add: CODES.ADD,
    operator.iadd: CODES.ADD,
    np.add: CODES.ADD,
    operator.sub: CODES.SUBTRACT,
    operator.isub: CODES.SUBTRACT,
    np.subtract: CODES.SUBTRACT,
    operator.mul: CODES.MULTIPLY,
    operator.imul: CODES.MULTIPLY,
    np.multiply: CODES.MULTIPLY,
    operator.truediv: CODES.DIVIDE,
    operator.itruediv: CODES.DIVIDE,
    np.divide: CODES.DIVIDE,
    np.maximum: CODES.MAXIMUM,
    np.minimum: CODES.MINIMUM,
}
UNARY: dict[Any, CODES] = {
    operator.neg: CODES.NEGATIVE,
    np.negative: CODES.NEGATIVE,
    operator.abs: CODES.ABSOLUTE,
    np.absolute: CODES.ABSOLUTE,
    np.exp: CODES.EXP,
    np.tanh: CODES.TANH,
    np.log: CODES.LOG,
    copied: CODES.COPY,
}
COMPARISONS: dict[Any, tuple[CODES, bool]] = {
    operator.gt: (CODES.GREATER, False),
    np.greater: (CODES.GREATER, False),
    operator.ge: (CODES.GREATER_EQUAL, False),
    np.greater_equal: (CODES.GREATER_EQUAL, False),
    operator.lt: (CODES.GREATER, True),
    np.less: (CODES.GREATER, True),
    operator.le: (CODES.GREATER_EQUAL, True),
    np.less_equal: (CODES.GREATER_EQUAL, True),
}
"""Comparisons: the code, and whether the operands are exchanged."""

PRODUCTS = (operator.matmul, np.matmul, np.dot, Method("dot"), products.product, undecorated(products.batched))

SELECTIONS = {np.where: (0, 1, 2), undecorated(elementwise.where): (0, 1, 2), undecorated(elementwise.masked): (1, 0)}
"""Functions that select by a mask: the positions of the mask, and of the numbers where it holds and where not; 0 if missing."""

VIEWS = frozenset({"reshape", "transpose", "swapaxes", "ravel", "squeeze", "view"})
"""Methods that usually return views."""


class Parallel(NamedTuple):
    """Operations that are independent of each other."""

    first: int
    last: int

    def step(self, run: Callable[[int, int], int], table: int) -> Callable[[], None]:
        """A call that runs them in several threads."""
        base, count = table + 16 * self.first, self.last - self.first

        def step() -> None:
            split(lambda start, stop: run(base + 16 * start, stop - start), count)

        return step


Operand = tuple[Array, int, int, int]
"""An array, an offset in bytes, and the distances in bytes of its rows and columns."""

Step = tuple[int, int, Callable[[], None] | None]
"""A part of the table, by the address of its first operation and their number; or a call in Python."""


def is_small(value: Value) -> bool:
    """Whether an array is small enough for the machine."""
    return int(np.prod(value.shape)) <= LARGEST


def is_view(instruction: Instruction) -> bool:
    """Whether the result of an instruction may be a view of its first argument."""
    function, args = instruction.function, instruction.args
    known = isinstance(function, Attribute) or (isinstance(function, Method) and function.name in VIEWS)
    if not (known or function is operator.getitem) or instruction.options or not isinstance(args[0], Value):
        return False
    return isinstance(instruction.result, Value) and not any(True for _ in values_in(args[1:]))


class Lowering:
    """The operations of a program, one instruction after the other.

    ``arrays``: those of the inputs, the state, constants and gradients; the others are added. ``with_update``: whether the update of
    an optimizer at the end is an operation, too.
    """

    def __init__(
        self, program: Program, arrays: dict[Value, Array], memory: Memory, native: Any, with_update: bool = True
    ) -> None:
        self._with_update = with_update
        self.program, self.arrays, self.memory, self.native = program, arrays, memory, native
        self.update: MachineUpdate | None = None
        """The update of an optimizer at the end of the program."""
        self._operations: list[tuple[Any, int]] = []
        self._parts: list[tuple[int, int] | Parallel | Callable[[], None]] = []
        self._makers = {value: i for i in program.instructions for value in i.results if not i.writes}
        self._readers: dict[Value, list[Instruction]] = {}
        for instruction in program.instructions:
            for value in instruction.reads:
                self._readers.setdefault(value, []).append(instruction)
        self._masks: set[Value] = set()
        self._skipped: set[int] = set()
        self._constants: dict[bytes, Array] = {}
        self._ranges: dict[Value, tuple[int, int]] = {}
        """Between which limits labels are, after the checks so far."""
        self._scratch: list[Array] = []
        """Memory that only the current instruction needs."""
        results = set(program.results)
        self._pending = {v for v in self._makers if v.dtype == np.bool_ and self._is_mask(v, results)}
        self._find_label_checks()
        self._roots: dict[Value, Array] = {}
        """The arrays that were created here, by the Values that are stored in them."""
        last = self._last_uses()
        self.lowered: list[bool] = []
        """By number of an instruction, whether the machine computes it."""
        for i, instruction in enumerate(program.instructions):
            self.lowered.append(self._lower(instruction))
            for array in self._scratch:
                self.memory.release(array)
            self._scratch.clear()
            self._release(last.get(i, []))

    def finish(self) -> Array:
        """The table; `steps` refer to it."""
        self.memory.finish()
        base = address(self.memory.arguments)
        rows = [(operation.address, base + 8 * at) for operation, at in self._operations]
        table = np.array(rows, np.int64).reshape(-1, 2)
        self.steps: list[Step] = []
        for part in self._parts:
            if isinstance(part, Parallel):
                self.steps.append((0, 0, part.step(self.native.run, address(table))))
            elif isinstance(part, tuple):
                self.steps.append((address(table) + 16 * part[0], part[1] - part[0], None))
            else:
                self.steps.append((0, 0, part))
        return table

    @property
    def without_array(self) -> set[Value]:
        """Results that only other operations of the machine can read: masks, and parts of the checks of labels."""
        skipped = [i for i in self.program.instructions if id(i) in self._skipped]
        return self._masks | {value for i in skipped for value in i.results}

    # Memory.

    def _last_uses(self) -> dict[int, list[Value]]:
        """By number of an instruction, the Values that nothing reads after it."""
        last: dict[Value, int] = {}
        for i, instruction in enumerate(self.program.instructions):
            for value in [*instruction.reads, *instruction.results]:
                last[value] = i
            if id(instruction) in self._checks:
                last[self._checks[id(instruction)][0]] = i
        for value in self.program.results:
            last.pop(value, None)
        uses: dict[int, list[Value]] = {}
        for value, i in last.items():
            uses.setdefault(i, []).append(value)
        return uses

    def _release(self, values: list[Value]) -> None:
        """Let later arrays use the memory of Values, unless others are stored there, too."""
        for value in values:
            root = self._roots.pop(value, None)
            if root is not None and all(other is not root for other in self._roots.values()):
                self.memory.release(root)

    # Instructions.

    def _lower(self, instruction: Instruction) -> bool:
        """Append the operations of an instruction. False if it runs in Python."""
        if id(instruction) in self._skipped:
            return True
        if not all(is_small(value) for value in [*instruction.reads, *instruction.results]):
            return False
        if not all(self.arrays[value].flags.writeable for value in instruction.writes if value in self.arrays):
            return False
        for attempt in (self._view, self._elementwise, self._product, self._reduction, self._labels, self._update):
            if attempt(instruction):
                return True
        for value in instruction.results:  # It is computed outside of the machine.
            if value not in self.arrays and is_small(value):
                self.arrays[value] = self._roots[value] = self.memory.array(value.shape, value.dtype)
        return False

    def _view(self, instruction: Instruction) -> bool:
        """A view of an array has no operation."""
        function, args = instruction.function, instruction.args
        if not is_view(instruction) or args[0] not in self.arrays:
            return False
        source = self.arrays[args[0]]
        view = function(source, *args[1:])
        if not isinstance(view, np.ndarray) or not view.size or not np.may_share_memory(view, source):
            return False
        if view.dtype != source.dtype:
            return False
        self.arrays[instruction.result] = view
        if args[0] in self._roots:
            self._roots[instruction.result] = self._roots[args[0]]
        return True

    def _elementwise(self, instruction: Instruction) -> bool:
        function, args = instruction.function, instruction.args
        known = _is_hashable(function) and any(function in table for table in (BINARY, UNARY, COMPARISONS, SELECTIONS))
        if not known or instruction.options or not isinstance(instruction.result, Value):
            return False
        result = instruction.result
        is_mask = result in self._pending
        if result.dtype != FLOAT32 and not is_mask:
            return False
        operands = [self._operand(a) for a in args]
        if any(x is None for x in operands):
            return False
        if function in COMPARISONS:
            if not is_mask:
                return False
            code, exchanged = COMPARISONS[function]
            operands = operands[::-1] if exchanged else operands
        elif function in SELECTIONS:
            positions = SELECTIONS[function]
            if len(args) != len(positions) or args[positions[0]] not in self._masks:
                return False
            operands = [operands[i] for i in positions] + [self._number(0.0)] * (3 - len(positions))
            code = CODES.SELECT
        else:
            if any(isinstance(a, Value) and a in self._masks for a in args):
                return False
            code = BINARY[function] if function in BINARY else UNARY[function]
        target = self._target(result, instruction)
        if instruction.writes and any(_overlaps(x, target) for x in operands):
            return False
        if not self._emit_elementwise(code, target, [x for x in operands if x is not None]):
            if not instruction.writes:
                self.arrays.pop(result, None)
                self._release([result])
            return False
        if is_mask:
            self._masks.add(result)
        return True

    def _emit_elementwise(self, code: CODES, target: Array, operands: list[Array]) -> bool:
        try:
            spread = [np.broadcast_to(x, target.shape) for x in operands]
        except ValueError:
            return False
        shape, strides = _coalesced(target.shape, [target.strides, *[x.strides for x in spread]])
        if len(shape) > 2 or any(s[-1] not in (0, 4) for s in strides) or strides[0][-1] != 4 or 0 in shape:
            return False
        rows, columns = (1, *shape)[-2:]
        pairs = [(s[0] if len(s) == 2 else 0, s[-1]) for s in strides]
        first, by_rows = len(self._operations), rows >= columns or rows >= get_num_threads() > 1
        for start, stop in _parts(rows, columns, by_rows):
            offsets = [start * (row if by_rows else column) for row, column in pairs]
            size = (stop - start, columns) if by_rows else (rows, stop - start)
            self._emit_steps(code, size, [(x, o, *p) for x, o, p in zip([target, *spread], offsets, pairs)])
        if len(self._operations) > first + 1:
            self._in_parallel(first)
        return True

    def _emit_steps(self, code: CODES, size: tuple[int, int], operands: list[Operand]) -> None:
        """One elementwise step on a matrix. Operands: the result, then those of the step."""
        once: list[tuple[CODES, list[Operand]]] = []
        steps: list[tuple[CODES, list[Operand]]] = []
        sources: list[Operand] = []
        for operand in operands[1:]:
            if operand[-1] == 4:
                sources.append(operand)
                continue
            register = self.memory.array((min(BLOCK, size[1]),))
            self._scratch.append(register)
            (once if operand[2] == 0 else steps).append((CODES.FILL, [(register, 0, 0, 0), operand]))
            sources.append((register, 0, 0, 0))
        steps.append((code, [operands[0], *sources]))
        at = self._begin(self.native.elementwise)
        for number in (*size, len(once), len(once) + len(steps)):
            self.memory.word(number)
        for step, arrays in [*once, *steps]:
            self.memory.word(step)
            for x, offset, row, column in [*arrays, *[arrays[0]] * (4 - len(arrays))]:
                self.memory.pointer(x, offset)
                self.memory.word(row)
                self.memory.word(column)
        self._end(at)

    def _product(self, instruction: Instruction) -> bool:
        if instruction.function not in PRODUCTS or instruction.options or not isinstance(instruction.result, Value):
            return False
        operands = [self._operand(a) for a in instruction.args if a is not None]
        if any(x is None or x.dtype != FLOAT32 for x in operands) or len(operands) not in (2, 3):
            return False
        a, b, *bias = [x for x in operands if x is not None]
        if b.ndim != 2 or a.ndim not in (1, 2) or instruction.result.dtype != FLOAT32:
            return False
        if bias and (bias[0].shape != b.shape[1:] or bias[0].strides != (4,)):
            return False
        a = a[None] if a.ndim == 1 else a
        (n, k), m = a.shape, b.shape[1]
        if not n * k * m or n * k * m > MOST_PRODUCTS or k > products.PRODUCTS_IN_FLOAT32:
            return False
        target = self._target(instruction.result, instruction)
        target = target if target.ndim == 2 else target[None]
        first = instruction.args[0]
        if n == 1 and isinstance(first, np.ndarray) and b.strides[1] == 4 and np.all(first == 1):
            at = self._begin(self.native.sum_of_columns)
            self.memory.pointer(target)
            self.memory.pointer(b)
            for number in (k, m, b.strides[0]):
                self.memory.word(number)
            self._end(at)
            return True
        self._emit_products(a, b, bias[0] if bias else None, target)
        return True

    def _emit_products(self, a: Array, b: Array, bias: Array | None, y: Array) -> None:
        """A product, in a part for each thread if it is large."""
        (n, k), m = a.shape, b.shape[1]
        parts = pieces_of(n * k * m, PIECE_OF_PRODUCTS)
        if len(parts) == 1:
            self._emit_product(a, b, bias, y)
            return
        first = len(self._operations)
        if n >= 2 * self.native.ROWS * len(parts):
            for start, stop in pieces_of(n):
                self._emit_product(a[start:stop], b, bias, y[start:stop])
        else:
            columns = self.native.COLUMNS
            for start, stop in pieces_of(-(-m // columns)):
                part = slice(start * columns, min(m, stop * columns))
                self._emit_product(a, b[:, part], None if bias is None else bias[part], y[:, part])
        self._in_parallel(first)

    def _emit_product(self, a: Array, b: Array, bias: Array | None, y: Array) -> None:
        (n, k), m = a.shape, b.shape[1]
        columns, few = self.native.COLUMNS, n <= FEW_ROWS and a.strides[1] == 4
        operation = self.native.product_of(self.native.ROWS if n >= self.native.ROWS else 4 if n >= 4 else 1)
        if few and b.strides[1] == 4:
            operation = self.native.product_of_rows
        elif few and b.strides[0] == 4:
            operation = self.native.product_of_columns
        scratch = [self.memory.array((size,)) for size in (k * columns, self.native.ROWS * columns, columns)]
        at = self._begin(operation)
        self.memory.pointer(a)
        self.memory.pointer(b)
        if bias is None:
            self.memory.word(0)
        else:
            self.memory.pointer(bias)
        self.memory.pointer(y)
        steps = [s // 4 for s in (y.strides[0], *a.strides, *b.strides)]
        for number in (n, k, m, *steps):
            self.memory.word(number)
        for array in scratch:
            self.memory.pointer(array)
        self._end(at)
        self._scratch += scratch

    def _reduction(self, instruction: Instruction) -> bool:
        function, args, result = instruction.function, instruction.args, instruction.result
        if not isinstance(function, Method) or function.name not in ("sum", "max") or not isinstance(result, Value):
            return False
        x = self._operand(args[0])
        if x is None or x.dtype != FLOAT32 or result.dtype != FLOAT32 or not x.size:
            return False
        options = dict(instruction.options)
        axis, keepdims = options.pop("axis", args[1] if len(args) > 1 else None), options.pop("keepdims", False)
        if options or len(args) > 2 or not isinstance(keepdims, bool):
            return False
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        if not isinstance(axes, tuple) or not all(isinstance(i, int) for i in axes):
            return False
        axes = tuple(sorted(i % x.ndim for i in axes))
        name = function.name
        if axes == tuple(range(x.ndim)) and x.flags.c_contiguous:
            x = x.reshape(1, x.size)
        elif x.ndim != 2 or axes not in ((0,), (1,)):
            return False
        by_columns = axes == (0,) and x.shape[0] > 1
        if (x.strides[1] != 4 and x.shape[1] > 1) or (by_columns and name == "max"):
            return False
        operation = self.native.sum_of_rows if name == "sum" else self.native.maximum_of_rows
        if by_columns:
            operation = self.native.sum_of_columns
        target = self._target(result, instruction)
        at = self._begin(operation)
        self.memory.pointer(target)
        self.memory.pointer(x)
        for number in (*x.shape, x.strides[0]):
            self.memory.word(number)
        self._end(at)
        return True

    # Labels.

    def _find_label_checks(self) -> None:
        """Find conditions on the least and the greatest label, which one operation checks."""
        self._checks: dict[int, tuple[Value, int, int]] = {}
        for instruction in self.program.instructions:
            if instruction.function is not expect or instruction.args[1] is not False:
                continue
            compared = self._makers.get(instruction.args[0])
            if (
                compared is None
                or compared.function not in (operator.lt, operator.ge)
                or len(self._uses(instruction.args[0])) > 1
            ):
                continue
            bounded, limit = compared.args
            least = self._makers.get(bounded) if isinstance(bounded, Value) else None
            if least is None or len(self._uses(bounded)) > 1 or not isinstance(limit, (int, np.integer)):
                continue
            name = "min" if compared.function is operator.lt else "max"
            if least.function != Method(name) or least.options or len(least.args) > 1 or least.args[0].dtype != INT64:
                continue
            low, high = (int(limit), 1 << 62) if name == "min" else (-(1 << 62), int(limit))
            self._checks[id(instruction)] = least.args[0], low, high
            self._skipped |= {id(compared), id(least)}

    def _uses(self, value: Value) -> list[Instruction]:
        return self._readers.get(value, [])

    def _labels(self, instruction: Instruction) -> bool:
        if id(instruction) in self._checks:
            labels, low, high = self._checks[id(instruction)]
            return self._emit_check(labels, low, high)
        function, args = instruction.function, instruction.args
        if function is operator.getitem and isinstance(args[1], tuple):
            x, index = self._operand(args[0]), self._label_index(args[1], args[0])
            if x is None or index is None or x.dtype != FLOAT32 or not x.flags.c_contiguous:
                return False
            target = self._target(instruction.result, instruction)
            at = self._begin(self.native.take_labels)
            for array in (target, x, index):
                self.memory.pointer(array)
            self.memory.word(x.shape[0])
            self.memory.word(x.shape[1])
            self._end(at)
            return True
        if getattr(function, "__func__", None) is type(_numpy).add_at and len(args) == 3:
            x, index, a = self._operand(args[0]), self._label_index(args[1], args[0]), self._operand(args[2])
            if x is None or index is None or a is None or a.ndim or x.dtype != FLOAT32 or not x.flags.c_contiguous:
                return False
            at = self._begin(self.native.add_at_labels)
            for array in (x, index):
                self.memory.pointer(array)
            self.memory.word(x.shape[0])
            self.memory.word(x.shape[1])
            self.memory.pointer(a)
            self._end(at)
            return True
        return False

    def _emit_check(self, value: Value, low: int, high: int) -> bool:
        labels = self.arrays[value]
        if not labels.flags.c_contiguous:
            return False
        least, greatest = self._ranges.get(value, (-(1 << 62), 1 << 62))
        self._ranges[value] = max(least, low), min(greatest, high)
        at = self._begin(self.native.check_labels)
        self.memory.pointer(labels)
        for number in (labels.size, low, high):
            self.memory.word(number)
        self._end(at)
        return True

    def _label_index(self, index: Any, x: Any) -> Array | None:
        """The labels of an index ``(arange(n), labels)`` of a matrix of n rows, if they were checked to be columns of it."""
        if not isinstance(index, tuple) or len(index) != 2 or not isinstance(x, Value) or len(x.shape) != 2:
            return None
        rows, labels = index
        if not (isinstance(rows, np.ndarray) and isinstance(labels, Value)) or labels not in self.arrays:
            return None
        low, high = self._ranges.get(labels, (-1, 0))
        if low < 0 or high > x.shape[1]:
            return None  # NumPy checks each index, and reads negative ones from the end; the machine does neither.
        found = self.arrays[labels]
        is_whole = rows.shape == (x.shape[0],) and bool((rows == np.arange(x.shape[0])).all())
        return (
            found
            if is_whole and found.dtype == INT64 and found.flags.c_contiguous and found.shape == rows.shape
            else None
        )

    # Updates of parameters.

    def _update(self, instruction: Instruction) -> bool:
        """The update of an optimizer, if nothing is computed after it."""
        if instruction is not self.program.instructions[-1] or instruction.results or not self._with_update:
            return False
        update = MachineUpdate.of(instruction.function, self.native, self.memory)
        if update is None or len(instruction.args) != len(update.params):
            return False
        gradients = {id(place.owner): v for place, v in zip(instruction.function.writes, instruction.args)}  # type: ignore[attr-defined]
        arrays = {
            id(place.owner): self.arrays[value] for value, place in self.program.state if type(place) is DataPlace
        }
        rule = self.native.UPDATES[update.optimizer.rule.__name__]
        if any(gradients.get(id(p)) is None or id(p) not in arrays for _, p in update.params):
            return False
        for (_, p), slots, numbers in zip(update.params, update.slots, update.numbers):
            pieces, first = pieces_of(p._data.size, PIECE_OF_ELEMENTS), len(self._operations)
            for start, stop in pieces:
                at = self._begin(rule)
                self.memory.word(stop - start)
                self.memory.pointer(numbers)
                for array in (arrays[id(p)], self.arrays[gradients[id(p)]], *[slot for _, slot in slots]):
                    self.memory.pointer(array, 4 * start)
                self._end(at)
            if len(pieces) > 1:
                self._in_parallel(first)
        self.update = update
        return True

    # Arrays.

    def _operand(self, x: Any) -> Array | None:
        """The array of an argument; None if the machine cannot read it."""
        if isinstance(x, Value):
            array = self.arrays.get(x)
            return array if array is not None and (array.dtype == FLOAT32) else None
        if isinstance(x, np.ndarray):
            return self.memory.external(x) if x.dtype == FLOAT32 else None
        if isinstance(x, bool) or not isinstance(x, (int, float, np.float32)):
            return None
        return self._number(float(x))

    def _number(self, number: float) -> Array:
        """The memory of a constant number."""
        key = np.float32(number).tobytes()
        if key not in self._constants:
            self._constants[key] = self.memory.lasting(())
            self._constants[key][...] = number
        return self._constants[key]

    def _target(self, value: Value, instruction: Instruction) -> Array:
        """The array of a result. A mask is kept as numbers."""
        if value not in self.arrays:
            dtype = FLOAT32 if value in self._pending else value.dtype
            self.arrays[value] = self._roots[value] = self.memory.array(value.shape, dtype)
        return self.arrays[value]

    def _is_mask(self, value: Value, results: set[Value]) -> bool:
        """Whether booleans only select numbers."""
        uses = self._uses(value)
        return value not in results and bool(uses) and all(_selects_by(i, value) for i in uses)

    # Steps.

    def _begin(self, operation: Any) -> int:
        self._operation = operation
        return len(self.memory.words)

    def _end(self, at: int) -> None:
        self._operations.append((self._operation, at))
        count = len(self._operations)
        if self._parts and type(self._parts[-1]) is tuple:
            self._parts[-1] = self._parts[-1][0], count
        else:
            self._parts.append((count - 1, count))

    def _in_parallel(self, first: int) -> None:
        """Compute the operations from ``first`` on in several threads."""
        count = len(self._operations)
        start, _ = self._parts.pop()  # type: ignore[misc]  # The operations have just been appended.
        if start < first:
            self._parts.append((start, first))
        self._parts.append(Parallel(first, count))


def _selects_by(instruction: Instruction, mask: Value) -> bool:
    """Whether an instruction selects numbers by a mask, and does not compute with it."""
    function, args = instruction.function, instruction.args
    positions = SELECTIONS.get(function) if _is_hashable(function) else None
    if positions is None or len(args) != len(positions):
        return False
    return [*values_in(args)].count(mask) == 1 and args[positions[0]] is mask


def _overlaps(x: Any, target: Array) -> bool:
    """Whether an operand shares memory with the result in another order, so that it would be overwritten before it is read."""
    is_same = address(x) == address(target) and x.shape == target.shape and x.strides == target.strides
    return not is_same and bool(np.may_share_memory(x, target))


def _is_hashable(function: Any) -> bool:
    return getattr(type(function), "__hash__", None) is not None


def _parts(rows: int, columns: int, by_rows: bool) -> tuple[tuple[int, int], ...]:
    """The parts of a matrix for the threads: ranges of rows, or of columns."""
    count, other = (rows, columns) if by_rows else (columns, rows)
    return pieces_of(count, max(1, PIECE_OF_ELEMENTS // max(1, other)))


def _arrays_in(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [x for v in tree for x in _arrays_in(v)]
    return [tree] if isinstance(tree, (np.ndarray, np.generic, bool)) else []


def _coalesced(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """A shape with as few axes as possible, for arrays of these strides."""
    axes = [(n, [s[i] for s in strides]) for i, n in enumerate(shape) if n != 1]
    merged: list[tuple[int, list[int]]] = []
    for n, steps in axes:
        if merged and all(outer == inner * n for outer, inner in zip(merged[-1][1], steps)):
            merged[-1] = merged[-1][0] * n, steps
        else:
            merged.append((n, steps))
    if not merged:
        return (1,), [(4,)] * len(strides)
    return tuple([n for n, _ in merged]), [tuple([steps[i] for _, steps in merged]) for i in range(len(strides))]

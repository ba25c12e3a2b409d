"""From a program to a Python function of straight-line code.

The code is built as a syntax tree: operators and methods of arrays become those of Python, other functions and constants are
globals. A value is deleted after its last use, so that its memory is free for the next.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from threading import Lock
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from passus.backend.trace import Attribute, Method
from passus.recording.program import Instruction, Program, Value, values_in

__all__ = ["FILE", "Code", "emit", "local"]

BINARY: dict[Any, type[ast.operator]] = {
    operator.add: ast.Add,
    operator.sub: ast.Sub,
    operator.mul: ast.Mult,
    operator.truediv: ast.Div,
    operator.floordiv: ast.FloorDiv,
    operator.mod: ast.Mod,
    operator.pow: ast.Pow,
    operator.matmul: ast.MatMult,
    operator.and_: ast.BitAnd,
    operator.or_: ast.BitOr,
    operator.xor: ast.BitXor,
}
COMPARISONS: dict[Any, type[ast.cmpop]] = {
    operator.lt: ast.Lt,
    operator.le: ast.LtE,
    operator.gt: ast.Gt,
    operator.ge: ast.GtE,
    operator.eq: ast.Eq,
    operator.ne: ast.NotEq,
}
UNARY: dict[Any, type[ast.unaryop]] = {operator.neg: ast.USub, operator.pos: ast.UAdd, operator.invert: ast.Invert}

FILE = "<program>"
"""The name of the file in tracebacks."""

COMPILING = Lock()
"""Held while Python converts syntax trees: it counts their depth for all threads together, and raises SystemError if they mix."""

LITERALS = (bool, int, float, str, type(None))


def emit(program: Program) -> Callable[..., Any]:
    """A function of the arrays of the inputs and the state; it returns the outputs, and the arrays to be written.

    The line numbers of its code are those of the instructions, from 1 on.

    >>> import numpy as np
    >>> from passus.recording.compiled import record
    >>> emit(record(lambda x: np.exp(x) + 1, [np.ones(2)]))(np.zeros(2))
    ((array([2., 2.]),), ())
    """
    code = Code(program.constants)
    written = tuple([value for _, value in program.writes])
    result = ast.Return(code.expression((tuple(program.outputs), written)))
    arguments = [local(value) for value in [*program.inputs, *[value for value, _ in program.state]]]
    return code.function(arguments, [*code.statements(program), result])


class Code:
    """Statements under construction, and the objects that they refer to as globals."""

    def __init__(self, constants: dict[Value, Any]) -> None:
        self.names: dict[str, Any] = {"slice": slice}
        self._constants = constants
        self._known: dict[int, str] = {}

    def function(self, arguments: list[str], body: list[ast.stmt]) -> Callable[..., Any]:
        """A function with these arguments and statements."""
        parameters = ast.arguments([], [ast.arg(name) for name in arguments], None, [], [], None, [])
        function = ast.FunctionDef("program", parameters, body, [], None)
        module = ast.fix_missing_locations(ast.Module([function], []))
        with COMPILING:
            code = compile(module, FILE, "exec").co_consts[0]
        assert isinstance(code, CodeType)
        return FunctionType(code, self.names)

    def template(self, text: str, **objects: Any) -> list[ast.stmt]:
        """The statements of a template of this package, in which the names of objects are replaced by those of globals."""
        with COMPILING:
            tree = ast.parse(text)
        names = {name: self.name(value) for name, value in objects.items()}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in names:
                node.id = names[node.id]
        return [_on_line(statement, 0) for statement in tree.body]

    def name(self, value: Any) -> str:
        """The name of a global that holds an object."""
        name = self._known.setdefault(id(value), f"c{len(self._known)}")
        self.names[name] = value
        return name

    def statements(self, program: Program, inserted: Sequence[ast.stmt] = (), at: int = 0) -> list[ast.stmt]:
        """The instructions of a program. A value is deleted after its last use.

        ``inserted``: other statements before the instruction of the number ``at``.
        """
        last = _last_uses(program)
        body: list[ast.stmt] = []
        for i, instruction in enumerate(program.instructions):
            if i == at:
                body += inserted
            statements: list[ast.stmt] = [self.statement(instruction)]
            if last.get(i):
                statements.append(ast.Delete([ast.Name(name, ast.Del()) for name in last[i]]))
            body += [_on_line(statement, i + 1) for statement in statements]
        return body

    def statement(self, instruction: Instruction) -> ast.stmt:
        statement = self._statement(instruction)
        if instruction.errstate is None:
            return statement
        options = [ast.keyword(name, ast.Constant(v)) for name, v in instruction.errstate.items()]
        return ast.With([ast.withitem(ast.Call(self._global(np.errstate), [], options))], [statement])

    def _statement(self, instruction: Instruction) -> ast.stmt:
        if instruction.function is operator.setitem:
            x, index, value = (self.expression(a) for a in instruction.args)
            return ast.Assign([ast.Subscript(x, index, ast.Store())], value)
        call = self._call(instruction)
        if not any(True for _ in values_in(instruction.result)):
            return ast.Expr(call)
        return ast.Assign([self._target(instruction.result)], call)

    def _target(self, result: Any) -> ast.expr:
        if isinstance(result, Value):
            return ast.Name(local(result), ast.Store())
        if isinstance(result, (list, tuple)):
            return ast.Tuple([self._target(r) for r in result], ast.Store())
        return ast.Name("_", ast.Store())

    def _call(self, instruction: Instruction) -> ast.expr:
        function = instruction.function
        args = [self.expression(a) for a in instruction.args]
        options = [ast.keyword(name, self.expression(v)) for name, v in instruction.options.items()]
        if function in BINARY:
            return ast.BinOp(args[0], BINARY[function](), args[1])
        if function in COMPARISONS:
            return ast.Compare(args[0], [COMPARISONS[function]()], [args[1]])
        if function in UNARY:
            return ast.UnaryOp(UNARY[function](), args[0])
        if function is operator.getitem:
            return ast.Subscript(args[0], args[1], ast.Load())
        if isinstance(function, Attribute):
            return ast.Attribute(args[0], function.name, ast.Load())
        if isinstance(function, Method):
            return ast.Call(ast.Attribute(args[0], function.name, ast.Load()), args[1:], options)
        return ast.Call(self._global(function), args, options)

    def expression(self, value: Any) -> ast.expr:
        """Code for an argument: a local, a literal, or a global that holds a constant."""
        kind = type(value)
        if kind is Value and value in self._constants:
            return self._global(self._constants[value])
        if kind is Value:
            return ast.Name(local(value), ast.Load())
        if kind is tuple:
            return ast.Tuple([self.expression(v) for v in value], ast.Load())
        if kind is list:
            return ast.List([self.expression(v) for v in value], ast.Load())
        if kind is dict:
            return ast.Dict([self.expression(k) for k in value], [self.expression(v) for v in value.values()])
        if kind is slice and any(True for _ in values_in([value.start, value.stop, value.step])):
            ends = [self.expression(v) for v in (value.start, value.stop, value.step)]
            return ast.Call(ast.Name("slice", ast.Load()), ends, [])
        if kind in LITERALS and value == value:  # NaN has no literal.
            return ast.Constant(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return ast.Call(self._global(kind), [self.expression(v) for v in value], [])
        return self._global(value)

    def call(self, function: Any, *args: ast.expr) -> ast.expr:
        """Code for a call of a function."""
        return ast.Call(self._global(function), list(args), [])

    def _global(self, value: Any) -> ast.expr:
        return ast.Name(self.name(value), ast.Load())


def _on_line(statement: ast.stmt, line: int) -> ast.stmt:
    """Give all parts of a statement a line number, by which an error names its instruction."""
    for node in ast.walk(statement):
        if isinstance(node, (ast.stmt, ast.expr, ast.keyword)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    return statement


def local(value: Value) -> str:
    """The name of the local variable that holds a Value."""
    return f"x{value.number}"


def _last_uses(program: Program) -> dict[int, list[str]]:
    """By number of an instruction, the locals that nothing reads after it."""
    last: dict[str, int] = {}
    for i, instruction in enumerate(program.instructions):
        for value in values_in([instruction.args, instruction.options, instruction.result]):
            last[local(value)] = i
    for value in [*program.results, *program.constants]:
        last.pop(local(value), None)
    uses: dict[int, list[str]] = {}
    for name, i in last.items():
        uses.setdefault(i, []).append(name)
    return uses

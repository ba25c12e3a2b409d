"""The entry of a version: one function that checks a call, reads the state, runs the program and writes the state.

It is straight-line code, because for small networks the checks would otherwise take as long as the program.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from passus.backend import copied
from passus.core import Variable
from passus.core.hooks import used
from passus.core.variable import constant_variable
from passus.kernels.dispatch import in_use
from passus.layers import walk
from passus.recording.emitter import Code, local
from passus.recording.host import Host
from passus.recording.machine import Machine
from passus.recording.places import DataPlace, GradPlace, InputGradPlace
from passus.recording.program import Place, Program, Value, expect
from passus.recording.results import Same, Slot, variables_in
from passus.recording.signature import ArraySpec, ConstantSpec, SequenceSpec, Spec, VariableSpec

if TYPE_CHECKING:
    from passus.recording.version import Version

__all__ = ["MISS", "entry", "gradient_hooks"]

MISS = object()
"""What an entry returns for a call that does not fit."""

ALIGNED, CONTIGUOUS = 0x100, 0x1
"""Bits of the flags of an array."""


def entry(version: Version) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """A function of the positional and named arguments of a call. It returns the result, or `MISS`."""
    program = version.executed
    code = Code(program.constants)
    body = [
        *_checked_switches(code, version),
        *_checked_arguments(code, version),
        *_checked_variables(code, version),
        *_read_state(code, version),
        *code.statements(program, *_cleared_gradients(code, program)),
        *_written_state(code, version),
        *_returned(code, version),
    ]
    return code.function(["args", "options"], body)


def _checked_switches(code: Code, version: Version) -> list[ast.stmt]:
    body: list[ast.stmt] = []
    for switch, required in zip(version.switches, version.required):
        body += code.template(f"if (bool(switch.get()) is not {required}): return miss", switch=switch, miss=MISS)
    body += code.template("if captured.changed() is not None: return miss", captured=version.captured, miss=MISS)
    body += code.template(f"if in_use() is not {version.required[-1]}: return miss", in_use=in_use, miss=MISS)
    return body + code.template(
        "if nodes[0] is not structure.nodes or options_[0] is not structure.options"
        f"{' or structure.containers_changed()' if version.structure.has_containers else ''}:\n"
        "    if not structure.holds(): return miss",
        nodes=walk._version,
        options_=walk._options,
        structure=version.structure,
        miss=MISS,
    )


def _checked_arguments(code: Code, version: Version) -> list[ast.stmt]:
    """Check the arguments, and assign their arrays to the locals of the inputs."""
    positional, named = version.arguments.items
    inputs = [local(value) for value in version.program.inputs]
    assert isinstance(positional, SequenceSpec)
    if not _is_flat(positional, named):
        return code.template(
            f"found = []\nif not spec.matches((args, options), found): return miss\n{_targets(inputs)} = found",
            spec=version.arguments,
            miss=MISS,
        )
    count = len(positional.items)
    body = code.template(f"if options or len(args) != {count}: return miss", miss=MISS)
    waiting = iter(inputs)
    for i, spec in enumerate(positional.items):
        if isinstance(spec, ArraySpec):
            name = next(waiting)
            body += code.template(f"{name} = args[{i}]")
            body += _checked_array(code, name, spec)
        elif isinstance(spec, VariableSpec):
            body += _checked_variable(code, f"args[{i}]", spec, waiting)
        else:
            body += code.template(f"if not spec.matches(args[{i}], None): return miss", spec=spec, miss=MISS)
    return body


def _is_flat(positional: Spec, named: Spec) -> bool:
    """Whether all arguments are positional, and none contains others."""
    kinds = ArraySpec, VariableSpec, ConstantSpec
    return (
        named.matches({}, [])
        and isinstance(positional, SequenceSpec)
        and all(isinstance(spec, kinds) for spec in positional.items)
    )


def _checked_variable(code: Code, source: str, spec: VariableSpec, waiting: Iterator[str]) -> list[ast.stmt]:
    """Check a Variable, its array, and its gradient."""
    name = next(waiting)
    body = code.template(
        f"variable = {source}\n"
        f"if not isinstance(variable, Variable) or variable.requires_grad is not {spec.requires_grad}: return miss\n"
        f"if variable.creator is not None or (variable._grad is None) is not {spec.grad is None}: return miss\n"
        f"{name} = variable._data",
        Variable=Variable,
        miss=MISS,
    )
    body += _checked_array(code, name, spec.data)
    if spec.grad is not None:
        name = next(waiting)
        body += code.template(f"{name} = variable._grad._data") + _checked_array(code, name, spec.grad)
    return body


def _argument(version: Version, index: int) -> str:
    """Code for the Variable of this index among the arguments."""
    positional, named = version.arguments.items
    if not _is_flat(positional, named):
        return f"variables_in((args, options))[{index}]"
    assert isinstance(positional, SequenceSpec)
    places = [i for i, spec in enumerate(positional.items) if isinstance(spec, VariableSpec)]
    return f"args[{places[index]}]"


def _targets(names: list[str]) -> str:
    return f"[{', '.join(names)}]"


def _checked_array(code: Code, name: str, spec: ArraySpec) -> list[ast.stmt]:
    """Check an array, the cheapest tests first."""
    body = code.template(
        f"if type({name}) is not kind or {name}.shape != shape: return miss\n"
        f"if {name}.dtype is not dtype and {name}.dtype != dtype: return miss",
        kind=spec.kind,
        shape=spec.shape,
        dtype=spec.dtype,
        miss=MISS,
    )
    if spec.kind is not np.ndarray:
        return body
    mask = ALIGNED | (CONTIGUOUS if spec.is_contiguous else 0)
    bits = (ALIGNED if spec.is_aligned else 0) | (CONTIGUOUS if spec.is_contiguous else 0)
    body += code.template(f"if {name}.flags.num & {mask} != {bits}: return miss", miss=MISS)
    if not spec.is_contiguous:
        body += code.template(f"if {name}.strides != strides: return miss", strides=spec.strides, miss=MISS)
    return body


def gradient_hooks(x: Variable) -> list[Any]:
    """What the gradient hooks of a Variable call.

    >>> gradient_hooks(Variable(np.ones(1)))
    []
    """
    return [hook.function for hook in x.__dict__.get("_gradient_hooks", ())]


def _checked_variables(code: Code, version: Version) -> list[ast.stmt]:
    body = code.template(
        "if used[0] and any(gradient_hooks(v) != known for v, known in hooks): return miss",
        used=used,
        hooks=version.hooks,
        gradient_hooks=gradient_hooks,
        miss=MISS,
    )
    for variable, requires_grad in version.variables:
        body += code.template(f"if v.requires_grad is not {requires_grad}: return miss", v=variable, miss=MISS)
    for variable in version.without_grad:
        body += code.template("if v._grad is not None: return miss", v=variable, miss=MISS)
    return body


def _read_state(code: Code, version: Version) -> list[ast.stmt]:
    """Read the arrays of the state. An array that was checked in the last run is not checked again."""
    body: list[ast.stmt] = []
    for (value, place), spec in zip(version.executed.state, version.state_specs):
        name = local(value)
        source = "place.owner._data" if type(place) is DataPlace else "place.get()"
        body += code.template(
            f"{name} = {source}\n"
            f"if {name} is not spec.last:\n"
            f"    if not spec.fits({name}): return miss\n"
            f"    spec.last = {name}",
            place=place,
            spec=spec,
            miss=MISS,
        )
    return body


def _cleared_gradients(code: Code, program: Program) -> tuple[list[ast.stmt], int]:
    """Let go of the gradients that the program replaces, and the number of the instruction before which that happens: the first one after
    all conditions, which are instructions, or parts on the machine. The new gradients may use their memory.
    """
    ends = [i for i, x in enumerate(program.instructions) if x.function is expect or isinstance(x.function, Machine)]
    first = 1 + max(ends, default=-1)
    hosts = [i.function for i in program.instructions if isinstance(i.function, Host)]
    places = [*[place for place, _ in program.writes], *[place for host in hosts for place in host.writes]]
    read = {id(place.owner) for _, place in program.state if isinstance(place, GradPlace)}
    owners = {id(p.owner): p.owner for p in places if isinstance(p, GradPlace) and id(p.owner) not in read}
    return [s for v in owners.values() for s in code.template("v._grad = None", v=v)], first


def _written_state(code: Code, version: Version) -> list[ast.stmt]:
    body: list[ast.stmt] = []
    for place, value in version.program.writes:
        body += _written(code, version, place, value)
    for layer, name, constant in version.assigned:
        body += code.template(
            "assign(layer, name, constant)", assign=_assign, layer=layer, name=name, constant=constant
        )
    return body


def _written(code: Code, version: Version, place: Place, value: Value | None) -> list[ast.stmt]:
    target = "array"
    statements = code.template("array = None") if value is None else [_assignment(code, target, value)]
    if type(place) is GradPlace:
        boxed = "None" if value is None else f"constant_variable({target})"
        return statements + code.template(
            f"owner._grad = {boxed}", owner=place.owner, constant_variable=constant_variable
        )
    if isinstance(place, InputGradPlace):
        boxed = "None" if value is None else f"constant_variable({target})"
        return statements + code.template(
            f"{_argument(version, place.index)}._grad = {boxed}",
            variables_in=variables_in,
            constant_variable=constant_variable,
        )
    return statements + code.template(f"place.set({target})", place=place)


def _assignment(code: Code, name: str, value: Value) -> ast.stmt:
    statement = ast.Assign([ast.Name(name, ast.Store())], code.expression(value))
    return ast.fix_missing_locations(ast.copy_location(statement, ast.Pass(lineno=1, col_offset=0)))


def _assign(layer: Any, name: str, constant: Any) -> None:
    """Assign to an attribute of a layer what the step assigns in each call."""
    if layer.__dict__.get(name, MISS) is not constant:
        setattr(layer, name, constant.copy() if isinstance(constant, np.ndarray) else constant)


def _returned(code: Code, version: Version) -> list[ast.stmt]:
    statement = ast.Return(_result(code, version, version.result))
    return [ast.fix_missing_locations(ast.copy_location(statement, ast.Pass(lineno=1, col_offset=0)))]


def _result(code: Code, version: Version, tree: Any) -> ast.expr:
    """Code for the result of a step, with arrays for Slots, and the Variables themselves for `Same`."""
    kind = type(tree)
    if kind is Slot:
        array = code.expression(version.executed.outputs[tree.index])
        return code.call(constant_variable, array) if tree.boxed else array
    if kind is Same and tree.index is not None:
        [statement] = code.template(_argument(version, tree.index), variables_in=variables_in)
        assert isinstance(statement, ast.Expr)
        return statement.value
    if kind is Same:
        return code.expression(tree.variable)
    if kind is dict:
        return ast.Dict([code.expression(key) for key in tree], [_result(code, version, v) for v in tree.values()])
    is_named = isinstance(tree, tuple) and hasattr(tree, "_fields")
    if kind is tuple or kind is list or is_named:
        parts = [_result(code, version, v) for v in tree]
        return code.call(kind, *parts) if is_named else (ast.List if kind is list else ast.Tuple)(parts, ast.Load())
    if isinstance(tree, Variable):
        return code.call(constant_variable, code.call(copied, code.expression(tree._data)))
    return code.call(copied, code.expression(tree)) if isinstance(tree, np.ndarray) else code.expression(tree)

"""The entry of a version: one function that checks a call, reads the state, runs the program and writes the state.

It is straight-line code, because for small networks the checks would otherwise take as long as the program.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from passus.core import Variable
from passus.core.hooks import used
from passus.core.variable import constant_variable
from passus.kernels.dispatch import in_use
from passus.layers import walk
from passus.recording.emitter import Code, local
from passus.recording.places import DataPlace, GradPlace, InputGradPlace
from passus.recording.program import Place, Value
from passus.recording.results import build, variables_in
from passus.recording.signature import ArraySpec, ConstantSpec, SequenceSpec, Spec

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
        *code.statements(program),
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
        else:
            body += code.template(f"if not spec.matches(args[{i}], None): return miss", spec=spec, miss=MISS)
    return body


def _is_flat(positional: SequenceSpec, named: Spec) -> bool:
    """Whether all arguments are positional, and are arrays or constants."""
    return named.matches({}, []) and all(isinstance(spec, (ArraySpec, ConstantSpec)) for spec in positional.items)


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


def _written_state(code: Code, version: Version) -> list[ast.stmt]:
    body: list[ast.stmt] = []
    for place, value in version.program.writes:
        body += _written(code, place, value)
    for layer, name, constant in version.assigned:
        body += code.template(
            "assign(layer, name, constant)", assign=_assign, layer=layer, name=name, constant=constant
        )
    return body


def _written(code: Code, place: Place, value: Value | None) -> list[ast.stmt]:
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
            f"variables_in((args, options))[{place.index}]._grad = {boxed}",
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
    call = ast.Call(
        ast.Name(code.name(build), ast.Load()),
        [
            ast.Name(code.name(version.result), ast.Load()),
            code.expression(tuple(version.executed.outputs)),
            ast.Tuple([ast.Name("args", ast.Load()), ast.Name("options", ast.Load())], ast.Load()),
        ],
        [],
    )
    statement = ast.Return(call)
    return [ast.fix_missing_locations(ast.copy_location(statement, ast.Pass(lineno=1, col_offset=0)))]

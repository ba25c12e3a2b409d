"""The one table of all functions: a row for each, from which `tests/functions/test_table.py` makes all its tests.

A row names the function in `passus.functions`, a reference with the same arguments (NumPy or SciPy), and cases. The
arrays of floating-point numbers in a case are differentiated. Every row has a case for each of `KINDS`, or says in
``exempt`` why it has none. Keep inputs of functions with kinks at least 0.01 away from a kink.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BY_NUMPY = "as in NumPy, the result has a dtype that follows from that of the integers"
KINDS = ("plain", "empty", "0-d", "broadcast", "negative axis", "raises")


@dataclass(frozen=True)
class Bad:
    """A call that must raise ``error`` with a message that matches ``match``."""

    error: type[Exception]
    match: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One call of a function."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One function and how it is tested.

    ``cases``: the name of each begins with one of `KINDS` ("plain", "plain, both axes"). ``order``: up to which order
    gradients are checked; 0 for functions without gradient. ``rtol32``: relative tolerance in float32. ``rtol16``,
    ``atol16``: between float16 and float32 rounded once, by default one unit in the last place; a reason stands beside
    another one.
    ``integers``: between which it takes some whose result is a floating-point number, or why it gives
    no exact one; ``of_integers``: which arguments they may be, if not all. ``sequence``:
    the function takes the arrays of a case as one sequence. ``elementwise``: of how many arrays it is a function element by
    element, so that it can be tried with any numbers. ``ulps``: by how many units in the last place of the value results may differ
    from the reference, over the whole range of numbers; None: only ``rtol`` and ``atol`` hold. ``called``: its name in messages,
    if that of another function is right. ``spreads``: for the name of a case, or for the number
    of an argument, why a gradient that is not finite may reach in it what its output does not depend on.
    """

    name: str
    reference: Callable[..., Any]
    cases: dict[str, Case]
    raises: tuple[Bad, ...] = ()
    exempt: dict[str, str] = field(default_factory=dict)
    order: int = 2
    rtol: float = 1e-12
    atol: float = 1e-12
    rtol32: float = 1e-5
    atol32: float = 1e-5
    rtol16: float = 2**-10
    atol16: float = 2**-23
    integers: tuple[int, int] | str = (-120, 120)
    of_integers: tuple[int, ...] | None = None
    sequence: bool = False
    elementwise: int = 0
    called: str = ""
    ulps: float | None = None
    spreads: dict[str | int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {name.split(",")[0] for name in self.cases} | ({"raises"} if self.raises else set())
        unknown = (kinds | set(self.exempt)) - set(KINDS)
        missing = set(KINDS) - kinds - set(self.exempt)
        assert not unknown | missing, f"{self.name}: unknown {unknown}, missing {missing}"


def rows_by_name() -> dict[str, Row]:
    """All rows of the table."""
    names = [m.name for m in pkgutil.walk_packages(__path__, f"{__name__}.") if not m.ispkg]
    # By family, not by folder: modules share generators, so that the order of imports decides what each draws.
    modules = [importlib.import_module(name) for name in sorted(names, key=lambda name: name.rpartition(".")[2])]
    return {row.name: row for module in modules for row in module.ROWS}


_generators: dict[str, np.random.Generator] = {}


def _rng() -> np.random.Generator:
    """The generator of the module that draws, so that a new row changes no other module's numbers.

    Its seed is a digest of the module's name without the folders.
    """
    frame: Any = sys._getframe()
    while frame.f_globals["__name__"] == __name__:
        frame = frame.f_back
    family = f"tests.table.{frame.f_globals['__name__'].rpartition('.')[2]}"
    return _generators.setdefault(family, np.random.default_rng(zlib.crc32(family.encode())))


def normal(*shape: int) -> np.ndarray:
    """Numbers from the standard normal distribution."""
    return np.asarray(_rng().standard_normal(shape))


def uniform(low: float, high: float, *shape: int) -> np.ndarray:
    """Numbers between two bounds."""
    return np.asarray(_rng().uniform(low, high, shape))


def away_from(points: tuple[float, ...], *shape: int, by: float = 0.05) -> np.ndarray:
    """Normal numbers, none of them within ``by`` of one of the points (kinks)."""
    x = normal(*shape) * 2
    for p in points:
        x = np.where(abs(x - p) < by, p + by * np.where(x < p, -1.5, 1.5), x)
    return x


def integers(high: int, *shape: int) -> np.ndarray:
    """Integers from 0 to ``high - 1``."""
    return np.asarray(_rng().integers(high, size=shape))


def case(*args: Any, **kwargs: Any) -> Case:
    """A call with these arguments."""
    return Case(args, kwargs)


def bad(error: type[Exception], match: str, *args: Any, **kwargs: Any) -> Bad:
    """A call that must raise."""
    return Bad(error, match, args, kwargs)


NO_AXIS = {"negative axis": "it has no axis"}
ONE_OPERAND = {"broadcast": "it has one operand"}


def unary(
    name: str,
    reference: Callable[..., Any],
    draw: Callable[..., np.ndarray] = normal,
    **row: Any,
) -> Row:
    """The row of a function of each element by itself; ``draw(*shape)``: numbers of its domain."""
    cases = {
        "plain": case(draw(3, 4)),
        "plain, three axes": case(draw(2, 1, 3)),
        "empty": case(draw(0)),
        "empty, with other axes": case(draw(2, 0, 3)),
        "0-d": case(draw()),
    }
    wrong = bad(TypeError, f"{name}: .*not supported", np.array(["a"]))
    return Row(name, reference, cases, (wrong,), {**NO_AXIS, **ONE_OPERAND}, elementwise=1, **row)


def binary(
    name: str,
    reference: Callable[..., Any],
    draw0: Callable[..., np.ndarray] = normal,
    draw1: Callable[..., np.ndarray] | None = None,
    **row: Any,
) -> Row:
    """The row of an elementwise function of two operands."""
    draw1 = draw1 or draw0
    cases = {
        "plain": case(draw0(3, 4), draw1(3, 4)),
        "empty": case(draw0(0, 3), draw1(0, 3)),
        "0-d": case(draw0(), draw1()),
        "0-d, with an array": case(draw0(2, 3), draw1()),
        "broadcast": case(draw0(3, 1), draw1(4)),
        "broadcast, other way": case(draw0(4), draw1(2, 3, 4)),
        "broadcast, empty": case(draw0(0, 3), draw1(1, 3)),
        "plain, number on the right": case(draw0(3), float(draw1())),
        "plain, number on the left": case(float(draw0()), draw1(3)),
    }
    row = {"atol16": 2**-8} | row  # Products are rounded before the sum over what broadcasting had stretched.
    raises = (
        bad(ValueError, f"{row.get('called', name)}\\(.*3.*4", np.ones(3), np.ones(4)),
        bad(TypeError, "not supported", np.ones(3), [1.0, 2.0, 3.0]),
    )
    return Row(name, reference, cases, raises, NO_AXIS, elementwise=2, **row)

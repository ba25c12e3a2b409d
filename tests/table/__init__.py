"""The table of all public functions; `tests/functions/test_table.py` generates its tests from the rows.

A row contains the name of a function in `passus.functions`, a reference with the same arguments (NumPy or SciPy), and
cases. The floating-point arrays of a case are differentiated. Every row has a case for each of `KINDS`, or a reason in
``exempt``. Inputs must be at least 0.01 away from a kink.
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

BY_NUMPY = "as in NumPy, the dtype of the result depends on that of the integers"
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
    """A function and the parameters of its tests.

    ``cases``: each name begins with one of `KINDS` ("plain", "plain, both axes").
    ``order``: the highest order of checked gradients; 0 for functions without gradient.
    ``rtol32``: the relative tolerance in float32. ``rtol16``, ``atol16``: the tolerance between float16 and float32
    rounded once, one unit in the last place by default; every other value needs a reason.
    ``integers``: the range of integer arguments with a floating-point result, or the reason why the result is not exact;
    ``integer_arguments``: the positions of arguments that may be integers, if not all.
    ``sequence``: whether the function takes the arrays of a case as one sequence.
    ``elementwise``: the number of arrays of an elementwise function, which is tested with arbitrary numbers.
    ``ulps``: the maximal error in units in the last place over the whole range of numbers, if it is tested.
    ``public_name``: the name in error messages, if it is that of another function.
    ``non_finite_exempt``: by name of a case or position of an argument, the reason why a non-finite gradient may affect
    inputs that its output does not depend on.
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
    integer_arguments: tuple[int, ...] | None = None
    sequence: bool = False
    elementwise: int = 0
    public_name: str = ""
    ulps: float | None = None
    non_finite_exempt: dict[str | int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kinds = {name.split(",")[0] for name in self.cases} | ({"raises"} if self.raises else set())
        unknown = (kinds | set(self.exempt)) - set(KINDS)
        missing = set(KINDS) - kinds - set(self.exempt)
        assert not unknown | missing, f"{self.name}: unknown {unknown}, missing {missing}"


def rows_by_name() -> dict[str, Row]:
    """All rows of the table."""
    names = [m.name for m in pkgutil.walk_packages(__path__, f"{__name__}.") if not m.ispkg]
    # Sorted by family, not by folder: modules share generators, so the order of imports determines the numbers.
    modules = [importlib.import_module(name) for name in sorted(names, key=lambda name: name.rpartition(".")[2])]
    return {row.name: row for module in modules for row in module.ROWS}


_generators: dict[str, np.random.Generator] = {}


def _rng() -> np.random.Generator:
    """The generator of the calling module; a new row does not change the numbers of other modules.

    The seed is a digest of the module name without folders.
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
    """Normal numbers at a distance of at least ``by`` from the points (kinks)."""
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
    """The row of an elementwise function of one operand; ``draw(*shape)`` returns numbers of its domain."""
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
    row = {"atol16": 2**-8} | row  # Products are rounded before the sum over broadcast axes.
    raises = (
        bad(ValueError, f"{row.get('public_name', name)}\\(.*3.*4", np.ones(3), np.ones(4)),
        bad(TypeError, "not supported", np.ones(3), [1.0, 2.0, 3.0]),
    )
    return Row(name, reference, cases, raises, NO_AXIS, elementwise=2, **row)

"""Tests of the table of functions with non-finite numbers, which must not affect independent results.

The product of 0 with infinity or NaN is NaN; so rules and reductions select instead of multiplying by a mask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from passus.core.backward import gradients as gradients_of
from passus.errors import PassusError
from tests.functions.test_table import DIFFERENTIABLE, ROWS, SMOOTH_TWICE, call, flat, floats
from tests.helpers.tracing import repeats
from tests.table import Row


def vjp_of(row: Row, case: Any, create_graph: bool) -> tuple[np.ndarray, Any]:
    """The outputs as one flat array, and a function that maps their gradient to the gradient of the inputs, both flat.

    With ``create_graph`` that function also returns the function for gradients of the gradient.
    """
    boxed = [Variable(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in case.args]
    xs = [boxed[i] for i in floats(case)]
    ys = [y for y in flat(call(row, case, boxed)) if isinstance(y, Variable) and y.requires_grad]
    ends = np.cumsum([y.size for y in ys])[:-1]

    def vjp(seed: np.ndarray) -> Any:
        gys = [Variable(gy.reshape(y.shape)) for gy, y in zip(np.split(seed, ends), ys)]
        with np.errstate(all="ignore"):
            gxs = gradients_of(ys, xs, gys, create_graph=create_graph)
            gx = np.concatenate([g.data.ravel() for g in gxs])
            if not create_graph:
                return gx

        def vjp_of_vjp(seed: np.ndarray) -> np.ndarray:
            cuts = np.cumsum([x.size for x in xs])[:-1]
            ggxs = [Variable(g.reshape(x.shape)) for g, x in zip(np.split(seed, cuts), xs)]
            recorded = [(g, gg) for g, gg in zip(gxs, ggxs) if g.requires_grad]
            with np.errstate(all="ignore"):
                ggys = gradients_of([g for g, _ in recorded], gys, [gg for _, gg in recorded])
            return np.concatenate([g.data.ravel() for g in ggys])

        return gx, vjp_of_vjp

    return np.concatenate([y.data.ravel() for y in ys]) if ys else np.zeros(0), vjp


def spaced(count: int) -> range:
    """At most eight evenly spaced indices."""
    return range(0, count, -(-count // 8) or 1)


def without_spreading(cases: list[Any]) -> list[Any]:
    """The cases that are not listed in ``non_finite_exempt`` of their row."""
    return [p for p in cases if p.id.removeprefix(f"{p.values[0].name}-") not in p.values[0].non_finite_exempt]


def checked(row: Row, case: Any) -> np.ndarray:
    """A mask of the flat gradient: arguments that are not listed in ``non_finite_exempt``."""
    return np.concatenate([np.full(case.args[i].size, i not in row.non_finite_exempt) for i in floats(case)])


@pytest.mark.parametrize("special", [np.inf, np.nan])
@pytest.mark.parametrize(("row", "case"), without_spreading(DIFFERENTIABLE))
@repeats
def test_non_finite_gradient_reaches_only_inputs_of_its_output(row: Row, case: Any, special: float) -> None:
    y, vjp = vjp_of(row, case, create_graph=False)
    _, recorded_vjp = vjp_of(row, case, create_graph=True)
    weights = np.cos(np.arange(y.size))
    for k in spaced(y.size):
        one, without, with_it = np.eye(y.size)[k], weights.copy(), weights.copy()
        without[k], with_it[k] = 0, special
        independent = (vjp(one) == 0) & checked(row, case)
        for found in (vjp(with_it), recorded_vjp(with_it)[0]):
            np.testing.assert_allclose(found[independent], vjp(without)[independent], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("row", "case"), without_spreading(SMOOTH_TWICE))
@repeats
def test_non_finite_gradient_of_a_gradient_reaches_only_its_inputs(row: Row, case: Any) -> None:
    y, vjp = vjp_of(row, case, create_graph=True)
    gx, vjp_of_vjp = vjp(np.cos(np.arange(y.size))) if y.size else (y, None)
    weights = np.sin(np.arange(gx.size) + 0.5)
    for i in spaced(gx.size):
        if not checked(row, case)[i]:
            continue
        one, without, with_it = np.eye(gx.size)[i], weights.copy(), weights.copy()
        without[i], with_it[i] = 0, np.inf
        independent = vjp_of_vjp(one) == 0
        np.testing.assert_allclose(
            vjp_of_vjp(with_it)[independent], vjp_of_vjp(without)[independent], rtol=1e-9, atol=1e-12
        )


ELEMENTWISE = [row for row in ROWS if row.order and "plain, three axes" in row.cases and "bias" not in row.name]


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
@repeats
def test_gradient_on_flat_regions_is_zero_for_non_finite_gradients(row: Row, recorded: bool) -> None:
    """As in ``sqrt(relu(x))``, where the gradient of relu's output is infinite."""
    f, x = getattr(F, row.name), np.linspace(-12.03, 12.03, 201)  # Exceeds the bounds of all functions.
    with np.errstate(all="ignore"):
        near = [f(x + step) for step in (-0.01, 0.0, 0.01)]
        boxed = Variable(x)
        gx, *of_special = [
            gradients_of([f(boxed)], [boxed], [Variable(np.full(201, seed))], create_graph=recorded)[0].data
            for seed in (1.0, np.inf, np.nan)
        ]
        flat_part = (near[0] == near[1]) & (near[1] == near[2]) & (gx == 0)
        for found in of_special:
            np.testing.assert_array_equal(found[flat_part], 0)


@pytest.mark.parametrize(("row", "case"), without_spreading(DIFFERENTIABLE))
@repeats
def test_non_finite_input_reaches_only_outputs_that_depend_on_it(row: Row, case: Any) -> None:
    def results(at: int, number: float) -> tuple[np.ndarray, Any]:
        """The outputs and their vjp, with the element at flat index ``at`` replaced."""
        changed, start = list(case.args), 0
        for i in floats(case):
            if start <= at < start + case.args[i].size:
                changed[i] = case.args[i].copy()
                changed[i].flat[at - start] = number
            start += case.args[i].size
        with np.errstate(all="ignore"):
            return vjp_of(row, replace(case, args=tuple(changed)), create_graph=False)

    y, vjp = vjp_of(row, case, create_graph=False)
    unused = vjp(np.cos(np.arange(y.size))) == 0  # Candidates for inputs without influence.
    for i in {*spaced(unused.size), *np.flatnonzero(unused)[:8].tolist()}:
        try:
            independent = np.all([results(i, number)[0] == y for number in (0.3, -0.6, 3.0, -7.0, 1e3, -1e3)], axis=0)
        except PassusError:  # The number is out of range.
            continue
        if not independent.any() or not checked(row, case)[i]:
            continue
        for special in (np.inf, -np.inf, np.nan):
            found, found_vjp = results(i, special)
            np.testing.assert_array_equal(found[independent], y[independent])
            if independent.all():
                gradients = [g(np.cos(np.arange(y.size))) for g in (found_vjp, vjp)]
                np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-12)

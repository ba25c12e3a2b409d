"""Kernels of recurrent layers: agreement with their references, and their use."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable
from passus.kernels.dispatch import start_using
from passus.kernels.gates import CELLS
from passus.kernels.recurrent import History, State, Weights, recurrence, recurrence_gradient, results_before
from tests.layers.arrays import drawn


@pytest.mark.parametrize("lengths", [None, [3, 0, 2, 1, 3, 0, 2]])
@pytest.mark.parametrize("special", [0.0, np.inf, -np.inf, np.nan, 1e30])
@pytest.mark.parametrize("cell", [*CELLS, "lstm, projected"])
def test_recurrence_kernels_agree_with_references_at_special_values(
    cell: str, special: float, lengths: list[int] | None
) -> None:
    start_using()
    name, projected = cell.split(",")[0], "projected" in cell
    formulas, N, T, H, P = CELLS[name], 7, 3, 21, 18 if projected else 21
    ends = None if lengths is None else np.array(lengths)
    shapes = {
        "xs": (N, T, formulas.gates * H),
        "h": (N, P),
        "W_h": (P, formulas.gates * H),
        "gy": (N, T, P),
        "gh": (N, P),
    }
    shapes |= {"c": (N, H), "gc": (N, H)} if formulas.has_c else {}
    shapes |= {"b_h": (H,)} if formulas.separate else {}
    shapes |= {"W_p": (H, P)} if projected else {}
    for where, reverse in itertools.product(shapes, [False, True]):
        given = {key: drawn(*shape) / 5 for key, shape in shapes.items()}
        for i in (0, 4, -1):
            given[where].flat[i * given[where].size // 7] = special
        get = given.get
        with np.errstate(all="ignore"):
            weights = Weights(get("W_h"), get("b_h"), get("W_p"))
            arguments = (name, get("xs"), State(get("h"), get("c")), weights, ends, reverse)
            y, _, saved = recurrence.reference(*arguments)
            history = History(y, results_before(y, given["h"], ends, reverse), get("c"), saved.gates, saved.cells)
            of_gradient = (name, get("gy"), State(get("gh"), get("gc")), history, weights, ends, reverse)
            for kernel, given_arguments in ((recurrence, arguments), (recurrence_gradient, of_gradient)):
                assert kernel.suits(*given_arguments)
                found, expected = kernel(*given_arguments), kernel.reference(*given_arguments)
                for a, b in zip(arrays_in(found), arrays_in(expected), strict=True):
                    # Where terms of 1e30 cancel, the error is relative to the largest numbers.
                    atol = 1e-5 + 1e-7 * abs(b[np.isfinite(b)]).max(initial=0)
                    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol, err_msg=f"{where}, reverse={reverse}")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_gradients_after_the_end_of_an_example_are_zero_for_infinite_weights(kind: str) -> None:
    layer, x = getattr(L, kind)(20, 3, rng=0), drawn(4, 6, 3)
    layer.l0.W_x.data[0, 0] = layer.l0.W_h.data[0, 0] = np.inf
    boxed = Variable(x)
    with np.errstate(all="ignore"):
        layer(boxed, lengths=[6, 1, 0, 4]).sum().backward()
    for n, length in enumerate([6, 1, 0, 4]):
        np.testing.assert_array_equal(boxed.grad.data[n, length:], 0)


def arrays_in(result: Any) -> list[np.ndarray]:
    nested = [arrays_in(x) if isinstance(x, tuple) else [x] for x in result if x is not None]
    return [array for arrays in nested for array in arrays]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_kernel_is_used_for_sequences_of_usual_size(kind: str, monkeypatch: Any) -> None:
    native = pytest.importorskip("passus.kernels.native.recurrent")
    called = []
    for name in ("recurrence", "recurrence_gradient"):
        original = getattr(native, name)
        monkeypatch.setattr(native, name, lambda *args, f=original, n=name: called.append(n) or f(*args))
    layer = getattr(L, kind)(128, rng=0)
    y = layer(drawn(32, 32, 64))
    y[:, -1].sum().backward()  # The kernel also accepts a gradient that is not contiguous.
    F.transpose(layer(drawn(32, 32, 64)), (1, 0, 2)).sum().backward()
    assert called == ["recurrence", "recurrence_gradient"] * 2

"""Common code in which a gradient would be lost: each raises and names a fix, unless no gradient is needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.sparse

import passus
import passus.functions as F
from passus import Variable, no_grad
from passus.errors import DTypeError


def assign(index: Any, value: Any, shape: tuple[int, ...] = (2,)) -> np.ndarray:
    o = np.zeros(shape)
    o[index] = value
    return o


def accumulate(value: Any) -> np.ndarray:
    s = np.zeros(2)
    s += value
    return s


EXPRESSIONS = {
    "A.dot(x)": lambda v, x: np.eye(2).dot(x),
    "np.array([v, v])": lambda v, x: np.array([v, v]),
    "np.array([x, x])": lambda v, x: np.array([x, x]),
    "np.asarray(x)": lambda v, x: np.asarray(x),
    "np.array(x, float32)": lambda v, x: np.array(x, np.float32),
    "np.mean([v, v])": lambda v, x: np.mean([v, v]),
    "np.sum([v, v])": lambda v, x: np.sum([v, v]),
    "np.max([v, v])": lambda v, x: np.max([v, v]),
    "np.full(3, v)": lambda v, x: np.full(3, v),
    "np.float32(v)": lambda v, x: np.float32(v),
    "s += x": lambda v, x: accumulate(x),
    "np.add(x, x, out=o)": lambda v, x: np.add(x, x, out=np.zeros(2)),
    "np.exp(x, o)": lambda v, x: np.exp(x, np.zeros(2)),
    "o[:] = x": lambda v, x: assign(slice(None), x),
    "o[0] = x": lambda v, x: assign(0, x, (2, 2)),
    "np.ascontiguousarray(x)": lambda v, x: np.ascontiguousarray(x),
    "np.vectorize(f)(x)": lambda v, x: np.vectorize(np.sin)(x),
    "scipy.signal.convolve(x, x)": lambda v, x: scipy.signal.convolve(x, x),
    "sparse.dot(x)": lambda v, x: scipy.sparse.eye(2).dot(np.asarray(x)),
    "scipy.linalg.norm(x)": lambda v, x: scipy.linalg.norm(x),
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_gradient_that_would_be_lost_raises(expression):
    v, x = Variable(np.array(2.0)), Variable(np.array([1.0, 2.0]))
    for a, b in [(v, x), (v * 1.0, x * 1.0), (passus.Parameter(v.data), passus.Parameter(x.data))]:
        with pytest.raises(DTypeError, match=r"lose(s its|s the| the) gradient.*x\.data"):
            EXPRESSIONS[expression](a, b)


def test_assigning_to_an_element_raises():
    v = Variable(np.array(2.0))
    with pytest.raises(ValueError, match="setting an array element") as caught:  # NumPy wraps our error.
        assign(0, v)
    assert "would lose the gradient" in str(caught.value.__cause__)
    assert "F.stack" in str(caught.value.__cause__)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_error_where_no_gradient_flows(expression):
    v, x = Variable(np.array(2.0)), Variable(np.array([1.0, 2.0]))
    with no_grad():
        expected = EXPRESSIONS[expression](v.data, x.data)
        np.testing.assert_array_equal(EXPRESSIONS[expression](v, x), expected)
        np.testing.assert_array_equal(assign(0, v), [2.0, 0.0])
    np.testing.assert_array_equal(EXPRESSIONS[expression](v.detach(), x.detach()), expected)


def test_numbers_can_be_printed_and_compared(capsys):
    x = Variable(np.array([1.0, 2.0]))
    loss = F.sum(x * x)
    np.testing.assert_allclose(x, [1.0, 2.0])
    np.testing.assert_array_equal(loss, 5.0)
    np.testing.assert_array_almost_equal([1.0, 2.0], x)
    np.testing.assert_equal(x, np.array([1.0, 2.0]))
    np.testing.assert_array_less(x, 3.0)
    assert loss == pytest.approx(5.0)
    assert x.data == pytest.approx(x)
    assert np.allclose(x, [1.0, 2.0])
    assert np.isclose(loss, 5.0)
    assert (float(loss), int(loss), loss.item(), math.isnan(loss)) == (5.0, 5, 5.0, False)
    assert f"{loss:.2f} {loss} %.1f" % loss == "5.00 5.0 5.0"
    assert (x > 1.0).tolist() == [False, True]
    print(loss, x)
    log = [0.0]
    log[0] = float(loss)
    history = np.zeros(1)
    history[0] = loss.item()
    assert capsys.readouterr().out == "5.0 [1. 2.]\n"


def test_updates_of_data_are_outside_the_graph():
    x = Variable(np.array([1.0, 2.0]))
    F.sum(x**3).backward(create_graph=True)
    gx = x.grad
    x.data -= 0.1 * gx
    np.testing.assert_allclose(x.data, [0.7, 0.8])
    x.data *= F.sum(gx) / 15.0
    np.testing.assert_allclose(x.data, [0.7, 0.8])


def test_sums_of_losses_that_start_with_a_number_are_differentiable():
    x = Variable(np.array(2.0))
    total: Any = 0.0
    for _ in range(3):
        total += x * x
    total.backward()
    assert x.grad == 12.0
    x.cleargrad()
    (sum([x, x]) + max([x, x])).backward()
    assert x.grad == 3.0


def test_plots_draw_variables():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    x = Variable(np.array([1.0, 2.0]))
    y, losses = F.sin(x), [F.sum(x), F.sum(x * x)]
    pyplot.figure()
    pyplot.scatter(x, y)
    pyplot.bar([0, 1], losses)
    pyplot.imshow(y.reshape(1, 2))
    np.testing.assert_array_equal(pyplot.plot(x, y)[0].get_ydata(), y.data)
    np.testing.assert_array_equal(pyplot.plot(losses)[0].get_ydata(), [3.0, 5.0])
    pyplot.close()


def test_test_helpers_can_read_lists():
    x = Variable(np.array([1.0, 2.0]))
    a, b = F.sum(x), F.sum(x * x)
    np.testing.assert_allclose([a, b], [3.0, 5.0])
    np.testing.assert_array_equal((a, b), (3.0, 5.0))
    assert [a, b] == pytest.approx([3.0, 5.0])


def test_integers_are_indices_of_arrays():
    i, j = Variable(np.array([2, 0])), Variable(np.array(1))
    table = np.array([5.0, 6.0, 7.0])
    np.testing.assert_array_equal(table[i], [7.0, 5.0])
    np.testing.assert_array_equal(np.eye(3)[i, j], [0.0, 0.0])
    assert (table[j], [5, 6, 7][j]) == (6.0, 6)
    with pytest.raises(DTypeError, match="which loses its gradient"):
        np.array([i, i])


def test_array_of_losses_raises_with_advice():
    losses = [F.sum(Variable(np.ones(2))) for _ in range(2)]
    assert float(sum(losses) / len(losses)) == np.mean([loss.item() for loss in losses]) == 2.0
    with pytest.raises(DTypeError, match=r"For a log of losses, append loss\.item\(\)"):
        np.mean(losses)


def test_variables_are_saved_to_files(tmp_path):
    x = passus.Parameter(np.array([1.0, 2.0]))
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", W=x)
    np.savetxt(tmp_path / "x.txt", x)
    for loaded in (np.load(tmp_path / "x.npy"), np.load(tmp_path / "x.npz")["W"], np.loadtxt(tmp_path / "x.txt")):
        np.testing.assert_array_equal(loaded, x.data)

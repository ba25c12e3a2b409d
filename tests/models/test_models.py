"""Models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import layers as L
from passus.errors import ArgumentError, ShapeError
from passus.models import MLP, Model, Sequential
from passus.models import model as model_module
from passus.optimizers import Adam

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def test_mlp_applies_the_activation_between_layers() -> None:
    model = MLP((10, 7, 3), activation=F.relu)
    y = model(X)
    expected = X
    for i, layer in enumerate(model.layers):
        expected = expected @ layer.W.data + layer.b.data
        expected = np.maximum(expected, 0) if i < 2 else expected
    np.testing.assert_allclose(y.data, expected, rtol=1e-5, atol=1e-6)
    assert [path for path, _ in model.named_params()] == ["l0.W", "l0.b", "l1.W", "l1.b", "l2.W", "l2.b"]
    assert model.l1 is model.layers[1]


def test_mlp_default_activation_is_sigmoid() -> None:
    model = MLP((3, 2))
    hidden = F.sigmoid(model.l0(X))
    np.testing.assert_array_equal(model(X).data, model.l1(hidden).data)


def test_mlp_with_in_size_is_not_lazy() -> None:
    assert MLP((10, 3), in_size=4).count_params() == 4 * 10 + 10 + 10 * 3 + 3


def test_mlp_learns() -> None:
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(-1, 1)
    t = x**2
    model = MLP((20, 1), activation=F.tanh)
    losses = []
    for _ in range(300):
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        for p in model.params():
            p.data = p.data - np.float32(0.2) * p.grad.data
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_mlp_without_layers_raises() -> None:
    with pytest.raises(ArgumentError, match="at least one layer"):
        MLP(())


@pytest.mark.parametrize("sizes", [np.array([10, 3]), (size for size in (10, 3)), [np.int64(10), 3]])
def test_mlp_accepts_any_iterable_of_integers(sizes: Any) -> None:
    assert [layer.out_size for layer in MLP(sizes).layers] == [10, 3]


def test_mlp_shape_error_names_the_layer() -> None:
    model = MLP((10, 3), in_size=4)
    model.l1 = L.Linear(3, in_size=11)
    with pytest.raises(ShapeError, match=r"^mlp\.l1: linear.*5, 10.*11, 3"):
        model(X)


def test_sequential_model_is_a_model_and_a_sequential_layer() -> None:
    model = Sequential(L.Linear(3), F.relu)
    assert isinstance(model, (Model, L.Sequential))
    assert type(model[:1]) is Sequential
    assert "Linear" in model.summary(X)


def test_plot_draws_the_graph_of_the_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: dict[str, Any] = {}

    def draw(y: Any, verbose: bool, to_file: str) -> str:
        drawn.update(shape=y.shape, verbose=verbose)
        return to_file

    monkeypatch.setattr(model_module, "plot_dot_graph", draw)
    assert MLP((3, 2)).plot(X, to_file="mlp.png") == "mlp.png"
    assert drawn == {"shape": (5, 2), "verbose": True}


@pytest.mark.parametrize(
    "loss", [F.softmax_cross_entropy, lambda y, t: F.mean_squared_error(y[:, 0], t.astype(y.dtype))]
)
def test_training_step_leaves_no_reference_cycle(loss):
    model = Sequential(L.Linear(8), L.BatchNorm(), L.ReLU(), L.Dropout(), L.LayerNorm(), L.GELU(), L.Linear(3))
    x, t = np.ones((4, 5), np.float32), np.array([0, 1, 2, 0])
    model(x)
    optimizer = Adam().setup(model)

    def step():
        model.cleargrads()
        loss(model(x), t).backward()
        optimizer.update()

    step()
    np.testing.assert_no_gc_cycles(step)

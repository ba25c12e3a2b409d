"""Data of a dtype other than the parameters' are converted with one warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable, optimizers
from passus.models import Sequential
from tests.package.recording import recorded_warnings

PARAMETERISED: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "Linear": (lambda **o: L.Linear(3, **o), (5, 4)),
    "Linear with an activation": (lambda **o: L.Linear(3, activation="relu", **o), (5, 4)),
    "Conv1d": (lambda **o: L.Conv1d(3, 3, **o), (5, 4, 9)),
    "Conv2d": (lambda **o: L.Conv2d(3, 3, **o), (5, 4, 9, 9)),
    "Conv3d": (lambda **o: L.Conv3d(3, 3, **o), (5, 4, 5, 5, 5)),
    "Deconv1d": (lambda **o: L.Deconv1d(3, 3, **o), (5, 4, 9)),
    "Deconv2d": (lambda **o: L.Deconv2d(3, 3, **o), (5, 4, 5, 5)),
    "Deconv3d": (lambda **o: L.Deconv3d(3, 3, **o), (5, 4, 3, 3, 3)),
    "BatchNorm": (L.BatchNorm, (5, 4)),
    "frozen BatchNorm": (lambda **o: L.BatchNorm(frozen=True, **o), (5, 4)),
    "LayerNorm": (L.LayerNorm, (5, 4)),
    "RMSNorm": (L.RMSNorm, (5, 4)),
    "GroupNorm": (lambda **o: L.GroupNorm(2, **o), (5, 4)),
    "InstanceNorm": (L.InstanceNorm, (5, 4, 6)),
    "PReLU": (L.PReLU, (5, 4)),
    "RNN": (lambda **o: L.RNN(3, **o), (5, 4, 2)),
    "LSTM": (lambda **o: L.LSTM(3, **o), (5, 4, 2)),
    "GRU": (lambda **o: L.GRU(3, **o), (5, 4, 2)),
    "RNNCell": (lambda **o: L.RNNCell(3, **o), (5, 4)),
    "GRUCell": (lambda **o: L.GRUCell(3, **o), (5, 4)),
}
"""All layers with floating-point parameters and inputs, except those below."""
COMPOSED = {
    "FeedForward",
    "LSTMCell",  # Returns a pair; the layer LSTM covers it.
    "MultiHeadAttention",
    "SwiGLU",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
}
"""Layers whose parameters belong to their children."""
NOT_CONVERTING = {"Embedding", "EmbedID", "Layer", "MaxUnpooling", "PositionEmbedding", "Sequential"}
"""Layers without parameters, or with parameters that are not multiplied with the input."""
layers = pytest.mark.parametrize(("make", "shape"), PARAMETERISED.values(), ids=PARAMETERISED)


def test_table_contains_every_layer_with_parameters() -> None:
    def having_parameters(name: str) -> bool:
        cls = getattr(L, name)
        layer = None
        for sizes in ((3, 3), (3,), (), (4, 2), (2, 4, 2)):
            try:
                layer = cls(*sizes)
            except Exception:
                continue
            break
        return isinstance(layer, L.Layer) and bool(list(layer.params()))

    names = [name for name in L.__all__ if isinstance(getattr(L, name), type) and issubclass(getattr(L, name), L.Layer)]
    found = {*names} - NOT_CONVERTING - COMPOSED
    assert {name for name in found if having_parameters(name)} <= {name.split()[0] for name in PARAMETERISED} | {
        "BatchNorm"
    }


@layers
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8, np.int16])
@pytest.mark.parametrize("box", [np.asarray, lambda a: Variable(a).detach()], ids=["array", "constant"])
def test_constants_are_converted_to_the_dtype_of_the_parameters(
    make: Any, shape: tuple[int, ...], dtype: Any, box: Any, rng: np.random.Generator
) -> None:
    layer, x = make(), (rng.random(shape) * 100).astype(dtype)
    with recorded_warnings() as messages:
        ys = [layer(box(x)) for _ in range(3)]
    assert all(y.dtype == np.float32 for y in ys)
    assert len(messages) == 1
    assert messages[0].startswith((f"{type(layer).__name__} with ", f"{type(layer).__name__}Cell with "))
    assert f"x is {np.dtype(dtype)}" in messages[0]
    assert "x.astype(np.float32)" in messages[0]
    F.sum(ys[-1] * ys[-1]).backward()
    assert all(p.grad.dtype == np.float32 for p in layer.params())
    expected = layer(x.astype(np.float32))
    np.testing.assert_allclose(ys[-1].data, expected.data, rtol=1e-5, atol=1e-5)


@layers
def test_data_of_equal_or_wider_dtype_is_not_converted(
    make: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x = rng.random(shape)
    for parameters, data in ((np.float64, np.float64), (np.float64, np.float32), (np.float32, np.float32)):
        assert make(dtype=parameters)(x.astype(data)).dtype == parameters
    assert make()(x.astype(np.float16)).dtype == np.float32


@layers
def test_differentiable_inputs_keep_their_dtype_with_one_warning(
    make: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    layer, x = make(), Variable(rng.random(shape))
    with recorded_warnings() as messages:
        for _ in range(2):
            y = layer(x)
    assert y.dtype == np.float64
    assert len(messages) == 1
    assert "computes in float64" in messages[0]
    x.cleargrad()
    F.sum(y * y).backward()
    assert x.grad.dtype == np.float64
    twin = make(dtype=np.float64)
    twin(x.data)
    twin.load_state_dict(layer.state_dict(), cast=True)
    z = Variable(x.data.copy())
    F.sum(twin(z) ** 2).backward()
    np.testing.assert_allclose(x.grad.data, z.grad.data, rtol=1e-5, atol=1e-6)


def test_training_on_float64_data_warns_once_and_stays_in_float32(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(32, 4)), rng.integers(0, 3, 32)
    model = Sequential(L.Linear(8), L.BatchNorm(), L.ReLU(), L.Linear(3))
    optimizer = optimizers.Adam().setup(model)
    with recorded_warnings() as messages:
        for _ in range(5):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
    assert loss.dtype == np.float32
    assert len(messages) == 1


def test_boolean_masks_and_token_ids_do_not_warn() -> None:
    assert L.Linear(3)(np.ones((2, 4), bool)).dtype == np.float32
    assert L.Embedding(5, 3)(np.array([1, 2], np.uint8)).dtype == np.float32

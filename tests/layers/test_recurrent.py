"""Recurrent layers and cells: agreement with PyTorch over random shapes, carried states, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import passus.functions as F
import passus.layers as L
from passus import Model, Variable, test_mode
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.serializers import recurrent_from_torch, recurrent_to_torch
from tests.helpers.against_torch import single_torch_thread as single_torch_thread
from tests.helpers.drawing import generators
from tests.layers.arrays import drawn

pytestmark = [
    pytest.mark.usefixtures("single_torch_thread"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("frozen", ["W_x", "W_h"])
def test_frozen_weight_does_not_affect_other_gradients(kind: str, frozen: str) -> None:
    layer = getattr(L, kind)(5, 3, dtype=np.float64)
    x = drawn(4, 6, 3, dtype=np.float64)

    def gradients() -> dict[str, Any]:
        layer.cleargrads()
        F.sum(layer(x) ** 2).backward()
        return {path: p.grad for path, p in layer.named_params()}

    expected = gradients()
    [path] = [path for path in expected if path.endswith(frozen)]
    dict(layer.named_params())[path].requires_grad = False
    found = gradients()
    assert found.pop(path) is None
    for other, gradient in found.items():
        np.testing.assert_allclose(gradient.data, expected[other].data, rtol=1e-13)


# Agreement with PyTorch.


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    H = draw(st.integers(1, 20))
    return {
        "kind": kind,
        "N": draw(st.integers(1, 9)),
        "T": draw(st.integers(1, 7)),
        "in_size": draw(st.integers(1, 12)),
        "H": H,
        "num_layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "proj_size": draw(st.integers(1, H - 1)) if kind == "LSTM" and H > 1 and draw(st.booleans()) else 0,
        "activation": draw(st.sampled_from(["tanh", "relu"])) if kind == "RNN" else None,
        "padded": draw(st.booleans()),
        "with_state": draw(st.booleans()),
        "dtype": draw(st.sampled_from([np.float32, np.float64])),
    }


def ours_and_theirs(kind: str, in_size: int, H: int, dtype: Any, **options: Any) -> tuple[Any, Any]:
    """A layer of passus, and PyTorch's with the same weights."""
    his: dict[str, Any] = {name: options[name] for name in ("num_layers", "bidirectional", "bias")}
    mine: dict[str, Any] = {
        "num_layers": his["num_layers"],
        "bidirectional": his["bidirectional"],
        "nobias": not his["bias"],
    }
    if options.get("proj_size"):
        his["proj_size"] = mine["proj_size"] = options["proj_size"]
    if options.get("activation"):
        his["nonlinearity"] = mine["activation"] = options["activation"]
    theirs = getattr(torch.nn, kind)(in_size, H, batch_first=True, **his).to(
        torch.float64 if dtype == np.float64 else torch.float32
    )
    ours = getattr(L, kind)(H, in_size, dtype=dtype, **mine)
    ours.load_state_dict(recurrent_from_torch({name: v.detach().numpy() for name, v in theirs.named_parameters()}))
    return ours, theirs


@settings(max_examples=80, deadline=None)
@given(o=layers(), rng=generators())
def test_layers_agree_with_pytorch(o: dict[str, Any], rng: np.random.Generator) -> None:
    dtype, N, T = o["dtype"], o["N"], o["T"]
    ours, theirs = ours_and_theirs(**{k: v for k, v in o.items() if k not in ("N", "T", "padded", "with_state")})
    cells = o["num_layers"] * (2 if o["bidirectional"] else 1)
    P = o["proj_size"] or o["H"]
    x = rng.standard_normal((N, T, o["in_size"])).astype(dtype)
    sizes = [P, o["H"]] if o["kind"] == "LSTM" else [P]
    states = [rng.standard_normal((cells, N, size)).astype(dtype) for size in sizes]
    lengths = rng.integers(1, T + 1, N) if o["padded"] else None

    xs, hs = Variable(x), [Variable(s[0] if cells == 1 else s) for s in states]
    state = None if not o["with_state"] else (tuple(hs) if o["kind"] == "LSTM" else hs[0])
    y, last = ours(xs, state, lengths=lengths, return_state=True)
    last = last if isinstance(last, tuple) else (last,)

    xt, ht = torch.tensor(x, requires_grad=True), [torch.tensor(s, requires_grad=True) for s in states]
    given_state = None if not o["with_state"] else (tuple(ht) if o["kind"] == "LSTM" else ht[0])
    if lengths is None:
        yt, lt = theirs(xt, given_state)
    else:
        packed, lt = theirs(pack_padded_sequence(xt, torch.tensor(lengths), True, enforce_sorted=False), given_state)
        yt = pad_packed_sequence(packed, batch_first=True, total_length=T)[0]
    lt = lt if isinstance(lt, tuple) else (lt,)

    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
    outputs, expected = [y, *last], [yt, *[v[0] if cells == 1 else v for v in lt]]
    for a, b in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), **tolerance)
    weights = [drawn(*a.shape, seed=3, dtype=dtype) for a in outputs]
    sum(((a * w).sum() for a, w in zip(outputs, weights)), 0.0).backward()
    sum((b * torch.tensor(w)).sum() for b, w in zip(expected, weights)).backward()
    gradients = {name: p.grad.data for name, p in ours.named_params()}
    right = recurrent_from_torch({name: v.grad.numpy() for name, v in theirs.named_parameters()})
    pairs = [(xs.grad.data, xt.grad.numpy())]
    if o["with_state"]:
        pairs += [(a.grad.data, b.grad.numpy()[0] if cells == 1 else b.grad.numpy()) for a, b in zip(hs, ht)]
    for name, gradient in gradients.items():
        # PyTorch has two biases, which are added, with one gradient each.
        expected_gradient = right[name] / 2 if name.endswith(".b") else right[name]
        if name.endswith(".b") and o["kind"] == "GRU":
            expected_gradient[2 * o["H"] :] *= 2
        pairs.append((gradient, expected_gradient))
    for a, b in pairs:
        scale = max(1.0, abs(b).max())
        np.testing.assert_allclose(a / scale, b / scale, **tolerance)


@pytest.mark.parametrize("nobias", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_agree_with_pytorch(kind: str, nobias: bool) -> None:
    theirs = getattr(torch.nn, f"{kind}Cell")(3, 5, bias=not nobias)
    ours = getattr(L, f"{kind}Cell")(5, 3, nobias=nobias)
    ours.load_state_dict(recurrent_from_torch({name: v.detach().numpy() for name, v in theirs.named_parameters()}))
    x, h, c = drawn(4, 3), drawn(4, 5), drawn(4, 5, seed=1)
    xs, xt = Variable(x), torch.tensor(x, requires_grad=True)
    state, his = ((h, c), (torch.tensor(h), torch.tensor(c))) if kind == "LSTM" else (h, torch.tensor(h))
    for start, other in ((None, None), (state, his)):
        found, expected = ours(xs, start), theirs(xt, other)
        found, expected = (v if isinstance(v, tuple) else (v,) for v in (found, expected))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-5, atol=1e-6)
    sum((v**2).sum() for v in found).backward()
    sum((v**2).sum() for v in expected).backward()
    np.testing.assert_allclose(xs.grad.data, xt.grad.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"nobias": True}])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_weights_round_trip_through_pytorch(kind: str, options: dict[str, Any]) -> None:
    ours = getattr(L, kind)(5, 3, rng=0, **options)
    for _, p in ours.named_params():
        p.data = drawn(*p.shape)
    names = {"nobias": "bias"}
    his = {names.get(k, k): not v if k == "nobias" else v for k, v in options.items()}
    theirs = getattr(torch.nn, kind)(3, 5, batch_first=True, **his)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in recurrent_to_torch(ours.state_dict()).items()})
    x = drawn(2, 4, 3)
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x))[0].detach(), rtol=1e-5, atol=1e-5)
    again = recurrent_from_torch({f"encoder.{k}": v for k, v in recurrent_to_torch(ours.state_dict()).items()})
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(again[f"encoder.{name}"], array)


def test_projection_and_cell_weights_convert_to_pytorch() -> None:
    ours = L.LSTM(5, 3, proj_size=2, rng=0)
    theirs = torch.nn.LSTM(3, 5, proj_size=2, batch_first=True)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in recurrent_to_torch(ours.state_dict()).items()})
    x = drawn(2, 4, 3)
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x))[0].detach(), rtol=1e-5, atol=1e-5)
    assert set(recurrent_to_torch(L.GRUCell(5, 3).state_dict())) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}


def test_invalid_recurrent_weights_raise() -> None:
    with pytest.raises(WeightsError, match=r"recurrent_from_torch: fc\.weight is not an array of a recurrent layer"):
        recurrent_from_torch({"fc.weight": np.ones((2, 2))})
    with pytest.raises(WeightsError, match=r"weight_hh missing beside weight_ih"):
        recurrent_from_torch({"weight_ih_l0": np.ones((2, 2))})
    with pytest.raises(WeightsError, match=r"bias_hh missing"):
        recurrent_from_torch(
            {"weight_ih_l0": np.ones((2, 2)), "weight_hh_l0": np.ones((2, 2)), "bias_ih_l0": np.ones(2)}
        )
    with pytest.raises(WeightsError, match=r"l0\.W_x has no shape before the first call"):
        recurrent_to_torch(L.RNN(3).state_dict())


# States.


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_single_steps_equal_the_whole_sequence(kind: str, num_layers: int) -> None:
    layer = getattr(L, kind)(5, num_layers=num_layers, rng=0)
    x = drawn(2, 4, 3)
    y, state = layer(x, return_state=True)
    steps = [layer(x[:, t]).data for t in range(4)]
    np.testing.assert_allclose(np.stack(steps, axis=1), y.data, rtol=1e-5, atol=1e-6)
    carried = (layer.h, layer.c) if kind == "LSTM" else (layer.h,)
    for a, b in zip(carried, state if kind == "LSTM" else (state,), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-5, atol=1e-6)
    h = layer.h
    layer(x)
    layer(x[:, 0], state)
    layer(x[:, 0], return_state=True)
    assert layer.h is h, "only plain steps change the carried state"
    first, middle = layer(x[:, :2], return_state=True)
    again = np.concatenate([first.data, layer(x[:, 2:], middle)[0].data], axis=1)
    np.testing.assert_allclose(again, y.data, rtol=1e-5, atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer(x[:, 0]).data, y.data[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_unchain_backward_truncates_the_graph(kind: str) -> None:
    """Outputs of a function outside the branch of the loss are unchained, too: the graph does not grow through c."""
    layer, x = getattr(L, kind)(4, 2, rng=0), drawn(3, 2)
    for _ in range(2):
        loss = (layer(x) ** 2).sum()
        layer.cleargrads()
        loss.backward()
        loss.unchain_backward()
        assert layer.h.creator is None
        assert layer.c is None or layer.c.creator is None
    h, c = layer.h.data, None if layer.c is None else layer.c.data
    found = {name: p.grad.data for name, p in layer.named_params()}
    layer.reset_state()
    layer(x)
    layer.h, layer.c = layer.h.data, None if c is None else layer.c.data
    layer.cleargrads()
    (layer(x) ** 2).sum().backward()
    np.testing.assert_allclose(layer.h.data, h, rtol=1e-6)
    for name, p in layer.named_params():
        np.testing.assert_allclose(p.grad.data, found[name], rtol=1e-5, atol=1e-6)


def test_recurrent_state_is_part_of_the_state_but_not_of_the_weights(tmp_path: Any) -> None:
    x = drawn(3, 2)
    model = L.Sequential(L.LSTM(4, rng=0), L.Linear(1, rng=1))
    assert not [name for name in model.state_dict() if name.endswith((".h", ".c"))]
    model(x)
    state = model.state_dict()
    expected = model(x).data
    other = L.Sequential(L.LSTM(4, rng=2), L.Linear(1, rng=3))
    other.load_state_dict(state)
    np.testing.assert_array_equal(other(x).data, expected)
    model.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    fresh = L.Sequential(L.LSTM(4), L.Linear(1))
    fresh.load_weights(tmp_path / "w.npz")
    assert fresh.l0.h is None
    fresh(x)
    fresh.load_state_dict({name: v for name, v in state.items() if not name.endswith((".h", ".c"))})
    assert fresh.l0.h is None, "a state without h is that of a run before its first step"
    with pytest.raises(WeightsError, match=r"l0\.h is a str, no array"):
        fresh.load_state_dict(state | {"l0.h": "zeros"})


def test_failed_call_leaves_the_recurrent_state_unchanged() -> None:
    class Net(Model):
        def __init__(self) -> None:
            self.rnn, self.fc = L.RNN(4, 2, rng=0), L.Linear(1, in_size=3)

        def forward(self, x: Any) -> Any:
            return self.fc(self.rnn(x))

    net = Net()
    with pytest.raises(ShapeError, match=r"^net\.fc: linear"):
        net(drawn(3, 2))
    assert net.rnn.h is None


def test_invalid_inputs_and_options_raise() -> None:
    lstm, x = L.LSTM(4, 2, rng=0), drawn(3, 5, 2)
    lstm(x[:, 0])
    with pytest.raises(
        ShapeError, match=r"lstm: x \(2, 2\) has 2 examples, and the state is that of 3; call reset_state"
    ):
        lstm(x[:2, 0])
    with pytest.raises(ShapeError, match=r"lstm: the state of an LSTM is a pair"):
        lstm(x, np.zeros((3, 4), np.float32))
    with pytest.raises(ShapeError, match=r"lstm: the initial h \(3, 5\) must be \(3, 4\)"):
        lstm(x, (np.zeros((3, 5), np.float32), None))
    with pytest.raises(ShapeError, match=r"rnn: the initial h \(3, 4\) must be \(2, 3, 4\).*2 cells"):
        L.RNN(4, 2, num_layers=2)(x, np.zeros((3, 4), np.float32))
    with pytest.raises(ShapeError, match=r"gru: x \(3, 2\) is one step, and the other direction needs all"):
        L.GRU(4, 2, bidirectional=True)(x[:, 0])
    with pytest.raises(ShapeError, match=r"gru: x \(2,\) must be one step"):
        L.GRU(4, 2)(x[0, 0])
    with pytest.raises(ArgumentError, match="lengths belong to sequences"):
        lstm(x[:, 0], lengths=[1, 1, 1])
    with pytest.raises(ArgumentError, match="RNN: dropout acts between layers"):
        L.RNN(4, dropout=0.5)
    with pytest.raises(ArgumentError, match="RNNCell: activation must be"):
        L.RNN(4, activation="gelu")
    with pytest.raises(DTypeError, match=r"LSTMCell: nobias is an int"):
        L.LSTMCell(4, nobias=1)
    with pytest.raises(ShapeError, match=r"gru: .*W_x \(2, 12\) must be \(3, 12\)"):
        L.GRU(4, 2)(drawn(3, 5, 3))


def test_dropout_acts_between_layers_in_training_only() -> None:
    layer, x = L.RNN(50, 3, num_layers=2, dropout=0.5, rng=0), drawn(2, 4, 3)
    with test_mode():
        plain = layer(x).data
        np.testing.assert_array_equal(layer(x).data, plain)
    state = layer.state_dict()
    dropped = layer(x).data
    assert abs(dropped - plain).max() > 1e-3
    assert np.count_nonzero(dropped) == dropped.size, "the result itself is not dropped"
    layer.load_state_dict(state)
    np.testing.assert_array_equal(layer(x).data, dropped)


@pytest.mark.parametrize("special", [np.inf, np.nan])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_padding_after_the_end_of_an_example_has_no_effect(kind: str, special: float) -> None:
    layer, x = getattr(L, kind)(20, 3, num_layers=2, bidirectional=True, rng=0), drawn(4, 6, 3)
    lengths, results = [6, 1, 0, 4], []
    for filling in (0.0, special):
        padded = x.copy()
        for n, length in enumerate(lengths):
            padded[n, length:] = filling
        boxed = Variable(padded)
        layer.cleargrads()
        y = layer(boxed, lengths=lengths)
        (y**2).sum().backward()
        results.append([y.data, boxed.grad.data, *[p.grad.data for p in layer.params()]])
        assert all(not y.data[n, length:].any() for n, length in enumerate(lengths))
    for found, expected in zip(*reversed(results), strict=True):
        np.testing.assert_array_equal(found, expected)

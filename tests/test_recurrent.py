"""Recurrent layers and cells: beside PyTorch over drawn shapes, their states, and the book's networks."""

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
from passus import Model, SeqDataLoader, Variable, no_grad, optimizers, test_mode
from passus.datasets import SinCurve
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.serializers import recurrent_from_torch, recurrent_to_torch
from tests.against_torch import one_thread as one_thread

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]


def drawn(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


# Beside PyTorch.


@st.composite
def layers(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    H = draw(st.integers(1, 20))
    return {
        "kind": kind,
        "N": draw(st.integers(1, 9)),
        "T": draw(st.integers(1, 7)),
        "I": draw(st.integers(1, 12)),
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


def ours_and_theirs(kind: str, I: int, H: int, dtype: Any, **options: Any) -> tuple[Any, Any]:
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
    theirs = getattr(torch.nn, kind)(I, H, batch_first=True, **his).to(
        torch.float64 if dtype == np.float64 else torch.float32
    )
    ours = getattr(L, kind)(H, I, dtype=dtype, **mine)
    ours.load_state_dict(recurrent_from_torch({name: v.detach().numpy() for name, v in theirs.named_parameters()}))
    return ours, theirs


@settings(max_examples=80, deadline=None)
@given(drawn_options=layers())
def test_layers_are_those_of_torch(drawn_options: dict[str, Any]) -> None:
    o = drawn_options
    dtype, N, T = o["dtype"], o["N"], o["T"]
    ours, theirs = ours_and_theirs(**{k: v for k, v in o.items() if k not in ("N", "T", "padded", "with_state")})
    cells = o["num_layers"] * (2 if o["bidirectional"] else 1)
    P = o["proj_size"] or o["H"]
    x = drawn(N, T, o["I"], dtype=dtype)
    states = [drawn(cells, N, P, seed=1, dtype=dtype)] + [drawn(cells, N, o["H"], seed=2, dtype=dtype)] * (
        o["kind"] == "LSTM"
    )
    lengths = np.random.default_rng(N * 10 + T).integers(1, T + 1, N) if o["padded"] else None

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
        # PyTorch's two biases, which are added up, have one gradient each.
        expected_gradient = right[name] / 2 if name.endswith(".b") else right[name]
        if name.endswith(".b") and o["kind"] == "GRU":
            expected_gradient[2 * o["H"] :] *= 2
        pairs.append((gradient, expected_gradient))
    for a, b in pairs:
        scale = max(1.0, abs(b).max())
        np.testing.assert_allclose(a / scale, b / scale, **tolerance)


@pytest.mark.parametrize("nobias", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cells_are_those_of_torch(kind: str, nobias: bool) -> None:
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
def test_weights_go_to_torch_and_back(kind: str, options: dict[str, Any]) -> None:
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


def test_a_projection_and_a_cell_go_to_torch() -> None:
    ours = L.LSTM(5, 3, proj_size=2, rng=0)
    theirs = torch.nn.LSTM(3, 5, proj_size=2, batch_first=True)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in recurrent_to_torch(ours.state_dict()).items()})
    x = drawn(2, 4, 3)
    np.testing.assert_allclose(ours(x).data, theirs(torch.tensor(x))[0].detach(), rtol=1e-5, atol=1e-5)
    assert set(recurrent_to_torch(L.GRUCell(5, 3).state_dict())) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}


def test_what_is_no_recurrent_weight_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"recurrent_from_torch: fc\.weight is no array of a recurrent layer"):
        recurrent_from_torch({"fc.weight": np.ones((2, 2))})
    with pytest.raises(WeightsError, match=r"weight_hh missing beside weight_ih"):
        recurrent_from_torch({"weight_ih_l0": np.ones((2, 2))})
    with pytest.raises(WeightsError, match=r"bias_hh missing"):
        recurrent_from_torch(
            {"weight_ih_l0": np.ones((2, 2)), "weight_hh_l0": np.ones((2, 2)), "bias_ih_l0": np.ones(2)}
        )
    with pytest.raises(WeightsError, match=r"l0\.W_x has no shape before the first call"):
        recurrent_to_torch(L.RNN(3).state_dict())

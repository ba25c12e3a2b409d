"""Every update rule against PyTorch or its paper, and the properties that all rules share."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

from passus import Parameter
from passus import optimizers as O
from passus.kernels import blocks
from tests.helpers.bare import Model
from tests.optimizers.training import ALL, assert_equal, example, gradient, train, values

AGAINST_TORCH = {
    "SGD": (lambda: O.SGD(0.02), lambda ps: torch.optim.SGD(ps, 0.02)),
    "MomentumSGD": (lambda: O.MomentumSGD(), lambda ps: torch.optim.SGD(ps, 0.01, momentum=0.9)),
    "Nesterov": (lambda: O.Nesterov(0.02, 0.8), lambda ps: torch.optim.SGD(ps, 0.02, momentum=0.8, nesterov=True)),
    "AdaGrad": (lambda: O.AdaGrad(0.1, eps=1e-3), lambda ps: torch.optim.Adagrad(ps, 0.1, eps=1e-3)),
    "AdaDelta": (lambda: O.AdaDelta(), lambda ps: torch.optim.Adadelta(ps, rho=0.95)),
    "AdaDelta at a rate": (lambda: O.AdaDelta(0.8, 1e-3, 3.0), lambda ps: torch.optim.Adadelta(ps, 3.0, 0.8, 1e-3)),
    "RMSprop": (lambda: O.RMSprop(), lambda ps: torch.optim.RMSprop(ps)),
    "Adam": (lambda: O.Adam(), lambda ps: torch.optim.Adam(ps)),
    "Adam, eps large": (
        lambda: O.Adam(0.05, (0.7, 0.9), 1e-2),
        lambda ps: torch.optim.Adam(ps, 0.05, (0.7, 0.9), 1e-2),
    ),
    "AMSGrad": (
        lambda: O.AMSGrad(0.05, (0.8, 0.7), 1e-2),
        lambda ps: torch.optim.Adam(ps, 0.05, (0.8, 0.7), 1e-2, amsgrad=True),
    ),
    "AdamW": (lambda: O.AdamW(0.01, weight_decay=0.3), lambda ps: torch.optim.AdamW(ps, 0.01, weight_decay=0.3)),
    "NAdam": (lambda: O.NAdam(), lambda ps: torch.optim.NAdam(ps)),
    "NAdam, decay large": (
        lambda: O.NAdam(0.05, (0.7, 0.9), 1e-2, 0.5),
        lambda ps: torch.optim.NAdam(ps, 0.05, (0.7, 0.9), 1e-2, momentum_decay=0.5),
    ),
    "RAdam": (lambda: O.RAdam(), lambda ps: torch.optim.RAdam(ps)),
    "RAdam, eps large": (
        lambda: O.RAdam(0.05, (0.7, 0.9), 1e-2),
        lambda ps: torch.optim.RAdam(ps, 0.05, (0.7, 0.9), 1e-2),
    ),
}


@pytest.mark.parametrize(("ours", "theirs"), AGAINST_TORCH.values(), ids=AGAINST_TORCH.keys())
@pytest.mark.parametrize(
    # float32: a rounding error of 1e-7 per step grows over 50 steps on a non-convex function.
    ("dtype", "tolerance"),
    [(np.float64, 1e-11), (np.float32, 1e-4)],
)
def test_fifty_steps_agree_with_pytorch(ours: Any, theirs: Any, dtype: Any, tolerance: float) -> None:
    model = example(dtype)
    start = values(model)
    tensors = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in model.params.values()]
    train(ours().setup(model), model, range(50))
    optimizer = theirs(tensors)
    for t in range(50):
        for x in tensors:
            x.grad = gradient(x.detach(), torch, t)
        optimizer.step()
    if isinstance(optimizer, torch.optim.NAdam):
        tolerance = max(tolerance, 1e-6)  # PyTorch computes the product of momenta in float32.
    for (path, p), x in zip(model.params.items(), tensors):
        assert p.dtype == dtype
        assert p.size == 0 or not np.allclose(p.data, start[path], rtol=1e-3)
        np.testing.assert_allclose(p.data, x.detach().numpy(), rtol=tolerance, atol=tolerance, err_msg=path)


def lion(p: Any, g: Any, s: Any, t: int) -> Any:
    beta1, beta2, lr, decay = 0.8, 0.95, 0.01, 0.1
    update = np.sign(beta1 * s["m"] + (1 - beta1) * g) + decay * p
    s["m"] = beta2 * s["m"] + (1 - beta2) * g
    return p - lr * update


def lamb(p: Any, g: Any, s: Any, t: int) -> Any:
    beta1, beta2, lr, decay, eps = 0.8, 0.95, 0.01, 0.1, 1e-3
    s["m"] = beta1 * s["m"] + (1 - beta1) * g
    s["v"] = beta2 * s["v"] + (1 - beta2) * g**2
    r = (s["m"] / (1 - beta1**t)) / (np.sqrt(s["v"] / (1 - beta2**t)) + eps) + decay * p
    weight, step = np.sqrt((p**2).sum()), np.sqrt((r**2).sum())
    return p - lr * (weight / step if weight > 0 and step > 0 else 1.0) * r


@pytest.mark.parametrize(
    ("ours", "paper"),
    [
        (O.Lion(0.01, (0.8, 0.95), weight_decay=0.1), lion),
        (O.LAMB(0.01, (0.8, 0.95), 1e-3, weight_decay=0.1), lamb),
    ],
    ids=["Lion", "LAMB"],
)
def test_fifty_steps_agree_with_the_paper(ours: Any, paper: Any) -> None:
    model = example()
    model.params["zero"] = Parameter(np.zeros(3))
    expected = values(model)
    train(ours.setup(model), model, range(50))
    for path, p in expected.items():
        slots = {"m": 0.0 * p, "v": 0.0 * p}
        for t in range(50):
            p = paper(p, gradient(p, np, t), slots, t + 1)
        np.testing.assert_allclose(model[path].data, p, rtol=1e-11, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("make", ALL)
def test_block_size_does_not_affect_results(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks, at_once = example(), example()
    train(make().setup(in_blocks), in_blocks, range(3))
    monkeypatch.setattr(blocks, "BLOCK", 10**9)
    train(make().setup(at_once), at_once, range(3))
    assert_equal(values(in_blocks), values(at_once))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("order", ["C", "F"])
def test_update_allocates_no_parameter_sized_memory(make: Any, order: Any) -> None:
    model = Model(W=np.ones((500, 600), order=order), b=np.ones(100_000))
    model["W"].grad, model["b"].grad = np.ones((500, 600)), np.ones(100_000)
    optimizer = make().setup(model)
    optimizer.update()
    before = [p.data for p in model.params.values()]
    tracemalloc.start()
    optimizer.update()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy itself allocates 131,072 bytes, independent of the size, for operands of different memory order.
    assert peak < (10_000 if order == "C" else 140_000), "bytes; the parameters have 2,400,000 and 800,000"
    assert all(p.data is x for p, x in zip(model.params.values(), before))


@pytest.mark.parametrize("make", ALL)
def test_update_does_not_modify_the_gradient(make: Any) -> None:
    model = Model(W=np.ones((300, 200)))
    g = np.random.default_rng(0).standard_normal((300, 200))
    before = g.copy()
    g.flags.writeable = False
    model["W"].grad = g
    make().setup(model).update()
    np.testing.assert_array_equal(g, before)


@pytest.mark.parametrize("make", ALL)
def test_every_rule_decreases_the_loss(make: Any) -> None:
    model = Model(W=np.array([1.0, -2.0]))
    optimizer = make().setup(model)
    for _ in range(5):
        model["W"].cleargrad()
        (model["W"] * model["W"]).sum().backward()
        optimizer.update()
    assert np.all(np.abs(model["W"].data) < [1.0, 2.0])


def test_bias_correction_counts_updates_per_parameter() -> None:
    late, fresh = Model(a=np.ones(1), b=np.ones(1)), Model(b=np.ones(1))
    optimizer = O.Adam().setup(late)
    for _ in range(100):
        late["a"].grad = np.ones(1)
        optimizer.update()
    late["b"].grad = fresh["b"].grad = np.ones(1)
    optimizer.update()
    O.Adam().setup(fresh).update()
    np.testing.assert_array_equal(late["b"].data, fresh["b"].data)


def test_nan_in_a_gradient_propagates_to_its_element_only() -> None:
    model = Model(W=np.ones(2))
    model["W"].grad = np.array([1.0, np.nan])
    O.Adam().setup(model).update()
    assert np.isnan(model["W"].data).tolist() == [False, True]


def test_nadam_stores_a_bounded_number_of_products() -> None:
    model = Model(a=np.ones(2), b=np.ones(2))
    optimizer = O.NAdam().setup(model)
    exact = O.NAdam()
    for step in range(1, 300):
        for p in [p for path, p in model.named_params() if path == "a" or step % 3]:
            p.grad = np.ones(2)
        optimizer.update()
        model["a"].cleargrad(), model["b"].cleargrad()
        product = 1.0
        for t in range(1, step + 1):
            product *= 0.9 * (1 - 0.5 * 0.96 ** (t * 0.004))
        assert optimizer._product(0.9, 0.004, step) == exact._product(0.9, 0.004, step) == product
    assert len(pickle.dumps(optimizer._products)) < 5000
    assert exact._product(0.9, 0.004, 5) == O.NAdam()._product(0.9, 0.004, 5)

"""Every update rule against its reference, and what all optimizers share."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

import passus.functions as F
from passus import Parameter, Variable
from passus import optimizers as O
from passus.errors import ArgumentError, DTypeError, PassusError, ShapeError, WeightsError
from passus.kernels import blocks
from passus.kernels.blocks import BLOCK
from passus.models import MLP
from passus.schedules import OnPlateau, exponential
from passus.tree import flatten, unflatten
from tests.helpers.bare import Model

ALL = [
    O.SGD, O.MomentumSGD, O.Nesterov, O.AdaGrad, O.AdaDelta, O.RMSprop, O.Adam, O.AMSGrad, O.AdamW, O.NAdam, O.RAdam,
    O.Lion, O.LAMB,
]  # fmt: skip


def example(dtype: Any = np.float64) -> Model:
    """A parameter that is updated in several blocks, a small one, one of no axes, a transposed one, an empty one."""
    rng = np.random.default_rng(0)
    model = Model(
        l1_W=rng.standard_normal((331, 100)).astype(dtype),
        l1_b=rng.standard_normal(7).astype(dtype),
        scale=np.array(1.5, dtype),
        l2_W=rng.standard_normal((5, 3)).astype(dtype),
        l2_b=np.zeros((0,), dtype),
    )
    assert model["l1.W"].size > BLOCK
    model["l2.W"].data = model["l2.W"].data.T
    return model


def gradient(x: Any, xp: Any, t: int) -> Any:
    """The gradient of a bumpy bowl that moves with time: a mistake in a step changes all steps after it."""
    return 0.5 * x + xp.cos(3 * x + t)


def train(optimizer: Any, model: Model, steps: range) -> None:
    for t in steps:
        for p in model.params.values():
            p.grad = np.asarray(gradient(p.data, np, t))
        optimizer.update()


def values(model: Model) -> dict[str, np.ndarray]:
    return {path: p.data.copy() for path, p in model.params.items()}


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)


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
    # float32: rounding of 1e-7 a step, grown by 50 steps over a bumpy ground.
    ("dtype", "tolerance"),
    [(np.float64, 1e-11), (np.float32, 1e-4)],
)
def test_fifty_steps_are_those_of_pytorch(ours: Any, theirs: Any, dtype: Any, tolerance: float) -> None:
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
        tolerance = max(tolerance, 1e-6)  # PyTorch keeps the product of its momenta in float32.
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
def test_fifty_steps_are_those_of_the_paper(ours: Any, paper: Any) -> None:
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
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_run_that_is_resumed_is_bit_for_bit_the_whole_run(make: Any, dtype: Any) -> None:
    whole = example(dtype)
    train(make().setup(whole), whole, range(20))

    half = example(dtype)
    optimizer = make().setup(half)
    train(optimizer, half, range(10))
    state = copy.deepcopy(optimizer.state_dict())
    fresh = example(dtype)
    for path, p in half.params.items():
        fresh[path].data = p.data.copy(order="K")
    resumed = make(lr=0.5).setup(fresh)  # The rate that was saved counts.
    resumed.load_state_dict(state)
    assert resumed.step == 10
    train(resumed, fresh, range(10, 20))
    assert_equal(values(fresh), values(whole))


@pytest.mark.parametrize("make", ALL)
def test_blocks_change_nothing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_blocks, at_once = example(), example()
    train(make().setup(in_blocks), in_blocks, range(3))
    monkeypatch.setattr(blocks, "BLOCK", 10**9)
    train(make().setup(at_once), at_once, range(3))
    assert_equal(values(in_blocks), values(at_once))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_step_allocates_nothing_of_the_size_of_the_parameter(make: Any, order: Any) -> None:
    model = Model(W=np.ones((500, 600), order=order), b=np.ones(100_000))
    model["W"].grad, model["b"].grad = np.ones((500, 600)), np.ones(100_000)
    optimizer = make().setup(model)
    optimizer.update()
    before = [p.data for p in model.params.values()]
    tracemalloc.start()
    optimizer.update()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy itself takes 131,072 bytes, whatever the size, for operands of different memory order.
    assert peak < (10_000 if order == "C" else 140_000), "bytes; the parameters have 2,400,000 and 800,000"
    assert all(p.data is x for p, x in zip(model.params.values(), before))


@pytest.mark.parametrize("make", ALL)
def test_the_gradient_is_left_as_it_is(make: Any) -> None:
    model = Model(W=np.ones((300, 200)))
    g = np.random.default_rng(0).standard_normal((300, 200))
    before = g.copy()
    g.flags.writeable = False
    model["W"].grad = g
    make().setup(model).update()
    np.testing.assert_array_equal(g, before)


@pytest.mark.parametrize("make", ALL)
def test_every_rule_goes_downhill(make: Any) -> None:
    model = Model(W=np.array([1.0, -2.0]))
    optimizer = make().setup(model)
    for _ in range(5):
        model["W"].cleargrad()
        (model["W"] * model["W"]).sum().backward()
        optimizer.update()
    assert np.all(np.abs(model["W"].data) < [1.0, 2.0])


def test_a_real_gradient_and_a_changing_rate() -> None:
    model = Model(W=np.array([1.0]))
    optimizer = O.MomentumSGD(lr=exponential(0.1, 0.5), momentum=0.5).setup(model)
    v, w = 0.0, 1.0
    for t in range(4):
        assert optimizer.lr == 0.1 * 0.5**t
        model["W"].cleargrad()
        (model["W"] * model["W"]).sum().backward()
        optimizer.update()
        v = 0.5 * v + 2 * w
        w -= 0.1 * 0.5**t * v
        np.testing.assert_allclose(model["W"].data, [w], rtol=1e-14)
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25


def test_a_graph_from_before_the_update_notices_it() -> None:
    model = Model(W=np.ones(2))
    y = (model["W"] * model["W"]).sum()
    model["W"].grad = np.ones(2)
    O.SGD().setup(model).update()
    with pytest.raises(PassusError, match="edit"):
        y.backward()


def test_parameters_without_gradient_and_frozen_ones_stay() -> None:
    model = Model(a=np.ones(1), b=np.ones(1), c=np.ones(1))
    model["a"].grad = model["b"].grad = np.ones(1)
    model["b"].requires_grad = False
    model.params["lazy"] = Parameter(None)
    optimizer = O.SGD(lr=1.0).setup(model)
    optimizer.update()
    assert [float(model[path].data[0]) for path in "abc"] == [0.0, 1.0, 1.0]
    assert optimizer.step == 1


def test_corrections_count_the_updates_of_each_parameter() -> None:
    late, fresh = Model(a=np.ones(1), b=np.ones(1)), Model(b=np.ones(1))
    optimizer = O.Adam().setup(late)
    for _ in range(100):
        late["a"].grad = np.ones(1)
        optimizer.update()
    late["b"].grad = fresh["b"].grad = np.ones(1)
    optimizer.update()
    O.Adam().setup(fresh).update()
    np.testing.assert_array_equal(late["b"].data, fresh["b"].data)


def test_a_parameter_that_appears_later_is_updated() -> None:
    model = Model(a=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(model)
    model.params["late"] = Parameter(np.ones(1))
    model["late"].grad = np.ones(1)
    optimizer.update()
    assert model["late"].data[0] == 0.0


def test_nan_in_a_gradient_is_not_hidden() -> None:
    model = Model(W=np.ones(2))
    model["W"].grad = np.array([1.0, np.nan])
    O.Adam().setup(model).update()
    assert np.isnan(model["W"].data).tolist() == [False, True]


def test_groups_have_options_of_their_own() -> None:
    model = Model(encoder_W=np.ones(1), encoder_b=np.ones(1), encoder2_W=np.ones(1), head_W=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(model)
    optimizer.add_group("encoder", lr=0.5)
    optimizer.add_group(lambda path, p: path.startswith("head") and p.ndim == 1, lr=lambda t: 0.25)
    for p in model.params.values():
        p.grad = np.ones(1)
    optimizer.update()
    assert [float(p.data[0]) for p in model.params.values()] == [0.5, 0.5, 0.0, 0.75]
    optimizer.lr = 0.125  # Of those in no group.
    optimizer.update()
    assert [float(p.data[0]) for p in model.params.values()] == [0.0, 0.0, -0.125, 0.5]


def test_groups_are_found_anew_in_another_model() -> None:
    first, second = Model(W=np.ones(1)), Model(W=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(first)
    optimizer.add_group(lambda path, p: p is first["W"], lr=0.5)
    for model in (first, second):
        model["W"].grad = np.ones(1)
        optimizer.setup(model).update()
    assert [float(model["W"].data[0]) for model in (first, second)] == [0.5, 0.0]


def test_a_parameter_is_in_one_group() -> None:
    optimizer = O.AdamW().setup(Model(a_W=np.ones(1), a_b=np.ones(1)))
    optimizer.add_group("a.W", weight_decay=0.0)
    with pytest.raises(ArgumentError, match=r"a\.W is in a group already"):
        optimizer.add_group("a", lr=1.0)
    with pytest.raises(ArgumentError, match=r"no parameter is at 'c'; there are a\.W, a\.b"):
        optimizer.add_group("c", lr=1.0)
    with pytest.raises(ArgumentError, match="no option momentum; it has lr, betas, eps, weight_decay"):
        optimizer.add_group("a.b", momentum=1.0)
    with pytest.raises(ArgumentError, match="lr is nan"):
        optimizer.add_group("a.b", lr=np.nan)
    assert len(optimizer.groups) == 1


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("lr", "error"),
    [(np.nan, ArgumentError), (-1.0, ArgumentError), (np.inf, ArgumentError), ("fast", DTypeError), (True, DTypeError)],
)
def test_bad_rates_are_refused(make: Any, lr: Any, error: Any) -> None:
    with pytest.raises(error, match=f"{make.__name__}: lr is "):
        make(lr=lr)
    optimizer = make()
    before = optimizer.lr
    with pytest.raises(error, match=f"{make.__name__}: lr is "):
        optimizer.lr = lr
    assert optimizer.lr == before


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: O.MomentumSGD(momentum=1.0), "momentum is 1.0"),
        (lambda: O.RMSprop(rho=-0.1), "rho is -0.1"),
        (lambda: O.Adam(betas=(0.9, 1.0)), "betas is 1.0"),
        (lambda: O.Adam(betas=(0.9,)), "betas are two numbers"),
        (lambda: O.Adam(betas=0.9), "betas is a float"),
        (lambda: O.Adam(betas=0.9, beta1=0.5), "betas is a float"),
        (lambda: O.Adam(betas=(0.1, 0.2, 0.3), beta2=0.5), "betas are two numbers"),
        (lambda: O.Adam(eps=-1.0), "eps is -1.0"),
        (lambda: O.AdamW(weight_decay=np.nan), "weight_decay is nan"),
    ],
)
def test_bad_options_are_refused(make: Any, match: str) -> None:
    with pytest.raises(PassusError, match=match):
        make()


def test_a_schedule_that_becomes_nan_stops_before_anything_is_changed() -> None:
    model = Model(W=np.ones(1))
    model["W"].grad = np.ones(1)
    optimizer = O.SGD(lr=lambda t: np.nan if t else 0.5).setup(model)
    optimizer.update()
    with pytest.raises(ArgumentError, match="SGD: lr is nan"):
        optimizer.update()
    assert model["W"].data[0] == 0.5


def test_parameters_that_cannot_be_updated() -> None:
    model = Model(a=np.ones(2), b_W=np.ones(2))
    model["a"].grad = model["b.W"].grad = np.ones(2)
    optimizer = O.Adam().setup(model)
    model["b.W"].data.flags.writeable = False
    with pytest.raises(ArgumentError, match=r"Adam: b\.W is read-only"):
        optimizer.update()
    assert model["a"].data.tolist() == [1.0, 1.0], "nothing was changed"
    model["b.W"].data = np.ones(2)
    optimizer.update()
    model["b.W"].grad, model["b.W"].data = None, np.ones(3)
    model["b.W"].grad = np.ones(3)
    with pytest.raises(ShapeError, match=r"Adam: b\.W is float64 \(3,\) now, but was float64 \(2,\)"):
        optimizer.update()


def test_misuse_is_explained() -> None:
    with pytest.raises(ArgumentError, match=r"call setup\(model\) first"):
        O.SGD().update()
    with pytest.raises(DTypeError, match="the target is a list"):
        O.SGD().setup([Parameter(np.ones(1))])
    with pytest.raises(DTypeError, match="hook is a float"):
        O.SGD().add_hook(0.1)
    model = Model(W=np.ones(1))
    model["W"].grad = np.ones(1)
    with pytest.raises(NotImplementedError, match=r"Mine\.update_one"):
        type("Mine", (O.Optimizer,), {})(lr=1.0).setup(model).update()


def test_dezeros_spelling() -> None:
    assert O.Adam(alpha=0.01, beta1=0.8).options == {"lr": 0.01, "betas": (0.8, 0.999), "eps": 1e-8}
    assert O.AdaDelta(rho=0.9, eps=1e-5).options == {"lr": 1.0, "rho": 0.9, "eps": 1e-5}


def test_repr() -> None:
    model = Model(W=np.ones(1))
    optimizer = O.Adam().setup(model)
    train(optimizer, model, range(12))
    assert repr(optimizer) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 12"
    assert repr(O.SGD(exponential(0.5, 0.1))) == "SGD(lr=0.5), step 0"


# State.


def trained() -> tuple[Any, Model]:
    model = Model(l1_W=np.ones(2), l1_b=np.ones(1))
    optimizer = O.AdamW(lr=OnPlateau(0.5)).setup(model)
    optimizer.add_group("l1.b", weight_decay=0.5)
    optimizer.add_hook(O.EMA(model, decay=0.5))
    train(optimizer, model, range(3))
    return optimizer, model


def test_the_state_is_a_tree_by_path() -> None:
    optimizer, _ = trained()
    state = optimizer.state_dict()
    assert state["step"] == state["slots"]["l1"]["W"]["step"] == 3
    assert state["slots"]["l1"]["W"].keys() == {"step", "m", "v"}
    assert state["options"] == {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    assert state["groups"] == {"0": {"weight_decay": 0.5}}
    assert state["schedule0"]["lr"] == 0.5
    assert state["hook0"]["averages"]["l1"]["W"].shape == (2,)


def test_hooks_and_schedules_are_part_of_the_state() -> None:
    optimizer, _ = trained()
    optimizer.options["lr"].report(7.0)
    other, _ = trained()
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.options["lr"].best == 7.0
    np.testing.assert_array_equal(other.hooks[0].averages["l1.W"], optimizer.hooks[0].averages["l1.W"])


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda s: s.pop("step"), "missing: step"),
        (lambda s: s.pop("hook0"), "missing: hook0"),
        (lambda s: s.update(more=1), "extra: more"),
        (lambda s: s["slots"]["l1"]["W"].pop("m"), r"missing: slots\.l1\.W\.m"),
        (lambda s: s["slots"]["l1"]["W"].update(m=np.ones(3)), r"slots\.l1\.W\.m \(3,\) instead of \(2,\)"),
        (lambda s: s["slots"]["l1"]["W"].update(m=np.ones(2, np.float32)), "float32 instead of float64"),
        (lambda s: s["slots"].update(l7={"m": np.ones(2)}), r"extra: slots\.l7\.m"),
        (lambda s: s["options"].update(eps="small"), "of another dtype: options.eps"),
        (lambda s: s["options"].update(eps=np.nan), "eps is nan"),
        (lambda s: s["hook0"]["averages"]["l1"].update(W=np.ones(5)), r"l1\.W \(5,\) instead of \(2,\)"),
        (lambda s: s["schedule0"].pop("best"), "OnPlateau: a state has lr, best"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoil: Any, match: str) -> None:
    optimizer, _ = trained()
    before = copy.deepcopy(optimizer.state_dict())
    state = copy.deepcopy(before)
    state["step"], state["schedule0"]["lr"] = 77, 0.123
    spoil(state)
    with pytest.raises(PassusError, match=match):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_a_state_is_a_copy() -> None:
    optimizer, model = trained()
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    train(optimizer, model, range(2))
    np.testing.assert_equal(state, before)


def test_the_weights_of_a_lazy_layer_come_before_the_state() -> None:
    optimizer, _ = trained()
    lazy = Model(l1_W=np.ones(2), l1_b=np.ones(1))
    lazy.params["l1.W"] = Parameter(None)
    other = O.AdamW(lr=OnPlateau(0.5)).setup(lazy)
    with pytest.raises(WeightsError, match=r"AdamW: l1\.W has no shape yet"):
        other.load_state_dict(optimizer.state_dict())


def test_the_state_that_was_given_is_not_kept() -> None:
    optimizer, model = trained()
    state = copy.deepcopy(optimizer.state_dict())
    before = copy.deepcopy(state)
    optimizer.load_state_dict(state)
    train(optimizer, model, range(2))
    np.testing.assert_equal(state, before)


def test_a_gradient_with_a_graph_is_as_good_as_any() -> None:
    model = Model(W=np.array([1.0]))
    y = (model["W"] * model["W"]).sum()
    y.backward(create_graph=True)
    O.SGD(lr=0.25).setup(model).update()
    assert type(model["W"].grad) is Variable
    np.testing.assert_array_equal(model["W"].data, [0.5])


# With real layers.


def step(model: MLP, optimizer: Any, x: np.ndarray) -> float:
    loss = F.mean((model(x) - np.sin(x)) ** 2)
    model.cleargrads()
    loss.backward()
    optimizer.update()
    return float(loss)


@pytest.mark.parametrize("make", ALL)
def test_a_network_learns_and_resumes_from_what_a_file_holds(make: Any) -> None:
    x = np.linspace(-2, 2, 40, dtype=np.float32).reshape(-1, 1)
    model = MLP((16, 1), activation=F.tanh)  # Lazy: it has no weights before the first call.
    optimizer = make().setup(model)
    losses = [step(model, optimizer, x) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert {p.dtype for p in model.params()} == {np.dtype(np.float32)}

    leaves = {path: np.array(leaf) for path, leaf in flatten(optimizer.state_dict()).items()}
    twin = copy.deepcopy(model)
    resumed = make().setup(twin)
    resumed.load_state_dict(unflatten(leaves))
    assert [step(twin, resumed, x) for _ in range(5)] == [step(model, optimizer, x) for _ in range(5)]


def test_nadam_remembers_no_number_for_every_step() -> None:
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


@pytest.mark.parametrize("make", [*ALL, lambda: O.GradientAccumulation(O.SGD(), every=2)])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (0,)])
@pytest.mark.parametrize("hook", [None, O.WeightDecay(0.1), O.ClipGrad(0.1), O.ClipValue(0.1)])
def test_gradients_of_another_shape_meet_no_hook_and_no_sum(make: Any, shape: tuple[int, ...], hook: Any) -> None:
    model, optimizer = Model(a=np.ones(2), b=np.ones(3)), make()
    optimizer.setup(model)
    if hook is not None:
        getattr(optimizer, "optimizer", optimizer).add_hook(hook)
    model["a"].grad, model["b"].grad = np.ones(2), np.ones(3)
    if isinstance(optimizer, O.GradientAccumulation):
        optimizer.update()
        model["a"].grad, model["b"].grad = np.ones(2), np.ones(3)
    model["b"].grad.data = np.ones(shape)
    before = values(model)
    with pytest.raises(ShapeError, match=r"gradient \(.*\) of b must have its shape \(3,\)"):
        optimizer.update()
    assert_equal(values(model), before)


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3)])
def test_averages_and_sums_of_a_parameter_that_changed_its_shape(shape: tuple[int, ...]) -> None:
    model = Model(W=np.ones(3))
    ema, optimizer = O.EMA(model), O.GradientAccumulation(O.SGD(), every=3).setup(model)
    model["W"].grad = np.ones(3)
    optimizer.update()
    ema.updated([])
    model["W"].data = np.ones(shape)
    model["W"].grad = np.ones(shape)
    with pytest.raises(ShapeError, match="GradientAccumulation: W is"):
        optimizer.update()
    with pytest.raises(ShapeError, match="EMA: W is"):
        ema.updated([])

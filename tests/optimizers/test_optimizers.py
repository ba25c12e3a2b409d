"""Updates of any optimizer: which parameters change, the learning rate, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passus import Parameter, Variable
from passus import optimizers as O
from passus.errors import ArgumentError, DTypeError, PassusError, ShapeError
from passus.schedules import exponential
from tests.helpers.bare import Model
from tests.optimizers.training import ALL, assert_equal, train, values


def test_momentum_with_a_learning_rate_schedule() -> None:
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


def test_backward_through_updated_parameters_raises() -> None:
    model = Model(W=np.ones(2))
    y = (model["W"] * model["W"]).sum()
    model["W"].grad = np.ones(2)
    O.SGD().setup(model).update()
    with pytest.raises(PassusError, match="edit"):
        y.backward()


def test_frozen_parameters_and_those_without_gradient_are_not_updated() -> None:
    model = Model(a=np.ones(1), b=np.ones(1), c=np.ones(1))
    model["a"].grad = model["b"].grad = np.ones(1)
    model["b"].requires_grad = False
    model.params["lazy"] = Parameter(None)
    optimizer = O.SGD(lr=1.0).setup(model)
    optimizer.update()
    assert [float(model[path].data[0]) for path in "abc"] == [0.0, 1.0, 1.0]
    assert optimizer.step == 1


def test_parameter_added_after_setup_is_updated() -> None:
    model = Model(a=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(model)
    model.params["late"] = Parameter(np.ones(1))
    model["late"].grad = np.ones(1)
    optimizer.update()
    assert model["late"].data[0] == 0.0


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("lr", "error"),
    [(np.nan, ArgumentError), (-1.0, ArgumentError), (np.inf, ArgumentError), ("fast", DTypeError), (True, DTypeError)],
)
def test_bad_learning_rates_raise(make: Any, lr: Any, error: Any) -> None:
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
def test_bad_options_raise(make: Any, match: str) -> None:
    with pytest.raises(PassusError, match=match):
        make()


def test_nan_from_a_schedule_raises_before_any_update() -> None:
    model = Model(W=np.ones(1))
    model["W"].grad = np.ones(1)
    optimizer = O.SGD(lr=lambda t: np.nan if t else 0.5).setup(model)
    optimizer.update()
    with pytest.raises(ArgumentError, match="SGD: lr is nan"):
        optimizer.update()
    assert model["W"].data[0] == 0.5


def test_parameters_that_cannot_be_updated_raise() -> None:
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


def test_misuse_raises() -> None:
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


def test_dezero_option_names() -> None:
    assert O.Adam(alpha=0.01, beta1=0.8).options == {"lr": 0.01, "betas": (0.8, 0.999), "eps": 1e-8}
    assert O.AdaDelta(rho=0.9, eps=1e-5).options == {"lr": 1.0, "rho": 0.9, "eps": 1e-5}


def test_repr() -> None:
    model = Model(W=np.ones(1))
    optimizer = O.Adam().setup(model)
    train(optimizer, model, range(12))
    assert repr(optimizer) == "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08), step 12"
    assert repr(O.SGD(exponential(0.5, 0.1))) == "SGD(lr=0.5), step 0"


def test_gradient_with_a_graph_is_accepted() -> None:
    model = Model(W=np.array([1.0]))
    y = (model["W"] * model["W"]).sum()
    y.backward(create_graph=True)
    O.SGD(lr=0.25).setup(model).update()
    assert type(model["W"].grad) is Variable
    np.testing.assert_array_equal(model["W"].data, [0.5])


@pytest.mark.parametrize("make", [*ALL, lambda: O.GradientAccumulation(O.SGD(), every=2)])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (0,)])
@pytest.mark.parametrize("hook", [None, O.WeightDecay(0.1), O.ClipGrad(0.1), O.ClipValue(0.1)])
def test_gradient_of_another_shape_raises_before_hooks_and_accumulation(
    make: Any, shape: tuple[int, ...], hook: Any
) -> None:
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
def test_ema_and_accumulation_raise_if_a_parameter_changes_its_shape(shape: tuple[int, ...]) -> None:
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

"""What readers of the book write for themselves, and the names that they know: it works, or says what to write instead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import passus
import passus.core
import passus.core_simple
import passus.functions as F
import passus.layers as L
from passus import Parameter, Variable, cuda, optimizers
from passus.errors import ArgumentError, DependencyError, PassusWarning, ShapeError, WeightsError
from passus.models import MLP
from passus.optimizers import ClipGrad, FreezeParam, Optimizer, WeightDecay

# Core: operators and switches.

OPERATORS = "Add Mul Neg Sub Div Pow add mul neg sub rsub div rdiv pow".split()  # noqa: SIM905
SWITCHES = "Config using_config no_grad".split()  # noqa: SIM905
ENGINE = "Variable Function as_variable as_array setup_variable".split()  # noqa: SIM905


@pytest.mark.parametrize("name", [*OPERATORS, *SWITCHES, *ENGINE, "Parameter", "test_mode"])
def test_core_has_dezeros_names(name: str) -> None:
    expected = getattr(F, name) if name in OPERATORS else getattr(passus, name)
    assert getattr(passus.core, name) is expected
    assert name in passus.core.__all__


@pytest.mark.parametrize("name", [*OPERATORS, *SWITCHES, *ENGINE])
def test_the_simple_core_is_the_core(name: str) -> None:
    assert getattr(passus.core_simple, name) is getattr(passus.core, name)
    assert not hasattr(passus.core_simple, "Parameter"), "DeZero's has none either"


def test_the_classes_of_operators_are_called_as_in_the_book() -> None:
    x = Variable(np.array(3.0))
    y = passus.core.Add()(passus.core.Pow(2)(x), passus.core.Neg()(x))
    y.backward()
    assert (y.item(), float(x.grad)) == (6.0, 5.0)


def test_newtons_method_on_the_simple_core() -> None:
    passus.core_simple.setup_variable()
    x = passus.core_simple.Variable(np.array(2.0))
    for _ in range(10):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward()
        x.data -= x.grad / (12 * x.data**2 - 4)
    assert x.data == 1.0


# Where arrays are.


@pytest.mark.parametrize("x", [Variable(np.ones(2)), Parameter(np.ones(2)), Variable(None)], ids=str)
def test_variables_are_moved_in_place(x: Variable) -> None:
    before = x.data
    assert x.to_cpu() is None
    assert x.data is before
    if before is not None:
        with pytest.raises(DependencyError, match=r"CuPy cannot be loaded.*gpu_enable"):
            x.to_gpu()
        assert x.data is before


def test_a_variable_goes_to_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passus.functions.binding, "to_cupy", lambda x: x + 1)  # As far as can be told here.
    x = Variable(np.ones(2))
    x.to_gpu()
    np.testing.assert_array_equal(x.data, [2.0, 2.0])


# Optimizers, as the book writes them.


class PlainSGD(Optimizer):
    def __init__(self, lr=0.01):
        super().__init__()
        self.lr = lr

    def update_one(self, param):
        param.data -= self.lr * param.grad.data


class BooksMomentumSGD(Optimizer):
    def __init__(self, lr=0.01, momentum=0.9):
        super().__init__()
        self.lr = lr
        self.momentum = momentum
        self.vs = {}

    def update_one(self, param):
        v_key = id(param)
        if v_key not in self.vs:
            self.vs[v_key] = np.zeros_like(param.data)
        v = self.vs[v_key]
        v *= self.momentum
        v -= self.lr * param.grad.data
        param.data += v


class BooksAdaGrad(Optimizer):
    def __init__(self, lr=0.001, eps=1e-8):
        super().__init__()
        self.lr = lr
        self.eps = eps
        self.hs = {}

    def update_one(self, param):
        h_key = id(param)
        if h_key not in self.hs:
            xp = cuda.get_array_module(param.data)
            self.hs[h_key] = xp.zeros_like(param.data)
        grad = param.grad.data
        h = self.hs[h_key]
        h += grad * grad
        param.data -= self.lr * grad / (np.sqrt(h) + self.eps)


class BooksAdam(Optimizer):
    def __init__(self, alpha=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__()
        self.t = 0
        self.alpha, self.beta1, self.beta2, self.eps = alpha, beta1, beta2, eps
        self.ms, self.vs = {}, {}

    def update(self, *args, **kwargs):
        self.t += 1
        super().update(*args, **kwargs)

    @property
    def lr(self):
        fix1 = 1.0 - math.pow(self.beta1, self.t)
        fix2 = 1.0 - math.pow(self.beta2, self.t)
        return self.alpha * math.sqrt(fix2) / fix1

    def update_one(self, param):
        key = id(param)
        if key not in self.ms:
            self.ms[key], self.vs[key] = np.zeros_like(param.data), np.zeros_like(param.data)
        m, v = self.ms[key], self.vs[key]
        m += (1 - self.beta1) * (param.grad.data - m)
        v += (1 - self.beta2) * (param.grad.data * param.grad.data - v)
        param.data -= self.lr * m / (np.sqrt(v) + self.eps)


BOOKS = {
    "SGD": (lambda: PlainSGD(0.01), lambda: optimizers.SGD(0.01)),
    "MomentumSGD": (lambda: BooksMomentumSGD(0.01, 0.8), lambda: optimizers.MomentumSGD(0.01, 0.8)),
    "AdaGrad": (lambda: BooksAdaGrad(0.1), lambda: optimizers.AdaGrad(0.1)),
    "Adam": (lambda: BooksAdam(0.01, eps=1e-12), lambda: optimizers.Adam(0.01, eps=1e-12)),
}
each_of_the_books = pytest.mark.parametrize(("own", "ours"), BOOKS.values(), ids=BOOKS)

X = np.linspace(0, 1, 40, dtype=np.float32)[:, None]
T = np.sin(2 * np.pi * X)


def trained(optimizer: Any, model: MLP, steps: int) -> list[np.ndarray]:
    for _ in range(steps):
        loss = F.mean_squared_error(model(X), T)
        model.cleargrads()
        loss.backward()
        optimizer.update()
    return [p.data.copy() for p in model.params()]


def new_model() -> MLP:
    passus.random.seed(0)
    return MLP((200, 1), activation=F.tanh, in_size=1)


@each_of_the_books
@pytest.mark.parametrize("hooks", [(), (WeightDecay(0.1), ClipGrad(0.01)), "freeze"], ids=["alone", "two", "freeze"])
def test_the_books_optimizers_do_what_ours_do(own: Any, ours: Any, hooks: Any) -> None:
    results = []
    for make in (own, ours):
        model = new_model()
        for p in model.params():
            p.data = p.data.astype(np.float64)  # In single precision, Adam makes much of gradients that are nearly 0.
        optimizer = make().setup(model)
        assert optimizer.target is model
        for hook in [FreezeParam(model.l0)] if hooks == "freeze" else hooks:
            optimizer.add_hook(hook)
        results.append(trained(optimizer, model, 20))
        assert optimizer.step == 20
    for a, b in zip(*results):
        # In ours, eps is added after the correction of Adam, so steps differ for gradients that are as small as eps.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@each_of_the_books
def test_an_own_optimizer_goes_on_from_its_state(own: Any, ours: Any, tmp_path: Any) -> None:
    model = new_model()
    optimizer = own().setup(model)
    trained(optimizer, model, 5)
    state, weights = optimizer.state_dict(), model.state_dict()
    whole = trained(optimizer, model, 5)
    again, model = own(), new_model()
    again.setup(model)
    model.load_state_dict(weights)
    again.load_state_dict(state)
    for a, b in zip(whole, trained(again, model, 5)):
        np.testing.assert_array_equal(a, b)


def test_an_own_optimizer_goes_on_from_a_checkpoint(tmp_path: Any) -> None:
    from passus.serializers import load_checkpoint, save_checkpoint

    model = new_model()
    optimizer = BooksMomentumSGD(0.05).setup(model)
    trained(optimizer, model, 3)
    save_checkpoint(tmp_path / "c.safetensors", model=model, optimizer=optimizer)
    whole = trained(optimizer, model, 3)
    again = new_model()
    other = BooksMomentumSGD().setup(again)
    load_checkpoint(tmp_path / "c.safetensors", model=again, optimizer=other)
    assert other.lr == 0.05
    for a, b in zip(whole, trained(other, again, 3)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda own: own.pop("vs"), "vs"),
        (lambda own: own.update(more=1), "more"),
        (lambda own: own["vs"].update(l7=np.ones(1)), "vs.l7"),
        (lambda own: own["vs"].update(l0="text"), "vs.l0"),
        (lambda own: own.update(momentum=np.ones(2)), "momentum"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: Any, match: str) -> None:
    model = new_model()
    optimizer = BooksMomentumSGD().setup(model)
    trained(optimizer, model, 1)
    state = optimizer.state_dict()
    before = {key: v.copy() for key, v in optimizer.vs.items()}
    change(state["own"])
    with pytest.raises(WeightsError, match=match):
        optimizer.load_state_dict(state)
    assert optimizer.vs.keys() == before.keys()
    assert all((optimizer.vs[key] == v).all() for key, v in before.items())


def test_what_no_state_can_hold_is_refused() -> None:
    model = new_model()
    optimizer = BooksMomentumSGD().setup(model)
    optimizer.vs["l0"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"BooksMomentumSGD\.state_dict: vs cannot be saved, for l0"):
        optimizer.state_dict()


def test_a_rule_keeps_shape_and_dtype() -> None:
    class Wide(PlainSGD):
        def update_one(self, param):
            param.data = param.data - np.float64(0.1) * param.grad.data

    class Wrong(PlainSGD):
        def update_one(self, param):
            param.data = param.data[:1]

    model = new_model()
    assert {p.dtype.name for p in trained(Wide().setup(model), model, 2)} == {"float32"}
    with pytest.raises(ShapeError, match=r"Wrong\.update_one: .*\(1, 200\)|\(200, 1\)|\(200,\)"):
        trained(Wrong().setup(model), model, 1)


def test_what_an_own_optimizer_may_forget() -> None:
    class NoInit(Optimizer):
        def __init__(self, lr):
            self.lr = lr

    class NoRate(Optimizer):
        def __init__(self):
            super().__init__()

        def update_one(self, param):
            param.data -= 0.1 * param.grad.data

    class NoRule(Optimizer):
        def __init__(self):
            super().__init__()

    with pytest.raises(AttributeError, match=r"NoInit.*call super\(\)\.__init__\(\) first"):
        NoInit(0.1)
    model = new_model()
    trained(NoRate().setup(model), model, 2)
    assert repr(NoRate()) == "NoRate(), step 0"
    with pytest.raises(AttributeError, match="NoRate has no attribute 'lr'; its options are none"):
        _ = NoRate().lr
    with pytest.raises(NotImplementedError, match=r"NoRule\.update_one is not written yet"):
        trained(NoRule().setup(model), model, 1)
    with pytest.raises(ArgumentError, match=r"PlainSGD\.add_group.*update_one\(self, p, g, slots, o\)"):
        PlainSGD().setup(model).add_group("l0", lr=0.1)


class Undeclared(Optimizer):
    """A rule of ours that forgets to declare its slot; ``lines`` differ in how it reaches for it."""

    def __init__(self, reach):
        super().__init__(0.1)
        self.reach = reach

    def update_one(self, p, g, slots, o):
        p -= o.lr * self.reach(slots, p)


@pytest.mark.parametrize("size", [3, 200, 100_000], ids=["alone", "together", "in blocks"])
@pytest.mark.parametrize(
    "reach",
    [
        lambda slots, p: slots["v"],
        lambda slots, p: slots.setdefault("v", np.zeros_like(p)),
        lambda slots, p: slots.__setitem__("v", np.zeros_like(p)),
    ],
)
def test_an_undeclared_slot_is_named(reach: Any, size: int) -> None:
    model = MLP((size, 1), in_size=1)
    with pytest.raises(ArgumentError, match=r"slots\['v'\].*declared.*slots = \(\"v\",\)"):
        trained(Undeclared(reach).setup(model), model, 1)


@pytest.mark.parametrize("size", [3, 200, 100_000], ids=["alone", "together", "in blocks"])
def test_a_slot_may_be_assigned_to(size: int) -> None:
    class Assigning(Optimizer):
        slots = ("v",)

        def update_one(self, p, g, slots, o):
            slots["v"] = 0.9 * slots["v"] + g
            p -= o.lr * slots["v"]

    results = []
    for make in (lambda: Assigning(0.01), lambda: optimizers.MomentumSGD(0.01)):
        passus.random.seed(0)
        model = MLP((size, 1), in_size=1)
        results.append(trained(make().setup(model), model, 3))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


# The numbers of our optimizers, as attributes.


@pytest.mark.parametrize(
    ("optimizer", "numbers"),
    [
        (optimizers.SGD(0.1), {"lr": 0.1}),
        (optimizers.MomentumSGD(0.1, 0.8), {"lr": 0.1, "momentum": 0.8}),
        (optimizers.AdaGrad(), {"lr": 0.001, "eps": 1e-8}),
        (optimizers.AdaDelta(), {"rho": 0.95, "eps": 1e-6}),
        (
            optimizers.Adam(alpha=0.1, beta1=0.5),
            {"alpha": 0.1, "lr": 0.1, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "t": 0},
        ),
        (optimizers.AdamW(), {"beta1": 0.9, "weight_decay": 0.01}),
    ],
    ids=lambda x: type(x).__name__,
)
def test_numbers_are_attributes(optimizer: Any, numbers: dict[str, float]) -> None:
    assert {name: getattr(optimizer, name) for name in numbers} == numbers
    for name in numbers.keys() - {"t"}:
        setattr(optimizer, name, 0.25)
        assert getattr(optimizer, name) == 0.25
        assert "0.25" in repr(optimizer), "it is the number that updates use"
        with pytest.raises(ArgumentError, match="-1"):
            setattr(optimizer, name, -1.0)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; its options are lr"):
        _ = optimizer.nothing


def test_t_counts_updates() -> None:
    model = new_model()
    optimizer = optimizers.Adam().setup(model)
    trained(optimizer, model, 3)
    assert optimizer.t == optimizer.step == 3


# Layers, models and loaders.


def nested() -> L.Layer:
    model = L.Layer()
    model.l1, model.p2 = L.Linear(3, in_size=2), Parameter(np.array(2.0))
    model.blocks = [L.Linear(1, nobias=True, in_size=3)]
    model.size, model.x = 3, Variable(np.ones(1))
    return model


def test_params_by_name_are_those_of_the_attributes() -> None:
    model = nested()
    assert list(model._params) == ["l1", "p2", "blocks"]
    assert model._params >= {"l1", "p2"}
    assert list(model.l1._params) == ["W", "b"]
    found: dict[str, Parameter] = {}
    model._flatten_params(found)
    assert list(found) == ["l1/W", "l1/b", "p2", "blocks/0/W"]
    assert found["l1/W"] is model.l1.W
    model.l1._flatten_params(found, "again")
    assert found["again/W"] is model.l1.W
    with pytest.raises(AttributeError):
        model._params = set()
    model.late = L.Linear(1)
    assert "late" in model._params


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_say_that_they_are_coming(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"layers has no {name}; recurrent layers are coming.*write a Layer"):
        getattr(L, name)
    assert not hasattr(L, name)
    with pytest.raises(AttributeError, match=r"^module 'passus\.layers' has no attribute 'Recurrent'$"):
        _ = L.Recurrent


@pytest.mark.parametrize("loader", [passus.DataLoader(np.arange(7), 3), passus.SeqDataLoader(np.arange(7), 3)], ids=str)
def test_loaders_know_their_sizes(loader: Any) -> None:
    assert (loader.data_size, loader.batch_size, loader.max_iter) == (7, 3, 3)
    assert loader.to_cpu().gpu is False


@pytest.mark.parametrize(
    "call",
    [
        lambda layer: layer(np.full((1, 2), 3.0, np.float32)),
        lambda layer: layer(np.full((1, 2, 1, 1), 3.0, np.float32)),
    ],
    ids=["vector", "image"],
)
def test_one_example_in_training_gives_beta_and_a_warning(call: Any) -> None:
    layer = L.BatchNorm(in_size=2)
    layer.beta.data = np.array([0.5, -0.5], np.float32)
    with pytest.warns(PassusWarning, match=r"batch_norm: a training batch has one number.*test_mode\(\)"):
        y = call(layer)
    np.testing.assert_allclose(y.data.ravel(), [0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(layer.avg_mean, [0.3, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(layer.avg_var, [1.0, 1.0])
    y.backward()
    np.testing.assert_array_equal(layer.beta.grad.data, [1.0, 1.0])
    with passus.test_mode():
        call(layer)  # Without a warning.


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.Pow(2)(Variable(np.array([3.0]))),
        lambda: F.Transpose()(Variable(np.array([[9.0]]))),
        lambda: F.Softmax()(Variable(np.array([[0.0, 0.0]]))) * 18.0,
        lambda: F.Max()(Variable(np.array([9.0, 1.0]))),
        lambda: F.Min(axis=0)(Variable(np.array([9.0, 10.0]))),
        lambda: F.Sum(0, True)(Variable(np.array([4.0, 5.0]))),
        lambda: F.MeanSquaredError()(Variable(np.array([3.0])), np.array([0.0])),
        lambda: F.SoftmaxCrossEntropy()(Variable(np.array([[0.0, 9.0]])), np.array([0])),
        lambda: F.LogSoftmax()(Variable(np.array([[0.0, 9.0]]))) * -1.0,
    ],
)
def test_classes_of_functions_are_made_as_in_dezero(call: Any) -> None:
    y = call()
    assert abs(y.data.flat[0] - 9.0) < 1e-3
    y.backward()

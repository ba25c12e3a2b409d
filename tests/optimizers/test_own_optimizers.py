"""User-defined optimizers, hooks and layers as in the book: results, state, and errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus import Parameter, cuda, optimizers
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.models import MLP
from passus.optimizers import ClipGrad, FreezeParam, Optimizer, WeightDecay
from passus.serializers import load_checkpoint, save_checkpoint


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
    # Ours adds eps after the bias correction; this eps is too small to matter.
    "Adam": (lambda: BooksAdam(0.01, eps=1e-18), lambda: optimizers.Adam(0.01, eps=1e-18)),
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
@pytest.mark.parametrize("hooks", [(), (WeightDecay(0.1), ClipGrad(0.01)), "freeze"], ids=["none", "two", "freeze"])
def test_optimizers_of_the_book_agree_with_ours(own: Any, ours: Any, hooks: Any) -> None:
    results = []
    for make in (own, ours):
        model = new_model()
        for p in model.params():
            p.data = p.data.astype(np.float64)  # In float32, Adam amplifies the rounding of gradients near 0.
        optimizer = make().setup(model)
        assert optimizer.target is model
        for hook in [FreezeParam(model.l0)] if hooks == "freeze" else hooks:
            optimizer.add_hook(hook)
        results.append(trained(optimizer, model, 20))
        assert optimizer.step == 20
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@each_of_the_books
def test_user_defined_optimizer_resumes_from_its_state(own: Any, ours: Any, tmp_path: Any) -> None:
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


def test_user_defined_optimizer_resumes_from_a_checkpoint(tmp_path: Any) -> None:
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
def test_mismatched_state_raises_and_changes_nothing(change: Any, match: str) -> None:
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


def test_unsupported_attribute_in_state_raises() -> None:
    model = new_model()
    optimizer = BooksMomentumSGD().setup(model)
    optimizer.vs["l0"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"BooksMomentumSGD\.state_dict: vs cannot be saved, for l0"):
        optimizer.state_dict()


def test_update_one_preserves_dtype_and_must_preserve_shape() -> None:
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


def test_incomplete_user_defined_optimizers() -> None:
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
    with pytest.raises(NotImplementedError, match=r"NoRule\.update_one is not implemented"):
        trained(NoRule().setup(model), model, 1)
    with pytest.raises(ArgumentError, match=r"PlainSGD\.add_group.*update_one\(self, p, g, slots, o\)"):
        PlainSGD().setup(model).add_group("l0", lr=0.1)


class BooksWeightDecay:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, params):
        for param in params:
            param.grad.data += self.rate * param.data


class BooksClipGrad:
    def __init__(self, max_norm):
        self.max_norm = max_norm

    def __call__(self, params):
        total_norm = 0
        for param in params:
            total_norm += (param.grad.data**2).sum()
        rate = self.max_norm / (math.sqrt(float(total_norm)) + 1e-6)
        if rate < 1:
            for param in params:
                param.grad.data *= rate


class BooksFreezeParam:
    def __init__(self, *layers):
        self.freeze_params = [p for layer in layers for p in layer.params()]

    def __call__(self, params):
        for p in self.freeze_params:
            p.grad = None


@pytest.mark.parametrize(
    ("own", "ours"),
    [
        (lambda model: BooksWeightDecay(0.1), lambda model: WeightDecay(0.1)),
        (lambda model: BooksClipGrad(0.01), lambda model: ClipGrad(0.01)),
        (lambda model: BooksFreezeParam(model.l0), lambda model: FreezeParam(model.l0)),
    ],
)
@pytest.mark.parametrize(
    "loss", [F.sum, lambda W: F.sum(W + W), lambda W: F.sum(W.T**2)], ids=["ones", "same", "transposed"]
)
def test_hooks_of_the_book_agree_with_ours(own: Any, ours: Any, loss: Any) -> None:
    """Shared and read-only gradients are modified once for each parameter."""
    results = []
    for make in (own, ours):
        model = new_model()
        for optimizer in (PlainSGD(0.1), optimizers.SGD(0.1)):
            optimizer.setup(model).add_hook(make(model))
            model.cleargrads()
            (loss(model.l0.W) + loss(model.l1.W)).backward()
            optimizer.update()
        results.append([p.data for p in model.params()])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_state_before_setup() -> None:
    assert PlainSGD(0.5).state_dict() == {"step": 0, "options": {"lr": 0.5}}
    assert BooksAdam().state_dict()["own"]["t"] == 0


def test_linear_layer_of_the_book_trains_and_saves(tmp_path: Any) -> None:
    class Linear(L.Layer):
        def __init__(self, out_size, nobias=False, dtype=np.float32, in_size=None):
            super().__init__()
            self.in_size, self.out_size, self.dtype = in_size, out_size, dtype
            self.W = Parameter(None, name="W")
            if self.in_size is not None:
                self._init_W()
            self.b = None if nobias else Parameter(np.zeros(out_size, dtype=dtype), name="b")

        def _init_W(self):
            W = np.random.default_rng(0).standard_normal((self.in_size, self.out_size))
            self.W.data = W.astype(self.dtype) * np.sqrt(1 / self.in_size)

        def forward(self, x):
            if self.W.data is None:
                self.in_size = x.shape[1]
                self._init_W()
            return F.linear(x, self.W, self.b)

    model = passus.models.Sequential(Linear(10), F.sigmoid, Linear(1, nobias=True))
    optimizer = optimizers.SGD(0.1).setup(model)
    losses = []
    for _ in range(30):
        loss = F.mean_squared_error(model(X), T)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    model.save_weights(tmp_path / "own.npz")
    again = passus.models.Sequential(Linear(10, in_size=1), F.sigmoid, Linear(1, nobias=True, in_size=10))
    again.load_weights(tmp_path / "own.npz")
    np.testing.assert_array_equal(again(X).data, model(X).data)


class Undeclared(Optimizer):
    """An update rule with an undeclared slot; ``reach(slots, p)`` accesses the slot."""

    def __init__(self, reach):
        super().__init__(0.1)
        self.reach = reach

    def update_one(self, p, g, slots, o):
        p -= o.lr * self.reach(slots, p)


@pytest.mark.parametrize("size", [3, 200, 100_000], ids=["small", "bundled", "blocks"])
@pytest.mark.parametrize(
    "reach",
    [
        lambda slots, p: slots["v"],
        lambda slots, p: slots.setdefault("v", np.zeros_like(p)),
        lambda slots, p: slots.__setitem__("v", np.zeros_like(p)),
    ],
)
def test_undeclared_slot_raises(reach: Any, size: int) -> None:
    model = MLP((size, 1), in_size=1)
    with pytest.raises(ArgumentError, match=r"slots\['v'\].*declared.*slots = \(\"v\",\)"):
        trained(Undeclared(reach).setup(model), model, 1)


@pytest.mark.parametrize("size", [3, 200, 100_000], ids=["small", "bundled", "blocks"])
def test_slots_can_be_assigned(size: int) -> None:
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


@pytest.mark.parametrize("optimizer", [PlainSGD, BooksMomentumSGD, optimizers.SGD, optimizers.Adam])
def test_integer_parameters_raise(optimizer):
    layer = L.Layer()
    layer.p = Parameter(np.array([1, 2]))
    F.sum(layer.p * layer.p).backward()
    with pytest.raises(DTypeError, match=r"p is int64.*Parameter\(array\.astype\(np\.float32\)\)"):
        optimizer().setup(layer).update()
    np.testing.assert_array_equal(layer.p.data, [1, 2])

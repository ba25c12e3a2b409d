"""Recorded steps that differentiate gradients: ``create_graph``, and the functions of `passus.grad`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.core import Function, Variable
from passus.core.backward import gradients
from passus.errors import PassusError
from passus.grad import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from passus.optimizers import SGD, Adam
from passus.random import get_rng
from passus.recompute import checkpoint
from tests.functions.test_table import SMOOTH_TWICE, call, flat, floats
from tests.recording.comparing import World, assert_same, compared, exactly, frozen, numbers
from tests.table import Row


def representative() -> list[Any]:
    """One case of each function with a second derivative: the first with floating-point inputs."""
    first: dict[str, Any] = {}
    for param in SMOOTH_TWICE:
        row, case = param.values
        if floats(case):
            first.setdefault(row.name, param)
    return list(first.values())


@pytest.mark.parametrize(("row", "case"), representative())
def test_gradient_of_the_squares_of_the_gradients(row: Row, case: Any) -> None:
    positions = floats(case)

    def step(*arrays: Any) -> list[Any]:
        xs = [Variable(x) for x in arrays]
        args = list(case.args)
        for i, x in zip(positions, xs):
            args[i] = x
        total: Any = 0.0
        for y in flat(call(row, case, args)):
            if isinstance(y, Variable) and y.dtype.kind == "f" and y.requires_grad:
                total = total + (y * y).sum()
        total.backward(create_graph=True)
        penalty: Any = 0.0
        first = [x.grad for x in xs]
        for x in xs:
            if x.grad is not None:
                penalty = penalty + (x.grad * x.grad).sum()
            x.cleargrad()
        if isinstance(penalty, Variable) and penalty.creator is not None:
            penalty.backward()
        return [*[None if g is None else g.detach() for g in first], *[x.grad for x in xs]]

    recorded = exactly(step)
    arrays = [case.args[i] for i in positions]
    changed = [x[::-1] * 1.0 if x.ndim else x.copy() for x in arrays]
    for given in (arrays, arrays, changed):
        try:
            expected = step(*[x.copy() for x in given])
        except PassusError:
            assert given is changed  # No longer positive definite.
            return
        assert_same(frozen(recorded(*[x.copy() for x in given])), frozen(expected), row.name)


def test_penalty_of_gradients() -> None:
    """Wasserstein GAN with gradient penalty (Gulrajani et al., 2017)."""

    def make() -> World:
        rng = np.random.default_rng(0)
        critic = L.Sequential(L.Linear(8, in_size=3, rng=rng), L.Tanh(), L.Linear(1, in_size=8, rng=rng))
        optimizer = Adam(lr=0.01).setup(critic)

        def step(real: Any, fake: Any) -> Any:
            t = get_rng().random(size=(len(real), 1)).astype(np.float32)
            x = Variable(t * real + (1 - t) * fake)
            critic(x).sum().backward(create_graph=True)
            gx = x.grad
            penalty = ((F.sqrt((gx * gx).sum(axis=1)) - 1) ** 2).mean()
            loss = critic(fake).mean() - critic(real).mean() + 10.0 * penalty
            critic.cleargrads()
            loss.backward()
            optimizer.update()
            return loss, penalty

        return World(step, critic, optimizer)

    compared(make, numbers(5, (4, 3), (4, 3)))


def test_penalty_through_gradients_of_a_convolution() -> None:
    def make() -> World:
        critic = L.Sequential(
            L.Conv2d(4, 3, pad=1, in_channels=2, rng=0),
            L.Softplus(),
            L.GlobalAveragePooling(),
            L.Linear(1, in_size=4, rng=1),
        )

        def step(images: Any) -> Any:
            x = Variable(images)
            gx = gradients(critic(x).sum(), x, create_graph=True)
            loss = (gx * gx).sum()
            critic.cleargrads()
            loss.backward()
            for p in critic.params():
                if p.grad is not None:
                    p.data -= 0.1 * p.grad.data
            return loss, gx

        return World(step, critic)

    compared(make, numbers(4, (2, 2, 5, 5)))


def test_product_of_hessian_and_vector() -> None:
    def make() -> World:
        model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Tanh(), L.Linear(1, in_size=4, rng=1))
        params = list(model.params())

        def step(x: Any, v: Any) -> Any:
            loss = (model(x) ** 2).mean()
            gs = gradients(loss, params, create_graph=True)
            product = sum([(g * g.data).sum() for g in gs], start=(gs[0] * v).sum())
            return loss, gradients(product, params)

        return World(step, model)

    compared(make, numbers(4, (5, 3), (3, 4)))


def test_newtons_method() -> None:
    def make() -> World:
        x = Variable(np.array(2.0))

        def step() -> Any:
            y = x**4 - 2 * x**2
            x.cleargrad()
            y.backward(create_graph=True)
            gx = x.grad
            x.cleargrad()
            gx.backward()
            x.data -= gx.data / x.grad.data
            return y

        return World(step, x)

    compared(make, [()] * 8)


def test_gradients_with_a_graph_that_stay() -> None:
    """The gradient keeps its graph after a step; the next one clears it."""

    def make() -> World:
        W = Variable(np.ones((3, 2)))

        def step(x: Any) -> Any:
            W.cleargrad()
            (F.tanh(F.matmul(x, W)) ** 2).sum().backward(create_graph=True)
            return W.grad

        return World(step, W)

    compared(make, numbers(4, (4, 3), dtype=float))


def test_third_order() -> None:
    def step(x: Any) -> Any:
        v = Variable(x)
        y = F.sin(v)
        results = [y]
        for _ in range(3):
            y = gradients(y.sum(), v, create_graph=True)
            results.append(y)
        return results

    compared(lambda: World(step), numbers(4, (5,), dtype=float))


def loss_of(params: Any, x: Any) -> Any:
    return (F.tanh(F.matmul(x, params["W"]) + params["b"]) ** 2).mean()


TRANSFORMS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda p, x: grad(loss_of)(p, x),
    "value_and_grad": lambda p, x: value_and_grad(loss_of, argnums=(0, 1))(p, x),
    "grad of grad": lambda p, x: grad(lambda x: (grad(loss_of, argnums=1)(p, x) ** 2).sum())(x),
    "jacobian": lambda p, x: jacobian(lambda x: F.tanh(F.matmul(x, p["W"])).sum(axis=0))(x),
    "hessian": lambda p, x: hessian(lambda b: loss_of({"W": p["W"], "b": b}, x))(p["b"]),
    "vjp": lambda p, x: vjp(lambda x: F.exp(x), x)[1](x),
    "jvp": lambda p, x: jvp(lambda x: F.exp(x), x, x),
    "hvp": lambda p, x: hvp(lambda x: (F.exp(x) ** 2).sum(), x, x),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str) -> None:
    calls = [({"W": W, "b": b}, x) for W, b, x in numbers(4, (3, 2), (2,), (4, 3), dtype=float)]
    compared(lambda: World(TRANSFORMS[name]), calls)


def test_transform_with_a_layer() -> None:
    def make() -> World:
        model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.Dropout(0.2, rng=1), L.Linear(2, in_size=4, rng=2))
        optimizer = SGD(lr=0.1).setup(model)

        def step(x: Any, t: Any) -> Any:
            loss, found = value_and_grad(lambda model, x: F.mean_squared_error(model(x), t))(model, x)
            for path, p in model.named_params():
                p.grad = found[path]
            optimizer.update()
            return loss

        return World(step, model, optimizer)

    compared(make, numbers(5, (4, 3), (4, 2)))


def test_inner_update_of_meta_learning() -> None:
    def make() -> World:
        W = Variable(np.random.default_rng(0).normal(size=(3, 2)))

        def step(x: Any, t: Any) -> Any:
            inner = F.mean_squared_error(F.matmul(x, W), t)
            gW = gradients(inner, W, create_graph=True)
            outer = F.mean_squared_error(F.matmul(x, W - 0.1 * gW), t)
            W.cleargrad()
            outer.backward()
            W.data -= 0.5 * W.grad.data
            return inner, outer

        return World(step, W)

    compared(make, numbers(5, (4, 3), (4, 2), dtype=float))


@pytest.mark.parametrize("create_graph", [False, True])
def test_checkpointed_layers(create_graph: bool) -> None:
    def make() -> World:
        model = L.Sequential(L.Linear(4, in_size=3, rng=0), L.BatchNorm(in_size=4), L.Dropout(0.3, rng=1), L.Tanh())

        def step(images: Any) -> Any:
            x = Variable(images)
            loss = (checkpoint(model, x) ** 2).sum()
            model.cleargrads()
            loss.backward(create_graph=create_graph)
            return loss, x.grad

        return World(step, model)

    compared(make, numbers(4, (4, 3)))


class Cube(Function):
    """A rule of a user, in Variables."""

    def forward(self, x: Any) -> Any:
        return x**3

    def backward(self, gy: Any) -> Any:
        return 3 * self.input**2 * gy


class Half(Function):
    """A rule of a user, on arrays, with a mask and an edit in place."""

    def forward(self, x: Any) -> Any:
        self.mask = x > 0
        return np.where(self.mask, x, 0.5 * x)

    def backward(self, gy: Any) -> Any:
        gy[~self.mask] *= 0.5
        return gy


def test_functions_of_users() -> None:
    def make() -> World:
        W = Variable(np.random.default_rng(0).normal(size=(3, 2)))

        def step(x: Any) -> Any:
            W.cleargrad()
            loss = (Half()(Cube()(F.matmul(x, W)))).sum()
            loss.backward()
            W.data -= 0.01 * W.grad.data
            return loss

        return World(step, W)

    compared(make, numbers(5, (4, 3), dtype=float))


def test_function_of_a_user_twice() -> None:
    def step(x: Any) -> Any:
        v = Variable(x)
        Cube()(v).sum().backward(create_graph=True)
        gx = v.grad
        v.cleargrad()
        (gx * gx).sum().backward()
        return gx, v.grad

    compared(lambda: World(step), numbers(4, (3,), dtype=float))

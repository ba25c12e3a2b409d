"""Training with arrays of JAX, step by step, against the same training with NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
import passus.optimizers as O
from passus import Variable
from passus.backend import collected_checks, to_device, writable
from passus.errors import ArgumentError, DependencyError, DTypeError, LabelError
from passus.models import MLP, LeNet
from passus.random import using_rng
from passus.serializers import load_checkpoint, save_checkpoint

OPTIMIZERS: dict[str, Callable[[], O.Optimizer]] = {
    "SGD": lambda: O.SGD(0.1),
    "MomentumSGD": lambda: O.MomentumSGD(0.1),
    "Nesterov": lambda: O.Nesterov(0.1),
    "AdaGrad": lambda: O.AdaGrad(0.1),
    "AdaDelta": lambda: O.AdaDelta(),
    "RMSprop": lambda: O.RMSprop(0.01),
    "Adam": lambda: O.Adam(0.01),
    "AMSGrad": lambda: O.AMSGrad(0.01),
    "AdamW": lambda: O.AdamW(0.01, weight_decay=0.1),
    "NAdam": lambda: O.NAdam(0.01),
    "RAdam": lambda: O.RAdam(0.01),
    "LAMB": lambda: O.LAMB(0.01),
    "Lion": lambda: O.Lion(0.01),
}


class Network(L.Layer):
    """Convolution, batch normalization, pooling and a linear layer. A bias before a normalization would have noise as its gradient."""

    def __init__(self) -> None:
        self.conv, self.norm, self.out = L.Conv2d(4, 3, pad=1, nobias=True, rng=0), L.BatchNorm(), L.Linear(5, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out(F.flatten(F.pooling(F.relu(self.norm(self.conv(x))), 2, 2)))


def images(n: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3, 6, 6)).astype(np.float32), rng.integers(0, 5, n)


def trained(device: str, optimizer: Any, steps: int = 4, hooks: tuple[Any, ...] = ()) -> tuple[Any, list[float]]:
    model, (x, t) = Network().to_device(device), images()
    optimizer.setup(model)
    for hook in hooks:
        optimizer.add_hook(hook)
    losses = []
    for _ in range(steps):
        loss = F.softmax_cross_entropy(model(to_device(x, device)), to_device(t.astype(np.int32), device))
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(loss))
    return model, losses


def assert_close(model: Any, reference: Any, rtol: float = 1e-4) -> None:
    expected = reference.state_dict()
    found = model.state_dict()
    flat, flat_expected = passus.tree.flatten(found), passus.tree.flatten(expected)
    assert flat.keys() == flat_expected.keys()
    for path, x in flat.items():
        np.testing.assert_allclose(np.asarray(x), np.asarray(flat_expected[path]), rtol=rtol, atol=1e-5, err_msg=path)


def test_every_optimizer_is_tested() -> None:
    public = {
        name for name in O.__all__ if isinstance(getattr(O, name), type) and issubclass(getattr(O, name), O.Optimizer)
    }
    rules = {name for name in public if name not in ("Optimizer", "Momentum", "Moments")}
    assert rules == OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_numpy(name: str) -> None:
    model, losses = trained("xla", OPTIMIZERS[name]())
    reference, expected = trained("cpu", OPTIMIZERS[name]())
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert all(isinstance(p.data, jax.Array) for p in model.params())
    assert_close(model, reference)


@pytest.mark.parametrize("hook", [O.ClipGrad(0.1), O.ClipGrad(100.0), O.ClipValue(0.01), O.WeightDecay(0.1)], ids=repr)
def test_hooks_edit_gradients_on_the_device(hook: Any) -> None:
    model, _ = trained("xla", O.SGD(0.1), hooks=(hook,))
    norm = getattr(hook, "norm", None)
    reference, _ = trained("cpu", O.SGD(0.1), hooks=(hook,))
    assert_close(model, reference)
    if norm is not None:
        assert norm == pytest.approx(hook.norm, rel=1e-4)


def test_clipping_may_require_finite_gradients() -> None:
    layer = L.Linear(1, in_size=1).to_device("xla")
    layer.W.grad = to_device(np.array([[np.nan]], np.float32), "xla")
    optimizer = O.SGD().setup(layer)
    optimizer.add_hook(O.ClipGrad(1.0, error_if_nonfinite=True))
    with pytest.raises(ArgumentError, match="the norm of all gradients is nan"):
        optimizer.update()


def test_averages_of_parameters() -> None:
    def averages(device: str) -> dict[str, Any]:
        model = L.Linear(2, in_size=3, rng=0).to_device(device)
        ema, optimizer = O.EMA(model, 0.5), O.SGD(0.1).setup(model)
        optimizer.add_hook(ema)
        for _ in range(3):
            model.cleargrads()
            (model(to_device(np.ones((2, 3), np.float32), device)) ** 2).sum().backward()
            optimizer.update()
        return {path: np.asarray(x) for path, x in ema.averages.items()}

    found, expected = averages("xla"), averages("cpu")
    for path, x in expected.items():
        np.testing.assert_allclose(found[path], x, rtol=1e-5)


def test_gradient_accumulation() -> None:
    model, _ = trained("xla", O.GradientAccumulation(O.Adam(0.01), every=2))
    reference, _ = trained("cpu", O.GradientAccumulation(O.Adam(0.01), every=2))
    assert_close(model, reference)


def test_a_rule_of_a_user_runs_unchanged() -> None:
    class SignSGD(O.Optimizer):
        slots = ("v",)

        def init(self, p: Any) -> Any:
            return {"v": np.ones_like(p)}

        def update_one(self, p: Any, g: Any, slots: Any, o: Any) -> None:
            t = np.sign(g, out=self.scratch(p))
            t *= o.lr
            slots["v"] *= 0.5
            p -= t * slots["v"]

    class Book(O.Optimizer):
        def __init__(self, lr: float = 0.1) -> None:
            super().__init__()
            self.lr = lr

        def update_one(self, param: Any) -> None:
            param.data -= self.lr * param.grad.data

    for rule in (SignSGD(0.01), Book()):
        model, _ = trained("xla", rule)
        reference, _ = trained("cpu", type(rule)(rule.lr))
        assert_close(model, reference)


def test_a_run_goes_on_from_one_device_to_another(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def step(model: Any, optimizer: Any, device: str) -> None:
        x, t = images()
        loss = F.softmax_cross_entropy(model(to_device(x, device)), to_device(t.astype(np.int32), device))
        model.cleargrads()
        loss.backward()
        optimizer.update()

    model = Network()
    optimizer = O.Adam(0.01).setup(model)
    step(model, optimizer, "cpu")
    save_checkpoint(path, model=model, optimizer=optimizer)
    step(model, optimizer, "cpu")
    on_device = Network().to_device("xla")
    on_device(to_device(images()[0], "xla"))
    other = O.Adam(0.01).setup(on_device)
    load_checkpoint(path, model=on_device, optimizer=other)
    assert isinstance(on_device.conv.W.data, jax.Array)
    step(on_device, other, "xla")
    assert_close(on_device, model)
    on_device.to_device("cpu")
    assert type(on_device.conv.W.data) is np.ndarray
    assert type(on_device.conv.W.grad.data) is np.ndarray
    step(on_device, other, "cpu")
    step(model, optimizer, "cpu")
    assert_close(on_device, model)


def test_dropout_draws_on_the_device_from_the_seed() -> None:
    x = to_device(np.ones((100, 100), np.float32), "xla")
    with using_rng(0):
        a, b = F.dropout(x, 0.25), F.dropout(x, 0.25)
    with using_rng(0):
        again = F.dropout(x, 0.25)
    assert isinstance(a, jax.Array)
    np.testing.assert_array_equal(a, again)
    assert (a != b).any()
    assert np.unique(np.asarray(a)).tolist() == pytest.approx([0, 4 / 3])
    assert (np.asarray(a) == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_gradients_of_dropout_are_those_of_its_mask() -> None:
    x = Variable(to_device(np.ones((10, 10), np.float32), "xla"))
    y = F.dropout(x, 0.5, rng=0)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, y.data)


def test_constants_follow_and_variables_do_not() -> None:
    x = Variable(to_device(np.ones(3, np.float32), "xla"))
    y = x * np.arange(3, dtype=np.float32)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [0, 1, 2])
    with pytest.raises(DTypeError, match=r"mul: Variable \(3,\) is in main memory, and another input on a device"):
        x * Variable(np.ones(3, np.float32))


def test_devices_that_do_not_exist() -> None:
    model = MLP((2, 2))
    with pytest.raises(ArgumentError, match="to_device: 'disk' is no device; choose cpu or xla"):
        model.to_device("disk")
    with pytest.raises(ArgumentError, match="to_device: 3 is no device"):
        model.to_device(3)
    if not passus.cuda.gpu_enable:
        with pytest.raises(DependencyError, match="JAX finds no gpu"):
            model.to_gpu()
        with pytest.raises(DependencyError, match="JAX finds no gpu"):
            passus.cuda.as_cupy(np.ones(1))


def test_float64_is_not_truncated_silently() -> None:
    layer = L.Linear(2, in_size=3, dtype=np.float64)
    with pytest.raises(DTypeError, match="JAX would truncate float64 to float32"):
        layer.to_device("xla")
    assert layer.W.dtype == np.float64


def test_a_lazy_layer_is_created_on_its_device() -> None:
    model = LeNet().to_device("xla")
    y = model(to_device(np.zeros((1, 1, 28, 28), np.float32), "xla"))
    assert isinstance(y.data, jax.Array)
    assert all(isinstance(p.data, jax.Array) for p in model.params())
    assert passus.cuda.get_array_module(y).exp is not np.exp
    assert type(passus.cuda.as_numpy(y)) is np.ndarray


def test_a_function_of_a_user_with_numpy_inside() -> None:
    class Cube(passus.Function):
        def forward(self, x: Any) -> Any:
            return np.power(x, 3)

        def backward(self, gy: Any) -> Any:
            return 3 * self.input.data**2 * gy

    x = Variable(to_device(np.array([2.0], np.float32), "xla"))
    y = Cube()(x)
    y.backward()
    assert isinstance(y.data, jax.Array)
    assert float(x.grad.data[0]) == 12.0


def test_fit_of_the_trainer() -> None:
    x, t = images(12)
    model = Network().to_device("xla")
    model(to_device(x, "xla"))
    loader = passus.DataLoader(passus.datasets.ArrayDataset(x, t), 4, shuffle=False).to_device("xla")
    trainer = passus.training.Trainer(
        model,
        O.SGD(0.1).setup(model),
        loader,
        F.softmax_cross_entropy,
        progress=False,
        metrics={"accuracy": F.accuracy},
    )
    history = trainer.fit(epochs=3)
    assert history[2]["loss"] < history[0]["loss"]
    assert isinstance(model.conv.W.data, jax.Array)


def test_xla_computes_convolutions_and_loops_itself() -> None:
    x, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)

    def convolution(x: Any, W: Any) -> Any:
        parameters = Variable(x), Variable(W)
        F.conv2d(*parameters).sum().backward()
        return [v.grad.data for v in parameters]

    assert str(jax.make_jaxpr(convolution)(x, W)).count("conv_general_dilated") >= 3
    layer = L.LSTM(4, in_size=3).to_device("xla")

    def sequence(x: Any) -> Any:
        v = Variable(x)
        layer.reset_state()
        layer(v).sum().backward()
        return v.grad.data

    assert str(jax.make_jaxpr(sequence)(np.ones((2, 5, 3), np.float32))).count(" scan[") == 2


def test_checks_of_numbers_are_collected_where_jax_traces() -> None:
    found: list[Any] = []

    def loss(x: Any, t: Any) -> Any:
        with collected_checks() as checks:
            y = F.softmax_cross_entropy(x, t)
        found[:] = [(error, message) for _, error, message in checks]
        return y, [condition for condition, _, _ in checks]

    x = np.zeros((2, 3), np.float32)
    _, conditions = jax.jit(loss)(x, np.array([0, 3]))
    assert [bool(condition) for condition in conditions] == [False, True]
    assert all(error is LabelError for error, _ in found)
    assert found[1][1] == "softmax_cross_entropy: a label is out of range: the 3 classes are 0 to 2"
    assert not any(jax.jit(loss)(x, np.array([0, 2]))[1])


def test_writes_to_a_writable_array_replace_the_array() -> None:
    stored: list[Any] = []
    x = writable(to_device(np.arange(4, dtype=np.float32), "xla"), stored.append)
    before = x.array
    x[np.array([True, False, True, False])] = 9
    x[1:2] = 7
    np.testing.assert_array_equal(x.array, [9, 7, 9, 3])
    x[...] = 1
    np.testing.assert_array_equal(x.array, np.ones(4))
    np.testing.assert_array_equal(before, np.arange(4))
    assert len(stored) == 3
    assert stored[-1] is x.array


def test_threads_that_use_jax_first_share_one_backend() -> None:
    code = """
import sys, threading
import numpy as np
from passus.backend import jax_backend, others
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=jax_backend) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert len(others) == 1, others
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=100, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )

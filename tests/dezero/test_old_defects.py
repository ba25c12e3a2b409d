"""Regression tests of defects of DeZero; the codes in the names are those of the project's list."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus import DataLoader, Function, Parameter, Variable, optimizers
from passus.errors import ShapeError, WeightsError
from passus.models import MLP
from passus.optimizers import ClipGrad, FreezeParam, WeightDecay

ROOT = Path(__file__).parents[2]


def test_e2_importing_needs_numpy_only():
    blocked = ["matplotlib", "PIL", "tqdm", "safetensors", "scipy", "sklearn"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked}, None)); import passus; print(passus.__version__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == passus.__version__


def test_e3_building_does_not_import_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "numpy" not in " ".join(project["build-system"]["requires"])
    version = ROOT / project["tool"]["hatch"]["version"]["path"]  # Read as text, not imported.
    assert f'__version__ = "{passus.__version__}"' in version.read_text()


@pytest.mark.parametrize(
    "make", [lambda: L.Linear(3), lambda: L.EmbedID(5, 3), lambda: L.BatchNorm(), lambda: MLP((4, 3))]
)
def test_e4_l9_parameters_are_float32(make):
    layer = make()
    x = np.array([1, 2]) if isinstance(layer, L.EmbedID) else np.ones((2, 4), np.float32)
    assert layer(x).dtype == np.float32
    assert {p.dtype for p in layer.params()} == {np.dtype(np.float32)}


def test_e5_python_numbers_keep_float32():
    x = Variable(np.ones(3, np.float32))
    for y in (
        x * 2.0, 1 - x, x / np.sqrt(2), np.float64(2.0) * x, x**2, F.tanh(x), F.mean(x),
        F.mean_squared_error(x, np.zeros(3, np.float32)), F.softmax_cross_entropy(x.reshape(1, 3), np.array([1])),
    ):  # fmt: skip
        x.cleargrad()
        assert y.dtype == np.float32
        y.backward()
        assert x.grad.dtype == np.float32


def test_c1_backward_on_a_leaf():
    x = Variable(np.ones(2))
    x.backward()
    assert x.grad.shape == (2,)


def test_c2_unused_output():
    x = Variable(np.arange(4.0))
    a = F.split(x, 2)[0]
    a.backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0, 0.0, 0.0])


def test_c3_second_order_for_the_weights_of_a_convolution():
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((2, 3, 5, 5)), rng.standard_normal((4, 3, 3, 3))
    passus.testing.check_grads(lambda W: F.conv2d(x, W, stride=2, pad=1) ** 3, W, order=2)


def test_c3_second_order_for_max_pooling():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    passus.testing.check_grads(lambda x: F.pooling(x, 3, pad=1) ** 3, x, order=2)


def test_c4_gradients_share_no_memory():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2))

    class Target(passus.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = a, b

    opt = optimizers.SGD(1.0).setup(Target())
    opt.add_hook(WeightDecay(0.5))
    F.sum(a + b).backward()
    opt.update()
    np.testing.assert_allclose(a.data, -0.5)  # 1 - (1 + 0.5), not 1 - (1 + 0.5 + 0.5).
    np.testing.assert_allclose(b.data, -0.5)
    opt.add_hook(ClipGrad(1e-3))
    a.cleargrad()
    b.cleargrad()
    F.sum(a).backward()  # A broadcast view, read-only in DeZero.
    opt.update()


def test_c5_powers_at_zero_and_of_integers():
    x = Variable(np.array(0.0))
    y = x**2
    for expected in (0.0, 2.0, 0.0):
        x.cleargrad()
        y.backward(create_graph=True)
        y = x.grad
        assert y == expected
    assert (Variable(np.array([2, 3])) ** 2).tolist() == [4, 9]


def test_c6_negative_axes():
    x = Variable(np.array([[1.0, 3.0], [4.0, 2.0]]))
    F.max(x, axis=-1).backward()
    np.testing.assert_array_equal(x.grad, [[0.0, 1.0], [1.0, 0.0]])
    assert F.expand_dims(x, -1).shape == (2, 2, 1)
    assert F.expand_dims(x, -2).shape == (2, 1, 2)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((4, 2, 3), (4, 3, 5)), ((4, 2, 3), (3, 5))]
)
def test_c7_matmul_of_all_shapes(a, b):
    rng = np.random.default_rng(0)
    x, W = Variable(rng.random(a)), Variable(rng.random(b))
    y = F.matmul(x, W)
    np.testing.assert_allclose(y, x.data @ W.data)
    y.backward()
    assert (x.grad.shape, W.grad.shape) == (a, b)
    assert (x @ W).shape == y.shape


def test_c8_constants_take_no_gradient():
    calls = []

    class Watched(Function):
        def forward(self, x, W):
            return x @ W

        def backward(self, gy):
            calls.append(self.needs)
            return None, self.saved(self.inputs[0]).T @ gy

    Watched()(np.ones((2, 3)), Parameter(np.ones((3, 1)))).backward()
    assert calls == [(False, True)]


def test_c8_convolution_computes_no_gradient_for_constant_images(monkeypatch):
    monkeypatch.delattr("passus.functions.nn.convolution.convolve_input_gradient")
    layer = L.Conv2d(4, 3)
    layer(np.ones((2, 3, 5, 5), np.float32)).sum().backward()
    assert layer.W.grad.shape == (4, 3, 3, 3)


def test_c10_numbers_and_lists():
    x = Variable(np.array(2.0))
    assert F.add(1.0, x).data == 3.0
    with pytest.raises(TypeError, match=r"write np\.array\(\[1, 2\]\)"):
        Variable([1, 2])


def test_l2_batch_norm_has_gradients_in_test_mode():
    layer = L.BatchNorm()
    x = Variable(np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32))
    layer(x)
    with passus.test_mode():
        y = layer(x)
        (y * y).sum().backward()
    assert x.grad.shape == (8, 3)
    assert np.isfinite(x.grad.data).all()


def test_l3_padding_of_max_pooling_and_gradients_of_average_pooling():
    x = -np.ones((1, 1, 2, 2))
    assert (F.pooling(x, 2, pad=1) == -1).all()
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    passus.testing.check_grads(lambda x: F.average_pooling(x, (2, 3), pad=(0, 1)), x, order=1)


def test_l4_losses_of_confident_predictions():
    x = Variable(np.array([100.0, -100.0, 1000.0]))
    loss = F.sigmoid_cross_entropy(x, np.array([1, 0, 1]))
    np.testing.assert_allclose(loss.data, np.exp(-100.0) * 2 / 3, rtol=1e-9)
    p = Variable(np.array([0.9999, 1e-6]))
    F.binary_cross_entropy(p, np.array([0, 1])).backward()
    assert (abs(p.grad.data) > 100).all()


def test_l5_cross_entropy_allocates_no_square_of_the_classes():
    x = Variable(np.zeros((2, 100_000), np.float32))
    F.softmax_cross_entropy(x, np.array([0, 99_999])).backward()  # C x C would be 40 GB.
    assert x.grad.shape == x.shape
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    assert F.mean_squared_error(a, b) == 1.0


def test_l6_parameters_keep_their_order():
    code = """
import numpy as np, passus.layers as L, passus
m = passus.Layer()
for name in "qwertyuiop":
    setattr(m, name, passus.Parameter(np.zeros(1)))
print([n for n, _ in m.named_params()])
"""
    orders = set()
    for seed in "012":
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        orders.add(done.stdout)
    assert orders == {str(list("qwertyuiop")) + "\n"}


def test_l7_layers_accept_and_return_lists():
    class Odd(passus.Layer):
        def forward(self, xs, n):
            return [x * n for x in xs]

    assert [y.tolist() for y in Odd()([Variable(np.ones(1)), np.ones(1)], 3)] == [[3.0], [3.0]]


def test_l8_saving_and_loading_lazy_models(tmp_path):
    path = str(tmp_path / "weights.npz")
    lazy = MLP((4, 3))
    with pytest.raises(WeightsError):
        lazy.save_weights(path)
    assert not list(tmp_path.iterdir())
    lazy(np.ones((1, 5), np.float32))
    lazy.save_weights(path)
    fresh = MLP((4, 3))
    fresh.load_weights(path)
    x = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(fresh(x).data, lazy(x).data)
    with pytest.raises(WeightsError, match="shape"):
        MLP((4, 3), in_size=6).load_weights(path)


def test_o1_freezing_works():
    model = MLP((4, 3))
    x = np.ones((2, 5), np.float32)
    model(x)
    before = [p.data.copy() for p in model.params()]
    opt = optimizers.SGD(0.1).setup(model)
    opt.add_hook(FreezeParam(model.layers[0]))
    F.sum(model(x)).backward()
    opt.update()
    changed = [not np.array_equal(p.data, b) for p, b in zip(model.params(), before)]
    assert changed == [False, False, True, True]


def test_o2_learning_rate_before_the_first_update():
    assert optimizers.Adam(0.01).lr == 0.01
    assert optimizers.Adam(alpha=0.01).lr == 0.01


def test_d1_unfinished_epoch_does_not_shorten_the_next():
    loader = DataLoader([(np.ones(1), i) for i in range(10)], 2, shuffle=False)
    for _ in loader:
        break
    assert next(t.tolist() for _, t in loader) == [0, 1]
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global generator must not be used
    passus.datasets.get_spiral(train=True)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_d3_normalize_and_to_array():
    x = np.ones((3, 2, 2), np.float32)
    assert passus.transforms.Normalize(mean=[0.5], std=[2.0])(x).tolist() == np.full((3, 2, 2), 0.25).tolist()
    image = pytest.importorskip("PIL.Image").new("L", (4, 3))
    assert passus.transforms.ToArray()(image).shape == (1, 3, 4)


OWN_PROCESSES = {
    ROOT / "passus" / "dataloaders" / f"{name}.py"
    for name in ("parcels", "processes", "sendable", "serving", "unfound", "worker")
}
"""The modules of worker processes, which exchange pickles with the loader that has started them, and with no one else."""


def test_d4_no_eval_exec_pickle_or_shell():
    paths = [path for path in (ROOT / "passus").rglob("*.py") if path not in OWN_PROCESSES]
    source = "\n".join(path.read_text() for path in paths)
    for word in (
        "eval(",
        "exec(",
        "import pickle\n",
        "from pickle",
        "pickle.load",
        "shell=True",
        "os.system",
        "allow_pickle=True",
    ):
        assert word not in source, word


def test_l1_recurrent_layer_with_in_size_carries_its_state():
    layer, x = L.RNN(10, in_size=1), np.ones((2, 1), np.float32)
    first, second = layer(x), layer(x)
    assert first.shape == second.shape == (2, 10)
    assert not np.array_equal(first.data, second.data)  # It starts from the state of the first call.


def test_bad_arguments_of_the_old_names():
    with pytest.raises(ShapeError, match="same shape"):
        F.mean_squared_error(np.ones(3), np.ones((3, 1)))

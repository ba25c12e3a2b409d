"""Steps 24 to 57 of the book: equivalent programs with the API of the book.

The pretrained network (step 58) and recurrent networks (59, 60) are in the tests of models and layers.
"""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus import DataLoader, Function, Layer, Model, Parameter, Variable, as_variable, optimizers
from passus.models import MLP
from passus.utils import get_conv_outsize, get_dot_graph, pair, plot_dot_graph

# Steps 24 to 36: graphs and higher derivatives.


def test_get_dot_graph():
    x, y = Variable(np.array(1.0), "x"), Variable(np.array(1.0), "y")
    z = (x + y) ** 2
    z.name = "z"
    dot = get_dot_graph(z)
    assert dot.startswith("digraph")
    assert all(name in dot for name in ("x", "y", "z", "Add", "Pow"))


def test_taylor_series_of_the_sine():
    def my_sin(x, threshold=1e-150):
        y = 0.0
        for i in range(100_000):
            t = (-1) ** i / math.factorial(2 * i + 1) * x ** (2 * i + 1)
            y = y + t
            if abs(t.data) < threshold:
                break
        return y

    x = Variable(np.array(np.pi / 4))
    y = my_sin(x)
    y.backward()
    np.testing.assert_allclose([float(y), float(x.grad)], [np.sqrt(0.5)] * 2, rtol=1e-14)


def test_gradient_descent_on_the_rosenbrock_function():
    x0, x1 = Variable(np.array(0.0)), Variable(np.array(2.0))
    for _ in range(20_000):
        y = 100 * (x1 - x0**2) ** 2 + (x0 - 1) ** 2
        x0.cleargrad()
        x1.cleargrad()
        y.backward()
        x0.data -= 0.001 * x0.grad
        x1.data -= 0.001 * x1.grad
    np.testing.assert_allclose([float(x0), float(x1)], [1.0, 1.0], atol=1e-3)


def test_newtons_method_with_a_second_derivative_by_hand():
    x = Variable(np.array(2.0))
    for _ in range(10):
        x.cleargrad()
        (x**4 - 2 * x**2).backward()
        x.data -= x.grad / (12 * x.data**2 - 4)
    assert x.data == 1.0


def test_derivatives_of_the_sine_over_a_range():
    x = Variable(np.linspace(-7, 7, 200))
    y = F.sin(x)
    y.backward(create_graph=True)
    logs = [y.data]
    for _ in range(3):
        logs.append(x.grad.data)
        gx = x.grad
        x.cleargrad()
        gx.backward(create_graph=True)
    for log, f in zip(logs, [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)]):
        np.testing.assert_allclose(log, f(x.data), atol=1e-12)


def test_plot_of_a_higher_derivative(tmp_path):
    x = Variable(np.array(1.0), "x")
    y = F.tanh(x)
    y.backward(create_graph=True)
    for _ in range(2):
        gx = x.grad
        x.cleargrad()
        gx.backward(create_graph=True)
    gx = x.grad
    gx.name = "gx3"
    assert get_dot_graph(gx, verbose=False).count("Mul") > 3
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed: no program called dot")
    plot_dot_graph(gx, verbose=False, to_file=str(tmp_path / "tanh.png"))
    assert (tmp_path / "tanh.png").stat().st_size > 1000


# Steps 37 to 47: tensors and networks.


def test_shapes_and_sums():
    x = Variable(np.array([[1, 2, 3], [4, 5, 6]], float))
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape([3, 2]).shape == (3, 2)
    assert x.T.shape == x.transpose().shape == x.transpose(1, 0).shape == x.transpose((1, 0)).shape == (3, 2)
    F.reshape(x, (6,)).backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    assert x.sum(axis=0).shape == (3,)
    assert x.sum(keepdims=True).shape == (1, 1)
    x0, x1 = Variable(np.array([1.0, 2.0, 3.0])), Variable(np.array([10.0]))
    (x0 + x1).backward()
    np.testing.assert_array_equal(x1.grad, [3.0])
    W = Variable(np.ones((3, 4)))
    F.matmul(x, W).backward()
    assert W.grad.shape == W.shape
    y = F.get_item(x, 1)
    y.sum().backward()
    assert x[:, 2].shape == (2,)
    indices = np.array([0, 0, 1])
    x.cleargrad()
    x[indices].sum().backward()
    np.testing.assert_array_equal(x.grad, [[2.0] * 3, [1.0] * 3])


def test_linear_regression():
    rng = np.random.default_rng(0)
    x = rng.random((100, 1))
    y = 5 + 2 * x + rng.random((100, 1))
    W, b = Variable(np.zeros((1, 1))), Variable(np.zeros(1))
    for _ in range(200):
        loss = F.mean_squared_error(y, F.matmul(x, W) + b)
        W.cleargrad()
        b.cleargrad()
        loss.backward()
        W.data -= 0.1 * W.grad.data
        b.data -= 0.1 * b.grad.data
    # The least-squares line; 200 steps are close to it.
    np.testing.assert_allclose([W.item(), b.item()], np.polyfit(x[:, 0], y[:, 0], 1), atol=0.05)


def sine_data():
    rng = np.random.default_rng(0)
    x = rng.random((100, 1))
    return x, np.sin(2 * np.pi * x) + rng.random((100, 1))


def test_two_layer_network_by_hand():
    x, y = sine_data()
    rng = np.random.default_rng(1)
    W1, b1 = Variable(0.01 * rng.standard_normal((1, 10))), Variable(np.zeros(10))
    W2, b2 = Variable(0.01 * rng.standard_normal((10, 1))), Variable(np.zeros(1))
    losses = []
    for _ in range(3000):
        h = F.sigmoid(F.linear(x, W1, b1))
        loss = F.mean_squared_error(y, F.linear(h, W2, b2))
        for p in (W1, b1, W2, b2):
            p.cleargrad()
        loss.backward()
        for p in (W1, b1, W2, b2):
            p.data -= 0.2 * p.grad.data
        losses.append(float(loss))
    assert losses[-1] < 0.6 * losses[0]


class TwoLayerNet(Model):
    def __init__(self, hidden_size, out_size):
        super().__init__()
        self.l1 = L.Linear(hidden_size)
        self.l2 = L.Linear(out_size)

    def forward(self, x):
        return self.l2(F.sigmoid(self.l1(x)))


@pytest.mark.parametrize(
    "build", [lambda: TwoLayerNet(10, 1), lambda: MLP((10, 1)), lambda: MLP((10, 10, 1), activation=F.tanh)]
)
@pytest.mark.parametrize("optimizer", [optimizers.SGD(0.2), optimizers.MomentumSGD(0.05), optimizers.Adam(0.01)])
def test_models_and_optimizers(build, optimizer):
    x, y = sine_data()
    passus.random.seed(0)
    model = build()
    opt = type(optimizer)(optimizer.lr).setup(model)
    first = None
    for _ in range(300):
        loss = F.mean_squared_error(y.astype(np.float32), model(x.astype(np.float32)))
        model.cleargrads()
        loss.backward()
        opt.update()
        first = first or float(loss)
    assert float(loss) < 0.9 * first
    assert loss.dtype == np.float32


def test_layers_list_parameters_in_order():
    layer = Layer()
    layer.p1 = Parameter(np.array(1.0))
    layer.p2 = Parameter(np.array(2.0))
    layer.p3 = Variable(np.array(3.0))
    layer.p4 = "text"
    assert [p.data for p in layer.params()] == [1.0, 2.0]
    model = Layer()
    model.l1, model.l2 = L.Linear(5), L.Linear(3)
    for _ in range(2):
        model.l2(F.sigmoid(model.l1(np.ones((1, 2), np.float32))))
    assert [p.shape for p in model.params()] == [(2, 5), (5,), (5, 3), (3,)]


def test_user_defined_function():
    class Softplus(Function):
        def forward(self, x):
            return np.log1p(np.exp(x))

        def backward(self, gy):
            return gy * F.sigmoid(as_variable(self.input))

    x = Variable(np.array([0.5, -1.0]))
    Softplus()(x).backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    gx.backward()
    s = 1 / (1 + np.exp(-x.data))
    np.testing.assert_allclose(gx, s)
    np.testing.assert_allclose(x.grad, s * (1 - s))


def test_classification_of_four_points():
    passus.random.seed(0)
    model = MLP((10, 3))
    x = np.array([[0.2, -0.4], [0.3, 0.5], [1.3, -3.2], [2.1, 0.3]], np.float32)
    t = np.array([2, 0, 1, 0])
    y = model(x)
    p = F.softmax(y)
    np.testing.assert_allclose(p.data.sum(axis=1), np.ones(4), rtol=1e-6)
    loss = F.softmax_cross_entropy(y, t)
    loss.backward()
    expected = -np.log(p.data[np.arange(4), t]).mean()
    np.testing.assert_allclose(loss.data, expected, rtol=1e-5)


# Steps 48 to 54: data, training, saving, dropout.


def test_spiral_in_batches_by_hand():
    passus.random.seed(1)
    x, t = passus.datasets.get_spiral(train=True)
    assert (x.shape, x.dtype, t.dtype.kind) == ((300, 2), np.float32, "i")
    model = MLP((10, 3))
    opt = optimizers.SGD(1.0).setup(model)
    rng = np.random.default_rng(0)
    for _ in range(120):
        order = rng.permutation(300)
        for i in range(10):
            batch = order[i * 30 : (i + 1) * 30]
            loss = F.softmax_cross_entropy(model(x[batch]), t[batch])
            model.cleargrads()
            loss.backward()
            opt.update()
    assert float(F.accuracy(model(x), t)) > 0.6


class BigData(passus.Dataset):
    """A dataset that computes one example at a time."""

    def __getitem__(self, index):
        return np.full(2, index, np.float32), index % 3

    def __len__(self):
        return 50


def test_datasets_transforms_and_loaders():
    f = passus.transforms.Normalize(mean=0.0, std=2.0)
    train_set = passus.datasets.Spiral(train=True, transform=f)
    test_set = passus.datasets.Spiral(train=False)
    assert len(train_set) == 300
    x, _ = train_set[0]
    np.testing.assert_allclose(x, train_set.data[0] / 2)
    train_loader, test_loader = DataLoader(train_set, 30), DataLoader(test_set, 30, shuffle=False)
    passus.random.seed(0)
    model = MLP((10, 3))
    opt = optimizers.SGD(lr=1.0).setup(model)
    for _ in range(2):
        seen = 0
        for x, t in train_loader:
            y = model(x)
            loss = F.softmax_cross_entropy(y, t)
            model.cleargrads()
            loss.backward()
            opt.update()
            seen += len(t)
        assert seen == 300
        with passus.no_grad():
            for x, t in test_loader:
                y = model(x)
                assert float(F.accuracy(y, t)) == pytest.approx(np.mean(y.data.argmax(axis=1) == t))
                assert F.softmax_cross_entropy(y, t).creator is None
    batches = list(DataLoader(BigData(), 20, shuffle=False))
    assert [len(t) for _, t in batches] == [20, 20, 10]
    assert batches[0][0].dtype == np.float32


def test_cuda_without_a_gpu():
    assert passus.cuda.gpu_enable is False
    assert passus.cuda.get_array_module(np.ones(1)) is np
    assert passus.cuda.as_numpy(Variable(np.ones(1))).shape == (1,)
    with pytest.raises(ImportError, match="JAX finds no gpu"):
        passus.cuda.as_cupy(np.ones(1))
    with pytest.raises(ImportError, match="JAX finds no gpu"):
        MLP((2,)).to_gpu()


def test_saving_and_loading(tmp_path):
    passus.random.seed(0)
    model, x = MLP((10, 3), activation=F.relu), np.ones((2, 4), np.float32)
    y = model(x)
    path = str(tmp_path / "my_mlp.npz")
    model.save_weights(path)
    other = MLP((10, 3), activation=F.relu)
    other.load_weights(path)
    np.testing.assert_array_equal(other(x).data, y.data)


def test_dropout():
    passus.random.seed(0)
    x = np.ones(1000, np.float32)
    y = F.dropout(Variable(x), 0.4)
    assert y.dtype == np.float32
    assert set(np.unique(y.data)) == {np.float32(0.0), np.float32(1 / 0.6)}
    with passus.test_mode():
        np.testing.assert_array_equal(F.dropout(Variable(x), 0.4).data, x)


# Steps 55 to 57: convolution.


def test_output_sizes_of_convolution():
    (H, W), (KH, KW), (SH, SW), (PH, PW) = (4, 4), (3, 3), pair(1), pair(1)
    assert (get_conv_outsize(H, KH, SH, PH), get_conv_outsize(W, KW, SW, PW)) == (4, 4)


@pytest.mark.parametrize("batch", [1, 10])
def test_im2col_returns_patches_as_rows(batch):
    x = np.random.default_rng(0).random((batch, 3, 7, 7))
    rows = F.im2col(x, kernel_size=5, stride=1, pad=0, to_matrix=True)
    assert rows.shape == (9 * batch, 75)
    np.testing.assert_array_equal(rows[0], x[0, :, :5, :5].ravel())
    assert F.im2col(Variable(x), 5, to_matrix=False).shape == (batch, 3, 5, 5, 3, 3)


@pytest.mark.parametrize("conv2d", [F.conv2d_simple, F.conv2d])
def test_convolution(conv2d):
    rng = np.random.default_rng(0)
    x, W = Variable(rng.standard_normal((1, 5, 15, 15))), Variable(rng.standard_normal((8, 5, 3, 3)))
    y = conv2d(x, W, b=None, stride=1, pad=1)
    y.backward()
    assert y.shape == (1, 8, 15, 15)
    assert x.grad.shape == x.shape
    np.testing.assert_allclose(x.grad.data[0, :, 7, 7], W.data.sum(axis=(0, 2, 3)))


def test_convolutional_network_learns():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.conv1 = L.Conv2d(4, kernel_size=3, stride=2, pad=1)
            self.conv2 = L.Conv2d(6, kernel_size=3, stride=2, pad=1)
            self.fc = L.Linear(3)

        def forward(self, x):
            x = F.relu(self.conv2(F.relu(self.conv1(x))))
            return self.fc(F.reshape(x, (x.shape[0], -1)))

    passus.random.seed(0)
    model, x, t = Net(), np.random.default_rng(0).random((8, 1, 8, 8), np.float32), np.arange(8) % 3
    optimizer = optimizers.Adam(0.01).setup(model)
    losses = []
    for _ in range(60):
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(float(loss.data))
    assert losses[-1] < 0.1 * losses[0]

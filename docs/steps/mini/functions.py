import numpy as np

from mini.core import Config, Function, as_variable, broadcast_to, get_item, matmul, reshape, sum, sum_to, transpose


class Square(Function):
    def forward(self, x):
        return x**2

    def backward(self, gy):
        return 2 * self.inputs[0] * gy


def square(x):
    return Square()(x)


class Exp(Function):
    def forward(self, x):
        return np.exp(x)

    def backward(self, gy):
        return self.outputs[0]() * gy


def exp(x):
    return Exp()(x)


class Log(Function):
    def forward(self, x):
        return np.log(x)

    def backward(self, gy):
        return gy / self.inputs[0]


def log(x):
    return Log()(x)


class Sin(Function):
    def forward(self, x):
        return np.sin(x)

    def backward(self, gy):
        return gy * cos(self.inputs[0])


def sin(x):
    return Sin()(x)


class Cos(Function):
    def forward(self, x):
        return np.cos(x)

    def backward(self, gy):
        return gy * -sin(self.inputs[0])


def cos(x):
    return Cos()(x)


class Tanh(Function):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, gy):
        y = self.outputs[0]()
        return gy * (1 - y * y)


def tanh(x):
    return Tanh()(x)


class Max(Function):
    def __init__(self, axis, keepdims):
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x):
        return x.max(axis=self.axis, keepdims=self.keepdims)

    def backward(self, gy):
        x = self.inputs[0].data
        top = x.max(axis=self.axis, keepdims=True)
        largest = x == top
        share = largest / largest.sum(axis=self.axis, keepdims=True)
        return reshape(gy, top.shape) * share.astype(x.dtype)


def max(x, axis=None, keepdims=False):
    return Max(axis, keepdims)(x)


def mean(x, axis=None):
    x = as_variable(x)
    total = sum(x, axis)
    return total * (total.size / x.size)


def mean_squared_error(y, t):
    return mean((y - t) ** 2)


class ReLU(Function):
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, gy):
        return gy * (self.inputs[0].data > 0)


def relu(x):
    return ReLU()(x)


class Sigmoid(Function):
    def forward(self, x):
        return 0.5 * np.tanh(0.5 * x) + 0.5

    def backward(self, gy):
        y = self.outputs[0]()
        return gy * y * (1 - y)


def sigmoid(x):
    return Sigmoid()(x)


def linear(x, W, b=None):
    y = matmul(x, W)
    return y if b is None else y + b


def softmax(x, axis=1):
    return exp(log_softmax(x, axis))


def log_softmax(x, axis=1):
    below = x - max(x, axis, keepdims=True)
    return below - log(sum(exp(below), axis, keepdims=True))


def softmax_cross_entropy(x, t):
    return -mean(log_softmax(x)[np.arange(len(t)), t])


def accuracy(y, t):
    return float((y.data.argmax(axis=1) == t).mean())


def dropout(x, ratio=0.5):
    x = as_variable(x)
    if not Config.train:
        return x
    kept = np.random.rand(*x.shape) >= ratio
    return x * (kept / (1 - ratio)).astype(x.dtype)


def embed_id(x, W):
    return get_item(W, x)

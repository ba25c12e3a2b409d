import numpy as np

from mini.convolution import conv2d
from mini.core import Parameter
from mini.functions import linear, sigmoid, tanh


class Layer:
    def __call__(self, *inputs):
        return self.forward(*inputs)

    def named_params(self):
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value
            elif isinstance(value, Layer):
                yield from [(f"{name}.{path}", p) for path, p in value.named_params()]

    def params(self):
        return [p for _, p in self.named_params()]

    def save_weights(self, path):
        np.savez(path, **{name: p.data for name, p in self.named_params() if p.data is not None})

    def load_weights(self, path):
        with np.load(path) as file:
            for name, p in self.named_params():
                p.data = file[name]

    def cleargrads(self):
        for p in self.params():
            p.cleargrad()


class Linear(Layer):
    def __init__(self, out_size, in_size=None):
        self.out_size = out_size
        self.W = Parameter(None)
        self.b = Parameter(np.zeros(out_size, np.float32))
        if in_size is not None:
            self.init_W(in_size)

    def init_W(self, in_size):
        W = np.random.randn(in_size, self.out_size) / np.sqrt(in_size)
        self.W.data = W.astype(np.float32)

    def forward(self, x):
        if self.W.data is None:
            self.init_W(x.shape[1])
        return linear(x, self.W, self.b)


class Conv2d(Layer):
    def __init__(self, out_channels, kernel_size, stride=1, pad=0):
        self.out_channels, self.kernel_size, self.stride, self.pad = out_channels, kernel_size, stride, pad
        self.W = Parameter(None)
        self.b = Parameter(np.zeros(out_channels, np.float32))

    def forward(self, x):
        if self.W.data is None:
            K, C = self.kernel_size, x.shape[1]
            W = np.random.randn(self.out_channels, C, K, K) / np.sqrt(C * K * K)
            self.W.data = W.astype(np.float32)
        return conv2d(x, self.W, self.b, self.stride, self.pad)


class RNN(Layer):
    def __init__(self, hidden_size):
        self.x2h, self.h2h = Linear(hidden_size), Linear(hidden_size)
        self.reset_state()

    def reset_state(self):
        self.h = None

    def forward(self, x):
        a = self.x2h(x)
        self.h = tanh(a if self.h is None else a + self.h2h(self.h))
        return self.h


class LSTM(Layer):
    def __init__(self, hidden_size):
        self.hidden_size = hidden_size
        self.x2h, self.h2h = Linear(4 * hidden_size), Linear(4 * hidden_size)
        self.reset_state()

    def reset_state(self):
        self.h = self.c = None

    def forward(self, x):
        H = self.hidden_size
        a = self.x2h(x)
        if self.h is not None:
            a = a + self.h2h(self.h)
        i, f, g, o = [a[:, n * H : (n + 1) * H] for n in range(4)]
        new = sigmoid(i) * tanh(g)
        self.c = new if self.c is None else sigmoid(f) * self.c + new
        self.h = sigmoid(o) * tanh(self.c)
        return self.h

import numpy as np

from mini.core import Parameter
from mini.functions import linear


class Layer:
    def __call__(self, *inputs):
        return self.forward(*inputs)

    def params(self):
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield value
            elif isinstance(value, Layer):
                yield from value.params()

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

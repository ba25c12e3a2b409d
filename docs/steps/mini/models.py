from mini.functions import sigmoid
from mini.layers import Layer, Linear


class MLP(Layer):
    def __init__(self, sizes, activation=sigmoid):
        self.activation = activation
        self.depth = len(sizes)
        for n, size in enumerate(sizes):
            setattr(self, f"l{n}", Linear(size))

    def forward(self, x):
        for n in range(self.depth):
            x = getattr(self, f"l{n}")(x)
            if n < self.depth - 1:
                x = self.activation(x)
        return x

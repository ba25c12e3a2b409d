import numpy as np


class Variable:
    def __init__(self, data):
        if data is not None and not isinstance(data, np.ndarray):
            raise TypeError(f"a Variable holds an array, not {type(data).__name__}; wrap it in np.array")
        self.data = data
        self.grad = None
        self.creator = None

    def backward(self):
        if self.grad is None:
            self.grad = np.ones_like(self.data)
        functions = [self.creator]
        while functions:
            f = functions.pop()
            x, y = f.input, f.output
            x.grad = f.backward(y.grad)
            if x.creator is not None:
                functions.append(x.creator)


class Function:
    def __call__(self, input):
        output = Variable(as_array(self.forward(input.data)))
        output.creator = self
        self.input = input
        self.output = output
        return output

    def forward(self, x):
        raise NotImplementedError

    def backward(self, gy):
        raise NotImplementedError


def as_array(x):
    return np.array(x) if np.isscalar(x) else x

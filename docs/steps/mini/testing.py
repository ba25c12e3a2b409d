import numpy as np

from mini.core import Variable


def numerical_diff(f, x, eps=1e-4):
    grad = np.zeros_like(x.data)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x.data)
        step[index] = eps
        y0 = f(Variable(np.array(x.data - step)))
        y1 = f(Variable(np.array(x.data + step)))
        grad[index] = (y1.data - y0.data).sum() / (2 * eps)
    return grad


def check_gradient(f, data):
    x = Variable(data)
    f(x).backward()
    np.testing.assert_allclose(x.grad.data, numerical_diff(f, x), rtol=1e-5, atol=1e-8)

import numpy as np

from mini.core import Variable


def numerical_diff(f, x, eps=1e-4):
    y0 = f(Variable(np.array(x.data - eps)))
    y1 = f(Variable(np.array(x.data + eps)))
    return (y1.data - y0.data) / (2 * eps)


def check_gradient(f, data):
    x = Variable(data)
    f(x).backward()
    np.testing.assert_allclose(x.grad.data, numerical_diff(f, x), rtol=1e-5, atol=1e-8)

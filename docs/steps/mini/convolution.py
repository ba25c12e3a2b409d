import numpy as np

from mini.core import Function, as_variable, get_item, reshape, transpose
from mini.functions import matmul, max


def out_size(size, kernel, stride, pad):
    return (size + 2 * pad - kernel) // stride + 1


class Pad(Function):
    def __init__(self, pad, value=0.0):
        self.pad, self.value = pad, value

    def forward(self, x):
        p = (self.pad, self.pad)
        return np.pad(x, ((0, 0), (0, 0), p, p), constant_values=self.value)

    def backward(self, gy):
        inside = slice(self.pad, -self.pad)
        return get_item(gy, (..., inside, inside))


def windows(x, kernel, stride=1, pad=0, value=0.0):
    """(N, C, H, W) to (N, C, kernel, kernel, OH, OW): at each place in a window, what all windows have there."""
    x = as_variable(x)
    if pad:
        x = Pad(pad, value)(x)
    rows, columns = [
        np.arange(kernel)[:, None] + stride * np.arange(out_size(n, kernel, stride, 0)) for n in x.shape[2:]
    ]
    return get_item(x, (..., rows[:, None, :, None], columns[None, :, None, :]))


def conv2d(x, W, b=None, stride=1, pad=0):
    out, C, K, _ = W.shape
    cols = windows(x, K, stride, pad)
    N, (OH, OW) = cols.shape[0], cols.shape[4:]
    rows = reshape(transpose(cols, (0, 4, 5, 1, 2, 3)), (N * OH * OW, C * K * K))
    y = matmul(rows, reshape(W, (out, -1)).T)
    if b is not None:
        y = y + b
    return transpose(reshape(y, (N, OH, OW, out)), (0, 3, 1, 2))


def pooling(x, kernel, stride=1, pad=0):
    return max(windows(x, kernel, stride, pad, -np.inf), axis=(2, 3))

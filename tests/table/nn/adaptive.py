from itertools import product
from math import ceil

import numpy as np

from tests.table import Row, bad, case, normal
from tests.table.arrays.extremes import distinct
from tests.table.nn.convolution import each
from tests.table.nn.pools import IMAGES


def windows(shape, outsize):
    """Yields each position of the result and the slices of its window."""
    spans = [
        [slice(i * n // out, ceil((i + 1) * n / out)) for i in range(out)]
        for n, out in zip(shape[2:], each(outsize, len(shape) - 2))
    ]
    yield from zip(product(*[range(len(s)) for s in spans]), product(*spans))


def averages(x, outsize):
    y = np.zeros((*x.shape[:2], *each(outsize, x.ndim - 2)))
    for at, window in windows(x.shape, outsize):
        y[:, :, *at] = x[:, :, *window].mean(axis=space(x))
    return y


def largest(x, outsize, return_indices=False):
    y = np.zeros((*x.shape[:2], *each(outsize, x.ndim - 2)))
    indices = y.astype(int)
    numbers = np.arange(np.prod(x.shape[2:])).reshape(x.shape[2:])
    for at, window in windows(x.shape, outsize):
        met = x[:, :, *window]
        y[:, :, *at] = met.max(axis=space(x))
        indices[:, :, *at] = numbers[window].ravel()[met.reshape(*x.shape[:2], numbers[window].size).argmax(axis=-1)]
    return (y, indices) if return_indices else y


def space(x):
    return tuple(range(2, x.ndim))


def raises(name):
    x = np.ones((1, 2, 3, 4))
    return (
        bad(ValueError, rf"{name}: x \(3, 4\) needs the axes", x[0, 0], 2),
        bad(ValueError, rf"{name}: x \(1, 2, 0, 4\) has no pixels", x[:, :, :0], 2),
        bad(ValueError, f"{name}: outsize is 0", x, 0),
        bad(ValueError, rf"{name}: outsize \(1, 2, 3\) must be one number", x, (1, 2, 3)),
        bad(TypeError, f"{name}: outsize is a float", x, 2.0),
        bad(TypeError, f"{name}: list is not supported", [1.0], 2),
    )


def global_raises(name):
    return (
        bad(ValueError, rf"{name}: x \(3, 4\) needs the axes", np.ones((3, 4))),
        bad(ValueError, rf"{name}: x \(1, 2, 0, 4\) has no pixels", np.ones((1, 2, 0, 4))),
        bad(TypeError, f"{name}: list is not supported", [1.0]),
    )


GLOBAL = {
    "plain": case(distinct(2, 3, 4, 5)),
    "plain, keepdims": case(distinct(2, 3, 4, 5), keepdims=True),
    "plain, signals": case(distinct(2, 3, 4)),
    "plain, volumes": case(distinct(1, 2, 3, 2, 2)),
    "plain, one pixel": case(distinct(2, 3, 1, 1)),
    "empty": case(distinct(0, 3, 4, 5)),
}

ROWS = [
    Row(
        "adaptive_average_pooling",
        averages,
        {
            "plain": case(normal(2, 3, 4, 6), 2),
            "plain, windows that overlap": case(normal(2, 2, 5, 7), (3, 4)),
            "plain, windows of unequal lengths": case(normal(1, 2, 10, 7), (4, 2)),
            "plain, larger": case(normal(1, 2, 3, 2), (7, 5)),
            "plain, as it is": case(normal(1, 2, 3, 2), (3, 2)),
            "plain, one pixel": case(normal(2, 3, 4, 5), 1),
            "plain, signals": case(normal(2, 3, 7), 3),
            "plain, volumes": case(normal(1, 2, 3, 4, 5), (2, 1, 3)),
            "empty": case(normal(0, 3, 4, 5), 3),
        },
        raises("adaptive_average_pooling"),
        IMAGES,
    ),
    Row(
        "adaptive_max_pooling",
        largest,
        {
            "plain": case(distinct(2, 3, 4, 6), 2, return_indices=True),
            "plain, windows that overlap": case(distinct(2, 2, 5, 7), (3, 4), return_indices=True),
            "plain, windows of unequal lengths": case(distinct(1, 2, 10, 7), (4, 2)),
            "plain, larger": case(distinct(1, 2, 3, 2), (7, 5)),
            "plain, as it is": case(distinct(1, 2, 3, 2), (3, 2)),
            "plain, one pixel": case(distinct(2, 3, 4, 5), 1),
            "plain, signals": case(distinct(2, 3, 7), 3),
            "plain, volumes": case(distinct(1, 2, 3, 4, 5), (2, 1, 3), return_indices=True),
            "empty": case(distinct(0, 3, 4, 5), 3, return_indices=True),
        },
        raises("adaptive_max_pooling"),
        IMAGES,
    ),
    Row(
        "global_average_pooling",
        lambda x, keepdims=False: x.mean(axis=space(x), keepdims=keepdims),
        GLOBAL,
        global_raises("global_average_pooling"),
        IMAGES,
    ),
    Row(
        "global_max_pooling",
        lambda x, keepdims=False: x.max(axis=space(x), keepdims=keepdims),
        GLOBAL,
        global_raises("global_max_pooling"),
        IMAGES,
    ),
]

from itertools import product

import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, integers, normal
from tests.table.arrays.extremes import distinct
from tests.table.nn.convolution import FIXED, each, widths

IMAGES = {**FIXED, **ONE_OPERAND}


def pixels_of_windows(shape, kernel_size, stride, pad, ceil_mode):
    """Yields the position of each window in the result and its pixels per axis: (in the image, in the padding)."""
    size, kernel, stride = shape[2:], each(kernel_size, len(shape) - 2), each(stride, len(shape) - 2)
    per_axis = []
    for n, k, s, (before, after) in zip(size, kernel, stride, widths(pad, size, kernel, stride, (1,) * len(size))):
        fits = n + after + (k - 1 if ceil_mode else 0)
        starts = [a for a in range(-before, n, s) if a + k <= fits or (ceil_mode and a + k - s < n + after)]
        spans = [range(a, min(a + k, n + after)) for a in starts]
        per_axis.append([(o, [i for i in span if 0 <= i < n], len(span)) for o, span in enumerate(spans)])
    return list(product(*per_axis))


def pixels_in(x, window):
    """The pixels of a window, (N, C, pixels)."""
    inside = [pixels for _, pixels, _ in window]
    return x[(..., *np.ix_(*inside))].reshape(*x.shape[:2], np.prod([len(pixels) for pixels in inside]))


def result_of(shape, windows):
    return np.zeros((*shape[:2], *[1 + at for at, _, _ in windows[-1]]))


def largest(x, kernel_size, stride=1, pad=0, ceil_mode=False, return_indices=False):
    windows = pixels_of_windows(x.shape, kernel_size, stride, pad, ceil_mode)
    y = result_of(x.shape, windows)
    indices = y.astype(int)
    numbers = np.broadcast_to(np.arange(np.prod(x.shape[2:])).reshape(x.shape[2:]), x.shape)
    for window in windows:
        at = (..., *[o for o, _, _ in window])
        met = pixels_in(x, window)
        y[at] = met.max(axis=-1)
        winners = met.argmax(axis=-1)[..., None]
        indices[at] = np.take_along_axis(pixels_in(numbers, window), winners, axis=-1)[..., 0]
    return (y, indices) if return_indices else y


def averages(x, kernel_size, stride=1, pad=0, ceil_mode=False, count_include_pad=True):
    windows = pixels_of_windows(x.shape, kernel_size, stride, pad, ceil_mode)
    y = result_of(x.shape, windows)
    for window in windows:
        counts = [count if count_include_pad else len(pixels) for _, pixels, count in window]
        y[(..., *[o for o, _, _ in window])] = pixels_in(x, window).sum(axis=-1) / np.prod(counts)
    return y


def placed(x, indices, outsize):
    size = each(outsize, x.ndim - 2)
    y = np.zeros((*x.shape[:2], int(np.prod(size))))
    for n, c in np.ndindex(x.shape[:2]):
        for i, number in zip(indices[n, c].ravel(), x[n, c].ravel()):
            y[n, c, i] = number
    return y.reshape(*x.shape[:2], *size)


def raises(name):
    x = np.ones((2, 3, 4, 5))
    return (
        bad(ValueError, rf"{name}: a kernel of \(5, 5\) is larger than x \(2, 3, 4, 5\).*smaller kernel", x, 5),
        bad(ValueError, rf"{name}: a kernel of \(5, 2\) is larger than", x, (5, 2), ceil_mode=True),
        bad(ValueError, rf"{name}: x \(4, 5\) needs the axes .*x\[None\]", x[0, 0], 2),
        bad(ValueError, rf"{name}: x .* needs the axes", x[None, None], 2),
        bad(ValueError, rf"{name}: padding .* must be less than the kernel \(2, 2\)", x, 2, pad=2),
        bad(ValueError, rf"{name}: padding .* must be less than the kernel", x, 2, pad=((0, 0), (0, 2))),
        bad(ValueError, f"{name}: kernel_size is 0", x, 0),
        bad(ValueError, rf"{name}: kernel_size \(1, 2, 3\) must be one number, or one for each", x, (1, 2, 3)),
        bad(ValueError, f"{name}: stride is 0", x, 2, 0),
        bad(ValueError, f"{name}: pad is -1", x, 2, pad=-1),
        bad(ValueError, f"{name}: pad must be numbers, 'same' or 'valid'", x, 2, pad="full"),
        bad(TypeError, f"{name}: kernel_size is a float", x, 2.0),
        bad(TypeError, f"{name}: list is not supported", [1.0], 2),
    )


ROWS = [
    Row(
        "pooling",
        largest,
        {
            "plain": case(distinct(2, 3, 4, 5), 2),
            "plain, stride": case(distinct(2, 3, 4, 6), 2, 2),
            "plain, stride and padding": case(distinct(2, 2, 5, 6), 3, 2, 1),
            "plain, separate options per axis": case(distinct(2, 2, 6, 5), (3, 2), (1, 2), ((2, 1), (0, 1))),
            "plain, all below zero": case(-1 - abs(distinct(1, 2, 4, 4)), 3, 1, 1),
            "plain, ceil mode": case(distinct(1, 2, 5, 6), 2, 2, ceil_mode=True),
            "plain, ceil mode, with a window that would begin in the padding": case(
                distinct(1, 1, 5, 4), 2, 3, 1, ceil_mode=True
            ),
            "plain, same": case(distinct(1, 2, 5, 4), 3, 2, "same"),
            "plain, indices": case(distinct(2, 2, 5, 6), (3, 2), 2, 1, return_indices=True),
            "plain, one pixel each": case(distinct(1, 2, 3, 3), 1),
            "plain, the whole image": case(distinct(2, 2, 3, 4), (3, 4)),
            "plain, signals": case(distinct(2, 3, 7), 3, 2, 1, return_indices=True),
            "plain, volumes": case(distinct(1, 2, 3, 4, 3), 2, (1, 2, 1), return_indices=True),
            "empty": case(distinct(0, 3, 4, 4), 2, return_indices=True),
            "empty, no channels": case(distinct(2, 0, 4, 4), 3, 2, 1),
        },
        raises("pooling"),
        IMAGES,
    ),
    Row(
        "average_pooling",
        averages,
        {
            "plain": case(normal(2, 3, 4, 5), 2),
            "plain, stride and padding": case(normal(2, 2, 5, 6), 3, 2, 1),
            "plain, padding not counted": case(normal(2, 2, 5, 6), 3, 2, 1, count_include_pad=False),
            "plain, separate options per axis": case(normal(2, 2, 6, 5), (3, 2), (1, 2), ((2, 1), (0, 1))),
            "plain, ceil mode": case(normal(1, 2, 5, 6), (2, 4), (2, 3), (0, 1), ceil_mode=True),
            "plain, ceil mode, padding not counted": case(
                normal(1, 2, 5, 6), (2, 4), (2, 3), (1, 2), ceil_mode=True, count_include_pad=False
            ),
            "plain, same": case(normal(1, 2, 5, 4), 3, 2, "same", count_include_pad=False),
            "plain, one pixel each": case(normal(1, 2, 3, 3), 1),
            "plain, signals": case(normal(2, 3, 7), 3, 2, 1),
            "plain, volumes": case(normal(1, 2, 3, 4, 3), 2, (1, 2, 1)),
            "empty": case(normal(0, 3, 4, 4), 2),
        },
        raises("average_pooling"),
        IMAGES,
    ),
    Row(
        "unpooling",
        placed,
        {
            "plain": case(normal(2, 3, 2, 2), integers(20, 2, 3, 2, 2), (4, 5)),
            "plain, the same index several times": case(normal(1, 2, 3, 3), integers(4, 1, 2, 3, 3), 2),
            "plain, signals": case(normal(2, 3, 2), integers(5, 2, 3, 2), 5),
            "plain, volumes": case(normal(1, 2, 1, 2, 2), integers(24, 1, 2, 1, 2, 2), (2, 3, 4)),
            "empty": case(normal(0, 3, 2, 2), integers(16, 0, 3, 2, 2), 4),
        },
        (
            bad(ValueError, r"unpooling: indices \(2,\) must have the shape of x", np.ones((1, 1, 3)), np.arange(2), 3),
            bad(
                IndexError,
                "unpooling: index 3 is out of range: the 3 pixels are 0 to 2",
                np.ones((1, 1, 1)),
                np.full((1, 1, 1), 3),
                3,
            ),
            bad(TypeError, "unpooling: index values must be integers", np.ones((1, 1, 1)), np.ones((1, 1, 1)), 3),
            bad(ValueError, "unpooling: outsize is 0", np.ones((1, 1, 1)), np.zeros((1, 1, 1), int), 0),
            bad(ValueError, "unpooling: x .* needs the axes", np.ones(3), np.arange(3), 3),
            bad(TypeError, "unpooling: list is not supported", [1.0], np.arange(3), 3),
        ),
        IMAGES,
    ),
]

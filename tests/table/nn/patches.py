import numpy as np

from tests.table import ONE_OPERAND, Row, bad, case, normal
from tests.table.nn.convolution import FIXED, each, pixels_of_kernel, widths


def geometry(shape, kernel_size, stride, pad, dilation):
    axes = len(shape) - 2
    kernel, stride, dilation = each(kernel_size, axes), each(stride, axes), each(dilation, axes)
    around = [(0, 0), (0, 0), *widths(pad, shape[2:], kernel, stride, dilation)]
    wide = [before + n + after for n, (before, after) in zip(shape, around)]
    out = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(wide[2:], kernel, stride, dilation))
    return kernel, out, around, list(pixels_of_kernel(kernel, stride, dilation, out))


def to_patches(x, kernel_size, stride=1, pad=0, to_matrix=True, dilation=1):
    kernel, out, around, met = geometry(x.shape, kernel_size, stride, pad, dilation)
    x = np.pad(x, around)
    columns = np.zeros((*x.shape[:2], *kernel, *out))
    for k, o, pixel in met:
        columns[:, :, *k, *o] = x[:, :, *pixel]
    if not to_matrix:
        return columns
    rows = np.moveaxis(columns, range(-len(out), 0), range(1, 1 + len(out)))
    return rows.reshape(len(x) * np.prod(out), x.shape[1] * np.prod(kernel))


def to_images(columns, input_shape, kernel_size, stride=1, pad=0, to_matrix=True, dilation=1):
    kernel, out, around, met = geometry(input_shape, kernel_size, stride, pad, dilation)
    if to_matrix:
        columns = columns.reshape(input_shape[0], *out, input_shape[1], *kernel)
        columns = np.moveaxis(columns, range(1, 1 + len(out)), range(-len(out), 0))
    x = np.zeros([before + n + after for n, (before, after) in zip(input_shape, around)])
    for k, o, pixel in met:
        x[:, :, *pixel] += columns[:, :, *k, *o]
    return x[tuple(slice(before, before + n) for n, (before, _) in zip(input_shape, around))]


ROWS = [
    Row(
        "im2col",
        to_patches,
        {
            "plain": case(normal(2, 3, 4, 5), 3),
            "plain, stride and padding": case(normal(2, 2, 5, 4), (3, 2), 2, 1),
            "plain, no matrix": case(normal(2, 2, 4, 4), (2, 3), (1, 2), (1, 0), False),
            "plain, dilation": case(normal(1, 2, 5, 5), 2, pad=((0, 1), (2, 0)), dilation=(3, 1)),
            "plain, same": case(normal(1, 1, 5, 4), 3, stride=2, pad="same"),
            "plain, signals": case(normal(2, 3, 6), 3, 2),
            "plain, volumes, no matrix": case(normal(1, 2, 3, 4, 3), 2, to_matrix=False),
            "empty": case(normal(0, 3, 4, 4), 3),
        },
        (
            bad(ValueError, r"im2col: a kernel of \(3, 3\) is larger than x \(1, 1, 2, 4\)", np.ones((1, 1, 2, 4)), 3),
            bad(ValueError, r"im2col: images \(3, 3\) need the axes", np.ones((3, 3)), 3),
            bad(ValueError, "im2col: kernel_size is 0", np.ones((1, 1, 2, 4)), 0),
            bad(ValueError, r"im2col: kernel_size \(1, 2, 3\)", np.ones((1, 1, 2, 4)), (1, 2, 3)),
            bad(TypeError, "im2col: list is not supported", [1.0], 3),
        ),
        {**FIXED, **ONE_OPERAND},
    ),
    Row(
        "col2im",
        to_images,
        {
            "plain": case(normal(12, 27), (2, 3, 4, 5), 3),
            "plain, stride and padding": case(normal(18, 12), (2, 2, 5, 4), (3, 2), 2, 1),
            "plain, no matrix": case(normal(2, 2, 2, 3, 5, 1), (2, 2, 4, 4), (2, 3), (1, 2), (1, 0), False),
            "plain, dilation": case(normal(18, 8), (1, 2, 5, 5), 2, pad=((0, 1), (2, 0)), dilation=(3, 1)),
            "plain, signals": case(normal(4, 9), (2, 3, 6), 3, 2),
            "plain, volumes, no matrix": case(normal(1, 2, 2, 2, 2, 2, 3, 2), (1, 2, 3, 4, 3), 2, to_matrix=False),
            "empty": case(normal(0, 27), (0, 3, 4, 4), 3),
        },
        (
            bad(
                ValueError, r"col2im: patches \(4, 9\) .* \(1, 2, 4, 4\).* \(4, 18\)", np.ones((4, 9)), (1, 2, 4, 4), 3
            ),
            bad(ValueError, r"col2im: images \(3, 3\) need the axes", np.ones((4, 9)), (3, 3), 3),
            bad(ValueError, r"col2im: a kernel of \(3, 3\) is larger than", np.ones((4, 9)), (1, 1, 2, 4), 3),
            bad(TypeError, "col2im: list is not supported", [1.0], (1, 1, 4, 4), 3),
        ),
        {**FIXED, **ONE_OPERAND},
    ),
]

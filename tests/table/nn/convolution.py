from itertools import product

import numpy as np

from tests.table import NO_AXIS, Row, bad, case, normal

BORDER = {1: "the gradient for W sums products with the zeros of the padding"}
FIXED = {**NO_AXIS, "0-d": "it takes images", "broadcast": "mismatched shapes raise"}

AROUND = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def each(value, axes):
    return tuple(value) if isinstance(value, tuple) else (value,) * axes


def widths(pad, size, kernel, stride, dilation):
    """(before, after) for each spatial axis."""
    if pad == "valid":
        return [(0, 0)] * len(size)
    if pad == "same":
        out = [-(-n // s) for n, s in zip(size, stride)]
        spare = [
            max(0, (o - 1) * s + d * (k - 1) + 1 - n) for n, o, s, k, d in zip(size, out, stride, kernel, dilation)
        ]
        return [(n // 2, n - n // 2) for n in spare]
    return [p if isinstance(p, tuple) else (p, p) for p in each(pad, len(size))]


def pixels_of_kernel(kernel, stride, dilation, out):
    """Yields kernel position, output position, and the corresponding pixel of the padded image."""
    for k in product(*map(range, kernel)):
        for o in product(*map(range, out)):
            yield k, o, tuple(s * q + d * i for q, i, s, d in zip(o, k, stride, dilation))


def convolution(x, W, b=None, stride=1, pad=0, dilation=1, groups=1, pad_mode="zeros"):
    kernel = W.shape[2:]
    stride, dilation = each(stride, len(kernel)), each(dilation, len(kernel))
    around = widths(pad, x.shape[2:], kernel, stride, dilation)
    x = np.pad(x, ((0, 0), (0, 0), *around), mode=AROUND[pad_mode])
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation)]
    y = np.zeros((len(x), len(W), *out))
    for group in range(groups):
        inputs, outputs = (np.arange(n // groups) + group * (n // groups) for n in (x.shape[1], len(W)))
        for k, o, pixel in pixels_of_kernel(kernel, stride, dilation, out):
            y[:, outputs, *o] += x[:, inputs, *pixel] @ W[outputs, :, *k].T
    return y if b is None else y + b.reshape(-1, *[1] * len(kernel))


def transposed(x, W, b=None, stride=1, pad=0, outsize=None, dilation=1, groups=1):
    kernel, out = W.shape[2:], x.shape[2:]
    stride, dilation = each(stride, len(kernel)), each(dilation, len(kernel))
    full = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(out, kernel, stride, dilation)]
    size = [n * s for n, s in zip(out, stride)] if outsize is None else each(outsize, len(kernel))
    around = widths(pad, size, kernel, stride, dilation)
    if outsize is None and pad != "same":
        size = [n - before - after for n, (before, after) in zip(full, around)]
    wide = [max(before + n + after, m) for n, (before, after), m in zip(size, around, full)]
    y = np.zeros((len(x), W.shape[1] * groups, *wide))
    for group in range(groups):
        inputs, outputs = (np.arange(n // groups) + group * (n // groups) for n in (x.shape[1], y.shape[1]))
        for k, o, pixel in pixels_of_kernel(kernel, stride, dilation, out):
            y[:, outputs, *pixel] += x[:, inputs, *o] @ W[inputs, :, *k]
    y = y[:, :, *[slice(before, before + n) for n, (before, _) in zip(size, around)]]
    return y if b is None else y + b.reshape(-1, *[1] * len(kernel))


def image(channels, *size, batch=2):
    return normal(batch, channels, *size)


def conv_refusals(name, axes):
    x, W = np.ones((2, 4, *[5] * axes)), np.ones((6, 4, *[3] * axes))
    return (
        bad(ValueError, rf"{name}: x .* needs the axes \(N, C, .*x\[None\]", x[0], W),
        bad(ValueError, rf"{name}: x .* and W \(6, 4\)", x, np.ones((6, 4))),
        bad(ValueError, rf"{name}: W .* does not fit x \(2, 4, .* groups=1", x, W[:, :3]),
        bad(ValueError, rf"{name}: W .* does not fit x \(2, 4, .* groups=4", x, W[:, :1], groups=4),
        bad(ValueError, rf"{name}: b \(5,\) .* \(6,\)", x, W, np.ones(5)),
        bad(ValueError, rf"{name}: a kernel of \(3.* is larger than x .*more padding", x[..., :2], W),
        bad(ValueError, rf"{name}: a kernel of .*, which spans \(7.* is larger than", x, W, dilation=3),
        bad(ValueError, f"{name}: stride is 0; it must be at least 1", x, W, stride=0),
        bad(
            ValueError, rf"{name}: stride \(1, 1, 1, 1\) must be one number, or one for each", x, W, stride=(1, 1, 1, 1)
        ),
        bad(ValueError, f"{name}: dilation is 0", x, W, dilation=0),
        bad(ValueError, f"{name}: groups is 0", x, W, groups=0),
        bad(ValueError, f"{name}: pad is -1", x, W, pad=-1),
        bad(ValueError, f"{name}: pad .* must be one number, or a number or a .* for each", x, W, pad=(1, 1, 1, 1)),
        bad(ValueError, f"{name}: pad .* of an axis", x, W, pad=((1, 1, 1),) * axes),
        bad(ValueError, f"{name}: pad must be numbers, 'same' or 'valid', not 'full'", x, W, pad="full"),
        bad(TypeError, f"{name}: pad is a float", x, W, pad=0.5),
        bad(TypeError, f"{name}: list is not supported", [1.0], W),
        bad(TypeError, f"{name}: list is not supported", x, W, [1.0]),
        bad(
            ValueError,
            f"{name}: pad_mode must be one of zeros, reflect, replicate, circular, not 'mirror'",
            x,
            W,
            pad_mode="mirror",
        ),
    )


def deconv_refusals(name, axes):
    x, W = np.ones((2, 4, *[5] * axes)), np.ones((4, 6, *[3] * axes))
    return (
        bad(ValueError, rf"{name}: x .* needs the axes \(N, C, .*x\[None\]", x[0], W),
        bad(ValueError, rf"{name}: W .* does not fit x \(2, 4, .* groups=1", x, W[:3]),
        bad(ValueError, rf"{name}: W .* does not fit x \(2, 4, .* groups=3", x, W, groups=3),
        bad(ValueError, rf"{name}: b \(5,\) .* \(6,\)", x, W, np.ones(5)),
        bad(
            ValueError,
            rf"{name}: a convolution .* does not lead from images of \(9.*outsize",
            x,
            W,
            stride=2,
            outsize=9,
        ),
        bad(ValueError, rf"{name}: a convolution .*less padding", x[..., :1], W, pad=2),
        bad(ValueError, f"{name}: a convolution .* to x", x[..., :0], W),
        bad(ValueError, f"{name}: outsize is 0", x, W, outsize=0),
        bad(ValueError, f"{name}: stride is 0", x, W, stride=0),
        bad(ValueError, f"{name}: pad is -1", x, W, pad=-1),
        bad(TypeError, f"{name}: list is not supported", x, [1.0]),
    )


ROWS = [
    Row(
        "conv1d",
        convolution,
        {
            "plain": case(image(3, 7), normal(2, 3, 3), normal(2)),
            "plain, causal": case(image(2, 5), normal(3, 2, 3), pad=((2, 0),)),
            "plain, groups, stride and dilation": case(
                image(4, 9), normal(6, 2, 2), normal(6), stride=2, pad=1, dilation=2, groups=2
            ),
            "plain, reflect": case(image(2, 5), normal(3, 2, 4), pad="same", pad_mode="reflect"),
            "plain, circular": case(image(2, 5), normal(3, 2, 4), pad=7, pad_mode="circular"),
            "empty": case(image(2, 5, batch=0), normal(3, 2, 3), normal(3)),
        },
        conv_refusals("conv1d", 1),
        FIXED,
        non_finite_exempt=BORDER,
    ),
    Row(
        "conv2d",
        convolution,
        {
            "plain": case(image(3, 5, 6), normal(2, 3, 3, 3), normal(2)),
            "plain, without b": case(image(3, 5, 4), normal(2, 3, 2, 3)),
            "plain, stride": case(image(2, 6, 7), normal(3, 2, 3, 2), normal(3), 2, 1),
            "plain, separate options per axis": case(
                image(2, 7, 6), normal(3, 2, 3, 2), stride=(2, 1), pad=(0, 2), dilation=(1, 3)
            ),
            "plain, pairs": case(image(1, 4, 4), normal(2, 1, 3, 3), pad=((0, 2), (1, 0))),
            "plain, same": case(image(2, 5, 4), normal(2, 2, 4, 3), stride=2, pad="same"),
            "plain, same, with a stride wider than the kernel": case(
                image(1, 5, 5), normal(1, 1, 1, 1), stride=3, pad="same"
            ),
            "plain, valid": case(image(2, 4, 4), normal(2, 2, 3, 3), pad="valid"),
            "plain, 1x1": case(image(3, 2, 3), normal(4, 3, 1, 1), normal(4)),
            "plain, one pixel": case(image(3, 1, 1), normal(2, 3, 3, 3), pad=1),
            "plain, groups": case(image(6, 4, 4), normal(4, 3, 3, 3), normal(4), pad=1, groups=2),
            "plain, depthwise": case(image(3, 5, 4), normal(3, 1, 3, 3), normal(3), stride=2, pad=1, groups=3),
            "plain, depthwise, two outputs per channel": case(image(2, 4, 3), normal(4, 1, 2, 2), groups=2),
            "plain, reflect": case(image(2, 4, 4), normal(2, 2, 3, 3), pad=2, pad_mode="reflect"),
            "plain, replicate": case(image(2, 4, 3), normal(2, 2, 3, 3), pad=((1, 2), (0, 1)), pad_mode="replicate"),
            "plain, circular": case(image(2, 4, 3), normal(2, 2, 3, 3), pad=((1, 2), (0, 1)), pad_mode="circular"),
            "empty": case(image(2, 4, 4, batch=0), normal(3, 2, 3, 3), normal(3), pad=1),
            "empty, groups": case(image(2, 4, 4, batch=0), normal(2, 1, 3, 3), pad=1, pad_mode="reflect", groups=2),
            "empty, no channels": case(image(0, 4, 4), normal(3, 0, 3, 3), normal(3)),
            "empty, no output channels": case(image(3, 4, 4), normal(0, 3, 3, 3), normal(0)),
        },
        conv_refusals("conv2d", 2),
        FIXED,
        non_finite_exempt=BORDER,
    ),
    Row(
        "conv3d",
        convolution,
        {
            "plain": case(image(2, 3, 4, 3, batch=1), normal(2, 2, 2, 3, 2), normal(2)),
            "plain, groups, stride and dilation": case(
                image(2, 4, 5, 3), normal(2, 1, 2, 2, 1), stride=(1, 2, 1), pad=(0, 1, 1), dilation=(2, 1, 1), groups=2
            ),
            "plain, replicate": case(image(1, 2, 3, 2), normal(1, 1, 2, 2, 3), pad="same", pad_mode="replicate"),
            "plain, circular": case(image(1, 2, 3, 2), normal(1, 1, 2, 2, 3), pad="same", pad_mode="circular"),
            "empty": case(image(2, 2, 3, 2, batch=0), normal(3, 2, 2, 2, 2), normal(3)),
        },
        conv_refusals("conv3d", 3),
        FIXED,
        non_finite_exempt=BORDER,
    ),
    Row(
        "deconv1d",
        transposed,
        {
            "plain": case(image(3, 4), normal(3, 2, 3), normal(2), stride=2, pad=1),
            "plain, groups and dilation": case(image(4, 3), normal(4, 2, 3), pad=((2, 0),), dilation=2, groups=2),
            "plain, a larger outsize": case(image(2, 3), normal(2, 1, 3), normal(1), stride=3, outsize=10),
            "plain, larger by less than the dilation": case(
                image(2, 3), normal(2, 2, 2), normal(2), 2, 1, outsize=11, dilation=5
            ),
            "empty": case(image(2, 4, batch=0), normal(2, 3, 3), normal(3), stride=2),
        },
        deconv_refusals("deconv1d", 1),
        FIXED,
    ),
    Row(
        "deconv2d",
        transposed,
        {
            "plain": case(image(3, 3, 4), normal(3, 2, 3, 3), normal(2)),
            "plain, stride": case(image(2, 3, 2), normal(2, 3, 4, 3), normal(3), 2, 1),
            "plain, outsize": case(image(2, 3, 2), normal(2, 1, 3, 3), None, 2, 1, (6, 4)),
            "plain, same": case(image(2, 3, 2), normal(2, 2, 3, 4), stride=2, pad="same"),
            "plain, same, outsize": case(image(1, 3, 2), normal(1, 2, 3, 3), stride=2, pad="same", outsize=(5, 4)),
            "plain, same, with a stride wider than the kernel": case(
                image(1, 2, 2), normal(1, 1, 1, 2), stride=3, pad="same"
            ),
            "plain, groups": case(image(4, 2, 3), normal(4, 3, 2, 2), normal(6), groups=2),
            "plain, depthwise": case(image(3, 2, 3), normal(3, 1, 3, 3), stride=(2, 1), dilation=(1, 2), groups=3),
            "plain, one pixel": case(image(3, 1, 1), normal(3, 2, 2, 3), normal(2)),
            "plain, larger by less than the dilation": case(
                image(2, 3, 3), normal(2, 2, 2, 1), normal(2), (1, 2), (1, 0), (6, 7), dilation=(4, 3)
            ),
            "empty": case(image(2, 3, 3, batch=0), normal(2, 3, 3, 3), normal(3), pad=1),
        },
        deconv_refusals("deconv2d", 2),
        FIXED,
    ),
    Row(
        "deconv3d",
        transposed,
        {
            "plain": case(image(2, 2, 2, 3, batch=1), normal(2, 2, 2, 3, 2), normal(2), stride=2, pad=(0, 1, 0)),
            "plain, groups and dilation": case(image(2, 2, 3, 1), normal(2, 1, 2, 2, 1), dilation=(2, 1, 1), groups=2),
            "empty": case(image(2, 2, 3, 2, batch=0), normal(2, 1, 2, 2, 2)),
        },
        deconv_refusals("deconv3d", 3),
        FIXED,
    ),
]

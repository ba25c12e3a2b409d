import numpy as np

from tests.table import Row, bad, case, normal
from tests.table.nn.convolution import each
from tests.table.nn.pools import IMAGES


def resized(x, outsize, mode="nearest", align_corners=False):
    for axis, out in enumerate(each(outsize, x.ndim - 2), start=2):
        n = x.shape[axis]
        lines = []
        for i in range(out):
            if mode == "nearest":
                line = x.take(i * n // out, axis)
            else:
                at = i * (n - 1) / max(out - 1, 1) if align_corners else (i + 0.5) * n / out - 0.5
                at = min(max(at, 0), n - 1)
                low = int(at)
                line = x.take(low, axis) * (low + 1 - at) + x.take(min(low + 1, n - 1), axis) * (at - low)
            lines.append(line)
        x = np.stack(lines, axis)
    return x


def spread(x, factor):
    y = np.zeros((len(x), x.shape[1] // factor**2, x.shape[2] * factor, x.shape[3] * factor))
    for c, i, j in np.ndindex(y.shape[1], factor, factor):
        y[:, c, i::factor, j::factor] = x[:, (c * factor + i) * factor + j]
    return y


def gathered(x, factor):
    parts = [x[:, c, i::factor, j::factor] for c, i, j in np.ndindex(x.shape[1], factor, factor)]
    return np.stack(parts, axis=1)


ONE = np.ones((1, 1, 3, 3))

ROWS = [
    Row(
        "resize",
        resized,
        {
            "plain": case(normal(2, 3, 2, 3), 6),
            "plain, smaller": case(normal(2, 3, 5, 7), (2, 3)),
            "plain, larger and smaller": case(normal(1, 2, 3, 5), (7, 4)),
            "plain, as it is": case(normal(1, 2, 3, 4), (3, 4)),
            "plain, bilinear": case(normal(2, 3, 2, 3), (5, 6), "bilinear"),
            "plain, bilinear, smaller": case(normal(2, 2, 7, 5), (3, 1), "bilinear"),
            "plain, bilinear, corners": case(normal(1, 2, 3, 5), (7, 2), "bilinear", True),
            "plain, bilinear, corners, one pixel": case(normal(1, 2, 3, 1), (1, 4), "bilinear", True),
            "plain, signals": case(normal(2, 3, 4), 7, "bilinear"),
            "plain, volumes": case(normal(1, 2, 2, 3, 2), (3, 4, 1), "bilinear"),
            "empty": case(normal(0, 3, 2, 3), 4, "bilinear"),
            "empty, no channels": case(normal(2, 0, 2, 3), 4),
        },
        (
            bad(ValueError, r"resize: x \(3, 3\) needs the axes", ONE[0, 0], 4),
            bad(ValueError, "resize: mode must be 'nearest' or 'bilinear', not 'cubic'", ONE, 4, "cubic"),
            bad(ValueError, "resize: align_corners is for mode='bilinear'", ONE, 4, align_corners=True),
            bad(ValueError, "resize: outsize is 0", ONE, 0),
            bad(ValueError, r"resize: outsize \(1, 2, 3\) must be one number", ONE, (1, 2, 3)),
            bad(ValueError, r"resize: x \(1, 1, 0, 3\) has no pixels", ONE[:, :, :0], 4),
            bad(TypeError, "resize: outsize is a float", ONE, 4.0),
            bad(TypeError, "resize: list is not supported", [1.0], 4),
        ),
        IMAGES,
    ),
    Row(
        "pixel_shuffle",
        spread,
        {
            "plain": case(normal(2, 8, 3, 2), 2),
            "plain, by three": case(normal(1, 9, 2, 1), 3),
            "plain, by one": case(normal(1, 3, 2, 2), 1),
            "empty": case(normal(0, 4, 3, 2), 2),
        },
        (
            bad(ValueError, r"pixel_shuffle: the channels of x \(1, 1, 3, 3\) .* factor\*\*2 = 4", ONE, 2),
            bad(ValueError, "pixel_shuffle: factor is 0", ONE, 0),
            bad(ValueError, r"pixel_shuffle: x \(3, 3\) needs the axes \(N, C, H, W\);", ONE[0, 0], 2),
            bad(TypeError, "pixel_shuffle: list is not supported", [1.0], 2),
        ),
        IMAGES,
    ),
    Row(
        "pixel_unshuffle",
        gathered,
        {
            "plain": case(normal(2, 2, 4, 6), 2),
            "plain, by three": case(normal(1, 1, 6, 3), 3),
            "empty": case(normal(0, 1, 4, 2), 2),
        },
        (
            bad(ValueError, r"pixel_unshuffle: height and width of x \(1, 1, 3, 3\) .* factor=2", ONE, 2),
            bad(ValueError, "pixel_unshuffle: factor is -1", ONE, -1),
            bad(ValueError, "pixel_unshuffle: x .* needs the axes", ONE[0], 3),
            bad(TypeError, "pixel_unshuffle: list is not supported", [1.0], 2),
        ),
        IMAGES,
    ),
]

from itertools import pairwise

import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal


def split_heads(x, n_heads):
    counts = [n_heads] if isinstance(n_heads, int) else list(n_heads)
    *batch, T, C = x.shape
    D = C // sum(counts)
    y = x.reshape(*batch, T, sum(counts), D)
    bounds = np.cumsum([0, *counts])
    parts = [np.moveaxis(y[..., i:j, :], -2, -3) for i, j in pairwise(bounds)]
    return parts[0] if isinstance(n_heads, int) else tuple(parts)


def merge_heads(x):
    return np.concatenate([x[..., h, :, :] for h in range(x.shape[-3])], axis=-1)


FIXED = {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no sequence"}

ROWS = [
    Row(
        "split_heads",
        split_heads,
        {
            "plain": case(normal(2, 3, 8), 4),
            "plain, groups": case(normal(2, 3, 8), (2, 1, 1)),
            "plain, one group": case(normal(2, 3, 8), [2]),
            "plain, no batch": case(normal(3, 4), 2),
            "plain, two axes of batches": case(normal(2, 1, 3, 6), (1, 2)),
            "empty": case(normal(0, 3, 4), (1, 1)),
            "empty, no sequence": case(normal(2, 0, 4), 2),
        },
        (
            bad(ValueError, r"split_heads: x \(2, 3, 8\) .* 3 heads", np.ones((2, 3, 8)), 3),
            bad(ValueError, r"split_heads: x \(2, 3, 8\) .* 3 heads", np.ones((2, 3, 8)), (2, 1)),
            bad(ValueError, r"split_heads: x \(8,\) must be", np.ones(8), 2),
            bad(ValueError, "split_heads: n_heads is 0", np.ones((2, 8)), 0),
            bad(TypeError, "split_heads: n_heads is a float", np.ones((2, 8)), 2.0),
        ),
        FIXED,
    ),
    Row(
        "merge_heads",
        merge_heads,
        {
            "plain": case(normal(2, 4, 3, 2)),
            "plain, no batch": case(normal(2, 3, 4)),
            "plain, two axes of batches": case(normal(2, 1, 3, 4, 2)),
            "empty": case(normal(0, 2, 3, 4)),
            "empty, no sequence": case(normal(2, 3, 0, 4)),
        },
        (
            bad(ValueError, r"merge_heads: x \(3, 4\) must be", np.ones((3, 4))),
            bad(TypeError, "merge_heads: list is not supported", [[[1.0]]]),
        ),
        FIXED,
    ),
]

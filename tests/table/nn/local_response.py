import numpy as np

from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, normal


def local_response_norm(x, n=5, k=2.0, alpha=1e-4, beta=0.75):
    sums = np.zeros(x.shape)
    for c in range(x.shape[1]):
        sums[:, c] = (x[:, max(c - n // 2, 0) : c + (n - 1) // 2 + 1] ** 2).sum(axis=1)
    return x / (k + alpha * sums) ** beta


ROWS = [
    Row(
        "local_response_norm",
        local_response_norm,
        {
            "plain": case(normal(2, 7)),
            "plain, loud": case(normal(2, 7, 2, 3), alpha=0.5),
            "plain, an even number": case(normal(2, 5, 3), 4, 1.0, 0.5, 2.0),
            "plain, itself alone": case(normal(2, 3), 1, alpha=1.0),
            "plain, more than there are": case(normal(2, 3), 9, alpha=1.0),
            "plain, one channel": case(normal(2, 1, 3), alpha=1.0),
            "empty": case(normal(0, 3, 2)),
            "empty, no channels": case(normal(2, 0, 2)),
        },
        (
            bad(ValueError, r"local_response_norm: x \(3,\) needs the axes", np.ones(3)),
            bad(ValueError, "local_response_norm: n is 0", np.ones((2, 3)), 0),
            bad(ValueError, "local_response_norm: k is 0.0; it must be 0 < k", np.ones((2, 3)), k=0.0),
            bad(ValueError, "local_response_norm: alpha is -1", np.ones((2, 3)), alpha=-1),
            bad(ValueError, "local_response_norm: beta is nan", np.ones((2, 3)), beta=float("nan")),
            bad(TypeError, "local_response_norm: n is a float", np.ones((2, 3)), 2.5),
            bad(TypeError, "local_response_norm: list is not supported", [1.0]),
        ),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no channels"},
    )
]

"""A model with parameters of several shapes and layouts, its gradients, and a training loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from passus import optimizers as O
from passus.kernels.blocks import BLOCK
from tests.helpers.bare import Model

ALL = [
    O.SGD, O.MomentumSGD, O.Nesterov, O.AdaGrad, O.AdaDelta, O.RMSprop, O.Adam, O.AMSGrad, O.AdamW, O.NAdam, O.RAdam,
    O.Lion, O.LAMB,
]  # fmt: skip


def example(dtype: Any = np.float64) -> Model:
    """Parameters: one of several blocks, a small one, a 0-d one, a transposed one, an empty one."""
    rng = np.random.default_rng(0)
    model = Model(
        l1_W=rng.standard_normal((331, 100)).astype(dtype),
        l1_b=rng.standard_normal(7).astype(dtype),
        scale=np.array(1.5, dtype),
        l2_W=rng.standard_normal((5, 3)).astype(dtype),
        l2_b=np.zeros((0,), dtype),
    )
    assert model["l1.W"].size > BLOCK
    model["l2.W"].data = model["l2.W"].data.T
    return model


def gradient(x: Any, xp: Any, t: int) -> Any:
    """The gradient of a non-convex function that depends on t: an error in one step changes all later steps."""
    return 0.5 * x + xp.cos(3 * x + t)


def train(optimizer: Any, model: Model, steps: range) -> None:
    for t in steps:
        for p in model.params.values():
            p.grad = np.asarray(gradient(p.data, np, t))
        optimizer.update()


def values(model: Model) -> dict[str, np.ndarray]:
    return {path: p.data.copy() for path, p in model.params.items()}


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)

"""A function and its counterpart in PyTorch, compared on the same numbers: results, gradients, and gradients of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from passus import Variable


@pytest.fixture(scope="module")
def single_torch_thread() -> Iterator[None]:
    """Threads of torch that wait for work would slow down those of NumPy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compared(ours: Any, theirs: Any, *arrays: np.ndarray | None) -> None:
    """Compare results, first gradients, and the gradients of a function of these."""
    mine = [None if a is None else Variable(a) for a in arrays]
    his = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = ours(*mine), theirs(*his)
    assert y.shape == t.shape
    np.testing.assert_allclose(y.data, t.detach(), rtol=1e-10, atol=1e-10)
    (y**3).sum().backward(create_graph=True)
    leaves = [v for v in his if v is not None]
    gradients = torch.autograd.grad((t**3).sum(), leaves, create_graph=True)
    boxes = [v for v in mine if v is not None]
    firsts = [v.grad for v in boxes]
    for found, expected in zip(firsts, gradients):
        np.testing.assert_allclose(found.data, expected.detach(), rtol=1e-9, atol=1e-9)
    for v in boxes:
        v.cleargrad()
    sum((g**2).sum() for g in firsts).backward()
    sum((g**2).sum() for g in gradients).backward()
    for v, leaf in zip(boxes, leaves):
        expected = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad  # None: of empty batches.
        largest = max(1.0, *abs(v.grad.data).ravel()) if v.size else 1.0
        np.testing.assert_allclose(v.grad.data, expected, rtol=1e-9, atol=1e-12 * largest)

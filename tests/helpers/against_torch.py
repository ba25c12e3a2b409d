"""Comparison of a function with its counterpart in PyTorch: results, first and second gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from passus import Variable


@pytest.fixture(scope="module")
def single_torch_thread() -> Iterator[None]:
    """Idle threads of torch slow down those of NumPy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compared(function: Any, reference: Any, *arrays: np.ndarray | None) -> None:
    """Assert that results, first and second gradients agree."""
    variables = [None if a is None else Variable(a) for a in arrays]
    tensors = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = function(*variables), reference(*tensors)
    assert y.shape == t.shape
    np.testing.assert_allclose(y.data, t.detach(), rtol=1e-10, atol=1e-10)
    (y**3).sum().backward(create_graph=True)
    leaves = [v for v in tensors if v is not None]
    expected_gradients = torch.autograd.grad((t**3).sum(), leaves, create_graph=True)
    boxes = [v for v in variables if v is not None]
    gradients = [v.grad for v in boxes]
    for found, expected in zip(gradients, expected_gradients):
        np.testing.assert_allclose(found.data, expected.detach(), rtol=1e-9, atol=1e-9)
    for v in boxes:
        v.cleargrad()
    sum((g**2).sum() for g in gradients).backward()
    sum((g**2).sum() for g in expected_gradients).backward()
    for v, leaf in zip(boxes, leaves):
        expected = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad  # None for empty batches.
        largest = max(1.0, *abs(v.grad.data).ravel()) if v.size else 1.0
        np.testing.assert_allclose(v.grad.data, expected, rtol=1e-9, atol=1e-12 * largest)

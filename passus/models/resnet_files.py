"""The mapping of residual networks' array names in DeZero and PyTorch files to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from passus.backend import Array

__all__ = ["from_dezero", "from_torch", "is_dezero"]

TORCH = {
    "weight": {"conv": "W", "fc": "W", "bn": "gamma"},
    "bias": {"fc": "b", "bn": "beta"},
    "running_mean": {"bn": "avg_mean"},
    "running_var": {"bn": "avg_var"},
}
"""Our names of arrays by PyTorch's name and the kind of the layer."""


def is_dezero(arrays: Mapping[str, Array]) -> bool:
    """Whether the names are those of DeZero, whose stages hold the blocks ``a``, ``b1``, ``b2`` and so on.

    >>> is_dezero({"res2.a.conv1.W": None}), is_dezero({"res2.l0.conv1.W": None})
    (True, False)
    """
    return any(re.match(r"res\d\.a\.", name) for name in arrays)


def from_dezero(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rename the arrays of a DeZero file; the bias before ``bn1`` is merged into its mean.

    >>> list(from_dezero({"res2.a.conv1.W": 0, "res2.b3.bn2.beta": 0, "res3.a.bn4.gamma": 0}))
    ['res2.l0.conv1.W', 'res2.l3.bn2.beta', 'res3.l0.shortcut.l1.gamma']
    """
    state = {_from_dezero(name): array for name, array in arrays.items()}
    bias = state.pop("conv1.b", None)
    if bias is not None and "bn1.avg_mean" in state:
        state["bn1.avg_mean"] = state["bn1.avg_mean"] - bias
    return state


def _from_dezero(name: str) -> str:
    name = re.sub(r"^(res\d)\.a\.", r"\1.l0.", name)
    name = re.sub(r"^(res\d)\.b(\d+)\.", r"\1.l\2.", name)
    return re.sub(r"\.(conv|bn)4\.", lambda match: f".shortcut.l{int(match[1] == 'bn')}.", name)


def from_torch(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rename the arrays of a PyTorch file, in which the matrix of ``fc`` is (num_classes, I).

    >>> import numpy as np
    >>> names = ["layer1.2.bn3.weight", "layer4.0.downsample.0.weight", "layer4.0.downsample.1.bias", "fc.bias"]
    >>> list(from_torch(dict.fromkeys(names)))
    ['res2.l2.bn3.gamma', 'res5.l0.shortcut.l0.W', 'res5.l0.shortcut.l1.beta', 'fc6.b']
    """
    named = {name: a for name, a in arrays.items() if not name.endswith(".num_batches_tracked")}
    return {_from_torch(name): a.T if name == "fc.weight" else a for name, a in named.items()}


def _from_torch(name: str) -> str:
    layer, _, array = name.rpartition(".")
    kind = {"downsample.0": "conv", "downsample.1": "bn"}.get(".".join(layer.split(".")[-2:]))
    kind = kind or re.sub(r"\d", "", layer.split(".")[-1])
    ours = re.sub(r"^layer(\d)\.(\d+)\.", lambda match: f"res{int(match[1]) + 1}.l{match[2]}.", layer)
    ours = re.sub(r"downsample\.", "shortcut.l", ours).replace("fc", "fc6")
    return f"{ours}.{TORCH.get(array, {}).get(kind, array)}"

"""The loaders that are compared, as functions that read one epoch and return a checksum."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from passus import DataLoader

WORKERS = 2

Epoch = Callable[[], float]

OPTIONS: dict[str, dict[str, Any]] = {
    "alone": {},
    "threads": {"workers": WORKERS},
    "processes": {"workers": WORKERS, "processes": "forkserver"},
}


def epochs_of(dataset: Any, batch_size: int, stack: ExitStack, peers: bool = True) -> dict[str, Epoch]:
    """Return the programs by name. Their worker processes are kept until ``stack`` is closed, and between epochs."""
    loaders: dict[str, Any] = {
        name: stack.enter_context(DataLoader(dataset, batch_size, shuffle=False, **options))
        for name, options in OPTIONS.items()
    }
    if peers:
        loaders["torch"] = of_torch(dataset, batch_size)
    return {name: lambda loader=loader: checksum(loader) for name, loader in loaders.items()}


def of_torch(dataset: Any, batch_size: int) -> Any:
    """PyTorch's loader, with persistent processes that start in the same way."""
    from torch.utils.data import DataLoader as TorchLoader

    return TorchLoader(
        dataset, batch_size, num_workers=WORKERS, persistent_workers=True, multiprocessing_context="forkserver"
    )


def checksum(loader: Any) -> float:
    """Read an epoch, and a part of each batch."""
    return sum(float(np.asarray(x[0]).sum()) + float(t[-1]) for x, t in loader)

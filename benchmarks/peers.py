"""Which frameworks are compared with passus on what, and whether they can run here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from benchmarks.problems import IMAGES
from benchmarks.sequences.problems import SEQUENCES

ON_VECTORS = ("passus", "torch", "torch_compiled", "jax", "autograd")
ON_IMAGES = ("passus", "torch", "torch_channels_last", "torch_compiled", "jax")
ON_SEQUENCES = ("passus", "torch", "torch_compiled", "jax")

RIVALS = ("torch", "torch_channels_last", "torch_compiled", "jax")
"""Those that passus wants to be ahead of."""

DEZERO = "DEZERO_PYTHON"
"""The variable that names the interpreter of an environment with DeZero, which needs a NumPy of its own."""
BY_DEZERO = ("chain", "large", "lenet", "cnn", "resnet20")


def frameworks_for(problem: str) -> tuple[str, ...]:
    """What passus is without Numba is told for all networks on images, and what DeZero takes for training steps."""
    if problem in SEQUENCES:
        return ON_SEQUENCES
    dezero = ("dezero",) if problem in BY_DEZERO else ()
    if problem not in IMAGES:
        return ON_VECTORS + dezero
    return (*ON_IMAGES, "passus_numpy", *dezero)


def python_of(framework: str) -> str:
    return os.environ[DEZERO] if framework == "dezero" else sys.executable


def missing(framework: str) -> str | None:
    """Why a framework cannot run here; None if it seems it can."""
    if framework == "dezero":
        return None if os.environ.get(DEZERO) else f"{DEZERO} names no interpreter that has it"
    package = framework.partition("_")[0]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    compiler = os.environ.get("CXX", "g++")
    if framework == "torch_compiled" and shutil.which(compiler) is None:
        return f"there is no {compiler}, which torch.compile needs"
    return None

"""The frameworks that are compared with passus, by problem, and whether they can run here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from benchmarks.problems import IMAGES, POINTS, VECTORS
from benchmarks.sequences.problems import SEQUENCES

ON_MAP = ("passus", "passus_recorded", "jax")
ON_VECTORS = ("passus", "passus_recorded", "torch", "torch_compiled", "jax")
ON_IMAGES = ("passus", "passus_recorded", "torch", "torch_channels_last", "torch_compiled", "jax")
ON_SEQUENCES = ("passus", "passus_recorded", "torch", "torch_compiled", "jax")

RIVALS = ("torch", "torch_channels_last", "torch_compiled", "jax")
"""The peers that count for the targets."""

DEZERO = "DEZERO_PYTHON"
"""Environment variable: the interpreter of an environment with DeZero, which needs an older NumPy."""
DEZERO_PROBLEMS = ("chain", "large", "lenet", "cnn", "resnet20")


def frameworks_for(problem: str) -> tuple[str, ...]:
    """Return the frameworks for a problem; passus without Numba runs all networks on images, DeZero a few."""
    if problem in SEQUENCES:
        return ON_SEQUENCES
    if problem in POINTS:
        return ON_MAP
    dezero = ("dezero",) if problem in DEZERO_PROBLEMS else ()
    if problem in IMAGES:
        return (*ON_IMAGES, "passus_numpy", *dezero)
    return (*ON_VECTORS, *("autograd",) * (problem in VECTORS), *dezero)


def python_of(framework: str) -> str:
    return os.environ[DEZERO] if framework == "dezero" else sys.executable


def missing(framework: str) -> str | None:
    """Return the reason why a framework cannot run here, or None."""
    if framework == "dezero":
        return None if os.environ.get(DEZERO) else f"{DEZERO} is not set"
    package = framework.partition("_")[0]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    compiler = os.environ.get("CXX", "g++")
    if framework == "torch_compiled" and shutil.which(compiler) is None:
        return f"torch.compile needs the compiler {compiler}"
    return None

"""The command ``doctor``: whether this installation works, and what it lacks."""

from __future__ import annotations

import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import passus.functions as F
from passus.cli.machine import processor, version_of
from passus.cli.tables import columns
from passus.config import no_grad, using_config
from passus.datasets.download import cache_folder
from passus.kernels import get_num_threads, start_using
from passus.kernels.dispatch import native_module

__all__ = ["Check", "Report", "doctor"]

OK, MISSING, BROKEN = "ok", "missing", "broken"

NEEDED = {"numpy": "arrays", "safetensors": "files of weights", "tqdm": "progress bars"}
OPTIONAL = {
    "numba": "compiled kernels, several times faster than NumPy alone",
    "scikit-learn": "passus.sklearn and datasets.Digits",
    "pillow": "files of images",
    "matplotlib": "charts",
    "tokenizers": "passus.text.BPETokenizer and models.SentenceEncoder",
    "tensorboard": "TensorBoard logs",
    "torch": "the comparison in bench",
}

TOLERANCE = 1e-4
"""The accepted difference of kernel and reference, relative to the largest result."""


class Check(NamedTuple):
    """The result of a check: "ok", "missing" (optional) or "broken"."""

    name: str
    state: str
    detail: str


@dataclass(frozen=True)
class Report:
    """The results of all checks."""

    checks: list[Check]

    @property
    def status(self) -> int:
        """1 if something is broken, else 0; a missing optional package is no fault."""
        return int(any(check.state == BROKEN for check in self.checks))

    def text(self) -> str:
        """A table of the checks and a conclusion."""
        states = [check.state for check in self.checks]
        end = f"{states.count(BROKEN)} broken" if self.status else "passus works"
        return f"{columns(('check', 'state', 'detail'), self.checks)}\n{end}, {states.count(MISSING)} optional missing"

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        return {"works": not self.status, "checks": [check._asdict() for check in self.checks]}


def doctor() -> Report:
    """Run all checks."""
    return Report(
        [
            Check("Python", OK, platform.python_version()),
            Check("passus", OK, version_of("passus") or "from its source folder"),
            *[_package(name, use, BROKEN) for name, use in NEEDED.items()],
            *[_package(name, use, MISSING) for name, use in OPTIONAL.items()],
            _graphviz(),
            Check("processor", OK, processor()),
            _guarded("threads", lambda: f"{get_num_threads()}; set PASSUS_NUM_THREADS to change it"),
            _guarded("folder of downloads", partial(_writable, cache_folder), "set PASSUS_CACHE to a writable folder"),
            *_kernels(),
        ]
    )


def _package(name: str, use: str, state: str) -> Check:
    found = version_of(name)
    return Check(name, OK, found) if found else Check(name, state, f"for {use}: pip install {name}")


def _graphviz() -> Check:
    found = shutil.which("dot")
    how = "apt-get install graphviz, brew install graphviz, or winget install graphviz"
    return Check("graphviz", OK, found) if found else Check("graphviz", MISSING, f"for pictures of graphs: {how}")


def _guarded(name: str, check: Callable[[], str], fix: str = "") -> Check:
    """The result of a check that returns a detail or raises."""
    try:
        return Check(name, OK, check())
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, BROKEN, f"{reason}; {fix}" if fix else reason)


def _writable(folder: Callable[[], Path]) -> str:
    """The path of a folder. Raises OSError if no file can be written there."""
    path = folder()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    with tempfile.TemporaryFile(dir=existing):
        return str(path)


# Kernels.


def _kernels() -> Iterator[Check]:
    if version_of("numba") is None:
        return
    yield _guarded("folder of kernels", partial(_writable, _kernel_folder), "set NUMBA_CACHE_DIR to a writable folder")
    for name, computation in COMPUTATIONS.items():
        yield _guarded(f"kernel of {name}", partial(_agreement, computation))


def _kernel_folder() -> Path:
    keeping, compiling = native_module("keeping"), native_module("compiling")
    if keeping is None:
        raise RuntimeError("Numba cannot compile here")
    return Path(keeping.KernelCache(compiling.compiled).cache_path)


def _agreement(computation: Callable[[], Any]) -> str:
    """The largest difference of kernel and reference. Raises ValueError if it is too large or no kernel can be used."""
    with no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        with using_config("native", False):
            expected = _array(computation())
        with using_config("native", True):
            start_using()
            result = _array(computation())
    difference = float(np.abs(result - expected).max() / np.abs(expected).max())
    if not difference <= TOLERANCE:
        raise ValueError(f"differs from NumPy by {difference:.1e}")
    return f"agrees with NumPy within {max(difference, np.finfo(np.float32).eps):.0e}"


def _array(y: Any) -> Any:
    return np.asarray(getattr(y, "data", y), np.float64)


def _numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


COMPUTATIONS: dict[str, Callable[[], Any]] = {
    "gelu": lambda: F.gelu(_numbers(512, 512)),
    "softmax": lambda: F.softmax(_numbers(512, 512), axis=1),
    "conv2d": lambda: F.conv2d(_numbers(8, 16, 24, 24), _numbers(16, 16, 3, 3), pad=1),
}
"""Computations of which each uses a family of kernels."""

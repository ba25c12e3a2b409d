"""The problems in passus as it is without Numba."""

from __future__ import annotations

from collections.abc import Callable

import passus
from benchmarks import with_passus

Step = Callable[[], passus.Variable]


def lenet() -> Step:
    return without_kernels(with_passus.lenet())


def cnn() -> Step:
    return without_kernels(with_passus.cnn())


def resnet20() -> Step:
    return without_kernels(with_passus.resnet20())


def without_kernels(step: Step) -> Step:
    def plain() -> passus.Variable:
        with passus.using_config("native", False):
            return step()

    return plain

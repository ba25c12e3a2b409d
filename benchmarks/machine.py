"""The machine and the versions, for the heading of a report."""

from __future__ import annotations

import platform

from passus.cli.machine import processor, versions

PACKAGES = ("numpy", "numba", "torch", "jax", "autograd")


def machine() -> str:
    return f"{processor()}, {platform.system()}, Python {platform.python_version()}, {versions(PACKAGES)}"

"""The machine and the versions of packages."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["processor", "version_of", "versions"]


def version_of(package: str) -> str | None:
    """The installed version of a package; None if it is not installed.

    >>> version_of("numpy") is not None, version_of("not-a-package")
    (True, None)
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions(packages: Iterable[str]) -> str:
    """The installed versions of packages.

    >>> versions(["not-a-package"])
    'not-a-package (none)'
    """
    return ", ".join([f"{name} {version_of(name) or '(none)'}" for name in packages])


def processor() -> str:
    """The name of the processor and the number of its cores that this process may use."""
    return f"{_name()}, {len(_usable())} of {os.cpu_count()} cores"


def _usable() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

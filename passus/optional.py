"""Optional packages: imported on first use, with instructions if they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from passus.errors import DependencyError

__all__ = ["import_optional"]


def import_optional(module: str, package: str, feature: str) -> Any:
    """Import a module of an optional package.

    Raises `DependencyError` with the command that installs the package.

    >>> import_optional("math", "math", "an example").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(f"{feature} needs {package}: pip install {package}") from error

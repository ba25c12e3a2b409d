"""``__all__`` of a package whose ``__init__.py`` star-imports its modules."""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["export_names"]


def export_names(package: str) -> None:
    """Set ``__all__`` of a package to all names in it that are neither modules nor begin with an underscore.

    Called at the end of ``__init__.py``. Type checkers do not need the list: they take names from a star import as
    exported.

    >>> import passus.functions as F
    >>> "exp" in F.__all__, "arrays" in F.__all__
    (True, False)
    """
    names = vars(sys.modules[package])
    names["__all__"] = sorted(
        n for n, value in names.items() if not n.startswith("_") and not isinstance(value, ModuleType)
    )

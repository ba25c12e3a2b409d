"""``__all__`` of a package whose ``__init__.py`` star-imports its modules."""

from __future__ import annotations

import sys
import textwrap
from types import FunctionType, ModuleType

__all__ = ["describe_families", "export_names"]


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


def describe_families(package: str, hidden: type) -> None:
    """Append a table of its functions by family to the docstring of a package, and leave classes out of ``dir``.

    A family is the module that defines the functions; the first line of its docstring is its title. ``hidden``: the base
    of the classes that `dir` and `help` leave out. They stay exported.

    >>> import passus.functions as F
    >>> F.__doc__.splitlines()[-2:]
    ['Softmax and its logarithm', '    log_softmax, softmax']
    >>> "softmax" in dir(F), "Softmax" in dir(F), F.Softmax.__name__
    (True, False, 'Softmax')
    """
    names = vars(sys.modules[package])
    families: dict[str, list[str]] = {}
    for name in names["__all__"]:
        if isinstance(names[name], FunctionType):
            families.setdefault(names[name].__module__, []).append(name)
    table = [_family(sys.modules[module], functions) for module, functions in sorted(families.items())]
    names["__doc__"] = "\n\n".join([(names["__doc__"] or "").rstrip(), "The functions by family:", *table]) + "\n"
    names["__dir__"] = lambda: [
        n for n, value in names.items() if not (isinstance(value, type) and issubclass(value, hidden))
    ]


def _family(module: ModuleType, functions: list[str]) -> str:
    """The title of a family, and a line or more with its functions."""
    title = (module.__doc__ or module.__name__).partition("\n")[0].rstrip(".")
    return f"{title}\n" + textwrap.fill(", ".join(functions), 96, initial_indent="    ", subsequent_indent="    ")

"""The text of the tests: sources of the standard library."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def sources() -> Iterator[str]:
    """Sources of modules that every Python version has."""
    for name in ("argparse", "ast", "datetime", "difflib", "inspect", "textwrap"):
        path = STANDARD_LIBRARY / f"{name}.py"
        yield path.read_text("utf-8")


SOURCE = "".join(sources())

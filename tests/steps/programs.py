"""The pages of the steps, and the programs beside them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

STEPS = Path(__file__).parents[2] / "docs" / "steps"
PAGES = sorted(STEPS.glob("[0-9][0-9].md"))


def program(name: str) -> dict[str, Any]:
    """The names that a program of docs/steps defines."""
    sys.path.insert(0, str(STEPS))  # As if it ran.
    try:
        return runpy.run_path(str(STEPS / name))
    finally:
        sys.path.remove(str(STEPS))  # Otherwise each page would import the package of the last step.

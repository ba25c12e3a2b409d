"""The gallery of errors: each mistake of the catalogue in ``tests/package/mistakes``, and what passus says."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from types import ModuleType

from tests.package.mistakes import SETUP, Mistake, data, images, layers, losses, names, training

__all__ = ["pages"]

GROUPS: dict[ModuleType, tuple[str, list[Mistake]]] = {
    layers: ("Layers and models", layers.LAYERS),
    data: ("Data", data.DATA),
    losses: ("Losses", losses.LOSSES),
    training: ("Training", training.TRAINING),
    names: ("Names", names.NAMES),
    images: ("Images", images.IMAGES),
}

OPENING = """# Gallery of errors

Mistakes that users of passus and of other libraries make, and what happens: an error or a warning with a fix, or, where
no check is possible, nothing. The messages on this page are produced when it is built. Each code runs after this setup:

"""


def pages() -> dict[str, str]:
    """The page with all mistakes, by group."""
    sections = (f"## {title}\n\n" + "\n".join(map(example, found)) for title, found in GROUPS.values())
    return {"errors.md": f"{OPENING}```python\n{SETUP.strip()}\n```\n\n" + "\n".join(sections)}


def example(mistake: Mistake) -> str:
    """A mistake: its title, its code, and the message."""
    habit = "" if mistake.habit == "everyone" else f" (a habit from {mistake.habit})"
    code = f"```python\n{mistake.code.strip()}\n```\n"
    return f"**{mistake.title}**{habit}\n\n{code}\n{outcome(mistake)}\n"


def outcome(mistake: Mistake) -> str:
    if mistake.outcome == "silent":
        return f"No message. {mistake.reason}\n"
    return f"``` {{ .text .message }}\n{message(mistake.code)}\n```\n"


def message(code: str) -> str:
    """The error or warning of a code, as Python prints it."""
    namespace: dict[str, object] = {"__name__": "mistake"}
    exec(SETUP, namespace)
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(code, namespace)
        except Exception as error:
            return f"{type(error).__name__}: {error}".replace(folder, os.curdir)
    return "\n".join(f"{warning.category.__name__}: {warning.message}".replace(folder, os.curdir) for warning in caught)

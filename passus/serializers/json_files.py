"""The JSON files that lie beside weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from passus.arguments import shown
from passus.errors import WeightsError
from passus.files import FilePath
from passus.serializers.files import check_readable
from passus.unpacking import BROKEN

__all__ = ["json_object"]


def json_object(path: FilePath, what: str) -> dict[str, Any]:
    """The object in a JSON file; ``what``: what such a file is called in messages.

    Raises `WeightsError` for a file that holds none, or two values of one name; `MissingWeightsError` if there is none.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "config.json"
    >>> _ = path.write_text('{"n_layer": 2}')
    >>> json_object(path, "configuration")
    {'n_layer': 2}
    """
    check_readable(path)
    try:
        found = json.loads(Path(path).read_bytes(), object_pairs_hook=_once)
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable {what} in JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: not a readable {what} in JSON: it holds {shown(found)} and no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:100]} is in it twice")
        found[name] = value
    return found

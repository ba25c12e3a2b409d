"""JSON files that accompany weights."""

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
    """Read the object in a JSON file; ``what``: a description of the file for messages.

    Raises `WeightsError` for a file that is not an object or repeats a key; `MissingWeightsError` for a missing file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "config.json"
    >>> _ = path.write_text('{"n_layer": 2}')
    >>> json_object(path, "configuration")
    {'n_layer': 2}
    """
    check_readable(path)
    try:
        value = json.loads(Path(path).read_bytes(), object_pairs_hook=_without_duplicates)
    except BROKEN as error:
        raise WeightsError(f"{path}: not a readable {what} in JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: not a readable {what} in JSON: expected an object, not {shown(value)}")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"duplicate key {name[:100]}")
        result[name] = value
    return result

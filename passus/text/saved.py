"""Loading tokenizers from files."""

from __future__ import annotations

import json
from typing import Any

from passus.errors import DataError, PassusError
from passus.files import FilePath, checked_file
from passus.text.base import Tokenizer
from passus.text.characters import ByteTokenizer, CharTokenizer
from passus.text.pairs import BPETokenizer
from passus.unpacking import BROKEN

__all__ = ["load_tokenizer"]


def load_tokenizer(path: FilePath) -> Tokenizer:
    """Load a tokenizer from a file of `Tokenizer.save`, or from a ``tokenizer.json`` of the library ``tokenizers``.

    Raises `DataError` for a file that is missing or has another format, `DependencyError` if the library is needed but not
    installed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "characters.json"
    >>> CharTokenizer("abc").save(path)
    >>> load_tokenizer(path).encode("cab")
    array([2, 0, 1])
    """
    known = checked_file(path, DataError, DataError)
    try:
        text = known.read_bytes().decode("utf-8", "surrogatepass")
        tree = json.loads(text)
    except (*BROKEN, RecursionError) as error:
        raise DataError(f"{known}: not a saved tokenizer; it is not valid JSON ({error})") from error
    if isinstance(tree, dict) and isinstance(tree.get("model"), dict):
        return BPETokenizer.from_json(text)
    try:
        return _from_tree(tree)
    except (KeyError, TypeError, PassusError) as error:
        raise DataError(f"{known}: not a saved tokenizer ({type(error).__name__}: {error})") from error


def _from_tree(tree: Any) -> Tokenizer:
    if tree["tokenizer"] == CharTokenizer.kind:
        return CharTokenizer(tree["characters"], special=tree["special"], unknown=tree["unknown"])
    if tree["tokenizer"] == ByteTokenizer.kind:
        return ByteTokenizer(special=tree["special"])
    raise DataError(f"unknown kind {tree['tokenizer']!r}")

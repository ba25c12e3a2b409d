"""The base class of tokenizers, and checks that they share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from passus.backend import Array
from passus.core import Variable
from passus.errors import ArgumentError, DTypeError, LabelError, kind_of
from passus.files import FilePath, replacing

__all__ = ["Tokenizer", "checked_ids", "checked_special", "checked_text", "in_utf8", "with_special"]


class Tokenizer(ABC):
    """Text as integers and back: ``decode(encode(text)) == text`` for all text that can be written as UTF-8.

    A lone surrogate, half of a UTF-16 pair, cannot; only `CharTokenizer` preserves it.

    ``special``: tokens that no text contains, such as "<pad>" or "<end>". `id_of` returns their ids, `encode` never
    produces them, and `decode` omits them unless ``keep_special`` is set.

    >>> from passus.text import ByteTokenizer
    >>> tokenizer = ByteTokenizer(special=["<end>"])
    >>> ids = np.append(tokenizer.encode("é"), tokenizer.id_of("<end>"))
    >>> ids, tokenizer.decode(ids)
    (array([195, 169, 256]), 'é')
    """

    kind: ClassVar[str]
    """The value of the field "tokenizer" in saved files."""
    special: tuple[str, ...]

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of tokens; ids start at 0."""

    @abstractmethod
    def encode(self, text: str) -> Array:
        """The tokens of a text, an array (T,) of int64."""

    @abstractmethod
    def decode(self, ids: Array | Sequence[int], *, keep_special: bool = False) -> str:
        """The text of tokens (T,); ``keep_special``: include special tokens."""

    @abstractmethod
    def id_of(self, token: str) -> int:
        """The id of a token. Raises `LabelError` for an unknown token."""

    @abstractmethod
    def _as_json(self) -> Any:
        """The content of the file that `save` writes."""

    def save(self, path: FilePath) -> None:
        """Write a JSON file that `load_tokenizer` reads. Raises `PathError` if it cannot be written."""
        with replacing(path) as file:
            file.write(json.dumps(self._as_json(), ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"


def in_utf8(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by question marks.

    >>> in_utf8("a" + chr(0xD800))
    'a?'
    """
    return text.encode("utf-8", "replace").decode()


def checked_text(name: str, text: Any) -> str:
    """Return ``text``. Raises `DTypeError` if it is not a string.

    >>> checked_text("CharTokenizer", "a")
    'a'
    """
    if not isinstance(text, str):
        fix = "; decode bytes first" if isinstance(text, (bytes, bytearray)) else ""
        raise DTypeError(f"{name}: expected a str, not {kind_of(text)}{fix}")
    return text


def checked_special(name: str, special: Iterable[str]) -> tuple[str, ...]:
    """Special tokens as a tuple. Raises `ArgumentError` for an empty or repeated token.

    >>> checked_special("CharTokenizer", ["<pad>"])
    ('<pad>',)
    """
    if isinstance(special, str):
        raise DTypeError(f"{name}: special is one str; give a list of tokens, [{special!r}]")
    tokens = tuple(checked_text(f"{name}: special", token) for token in special)
    if len(set(tokens)) < len(tokens) or "" in tokens:
        raise ArgumentError(f"{name}: special tokens are {tokens}; they must be distinct and not empty")
    return tokens


def checked_ids(name: str, ids: Any, vocab_size: int) -> Array:
    """Token ids as an array (T,) of int64. Raises `DTypeError` for other types, `LabelError` for an id out of range.

    >>> checked_ids("ByteTokenizer", [104, 105], 256)
    array([104, 105])
    """
    array = np.asarray(ids.data if isinstance(ids, Variable) else ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        what = f"an array {array.shape} of {array.dtype}"
        raise DTypeError(f"{name}: expected integers (T,), not {what}; decode the rows of a batch one by one")
    if array.size and (array.min() < 0 or array.max() >= vocab_size):
        bad = array[(array < 0) | (array >= vocab_size)][0]
        raise LabelError(f"{name}: token {bad} is out of range: the {vocab_size} tokens are 0 to {vocab_size - 1}")
    return array.astype(np.int64)


def with_special(ids: Array, special: dict[int, str], plain: Any) -> str:
    """The text of token ids, some of them special; ``plain``: a function from other ids to text.

    >>> with_special(np.array([0, 5, 6]), {0: "<pad>"}, str)
    '<pad>[5 6]'
    """
    positions = np.flatnonzero(np.isin(ids, list(special)))
    pieces, start = [], 0
    for i in positions.tolist():
        pieces += [plain(ids[start:i]) if i > start else "", special[int(ids[i])]]
        start = i + 1
    return "".join([*pieces, plain(ids[start:]) if start < len(ids) else ""])

"""Tokenizers without a trained vocabulary: characters and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, final

import numpy as np

from passus.arguments import checked_flag
from passus.backend import Array
from passus.errors import ArgumentError, LabelError
from passus.text.base import Tokenizer, checked_ids, checked_special, checked_text, with_special

__all__ = ["ByteTokenizer", "CharTokenizer"]


@final
class CharTokenizer(Tokenizer):
    """One token per character, a Unicode code point; ids are assigned to special tokens first, then to ``characters``.

    ``unknown``: a special token or character that replaces characters outside the vocabulary; without it, `encode` raises
    `LabelError` for them.

    Raises `ArgumentError` for a repeated character, and for an ``unknown`` that is not a token.

    >>> tokenizer = CharTokenizer("abc", special=["<unk>"], unknown="<unk>")
    >>> tokenizer.encode("cab!")
    array([3, 1, 2, 0])
    >>> tokenizer.decode([3, 1, 2, 0], keep_special=True)
    'cab<unk>'
    """

    kind: ClassVar[str] = "characters"

    def __init__(self, characters: str, *, special: Iterable[str] = (), unknown: str | None = None) -> None:
        name = "CharTokenizer"
        self.characters = checked_text(name, characters)
        self.special = checked_special(name, special)
        codes = _codes(self.characters)
        if len(np.unique(codes)) < len(codes):
            repeated = next(c for c in self.characters if self.characters.count(c) > 1)
            raise ArgumentError(f"{name}: the character {repeated!r} is repeated; write CharTokenizer.from_text(text)")
        self._codes = codes
        first = len(self.special)
        self._ids = np.full(int(codes.max(initial=0)) + 2, -1, np.int64)  # The last entry is for all higher codes.
        self._ids[codes] = np.arange(first, first + len(codes))
        self.unknown = unknown
        if unknown is not None:
            if unknown not in self.special and (
                len(checked_text(name, unknown)) != 1 or unknown not in self.characters
            ):
                raise ArgumentError(f"{name}: unknown is {unknown!r}; give one of the characters or special tokens")
            self._ids[self._ids < 0] = self.id_of(unknown)

    @classmethod
    def from_text(cls, *texts: str, special: Iterable[str] = (), unknown: str | None = None) -> CharTokenizer:
        """A tokenizer for all characters of some texts, in sorted order.

        >>> CharTokenizer.from_text("hello").characters
        'ehlo'
        """
        codes = np.unique(
            np.concatenate([np.empty(0, "<u4"), *[np.unique(_codes(checked_text(cls.__name__, s))) for s in texts]])
        )
        return cls(_text(codes), special=special, unknown=unknown)

    @property
    def vocab_size(self) -> int:
        """The number of special tokens and characters."""
        return len(self.special) + len(self.characters)

    def encode(self, text: str) -> Array:
        """The id of each character."""
        codes = _codes(checked_text("CharTokenizer.encode", text))
        ids = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if ids.size and ids.min() < 0:
            i = int((ids < 0).argmax())
            raise LabelError(
                f"CharTokenizer: the character {text[i]!r} (U+{ord(text[i]):04X}) at {i} is not among the "
                f"{len(self.characters)} known ones; build the tokenizer from all texts, or pass unknown="
            )
        return ids

    def decode(self, ids: Array | Sequence[int], *, keep_special: bool = False) -> str:
        """The characters of token ids."""
        tokens = checked_ids("CharTokenizer.decode", ids, self.vocab_size)
        first = len(self.special)
        if checked_flag("CharTokenizer.decode", "keep_special", keep_special) and first:
            return with_special(tokens, dict(enumerate(self.special)), lambda plain: _text(self._codes[plain - first]))
        return _text(self._codes[tokens[tokens >= first] - first])

    def id_of(self, token: str) -> int:
        """The id of a character or special token."""
        if token in self.special:
            return self.special.index(token)
        i = self.characters.find(checked_text("CharTokenizer.id_of", token)) if len(token) == 1 else -1
        if i < 0:
            raise LabelError(f"CharTokenizer: {token!r} is neither a known character nor one of {self.special}")
        return len(self.special) + i

    def _as_json(self) -> Any:
        return {
            "tokenizer": self.kind,
            "characters": self.characters,
            "special": list(self.special),
            "unknown": self.unknown,
        }


@final
class ByteTokenizer(Tokenizer):
    """The UTF-8 bytes of a text, ids 0 to 255; ids of special tokens start at 256.

    Any text can be encoded. Bytes that are not valid UTF-8, as a model may sample them, decode to U+FFFD, and so do the
    three bytes of a lone surrogate.

    >>> ByteTokenizer().encode("né")
    array([110, 195, 169])
    """

    kind: ClassVar[str] = "bytes"

    def __init__(self, *, special: Iterable[str] = ()) -> None:
        self.special = checked_special("ByteTokenizer", special)

    @property
    def vocab_size(self) -> int:
        """256 plus the number of special tokens."""
        return 256 + len(self.special)

    def encode(self, text: str) -> Array:
        """The bytes."""
        data = checked_text("ByteTokenizer.encode", text).encode("utf-8", "surrogatepass")
        return np.frombuffer(data, np.uint8).astype(np.int64)

    def decode(self, ids: Array | Sequence[int], *, keep_special: bool = False) -> str:
        """The text of bytes."""
        tokens = checked_ids("ByteTokenizer.decode", ids, self.vocab_size)
        if checked_flag("ByteTokenizer.decode", "keep_special", keep_special) and self.special:
            return with_special(tokens, dict(enumerate(self.special, 256)), _from_bytes)
        return _from_bytes(tokens[tokens < 256])

    def id_of(self, token: str) -> int:
        """The id of a special token, or of a character of one byte."""
        if token in self.special:
            return 256 + self.special.index(token)
        ids = self.encode(token)
        if len(ids) != 1:
            raise LabelError(f"ByteTokenizer: {token!r} is neither one byte nor one of {self.special}")
        return int(ids[0])

    def _as_json(self) -> Any:
        return {"tokenizer": self.kind, "special": list(self.special)}


def _codes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: Array) -> str:
    text: str = codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return text


def _from_bytes(ids: Array) -> str:
    text: str = ids.astype(np.uint8).tobytes().decode("utf-8", "replace")
    return text

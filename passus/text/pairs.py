"""Byte-pair encoding, implemented by the library ``tokenizers``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, final

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.errors import ArgumentError, DataError, DTypeError, LabelError, kind_of
from passus.files import FilePath, checked_file
from passus.optional import import_optional
from passus.text.base import Tokenizer, checked_ids, checked_special, checked_text, in_utf8

__all__ = ["BPETokenizer"]


@final
class BPETokenizer(Tokenizer):
    """Frequent byte sequences as tokens: `train` learns them, `from_files` reads those of GPT-2, `load_tokenizer` any others.

    ``tokenizer``: the ``tokenizers.Tokenizer`` to wrap. A tokenizer from `train` encodes any text, and decoding restores it.
    The name of a special token inside a text, such as "<end>", is encoded as plain text: ``encode_special_tokens`` of the
    wrapped tokenizer is set.
    The library is installed with ``pip install passus[text]``; without it, the methods raise `DependencyError`.

    Source: Sennrich et al., 2016, "Neural machine translation of rare words with subword units"; over bytes: Radford et
    al., 2019, "Language models are unsupervised multitask learners".
    """

    kind: ClassVar[str] = "tokenizers"

    def __init__(self, tokenizer: Any) -> None:
        library = _library()
        if not isinstance(tokenizer, library.Tokenizer):
            raise DTypeError(
                f"BPETokenizer: expected a tokenizers.Tokenizer, not {kind_of(tokenizer)}; write BPETokenizer.train(texts, "
                "vocab_size), or load_tokenizer(path)"
            )
        self.tokenizer = tokenizer
        self.tokenizer.encode_special_tokens = True  # The library does not save this switch.
        self.special = tuple(
            [token.content for _, token in sorted(tokenizer.get_added_tokens_decoder().items()) if token.special]
        )

    @classmethod
    def train(
        cls, texts: str | Iterable[str], vocab_size: int, *, special: Iterable[str] = (), min_frequency: int = 2
    ) -> BPETokenizer:
        """Train a tokenizer: starting from 256 bytes, the most frequent pair of tokens is repeatedly merged.

        ``vocab_size``: maximum number of tokens, including special ones; ``min_frequency``: minimum number of occurrences of
        a merged pair. Raises `ArgumentError` if ``vocab_size`` is below 256 plus the number of special tokens, and for a
        special token that is an ordinary token, too.
        """
        name = "BPETokenizer.train"
        tokens = checked_special(name, special)
        vocab_size = checked_count(name, "vocab_size", vocab_size, 256 + len(tokens))
        min_frequency = checked_count(name, "min_frequency", min_frequency)
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=min_frequency,
            special_tokens=list(tokens),
            initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        corpus = [texts] if isinstance(texts, str) else texts
        tokenizer.train_from_iterator((in_utf8(checked_text(name, text)) for text in corpus), trainer)
        _check_distinct(name, tokens, tokenizer)
        return cls(tokenizer)

    @classmethod
    def from_files(cls, vocabulary: FilePath, merges: FilePath, *, special: Iterable[str] = ()) -> BPETokenizer:
        """Read a tokenizer in the format of GPT-2: ``vocab.json`` and ``merges.txt``.

        Raises `DataError` for files that are missing or have another format, `ArgumentError` for a special token that is
        an ordinary token, too.
        """
        name = "BPETokenizer.from_files"
        paths = [str(checked_file(path, DataError, DataError)) for path in (vocabulary, merges)]
        library = _library()
        try:
            model = library.models.BPE.from_file(*paths)
        except Exception as error:  # The library raises only Exception itself.
            raise DataError(f"{paths[0]}, {paths[1]}: not the vocabulary and merges of GPT-2 ({error})") from error
        tokenizer = library.Tokenizer(model)
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        tokens = checked_special(name, special)
        _check_distinct(name, tokens, tokenizer)
        tokenizer.add_special_tokens(list(tokens))
        return cls(tokenizer)

    @classmethod
    def from_json(cls, text: str) -> BPETokenizer:
        """Read a tokenizer in the JSON format of the library. Raises `DataError` for any other text."""
        library = _library()
        try:
            return cls(library.Tokenizer.from_str(text))
        except Exception as error:  # The library raises only Exception itself.
            raise DataError(f"BPETokenizer: not a saved tokenizer ({error})") from error

    @property
    def vocab_size(self) -> int:
        """The number of tokens, including special ones."""
        size: int = self.tokenizer.get_vocab_size()
        return size

    def encode(self, text: str, *, add_special: bool = False) -> Array:
        """The tokens of a text; ``add_special``: add the special tokens that the model expects, such as "[CLS]"."""
        add_special = checked_flag("BPETokenizer.encode", "add_special", add_special)
        text = in_utf8(checked_text("BPETokenizer.encode", text))
        return np.array(self.tokenizer.encode(text, add_special_tokens=add_special).ids, np.int64)

    def decode(self, ids: Array | Sequence[int], *, keep_special: bool = False) -> str:
        """The text of tokens."""
        keep_special = checked_flag("BPETokenizer.decode", "keep_special", keep_special)
        tokens = checked_ids("BPETokenizer.decode", ids, self.vocab_size)
        text: str = self.tokenizer.decode(tokens.tolist(), skip_special_tokens=not keep_special)
        return text

    def id_of(self, token: str) -> int:
        """The id of a token, in the library's spelling."""
        id_: int | None = self.tokenizer.token_to_id(checked_text("BPETokenizer.id_of", token))
        if id_ is None:
            raise LabelError(
                f"BPETokenizer: {token!r} is not among the {self.vocab_size} tokens; special tokens: {self.special}"
            )
        return id_

    def __reduce__(self) -> Any:
        return type(self), (self.tokenizer,)

    def _as_json(self) -> Any:
        return json.loads(self.tokenizer.to_str())


def _library() -> Any:
    return import_optional("tokenizers", "passus[text]", "BPETokenizer")


def _check_distinct(name: str, special: tuple[str, ...], tokenizer: Any) -> None:
    """Raise `ArgumentError` for a special token that `BPETokenizer.encode` produces, because it is a byte or a merged pair."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"] if special else ()
    ordinary = {*_library().pre_tokenizers.ByteLevel.alphabet(), *["".join(pair) for pair in merges]}
    for token in special:
        if token in ordinary:
            raise ArgumentError(
                f"{name}: the special token {token!r} is also an ordinary token, so text would produce it; choose a name that no "
                'text contains, such as "<end>"'
            )

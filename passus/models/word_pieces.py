"""The tokenizer of BERT, implemented by the library ``tokenizers``."""

from __future__ import annotations

from typing import Any

from passus.errors import DataError
from passus.files import FilePath, checked_file
from passus.optional import import_optional

__all__ = ["word_pieces"]


def word_pieces(vocabulary: FilePath, max_tokens: int, lowercase: bool = True) -> Any:
    """A WordPiece tokenizer of the library for a file ``vocab.txt``, one token per line.

    Its ``encode_batch(texts)`` adds "[CLS]" and "[SEP]" to each text, and truncates it to ``max_tokens`` in all.

    Raises `DataError` for a missing or invalid file, `DependencyError` if the library is not installed.
    """
    library = import_optional("tokenizers", "passus[text]", "SentenceEncoder with a vocabulary")
    path = checked_file(vocabulary, DataError, DataError)
    try:
        words = library.models.WordPiece.read_file(str(path))
    except Exception as error:  # The library raises only Exception itself.
        raise DataError(f"{path}: not a vocabulary of BERT ({error}); give a vocab.txt") from error
    missing = [token for token in ("[CLS]", "[SEP]", "[UNK]") if token not in words]
    if missing:
        raise DataError(f"{path}: not a vocabulary of BERT: missing {', '.join(missing)}; give a vocab.txt")
    tokenizer = library.BertWordPieceTokenizer(words, lowercase=lowercase)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer

"""The tokenizer of BERT, by the library ``tokenizers``."""

from __future__ import annotations

from typing import Any

from passus.errors import DataError
from passus.files import FilePath, check_file_is_there
from passus.optional import import_optional

__all__ = ["word_pieces"]


def word_pieces(vocabulary: FilePath, max_tokens: int, lowercase: bool = True) -> Any:
    """A tokenizer of the library for the words and parts of words in a file ``vocab.txt``, one per line.

    Its ``encode_batch(texts)`` puts "[CLS]" before each text and "[SEP]" behind it, and cuts the text so that
    ``max_tokens`` remain.

    Raises `DataError` for a file that is missing or no vocabulary, `DependencyError` if the library is not installed.
    """
    library = import_optional("tokenizers", "passus[text]", "SentenceEncoder with a vocabulary")
    path = check_file_is_there(vocabulary, DataError, DataError)
    try:
        words = library.models.WordPiece.read_file(str(path))
    except Exception as error:  # The library raises no other class.
        raise DataError(f"{path}: this is no vocabulary of BERT ({error}); give a vocab.txt") from error
    missing = [token for token in ("[CLS]", "[SEP]", "[UNK]") if token not in words]
    if missing:
        raise DataError(f"{path}: this is no vocabulary of BERT: {', '.join(missing)} not in it; give a vocab.txt")
    tokenizer = library.BertWordPieceTokenizer(words, lowercase=lowercase)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer

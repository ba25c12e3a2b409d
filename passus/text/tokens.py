"""Memory-mapped files of tokens, for corpora larger than memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, final

import numpy as np

from passus.arguments import checked_count, checked_flag
from passus.backend import Array
from passus.errors import ArgumentError, DataError, DTypeError, LabelError, kind_of
from passus.files import FilePath, checked_file, replacing
from passus.unpacking import BROKEN

__all__ = ["TokenFile", "write_tokens"]

FORMAT = "passus tokens 1"
HEADER = 512
"""Length of the header in bytes, a line of JSON padded with spaces; a multiple of the alignment of every dtype."""
DTYPES = ("<u1", "<u2", "<u4", "<u8")
PIECE = 1 << 20
"""Number of tokens converted at once."""


def write_tokens(path: FilePath, tokens: Array | Iterable[Array], vocab_size: int) -> int:
    """Write a file of tokens that `TokenFile` reads, and return the number of tokens.

    ``tokens``: an array of integers (T,), or an iterable of such arrays; a generator needs memory for only one at a time.
    Tokens are stored in the narrowest unsigned integers that can hold ``vocab_size - 1``. The file is replaced atomically.

    Raises `LabelError` for a token outside 0 to ``vocab_size - 1``, `DTypeError` for other types, `PathError` if the file
    cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "corpus.tokens"
    >>> write_tokens(path, (np.arange(n) for n in (2, 3)), vocab_size=3)
    5
    >>> TokenFile(path)[:]
    array([0, 1, 0, 1, 2], dtype=uint8)
    """
    vocab_size = checked_count("write_tokens", "vocab_size", vocab_size)
    code = next((code for code in DTYPES if vocab_size - 1 <= _largest(code)), None)
    if code is None:
        raise ArgumentError(f"write_tokens: vocab_size is {vocab_size}; tokens are limited to 64 bits")
    count, digest = 0, hashlib.sha256()
    with replacing(path) as file:
        file.write(b" " * HEADER)
        for piece in _pieces(tokens, vocab_size):
            data = piece.astype(code).tobytes()
            file.write(data)
            digest.update(data)
            count += len(piece)
        header = {
            "format": FORMAT,
            "dtype": code,
            "count": count,
            "vocab_size": vocab_size,
            "sha256": digest.hexdigest(),
        }
        file.seek(0)
        file.write(json.dumps(header).encode().ljust(HEADER - 1) + b"\n")
    return count


@final
class TokenFile:
    """The tokens of a file as an array (T,) on disk, read by ``file[i]``, ``file[i:j]`` and ``file[array]``.

    ``verify``: read the whole file once and compare its checksum. ``tokens`` is the array itself, a read-only
    ``np.memmap``; ``vocab_size`` is that of the tokenizer. Copies and unpickled objects open the file again.

    Raises `DataError` for a file that is missing, truncated or has another format.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "corpus.tokens"
    >>> _ = write_tokens(path, np.array([7, 5, 300]), vocab_size=1000)
    >>> file = TokenFile(path)
    >>> len(file), file.vocab_size, file[1:]
    (3, 1000, array([  5, 300], dtype=uint16))
    """

    def __init__(self, path: FilePath, *, verify: bool = False) -> None:
        self.path = checked_file(path, DataError, DataError)
        dtype, count, self.vocab_size, self._checksum = _read_header(self.path)
        # An empty file cannot be memory-mapped.
        self.tokens: Array = np.memmap(self.path, dtype, "r", HEADER, (count,)) if count else np.empty(0, dtype)
        if checked_flag("TokenFile", "verify", verify):
            self.verify()

    def verify(self) -> None:
        """Read the whole file. Raises `DataError` if its checksum differs."""
        digest = hashlib.sha256()
        for start in range(0, len(self.tokens), PIECE):
            digest.update(self.tokens[start : start + PIECE].tobytes())
        if digest.hexdigest() != self._checksum:
            raise DataError(f"{self.path}: the checksum of the tokens differs; write the file again")

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Any) -> Array:
        try:
            return np.asarray(self.tokens[index])[()]
        except IndexError as error:
            raise LabelError(f"TokenFile: {error}; {self.path} has {len(self)} tokens (T,)") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.tokens, dtype, copy=copy)

    def __reduce__(self) -> tuple[type[TokenFile], tuple[Path]]:
        return TokenFile, (self.path,)

    def __repr__(self) -> str:
        return f"TokenFile({str(self.path)!r}: {len(self)} tokens of {self.vocab_size})"


def _largest(code: str) -> int:
    """The largest value of an unsigned integer dtype."""
    return (1 << 8 * np.dtype(code).itemsize) - 1


def _pieces(tokens: Any, vocab_size: int) -> Iterator[Array]:
    """The tokens in checked pieces of at most ``PIECE``."""
    if isinstance(tokens, (str, bytes)) or not isinstance(tokens, Iterable):
        raise DTypeError(f"write_tokens: tokens is {kind_of(tokens)}; give one or several arrays of integers")
    for number, array in enumerate([tokens] if isinstance(tokens, (np.ndarray, TokenFile)) else tokens):
        whole = array.tokens if isinstance(array, TokenFile) else array
        if not isinstance(whole, np.ndarray) or whole.ndim != 1 or whole.dtype.kind not in "iu":
            what = f"{whole.shape} of {whole.dtype}" if isinstance(whole, np.ndarray) else kind_of(whole)
            raise DTypeError(
                f"write_tokens: array {number} is {what}; give integers (T,), as Tokenizer.encode returns them"
            )
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE]
            low, high = int(piece.min()), int(piece.max())
            if low < 0 or high >= vocab_size:
                raise LabelError(
                    f"write_tokens: token {low if low < 0 else high} of array {number} is out of range: the "
                    f"{vocab_size} tokens are 0 to {vocab_size - 1}; pass the vocab_size of the tokenizer"
                )
            yield piece


def _read_header(path: Path) -> tuple[np.dtype[Any], int, int, str]:
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(HEADER))
        size = path.stat().st_size
    except (*BROKEN, RecursionError) as error:
        raise DataError(f"{path}: not a file of tokens; write one with write_tokens") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path}: not a file of tokens; write one with write_tokens")
    code, count, vocab_size, checksum = (header.get(name) for name in ("dtype", "count", "vocab_size", "sha256"))
    if code not in DTYPES or type(count) is not int or type(vocab_size) is not int or not isinstance(checksum, str):
        raise DataError(f"{path}: its header is damaged; write the file again")
    dtype = np.dtype(code)
    if count < 0 or not 1 <= vocab_size <= _largest(code) + 1:
        raise DataError(f"{path}: its header is damaged; write the file again")
    if size != HEADER + count * dtype.itemsize:
        raise DataError(
            f"{path}: has {size} bytes, but {count} tokens of {dtype.itemsize} bytes need {HEADER + count * dtype.itemsize}; "
            "the file is truncated or was appended to. Write it again"
        )
    return dtype, count, vocab_size, checksum

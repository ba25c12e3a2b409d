"""Files of tokens: written in pieces, mapped into memory, checked."""

from __future__ import annotations

import copy
import itertools
import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus import DataLoader
from passus.errors import DataError, DTypeError, LabelError, PathError
from passus.text import CharTokenizer, RandomWindows, TokenFile, TokenWindows, write_tokens
from tests.text.corpus import SOURCE, sources


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4"), (2**32 + 1, "u8")]
)
def test_tokens_are_stored_in_the_narrowest_dtype(vocab_size: int, dtype: str, tmp_path: Path) -> None:
    tokens = np.array([0, vocab_size - 1, vocab_size // 2])
    assert write_tokens(tmp_path / "a", tokens, vocab_size) == 3
    file = TokenFile(tmp_path / "a", verify=True)
    assert (file.tokens.dtype, len(file), file.vocab_size) == (dtype, 3, vocab_size)
    np.testing.assert_array_equal(file, tokens)
    assert not file.tokens.flags.writeable
    assert (tmp_path / "a").stat().st_size == 512 + 3 * file.tokens.itemsize


def test_a_corpus_is_written_in_pieces_and_memory_mapped(tmp_path: Path) -> None:
    tokenizer, path = CharTokenizer.from_text(SOURCE), tmp_path / "corpus.tokens"
    assert write_tokens(path, (tokenizer.encode(text) for text in sources()), tokenizer.vocab_size) == len(SOURCE)
    file = TokenFile(path, verify=True)
    assert type(file.tokens) is np.memmap
    assert tokenizer.decode(file[:]) == SOURCE
    assert tokenizer.decode(file[100:120]) == SOURCE[100:120]
    assert int(file[-1]) == tokenizer.encode(SOURCE[-1])[0]
    np.testing.assert_array_equal(file[np.array([5, 2])], tokenizer.encode(SOURCE)[[5, 2]])
    # A part of it, as a separate file.
    write_tokens(tmp_path / "part", [file[: len(file) // 2]], file.vocab_size)
    assert len(TokenFile(tmp_path / "part")) == len(SOURCE) // 2
    for same in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert type(same.tokens) is np.memmap
        np.testing.assert_array_equal(same, file)
    assert len(pickle.dumps(file)) < 1000


def test_memory_use_stays_below_the_size_of_the_file(tmp_path: Path) -> None:
    path, piece = tmp_path / "large", np.arange(1 << 18) % 50_000
    tracemalloc.start()
    try:
        write_tokens(path, (piece for _ in range(40)), 50_000)
        file = TokenFile(path, verify=True)
        for x, _t in itertools.islice(DataLoader(TokenWindows(file, 256), 16, rng=0), 20):
            assert x.shape == (16, 256)
        for x, _t in itertools.islice(DataLoader(RandomWindows(file, 256, size=1000), 16, rng=0), 20):
            assert x.shape == (16, 256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(file) == 40 * len(piece)
    assert peak < path.stat().st_size / 2


def test_a_file_of_zero_tokens_is_valid(tmp_path: Path) -> None:
    assert write_tokens(tmp_path / "a", [], 5) == 0
    file = TokenFile(tmp_path / "a", verify=True)
    assert (len(file), file[:].tolist()) == (0, [])


@pytest.mark.parametrize(
    ("error", "match", "tokens"),
    [
        (LabelError, "token 5 of array 1 is out of range", [np.array([1]), np.array([0, 5])]),
        (LabelError, "token -1 of array 0 is out of range", np.array([0, -1])),
        (DTypeError, r"array 0 is \(1,\) of float64", np.zeros(1)),
        (DTypeError, r"array 0 is \(1, 1\) of int64", np.zeros((1, 1), int)),
        (DTypeError, "array 0 is an int", [1, 2]),
        (DTypeError, "tokens is a str", "abc"),
        (DTypeError, "tokens is an int", 3),
    ],
)
def test_invalid_tokens_raise_and_leave_the_old_file(
    error: type[Exception], match: str, tokens: Any, tmp_path: Path
) -> None:
    write_tokens(tmp_path / "a", np.array([3]), 5)
    with pytest.raises(error, match=match):
        write_tokens(tmp_path / "a", tokens, 5)
    assert TokenFile(tmp_path / "a")[:].tolist() == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    def pieces() -> Iterator[np.ndarray]:
        yield np.array([1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tokens(tmp_path / "a", pieces(), 5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PathError, match="no such folder"):
        write_tokens(tmp_path / "b" / "a", np.array([1]), 5)


@pytest.mark.parametrize("index", [5, -6, [0, 5], "a", 1.5, (slice(None), 0)])
def test_invalid_indices_of_a_token_file_raise(index: Any, tmp_path: Path) -> None:
    write_tokens(tmp_path / "t", np.arange(5), 9)
    with pytest.raises(LabelError, match=r"TokenFile: .*t has 5 tokens"):
        TokenFile(tmp_path / "t")[index]
    assert list(TokenFile(tmp_path / "t")) == [0, 1, 2, 3, 4]


def test_damaged_token_files_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_tokens(path, np.arange(100), 300)
    whole = path.read_bytes()
    with pytest.raises(DataError, match="no such file"):
        TokenFile(tmp_path / "b")
    for content, match in (
        (whole[:-1], "is truncated or was appended to"),
        (whole + b"\0\0", "is truncated or was appended to"),
        (whole[:100], "not a file of tokens"),
        (b"", "not a file of tokens"),
        (SOURCE.encode(), "not a file of tokens"),
        (whole.replace(b'"<u2"', b'"<f2"'), "its header is damaged"),
        (whole.replace(b"300", b"0x1"), "not a file of tokens"),
        (whole.replace(b" 100", b"-100"), "its header is damaged"),
        (whole.replace(b'"vocab_size": 300', b'"vocab_size":  -3'), "its header is damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=match):
            TokenFile(path)
    path.write_bytes(whole[:-1] + b"\x01")
    assert len(TokenFile(path)) == 100
    with pytest.raises(DataError, match="the checksum of the tokens differs"):
        TokenFile(path, verify=True)

"""Tokenizers, files of tokens, windows of them, and searches, on real text: the source of the standard library."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import sysconfig
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import passus.functions as F
import passus.layers as L
from passus import DataLoader, SeqDataLoader, Variable
from passus.errors import ArgumentError, DataError, DependencyError, DTypeError, LabelError, PathError, ShapeError
from passus.text import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    RandomWindows,
    TokenFile,
    Tokenizer,
    TokenWindows,
    beam_search,
    ctc_beam_search,
    ctc_greedy,
    load_tokenizer,
    write_tokens,
)
from tests.table.nn.ctc import ctc_loss as loss_by_all_alignments

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


def sources() -> Iterator[str]:
    """Modules of the standard library that are in every Python."""
    for name in ("argparse", "ast", "datetime", "difflib", "inspect", "textwrap"):
        path = STANDARD_LIBRARY / f"{name}.py"
        yield path.read_text("utf-8")


SOURCE = "".join(sources())


# Tokenizers.

PLAIN: list[Tokenizer] = [
    CharTokenizer.from_text(SOURCE),
    CharTokenizer.from_text(SOURCE, special=["<pad>", "<end>"]),
    ByteTokenizer(),
    ByteTokenizer(special=["<end>"]),
]


def bpe(**options: Any) -> BPETokenizer:
    pytest.importorskip("tokenizers")
    return BPETokenizer.train(sources(), 600, **options)


def check(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert (ids.dtype, ids.ndim) == (np.int64, 1)
    assert not ids.size or 0 <= ids.min() <= ids.max() < tokenizer.vocab_size
    assert tokenizer.decode(ids) == tokenizer.decode(ids, keep_special=True) == text
    assert tokenizer.decode(ids.astype(np.uint16)) == tokenizer.decode(ids.tolist()) == text


@pytest.mark.parametrize("tokenizer", PLAIN, ids=repr)
def test_source_code_is_encoded_and_decoded(tokenizer: Tokenizer) -> None:
    for text in ("", "def f(x):\n    return x\n", SOURCE):
        check(tokenizer, text)


@given(text=st.text(st.characters()))
@settings(max_examples=200, deadline=None)
def test_any_text_is_encoded_and_decoded(text: str) -> None:
    check(ByteTokenizer(), text)
    check(CharTokenizer.from_text(text, special=["<pad>"]), text)


def test_pairs_of_bytes_encode_any_text_and_make_source_code_short() -> None:
    tokenizer = bpe(special=["<end>"])
    assert (tokenizer.vocab_size, tokenizer.special, tokenizer.id_of("<end>")) == (600, ("<end>",), 0)
    for text in ("", " a\n\n\tb ", "é 漢字 🙂 \0", SOURCE):
        check(tokenizer, text)
    assert len(tokenizer.encode(SOURCE)) < len(SOURCE) / 2
    ids = np.append(tokenizer.encode("end"), 0)
    assert tokenizer.decode(ids) == "end"
    assert tokenizer.decode(ids, keep_special=True) == "end<end>"
    again = bpe(special=["<end>"])
    np.testing.assert_array_equal(again.encode(SOURCE), tokenizer.encode(SOURCE))
    assert tokenizer.decode(tokenizer.encode("\ud800")) == "?", "half of a pair cannot be written"


@pytest.mark.parametrize("tokenizer", [*PLAIN, None], ids=repr)
def test_the_name_of_a_special_token_in_a_text_is_plain_text(tokenizer: Tokenizer | None, tmp_path: Path) -> None:
    tokenizer = tokenizer or bpe(special=["<end>", "<pad>"])
    tokenizer.save(tmp_path / "t.json")
    for one in (tokenizer, load_tokenizer(tmp_path / "t.json"), pickle.loads(pickle.dumps(tokenizer))):
        text = "print('<end>')<pad>\n"
        check(one, text)
        assert not set(one.encode(text).tolist()) & {one.id_of(token) for token in one.special}


@pytest.mark.parametrize("token", ["a", "abc", "Ġabc", "Ġ"])
def test_a_special_token_that_text_produces_is_refused(token: str, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    text = 20 * "abc abc "
    with pytest.raises(ArgumentError, match=f"'{token}' is also an ordinary token"):
        BPETokenizer.train([text], 300, special=[token])
    BPETokenizer.train([text], 300).tokenizer.model.save(str(tmp_path))
    with pytest.raises(ArgumentError, match=f"from_files: .* '{token}' is also an ordinary token"):
        BPETokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt", special=[token])


def test_special_tokens_have_numbers_and_are_left_out() -> None:
    characters, of_bytes = PLAIN[1], PLAIN[3]
    assert [characters.id_of(token) for token in ("<pad>", "<end>")] == [0, 1]
    assert (of_bytes.id_of("<end>"), of_bytes.id_of("a"), of_bytes.vocab_size) == (256, 97, 257)
    ids = [0, *characters.encode("a").tolist(), 1, 0]
    assert characters.decode(ids) == "a"
    assert characters.decode(ids, keep_special=True) == "<pad>a<end><pad>"
    assert characters.id_of("a") == ids[1]
    assert of_bytes.decode([256, 195, 169, 256], keep_special=True) == "<end>é<end>"
    assert of_bytes.decode([97, 195, 98]) == "a\N{REPLACEMENT CHARACTER}b"


def test_an_unknown_character_is_named_or_replaced() -> None:
    tokenizer = CharTokenizer("abc")
    with pytest.raises(LabelError, match=r"the character 'é' \(U\+00E9\) at 2 is not among the 3 known.*unknown="):
        tokenizer.encode("abéa")
    np.testing.assert_array_equal(CharTokenizer("abc", unknown="b").encode("a🙂!"), [0, 1, 1])
    special = CharTokenizer("abc", special=["<unk>"], unknown="<unk>")
    assert special.decode(special.encode("a?"), keep_special=True) == "a<unk>"


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (DTypeError, "expected a str, not a bytes; decode bytes first", lambda: ByteTokenizer().encode(b"a")),  # type: ignore[arg-type]
        (DTypeError, "expected a str, not None", lambda: CharTokenizer("a").encode(None)),  # type: ignore[arg-type]
        (ArgumentError, "the character 'a' is repeated", lambda: CharTokenizer("aba")),
        (ArgumentError, "unknown is '!'; give one of", lambda: CharTokenizer("ab", unknown="!")),
        (ArgumentError, "special tokens are", lambda: ByteTokenizer(special=["a", "a"])),
        (DTypeError, "special is one str", lambda: ByteTokenizer(special="<pad>")),
        (LabelError, "'<end>' is neither", lambda: CharTokenizer("ab").id_of("<end>")),
        (LabelError, "'é' is neither one byte", lambda: ByteTokenizer().id_of("é")),
        (LabelError, "token 2 is out of range: the 2 tokens are 0 to 1", lambda: CharTokenizer("ab").decode([0, 2])),
        (LabelError, "token -1 is out of range", lambda: ByteTokenizer().decode([-1])),
        (
            DTypeError,
            r"an array \(1, 1\) of int64; decode the rows",
            lambda: ByteTokenizer().decode(np.zeros((1, 1), int)),
        ),
        (DTypeError, "of float64", lambda: ByteTokenizer().decode([0.5])),  # type: ignore[list-item]
        (DTypeError, "keep_special is", lambda: ByteTokenizer().decode([1], keep_special=2)),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_encoded_is_explained(error: type[Exception], match: str, call: Any) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize(
    "tokenizer",
    [*PLAIN, CharTokenizer('\ud800a\n"', special=["<u>"], unknown="<u>"), CharTokenizer("")],
    ids=lambda t: json.dumps(repr(t)),
)
def test_a_saved_tokenizer_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "t.json")
    loaded = load_tokenizer(tmp_path / "t.json")
    assert type(loaded) is type(tokenizer)
    assert loaded.__dict__.keys() == tokenizer.__dict__.keys()
    for name, value in tokenizer.__dict__.items():
        np.testing.assert_array_equal(loaded.__dict__[name], value)


def test_saved_pairs_are_the_same(tmp_path: Path) -> None:
    tokenizer = bpe(special=["<pad>", "<end>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    np.testing.assert_array_equal(loaded.encode(SOURCE), tokenizer.encode(SOURCE))
    assert (loaded.special, loaded.vocab_size) == (tokenizer.special, 600)
    # The form of GPT-2.
    model = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]), "utf-8")
    merges = "\n".join(["#version: 0.2", *[" ".join(pair) for pair in model["merges"]]])
    (tmp_path / "merges.txt").write_text(merges, "utf-8")
    gpt = BPETokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt", special=["<end>"])
    np.testing.assert_array_equal(gpt.encode(SOURCE[:5000]), tokenizer.encode(SOURCE[:5000]))
    assert gpt.special == ("<end>",)
    with pytest.raises(DataError, match=r"merges\.txt.*not the vocabulary and merges"):
        BPETokenizer.from_files(tmp_path / "merges.txt", tmp_path / "merges.txt")
    with pytest.raises(DataError, match="no such file"):
        BPETokenizer.from_files(tmp_path / "none.json", tmp_path / "merges.txt")


def test_a_tokenizer_of_any_model_is_wrapped(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hello": 3, "##s": 4}
    inner = library.Tokenizer(library.models.WordPiece(words, unk_token="[UNK]"))
    inner.pre_tokenizer, inner.decoder = library.pre_tokenizers.Whitespace(), library.decoders.WordPiece()
    inner.add_special_tokens(["[CLS]", "[SEP]"])
    inner.post_processor = library.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    BPETokenizer(inner).save(tmp_path / "t.json")
    tokenizer: Any = load_tokenizer(tmp_path / "t.json")
    assert tokenizer.encode("hellos !").tolist() == [3, 4, 0]
    assert tokenizer.encode("hellos", add_special=True).tolist() == [1, 3, 4, 2]
    assert tokenizer.decode([1, 3, 4, 2]) == "hellos"
    with pytest.raises(LabelError, match="'bye' is not among the 5 tokens"):
        tokenizer.id_of("bye")


def test_pairs_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import passus.optional

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(passus.optional.importlib, "import_module", missing)
    with pytest.raises(DependencyError, match=r"BPETokenizer needs .*pip install passus\[text\]"):
        BPETokenizer.train("a", 300)


def test_what_pairs_cannot_be_learnt_of() -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(ArgumentError, match="vocab_size"):
        BPETokenizer.train(SOURCE, 256, special=["<end>"])
    with pytest.raises(DTypeError, match="expected a str, not an int"):
        BPETokenizer.train([1], 300)  # type: ignore[list-item]
    with pytest.raises(DTypeError, match=r"expected a tokenizers\.Tokenizer, not a str"):
        BPETokenizer("gpt2")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a saved tokenizer"),
        ("{}", "not a saved tokenizer"),
        ('{"tokenizer": "words"}', "unknown kind 'words'"),
        ('{"tokenizer": "bytes", "special": 3}', "not a saved tokenizer"),
        ('{"tokenizer": "characters", "characters": "aa", "special": [], "unknown": null}', "is repeated"),
    ],
)
def test_a_file_without_tokenizer_is_refused(content: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataError, match=match):
        load_tokenizer(tmp_path / "t.json")


def test_a_damaged_file_of_the_library_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "t.json").write_text('{"model": {"type": "none"}}')
    with pytest.raises(DataError, match="not a saved tokenizer"):
        load_tokenizer(tmp_path / "t.json")


# Files of tokens.


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4"), (2**32 + 1, "u8")]
)
def test_tokens_are_stored_narrowly(vocab_size: int, dtype: str, tmp_path: Path) -> None:
    tokens = np.array([0, vocab_size - 1, vocab_size // 2])
    assert write_tokens(tmp_path / "a", tokens, vocab_size) == 3
    file = TokenFile(tmp_path / "a", verify=True)
    assert (file.tokens.dtype, len(file), file.vocab_size) == (dtype, 3, vocab_size)
    np.testing.assert_array_equal(file, tokens)
    assert not file.tokens.flags.writeable
    assert (tmp_path / "a").stat().st_size == 512 + 3 * file.tokens.itemsize


def test_a_corpus_is_written_piece_by_piece_and_read_from_the_disk(tmp_path: Path) -> None:
    tokenizer, path = CharTokenizer.from_text(SOURCE), tmp_path / "corpus.tokens"
    assert write_tokens(path, (tokenizer.encode(text) for text in sources()), tokenizer.vocab_size) == len(SOURCE)
    file = TokenFile(path, verify=True)
    assert type(file.tokens) is np.memmap
    assert tokenizer.decode(file[:]) == SOURCE
    assert tokenizer.decode(file[100:120]) == SOURCE[100:120]
    assert int(file[-1]) == tokenizer.encode(SOURCE[-1])[0]
    np.testing.assert_array_equal(file[np.array([5, 2])], tokenizer.encode(SOURCE)[[5, 2]])
    # A part of it, as a file of its own.
    write_tokens(tmp_path / "part", [file[: len(file) // 2]], file.vocab_size)
    assert len(TokenFile(tmp_path / "part")) == len(SOURCE) // 2
    for same in (pickle.loads(pickle.dumps(file)), copy.deepcopy(file)):
        assert type(same.tokens) is np.memmap
        np.testing.assert_array_equal(same, file)
    assert len(pickle.dumps(file)) < 1000


def test_a_corpus_larger_than_memory_needs_little_of_it(tmp_path: Path) -> None:
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


def test_no_tokens_are_a_file_too(tmp_path: Path) -> None:
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
def test_what_are_no_tokens_leaves_the_old_file(
    error: type[Exception], match: str, tokens: Any, tmp_path: Path
) -> None:
    write_tokens(tmp_path / "a", np.array([3]), 5)
    with pytest.raises(error, match=match):
        write_tokens(tmp_path / "a", tokens, 5)
    assert TokenFile(tmp_path / "a")[:].tolist() == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    def pieces() -> Iterator[np.ndarray]:
        yield np.array([1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tokens(tmp_path / "a", pieces(), 5)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PathError, match="no such folder"):
        write_tokens(tmp_path / "b" / "a", np.array([1]), 5)


@pytest.mark.parametrize("index", [5, -6, [0, 5], "a", 1.5, (slice(None), 0)])
def test_an_index_that_a_file_of_tokens_does_not_have(index: Any, tmp_path: Path) -> None:
    write_tokens(tmp_path / "t", np.arange(5), 9)
    with pytest.raises(LabelError, match=r"TokenFile: .*t has 5 tokens"):
        TokenFile(tmp_path / "t")[index]
    assert list(TokenFile(tmp_path / "t")) == [0, 1, 2, 3, 4]


def test_a_damaged_file_of_tokens_is_refused(tmp_path: Path) -> None:
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


# Windows.


@given(count=st.integers(2, 60), length=st.integers(1, 10), stride=st.integers(1, 12) | st.none())
def test_windows_and_what_follows(count: int, length: int, stride: int | None) -> None:
    if count <= length:
        with pytest.raises(ArgumentError, match=f"{count} tokens are fewer than the {length + 1} of one window"):
            TokenWindows(np.arange(count), length, stride)
        return
    windows = TokenWindows(np.arange(count).astype(np.uint8), length, stride)
    starts = range(0, count - length, stride or length)
    assert len(windows) == len(starts)
    for i, start in enumerate(starts):
        x, t = windows[i]
        assert (x.dtype, t.dtype) == (np.int64, np.int64)
        assert x.tolist() == list(range(start, start + length))
        assert t.tolist() == list(range(start + 1, start + length + 1))
    x, t = windows.batch(np.arange(len(windows)))
    np.testing.assert_array_equal(x[:, 0], list(starts))
    np.testing.assert_array_equal(t, x + 1)
    assert not np.shares_memory(x, t)
    np.testing.assert_array_equal(windows[-1][0], x[-1])
    with pytest.raises(LabelError, match=f"index {len(windows)} is out of range"):
        windows[len(windows)]


def test_streams_of_windows_go_on_from_batch_to_batch() -> None:
    """As truncated backpropagation needs them: row i of a batch continues row i of the batch before."""
    loader = SeqDataLoader(TokenWindows(np.arange(101), length=5), batch_size=4)
    batches = [x for x, _ in loader]
    assert (len(batches), batches[0].shape) == (5, (4, 5))
    np.testing.assert_array_equal(np.concatenate(batches, axis=1), np.arange(100).reshape(4, 25))
    for x, t in loader:
        np.testing.assert_array_equal(t, x + 1)


def test_streams_of_characters() -> None:
    tokenizer = CharTokenizer.from_text("stream")
    batches = list(SeqDataLoader(tokenizer.encode("stream" * 2), batch_size=2))
    assert [tokenizer.decode(row) for row in np.stack(batches, axis=1)] == ["stream", "stream"]


@pytest.mark.parametrize("workers", [0, 2])
def test_random_windows_go_on_exactly(workers: int, tmp_path: Path) -> None:
    write_tokens(tmp_path / "a", np.arange(1000), 1000)

    def loader() -> DataLoader:
        return DataLoader(RandomWindows(TokenFile(tmp_path / "a"), 7, size=50), 8, rng=3, workers=workers)

    first = loader()
    epochs = [[x for x, _ in first] for _ in range(2)]
    assert [len(x) for x in epochs[0]] == [8] * 6 + [2]
    assert not np.array_equal(epochs[0][0], epochs[1][0]), "each epoch has windows of its own"
    for batch in epochs[0]:
        np.testing.assert_array_equal(np.diff(batch, axis=1), 1)
    again, run = loader(), []
    for x, _ in again:
        run.append(x)
        if len(run) == 3:
            state = again.state_dict()
            break
    other = loader()
    other.load_state_dict(state)
    run += [x for x, _ in other]
    np.testing.assert_array_equal(np.concatenate(run), np.concatenate(epochs[0]))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in other]), np.concatenate(epochs[1]))


def test_random_windows_are_everywhere() -> None:
    windows = RandomWindows(np.arange(6), 4, size=200)
    x, t = windows.batch(np.arange(200))
    assert set(x[:, 0].tolist()) == {0, 1}
    assert t.max() == 5
    assert len(RandomWindows(np.arange(41), 4)) == 10
    with pytest.raises(LabelError, match="index 200 is out of range"):
        windows[200]


def test_windows_of_what_are_no_tokens() -> None:
    for tokens in (np.zeros(5), np.zeros((5, 2), int), "text", [1, 2, 3]):
        for make in (TokenWindows, RandomWindows):
            with pytest.raises(DTypeError, match=f"{make.__name__}: tokens are"):
                make(tokens, 2)  # type: ignore[arg-type]


# Searches.


def hypotheses_by_hand(
    table: np.ndarray, end: int | None, max_length: int, alpha: float
) -> list[tuple[float, list[int]]]:
    """All sequences of tokens, with their scores: ``table[k, i, j]`` is the logarithm of the probability of j behind i at k."""
    found = []

    def grow(tokens: list[int], log_p: float) -> None:
        if tokens and (tokens[-1] == end or len(tokens) == max_length):
            text = tokens[:-1] if tokens[-1] == end else tokens
            found.append((log_p / ((5 + len(tokens)) / 6) ** alpha, text))
            return
        for token in range(table.shape[-1]):
            grow([*tokens, token], log_p + table[len(tokens), tokens[-1] if tokens else 0, token])

    grow([], 0.0)
    return sorted(found, key=lambda pair: -pair[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("end", [None, 2])
def test_a_search_that_keeps_all_finds_the_best(end: int | None, alpha: float, rng: np.random.Generator) -> None:
    for _ in range(10):
        table = F.log_softmax(2 * rng.standard_normal((4, 4, 4)), axis=2)
        start = np.zeros((2, 3), int)
        found = beam_search(
            lambda ids, state, table=table: (table[ids.shape[1] - 3, ids[:, -1]], state),
            start,
            end=end,
            max_length=4,
            width=256,
            count=7,
            length_penalty=alpha,
        )
        expected = hypotheses_by_hand(table, end, 4, alpha)[:7]
        for hypotheses in found:
            assert [h.tokens.tolist() for h in hypotheses] == [tokens for _, tokens in expected]
            np.testing.assert_allclose([h.score for h in hypotheses], [score for score, _ in expected], rtol=1e-12)


def test_a_narrow_search_may_miss_what_a_wider_one_finds() -> None:
    table = np.log(np.array([[0.0001, 0.55, 0.4499], [0.34, 0.33, 0.33], [0.98, 0.01, 0.01]]))

    def search(width: int) -> list[int]:
        step = lambda ids, state: (table[ids[:, -1]], state)  # noqa: E731
        tokens: list[int] = beam_search(step, [[0]], end=0, max_length=6, width=width)[0][0].tokens.tolist()
        return tokens

    assert search(1) == [1]
    assert search(2) == [2]


def test_states_follow_their_sequences(rng: np.random.Generator) -> None:
    """A state that sums up what was generated stays that of its row, in whatever it is packed."""
    table = rng.standard_normal((5, 5))
    seen = 0

    def step(ids: np.ndarray, state: Any) -> tuple[Any, Any]:
        nonlocal seen
        sums, (parts, nothing), number = state["sums"], state["more"], state["number"]
        np.testing.assert_array_equal(sums.data + ids[:, -1], ids.sum(axis=1))
        np.testing.assert_array_equal(parts[:, 0], ids[:, 0])
        assert nothing is None
        assert number == 3
        seen += 1
        new = {"sums": Variable(sums.data + ids[:, -1]), "more": (parts, None), "number": 3}
        return Variable(table[ids[:, -1]]), new

    start = np.array([[1], [2], [3]])
    state = {"sums": Variable(np.zeros(3)), "more": (start.copy(), None), "number": 3}
    found = beam_search(step, start, end=0, max_length=8, width=3, count=3, state=state)
    assert seen > 2
    assert [len(hypotheses) for hypotheses in found] == [3, 3, 3]
    alone = beam_search(
        lambda ids, state: (table[ids[:, -1]], state), start[1:2], end=0, max_length=8, width=3, count=3
    )
    for together, single in zip(found[1], alone[0], strict=True):
        np.testing.assert_array_equal(together.tokens, single.tokens)
        assert together.score == pytest.approx(single.score)


def test_a_search_stops_when_nothing_better_can_come() -> None:
    calls = []

    def step(ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        calls.append(len(ids))
        return np.tile([5.0, 0.0, 0.0], (len(ids), 1)), state

    (best,) = beam_search(step, [[1]], end=0, max_length=1000, width=2)[0]
    assert best.tokens.tolist() == []
    assert best.finished
    assert len(calls) == 1
    (cut,) = beam_search(step, [[1]], max_length=3, width=2)[0]
    assert (cut.tokens.tolist(), cut.finished) == ([0, 0, 0], False)
    assert beam_search(step, np.zeros((0, 1), int), max_length=3) == []


def test_tokens_that_are_forbidden_are_not_found() -> None:
    def step(ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        return np.tile([-np.inf, 1.0, -np.inf], (len(ids), 1)), state

    assert [h.tokens.tolist() for h in beam_search(step, [[0]], max_length=2, width=4, count=4)[0]] == [[1, 1]]


@pytest.mark.parametrize(
    ("error", "match", "scores", "options"),
    [
        (DTypeError, r"step returned an ndarray; it must return a pair", lambda n: np.zeros((n, 3)), {}),
        (ShapeError, r"scores \(1, 2, 3\) for 1 rows.*logits\[:, -1\]", lambda n: (np.zeros((n, 2, 3)), None), {}),
        (ArgumentError, "step returned NaN", lambda n: (np.full((n, 3), np.nan), None), {}),
        (DTypeError, "cannot select rows of an object; pass reorder=", lambda n: (np.zeros((n, 3)), object()), {}),
        (ArgumentError, "count=5 exceeds width=4", lambda n: (np.zeros((n, 3)), None), {"count": 5}),
        (ShapeError, r"start \(1,\) must have the axes", lambda n: (np.zeros((n, 3)), None), {"start": [0]}),
        (DTypeError, "start must be integers", lambda n: (np.zeros((n, 3)), None), {"start": [[0.5]]}),
        (ArgumentError, "max_length", lambda n: (np.zeros((n, 3)), None), {"max_length": 0}),
    ],
)
def test_searches_that_cannot_be_made(error: type[Exception], match: str, scores: Any, options: Any) -> None:
    given: dict[str, Any] = {"start": [[0]], "max_length": 3, **options}
    start = given.pop("start")
    with pytest.raises(error, match=match):
        beam_search(lambda ids, state: scores(len(ids)), start, **given)


def test_the_state_of_stacked_layers_needs_a_reordering() -> None:
    lstm, out = L.LSTM(6, 5, num_layers=2, rng=0), L.Linear(5, in_size=6, rng=0)

    def step(ids: Any, state: Any) -> Any:
        y, state = lstm(np.eye(5, dtype=np.float32)[ids[:, -1:]], state, return_state=True)
        return out(y[:, -1]), state

    def step_by_step(ids: Any) -> Any:
        return out(lstm(np.eye(5, dtype=np.float32)[ids])[:, -1])

    options: dict[str, Any] = {"max_length": 4, "width": 3}
    with pytest.raises(ShapeError, match=r"an array \(2, 1, 6\) in the state must have 1 rows .* pass reorder="):
        beam_search(step, [[1]], **options)
    with pytest.raises(ShapeError, match="the initial h") as caught:  # As many prompts as layers.
        beam_search(step, [[1], [2]], **options)
    assert any("pass reorder=" in note for note in caught.value.__notes__)
    found = beam_search(step, [[1], [2]], reorder=lambda state, rows: tuple(s[:, rows] for s in state), **options)
    (expected,) = beam_search(lambda ids, state: (step_by_step(ids), None), [[2]], **options)
    assert found[1][0].tokens.tolist() == expected[0].tokens.tolist()
    assert found[1][0].log_prob == pytest.approx(expected[0].log_prob, rel=1e-5)


# Labels from alignments.


def test_greedy_labels_are_those_of_the_best_alignment() -> None:
    best = np.array([[0, 1, 1, 0, 1, 2, 2], [2, 2, 2, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]])
    x = np.where(best[:, :, None] == np.arange(3), 5.0, 0.0)
    assert [labels.tolist() for labels in ctc_greedy(x)] == [[1, 1, 2], [2, 1], []]
    assert [labels.tolist() for labels in ctc_greedy(Variable(x), [4, 6, 0])] == [[1], [2], []]
    assert [labels.tolist() for labels in ctc_greedy(x, blank=2)] == [[0, 1, 0, 1], [0, 1], [0]]


@pytest.mark.parametrize("blank", [0, 2])
def test_a_search_for_labels_that_keeps_all_is_exact(blank: int, rng: np.random.Generator) -> None:
    for T in (0, 1, 4):
        x = 1.5 * rng.standard_normal((2, T, 3))
        lengths = np.array([T, max(0, T - 1)])
        found = ctc_beam_search(x, lengths, width=100, count=100, blank=blank)
        labels = [c for c in range(3) if c != blank]
        for n, hypotheses in enumerate(found):
            count = 0
            for k in range(lengths[n] + 1):
                for target in itertools.product(labels, repeat=k):
                    t = np.array([target], int).reshape(1, k)
                    if k + sum(a == b for a, b in itertools.pairwise(target)) > lengths[n]:
                        continue
                    loss = loss_by_all_alignments(x[n : n + 1, : lengths[n]], t, blank=blank, reduction="sum")
                    (match,) = [h for h in hypotheses if tuple(h.tokens.tolist()) == target]
                    assert match.log_prob == pytest.approx(-loss, rel=1e-9, abs=1e-9)
                    count += 1
            assert len(hypotheses) == count
            assert [h.score for h in hypotheses] == sorted([h.score for h in hypotheses], reverse=True)
            total = np.exp([h.log_prob for h in hypotheses]).sum()
            assert total == pytest.approx(1.0), "the probabilities of all labels add up to 1"


def test_labels_are_found_again_in_the_scores_of_a_sure_network(rng: np.random.Generator) -> None:
    labels = rng.integers(1, 30, 40)
    path = np.repeat(np.stack([labels, 0 * labels], axis=1).ravel(), 2)
    x = (np.where(path[:, None] == np.arange(30), 8.0, 0.0) + rng.standard_normal((160, 30)))[None]
    (best,) = ctc_beam_search(x)[0]
    np.testing.assert_array_equal(best.tokens, labels)
    np.testing.assert_array_equal(ctc_greedy(x)[0], labels)
    exact = -float(F.ctc_loss(x, labels[None], reduction="sum"))
    (wide,) = ctc_beam_search(x, width=300)[0]
    assert exact - 0.2 < best.log_prob < wide.log_prob < exact, "a wider search cuts off fewer alignments"


@pytest.mark.parametrize("search", [ctc_greedy, ctc_beam_search])
def test_scores_that_have_no_labels(search: Any) -> None:
    x = np.zeros((2, 4, 3))
    for error, match, args, options in (
        (ShapeError, r"x \(4, 3\) must have the axes \(N, T, C\)", (x[0],), {}),
        (LabelError, "blank 3 is out of range", (x,), {"blank": 3}),
        (ArgumentError, "x contains NaN", (x + np.nan,), {}),
        (ShapeError, r"lengths has shape \(1,\)", (x, [1]), {}),
        (ArgumentError, "lengths must lie between 0 and 4", (x, [1, 5]), {}),
    ):
        with pytest.raises(error, match=match):
            search(*args, **options)
    with pytest.raises(ArgumentError, match="count=3 exceeds width=2"):
        ctc_beam_search(x, width=2, count=3)

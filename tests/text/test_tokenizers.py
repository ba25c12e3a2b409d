"""Tokenizers of characters, bytes and pairs of bytes: round trips, special tokens, files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passus.errors import ArgumentError, DataError, DependencyError, DTypeError, LabelError
from passus.text import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, load_tokenizer
from tests.text.corpus import SOURCE, sources

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
def test_source_code_survives_encoding_and_decoding(tokenizer: Tokenizer) -> None:
    for text in ("", "def f(x):\n    return x\n", SOURCE):
        check(tokenizer, text)


@given(text=st.text(st.characters()))
@settings(max_examples=200, deadline=None)
def test_any_text_survives_encoding_and_decoding(text: str) -> None:
    check(CharTokenizer.from_text(text, special=["<pad>"]), text)
    check(ByteTokenizer(), text.encode("utf-8", "ignore").decode())  # UTF-8 has no lone surrogates.


def test_lone_surrogates_decode_from_bytes_to_replacement_characters() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == f"a{3 * chr(0xFFFD)}b"


def test_bpe_encodes_any_text_and_compresses_source_code() -> None:
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
    assert tokenizer.decode(tokenizer.encode("\ud800")) == "?", "an unpaired surrogate has no UTF-8 encoding"


@pytest.mark.parametrize("tokenizer", [*PLAIN, None], ids=repr)
def test_names_of_special_tokens_in_a_text_are_encoded_as_text(tokenizer: Tokenizer | None, tmp_path: Path) -> None:
    tokenizer = tokenizer or bpe(special=["<end>", "<pad>"])
    tokenizer.save(tmp_path / "t.json")
    for one in (tokenizer, load_tokenizer(tmp_path / "t.json"), pickle.loads(pickle.dumps(tokenizer))):
        text = "print('<end>')<pad>\n"
        check(one, text)
        assert not set(one.encode(text).tolist()) & {one.id_of(token) for token in one.special}


@pytest.mark.parametrize("token", ["a", "abc", "Ġabc", "Ġ"])
def test_special_tokens_that_text_can_produce_are_rejected(token: str, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    text = 20 * "abc abc "
    with pytest.raises(ArgumentError, match=f"'{token}' is also an ordinary token"):
        BPETokenizer.train([text], 300, special=[token])
    BPETokenizer.train([text], 300).tokenizer.model.save(str(tmp_path))
    with pytest.raises(ArgumentError, match=f"from_files: .* '{token}' is also an ordinary token"):
        BPETokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt", special=[token])


def test_special_tokens_have_ids_and_are_skipped_in_decoding() -> None:
    characters, of_bytes = PLAIN[1], PLAIN[3]
    assert [characters.id_of(token) for token in ("<pad>", "<end>")] == [0, 1]
    assert (of_bytes.id_of("<end>"), of_bytes.id_of("a"), of_bytes.vocab_size) == (256, 97, 257)
    ids = [0, *characters.encode("a").tolist(), 1, 0]
    assert characters.decode(ids) == "a"
    assert characters.decode(ids, keep_special=True) == "<pad>a<end><pad>"
    assert characters.id_of("a") == ids[1]
    assert of_bytes.decode([256, 195, 169, 256], keep_special=True) == "<end>é<end>"
    assert of_bytes.decode([97, 195, 98]) == "a\N{REPLACEMENT CHARACTER}b"


def test_unknown_characters_raise_or_are_replaced() -> None:
    tokenizer = CharTokenizer("abc")
    with pytest.raises(LabelError, match=r"the character 'é' \(U\+00E9\) at 2 is not among the 3 known.*unknown="):
        tokenizer.encode("abéa")
    np.testing.assert_array_equal(CharTokenizer("abc", unknown="b").encode("a🙂!"), [0, 1, 1])
    special = CharTokenizer("abc", special=["<unk>"], unknown="<unk>")
    assert special.decode(special.encode("a?"), keep_special=True) == "a<unk>"


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (
            DTypeError,
            "expected a str, not a bytes; decode bytes first",
            lambda: ByteTokenizer().encode(b"a"),  # type: ignore[arg-type]
        ),
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
def test_invalid_arguments_of_tokenizers_raise(error: type[Exception], match: str, call: Any) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize(
    "tokenizer",
    [*PLAIN, CharTokenizer('\ud800a\n"', special=["<u>"], unknown="<u>"), CharTokenizer("")],
    ids=lambda t: json.dumps(repr(t)),
)
def test_a_loaded_tokenizer_equals_the_saved_one(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "t.json")
    loaded = load_tokenizer(tmp_path / "t.json")
    assert type(loaded) is type(tokenizer)
    assert loaded.__dict__.keys() == tokenizer.__dict__.keys()
    for name, value in tokenizer.__dict__.items():
        np.testing.assert_array_equal(loaded.__dict__[name], value)


def test_bpe_tokenizers_are_restored_from_both_file_formats(tmp_path: Path) -> None:
    tokenizer = bpe(special=["<pad>", "<end>"])
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    np.testing.assert_array_equal(loaded.encode(SOURCE), tokenizer.encode(SOURCE))
    assert (loaded.special, loaded.vocab_size) == (tokenizer.special, 600)
    # The file format of GPT-2.
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


def test_tokenizers_of_other_models_are_wrapped(tmp_path: Path) -> None:
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


def test_bpe_without_the_tokenizers_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import passus.optional

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(passus.optional.importlib, "import_module", missing)
    with pytest.raises(DependencyError, match=r"BPETokenizer needs .*pip install passus\[text\]"):
        BPETokenizer.train("a", 300)


def test_invalid_arguments_of_bpe_raise() -> None:
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
def test_files_that_are_not_saved_tokenizers_are_rejected(content: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataError, match=match):
        load_tokenizer(tmp_path / "t.json")


def test_damaged_files_of_the_tokenizers_package_are_rejected(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "t.json").write_text('{"model": {"type": "none"}}')
    with pytest.raises(DataError, match="not a saved tokenizer"):
        load_tokenizer(tmp_path / "t.json")

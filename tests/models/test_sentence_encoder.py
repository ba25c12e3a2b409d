"""Sentence vectors: agreement with BERT in PyTorch, files, strings, and the published weights."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import passus
from passus import Variable, no_grad
from passus.errors import ArgumentError, DataError, DependencyError, DTypeError, LabelError, ShapeError, WeightsError
from passus.models import SentenceEncoder
from passus.testing import check_grads
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture
from tests.helpers.real_data import real
from tests.models.sentence_models import MeanBert, random_state

pytestmark = pytest.mark.usefixtures("single_torch_thread")

SIZES: dict[str, Any] = {"vocab_size": 30, "n_layers": 2, "n_heads": 4, "d_model": 16, "max_len": 12, "d_hidden": 24}
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a cat dog sat ##s on the mat , é".split()  # noqa: SIM905


def small(**options: Any) -> SentenceEncoder:
    """A model with weights large enough for the order of words to affect the vectors."""
    model = SentenceEncoder(**(SIZES | {"rng": 0} | options))
    for parameter in model.params():
        if parameter.ndim > 1:
            parameter.data = parameter.data * 10
    return model


def batch(vocab: int, lengths: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random tokens, a mask of those that are not padding, and segments."""
    rng = np.random.default_rng(seed)
    shape = len(lengths), max(lengths)
    return (
        rng.integers(vocab, size=shape),
        np.arange(shape[1]) < np.array(lengths)[:, None],
        rng.integers(2, size=shape),
    )


def expected(model: MeanBert, *arrays: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(*map(torch.tensor, arrays)).numpy()


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """A small vocabulary file; skips the test if tokenizers is not installed."""
    pytest.importorskip("tokenizers")
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_weights_from_a_file_reproduce_the_vectors_of_pytorch(dtype, tolerance, prefix, tmp_path):
    state = random_state(30, 2, 16, 24, 12, getattr(torch, dtype))
    save_file({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "model.safetensors")
    ours, theirs = SentenceEncoder(**SIZES, weights=tmp_path / "model.safetensors", dtype=dtype), MeanBert(state, 4)
    for seed, lengths in enumerate([[7, 12, 1, 4], [3], [1], [12, 12]]):
        arrays = batch(30, lengths, seed)
        y = ours(*arrays).data
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected(theirs, *arrays), rtol=0, atol=tolerance)
        plain = arrays[0], np.ones_like(arrays[1]), np.zeros_like(arrays[2])
        np.testing.assert_allclose(ours(arrays[0]).data, expected(theirs, *plain), rtol=0, atol=tolerance)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_agree_with_pytorch(recompute, tmp_path):
    state = random_state(30, 2, 16, 24, 12, torch.float64)
    save_file(state, tmp_path / "model.safetensors")
    ours = SentenceEncoder(**SIZES, weights=tmp_path / "model.safetensors", dtype=np.float64, recompute=recompute)
    theirs = MeanBert(state, 4)
    for table in theirs.embeddings:
        table.requires_grad_()
    arrays = batch(30, [7, 12, 1])
    weights = np.random.default_rng(1).standard_normal((3, 16))
    (ours(*arrays) * weights).sum().backward()
    (theirs(*map(torch.tensor, arrays)) * torch.tensor(weights)).sum().backward()
    pairs = [(ours.embed.W, theirs.embeddings[0].grad), (ours.position.W, theirs.embeddings[1].grad)]
    pairs += [(ours.segment.W, theirs.embeddings[2].grad), (ours.norm.beta, theirs.norm.bias.grad)]
    for mine, his in zip(ours.encoder.layers, theirs.layers):
        pairs += [
            (mine.attention.qkv.W, his.self_attn.in_proj_weight.grad.T),
            (mine.attention.out.b, his.self_attn.out_proj.bias.grad),
            (mine.feed_forward.hidden.W, his.linear1.weight.grad.T),
            (mine.norm2.gamma, his.norm2.weight.grad),
        ]
    for parameter, gradient in pairs:
        np.testing.assert_allclose(parameter.grad.data, gradient, rtol=1e-9, atol=1e-11)


def test_model_is_differentiable_twice() -> None:
    model = small(n_layers=1, n_heads=2, d_model=4, d_hidden=6, vocab_size=5, max_len=3, dtype=np.float64)
    W, first = model.embed.W, model.embed.W.data
    real = np.array([[True, True, True], [True, True, False]])

    def vectors(rows: Any) -> Any:
        # check_grads passes the matrix as a Variable, which replaces the parameter.
        del model.embed.W
        model.embed.W = rows
        return model(np.array([[1, 4, 1], [2, 3, 0]]), real)

    check_grads(vectors, first)
    del model.embed.W
    model.embed.W = W


def test_padding_does_not_affect_the_result() -> None:
    model = small()
    ids = batch(30, [5])[0]
    with no_grad():
        alone = model(ids).data
        for before, behind in [(0, 4), (4, 0), (3, 2)]:
            padded = np.pad(ids, ((0, 0), (before, behind)), constant_values=29)
            mask = np.pad(np.ones_like(ids, bool), ((0, 0), (before, behind)))
            np.testing.assert_allclose(model(padded, mask).data, alone, rtol=0, atol=1e-5)
        swapped = ids[:, ::-1].copy()
        assert abs(model(swapped).data - alone).max() > 1e-2


def test_sentence_of_padding_only_gives_zeros() -> None:
    model = small()
    ids, mask = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[True, True, False], [False] * 3])
    y = model(ids, mask)
    np.testing.assert_array_equal(y.data[1], 0.0)
    np.testing.assert_allclose(y.data[0], model(ids[:1], mask[:1]).data[0], rtol=0, atol=1e-6)
    y.sum().backward()
    assert all(np.isfinite(p.grad.data).all() for p in model.params())
    assert not model.embed.W.grad.data[4:].any()


def test_variables_narrow_integers_and_strided_arrays_are_accepted() -> None:
    model = small()
    ids, mask, segments = batch(30, [4, 6])
    y = model(ids, mask, segments).data
    np.testing.assert_array_equal(model(Variable(ids), Variable(mask), Variable(segments)).data, y)
    np.testing.assert_array_equal(model(ids.astype(np.uint8), mask, segments.astype(np.int8)).data, y)
    wide = np.repeat(ids, 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    np.testing.assert_array_equal(model(wide, mask, segments).data, y)


def test_float16_is_close_to_float32() -> None:
    ids, mask, segments = batch(30, [4, 6])
    half = small(dtype=np.float16)
    y = half(ids, mask, segments).data
    assert y.dtype == np.float16
    wide = small()
    wide.load_state_dict(half.state_dict(), cast=True)
    np.testing.assert_allclose(y, wide(ids, mask, segments).data, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((1, 2)),), DTypeError, r"ids are float64; give token ids, integers \(N, T\)"),
        ((np.zeros(3, int),), ShapeError, r"ids \(3,\) must be \(N, T\); for one sentence write ids\[None\]"),
        ((np.zeros((1, 13), int),), ShapeError, r"13 tokens exceed max_len=12; truncate the sentences"),
        ((np.array([[30]]),), LabelError, "index 30 is out of range"),
        ((np.array([[1]]), np.array([True])), ShapeError, r"key_mask bool\[1\] must be booleans \(1, 1\)"),
        ((np.array([[1]]), np.array([[1]])), ShapeError, r"key_mask int64\[1, 1\] must be booleans \(1, 1\)"),
        ((np.array([[1]]), None, np.array([[2]])), LabelError, "index 2 is out of range"),
        (
            (np.array([[1]]), None, np.array([[1], [0]])),
            ShapeError,
            r"segments \(2, 1\) must have the shape of ids, \(1, 1\)",
        ),
        ((np.array([[1]]), None, np.array([[1.0]])), DTypeError, "float64"),
    ],
)
def test_bad_input_raises_and_names_the_layer(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        small()(*arguments)
    assert "sentenceencoder" in str(caught.value).lower()  # The class of the layer or its path.


@pytest.mark.parametrize(
    "options",
    [
        {"d_model": 18},
        {"n_segments": 0},
        {"vocab_size": 0},
        {"max_len": 0},
        {"dropout_ratio": 1.5},
        {"activation": "nonsense"},
        {"n_layers": 0},
        {"eps": -1.0},
    ],
)
def test_options_out_of_range_raise(options):
    with pytest.raises(ArgumentError):
        SentenceEncoder(**(SIZES | options))


def test_dropout_is_inactive_in_test_mode() -> None:
    model, ids = small(dropout_ratio=0.3), batch(30, [6])[0]
    assert not np.array_equal(model(ids).data, model(ids).data)
    with passus.test_mode():
        np.testing.assert_array_equal(model(ids).data, small()(ids).data)


def test_own_weights_round_trip(tmp_path: Path) -> None:
    model = small()
    model.save_weights(tmp_path / "model.safetensors")
    other = SentenceEncoder(**SIZES, weights=tmp_path / "model.safetensors")
    np.testing.assert_equal(other.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.layer.1.output.dense.bias": None}, r"missing: encoder\.layers\.1\.feed_forward\.out\.b"),
        (
            {"encoder.layer.1.attention.self.key.weight": None},
            r"another shape: encoder\.layers\.1\.attention\.qkv\.W \(16, 32\)",
        ),
        ({"encoder.layer.1.adapter.weight": torch.zeros(2)}, r"extra: encoder\.layer\.1\.adapter\.weight"),
    ],
)
def test_mismatched_files_raise_and_change_nothing(change, message, tmp_path):
    state = {name: array for name, array in (random_state(30, 2, 16, 24, 12) | change).items() if array is not None}
    save_file(state, tmp_path / "model.safetensors")
    model = small()
    before = model.state_dict()
    with pytest.raises(WeightsError, match=message):
        model.load_weights(tmp_path / "model.safetensors")
    np.testing.assert_equal(model.state_dict(), before)


# Strings.


def test_encode_is_independent_of_the_batch_size(vocabulary: Path) -> None:
    model = small(vocabulary=vocabulary)
    sentences = ["the cat sat on the mat", "dogs", "", "A CAT, a cat", "the dog sat"] * 3
    y = model.encode(sentences)
    assert y.shape == (15, 16)
    assert y.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1.0, rtol=1e-6)
    for size in (1, 2, 4, 100):
        np.testing.assert_allclose(model.encode(iter(sentences), batch_size=size), y, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.encode(sentences[1]), y[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(y[5:10], y[:5], rtol=0, atol=1e-6)
    pieces = [WORDS.index(word) for word in ("[CLS]", "dog", "##s", "[SEP]")]
    np.testing.assert_allclose(model(np.array([pieces])).data[0], y[1], rtol=0, atol=1e-6)
    assert model.encode([]).shape == (0, 16)


def test_encode_runs_in_test_mode(vocabulary: Path) -> None:
    model = small(vocabulary=vocabulary, dropout_ratio=0.5)
    np.testing.assert_array_equal(model.encode("a cat"), small(vocabulary=vocabulary).encode("a cat"))


def test_case_whitespace_and_unknown_characters_are_normalized(vocabulary: Path) -> None:
    model = small(vocabulary=vocabulary)
    np.testing.assert_array_equal(model.encode("The CAT"), model.encode("  the\tcat\n"))
    np.testing.assert_array_equal(model.encode("zebra"), model.encode("quux"))
    np.testing.assert_array_equal(model.encode("cat \ud800"), model.encode("cat ?"))
    assert not np.array_equal(small(vocabulary=vocabulary, lowercase=False).encode("CAT"), model.encode("CAT"))


def test_long_strings_are_truncated(vocabulary: Path) -> None:
    model = small(vocabulary=vocabulary, max_tokens=6)
    np.testing.assert_array_equal(model.encode("a cat sat on the mat"), model.encode("a cat sat on"))
    longest = small(vocabulary=vocabulary)
    np.testing.assert_array_equal(longest.encode("cat " * 1000), longest.encode("cat " * (SIZES["max_len"] - 2)))


def test_copies_encode_equally(vocabulary: Path) -> None:
    model = small(vocabulary=vocabulary)
    y = model.encode("a cat")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.encode("a cat"), y)


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["a", 3], "sentence 1 is an int; give strings"),
        ([b"a"], "sentence 0 is bytes|sentence 0 is a bytes"),
        (None, "expected a str or several, not None"),
    ],
)
def test_encode_of_non_strings_raises(sentences, message, vocabulary):
    with pytest.raises(DTypeError, match=message):
        small(vocabulary=vocabulary).encode(sentences)


def test_encode_without_a_vocabulary_raises() -> None:
    with pytest.raises(ArgumentError, match=r"strings need a vocabulary; write SentenceEncoder\(vocabulary=path"):
        small().encode("a cat")


def test_invalid_vocabularies_raise(vocabulary: Path) -> None:
    with pytest.raises(ArgumentError, match=r"vocab\.txt has 15 tokens; write vocab_size=15"):
        small(vocabulary=vocabulary, vocab_size=14)
    with pytest.raises(ArgumentError, match="max_tokens"):
        small(vocabulary=vocabulary, max_tokens=2)
    vocabulary.write_text("a\nb\n[UNK]\n")
    with pytest.raises(DataError, match=r"vocab\.txt: not a vocabulary of BERT: missing \[CLS\], \[SEP\]"):
        small(vocabulary=vocabulary)
    vocabulary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"vocab\.txt: not a vocabulary of BERT"):
        small(vocabulary=vocabulary)
    with pytest.raises(DataError, match="no such file"):
        small(vocabulary=vocabulary.with_name("absent.txt"))


def test_missing_tokenizers_raises_with_the_package_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DependencyError, match=r"SentenceEncoder with a vocabulary needs passus\[text\]: pip install"):
        small(vocabulary=tmp_path / "vocab.txt")
    small()  # Token ids need no library.


# The published weights.

PARAPHRASES = [
    ("How do I open a file for reading?", "Read the contents of a document from disk."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("Stock prices fell sharply on Monday.", "Shares dropped at the beginning of the week."),
    ("She plays the violin in an orchestra.", "A musician performs with a symphony."),
    ("It will rain tomorrow in London.", "The forecast for England is wet weather."),
    ("Bread is baked from flour and water.", "A loaf is made of dough in the oven."),
]
"""Pairs of sentences with similar meaning and few common words."""


@pytest.fixture(scope="module")
def published() -> SentenceEncoder:
    return SentenceEncoder(weights=real("all-minilm-l6-v2.safetensors", "large"))


@pytest.fixture(scope="module")
def with_vocabulary() -> SentenceEncoder:
    """The published model with its vocabulary."""
    pytest.importorskip("tokenizers")
    weights, words = real("all-minilm-l6-v2.safetensors", "large"), real("all-minilm-l6-v2-vocab.txt", "large")
    return SentenceEncoder(weights=weights, vocabulary=words)


@pytest.mark.compiles
@pytest.mark.parametrize("lengths", [[9, 128, 1, 40], [256], [512, 3]])
def test_published_weights_reproduce_pytorch_on_random_tokens(published, lengths):
    arrays = batch(30522, lengths)
    with no_grad():
        y = published(*arrays).data
    theirs = MeanBert(load_file(real("all-minilm-l6-v2.safetensors", "large")), 12)
    np.testing.assert_allclose(y, expected(theirs, *arrays), rtol=0, atol=1e-4)


@pytest.mark.compiles
def test_published_weights_reproduce_pytorch_on_sentences(with_vocabulary):
    sentences = [*sum(PARAPHRASES, ()), passus.__doc__, SentenceEncoder.__doc__, "naïve Œuvre 東京 🙂", "", "x " * 400]
    y = with_vocabulary.encode(sentences, batch_size=4)
    theirs = MeanBert(load_file(real("all-minilm-l6-v2.safetensors", "large")), 12)
    for vector, sentence in zip(y, sentences):
        ids = np.array([with_vocabulary.tokenizer.encode(sentence).ids])
        t = expected(theirs, ids, np.ones_like(ids, bool), np.zeros_like(ids))
        np.testing.assert_allclose(vector, t[0], rtol=0, atol=1e-4)


@pytest.mark.compiles
def test_similar_sentences_rank_first(with_vocabulary):
    first, second = (with_vocabulary.encode(sentences) for sentences in zip(*PARAPHRASES))
    np.testing.assert_array_equal((first @ second.T).argmax(axis=1), np.arange(len(PARAPHRASES)))
    np.testing.assert_array_equal((second @ first.T).argmax(axis=1), np.arange(len(PARAPHRASES)))


def test_published_vocabulary_gives_the_token_ids_of_bert(with_vocabulary):
    assert with_vocabulary.tokenizer.encode("Hello, World!").ids == [101, 7592, 1010, 2088, 999, 102]
    assert with_vocabulary.tokenizer.encode("tokenization").tokens == ["[CLS]", "token", "##ization", "[SEP]"]
    assert len(with_vocabulary.tokenizer.encode("a " * 999).ids) == 256


def test_published_number_of_parameters(published):
    assert published.count_params() == 22_713_216 - 384 * 385  # All but the pooler.

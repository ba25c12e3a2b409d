"""Batches of sequences of unequal lengths: padding and buckets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passus import DataLoader, Variable
from passus.dataloaders import BucketDataLoader, PaddingCollate, collate, pad_sequences
from passus.errors import ArgumentError, DTypeError, ShapeError
from tests.helpers.drawing import generators

LENGTHS = np.random.default_rng(1).integers(1, 50, 103)
SEQUENCES = [np.full(n, i) for i, n in enumerate(LENGTHS)]


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    features=st.sampled_from([(), (2,), (2, 3)]),
    left=st.booleans(),
    multiple_of=st.integers(1, 5),
    extra=st.integers(0, 3) | st.none(),
    rng=generators(),
)
def test_sequences_are_padded_to_one_length(
    lengths: list[int],
    features: tuple[int, ...],
    left: bool,
    multiple_of: int,
    extra: int | None,
    rng: np.random.Generator,
) -> None:
    sequences = [rng.standard_normal((n, *features)).astype(np.float32) for n in lengths]
    length = None if extra is None else max(lengths) + extra
    padded, found = pad_sequences(sequences, -5, length=length, multiple_of=multiple_of, left=left)
    T = padded.shape[1]
    assert padded.shape == (len(lengths), T, *features)
    assert padded.dtype == np.float32
    assert T % multiple_of == 0
    assert 0 <= T - (max(lengths) if length is None else length) < multiple_of
    assert found.tolist() == lengths
    for row, sequence in zip(padded, sequences):
        start = T - len(sequence) if left else 0
        np.testing.assert_array_equal(row[start : start + len(sequence)], sequence)
        assert (np.delete(row, range(start, start + len(sequence)), axis=0) == -5).all()


def test_padding_uses_the_common_dtype() -> None:
    assert pad_sequences([np.array([1], np.uint8), np.array([2, 3], np.uint8)])[0].dtype == np.uint8
    assert pad_sequences([np.array([1], np.int32), []])[0].dtype == np.int32
    assert pad_sequences([[], []])[0].shape == (2, 0)
    assert pad_sequences([[], []])[0].dtype == np.int64
    assert pad_sequences([[1.0], [2, 3]], np.nan)[0].dtype == np.float64
    with pytest.raises(ArgumentError, match="uint8 cannot represent value -1"):
        pad_sequences([np.array([1], np.uint8)], -1)
    with pytest.raises(ArgumentError, match=r"int64 cannot represent value 0.5"):
        pad_sequences([[1]], 0.5)
    with pytest.raises(ArgumentError, match=r"int64 cannot represent value nan"):
        pad_sequences([[1]], np.nan)


@pytest.mark.parametrize(
    ("error", "match", "sequences", "options"),
    [
        (ArgumentError, "no sequences", [], {}),
        (ArgumentError, "no sequences", "abc", {}),
        (ArgumentError, "no sequences", 3, {}),
        (ShapeError, r"sequences \(\), \(1,\) must agree in all axes but the first", [1, [2]], {}),
        (ShapeError, r"sequences \(2, 3\), \(2, 4\) must agree", [np.ones((2, 3)), np.ones((2, 4))], {}),
        (DTypeError, "expected numbers, not <U1; encode text first", [["a"], ["b"]], {}),
        (DTypeError, "an example holds a Variable", [Variable(np.ones(2))], {}),
        (ArgumentError, "sequence 1 has 2 steps, more than length=1", [[1], [1, 2]], {"length": 1}),
        (DTypeError, "value is a str; give a number", [[1]], {"value": "a"}),
        (ArgumentError, "multiple_of", [[1]], {"multiple_of": 0}),
    ],
)
def test_invalid_arguments_of_pad_sequences_raise(
    error: type[Exception], match: str, sequences: Any, options: Any
) -> None:
    with pytest.raises(error, match=match):
        pad_sequences(sequences, **options)


def test_examples_of_any_structure_are_padded() -> None:
    pad = PaddingCollate()
    x, lengths = pad([np.array([1, 2]), np.array([3])])
    assert (x.tolist(), lengths.tolist()) == ([[1, 2], [3, 0]], [2, 1])
    (x, lengths), t, name, nothing = pad([([1, 2], 0, "a", None), ([3], 1, "b", None)])
    assert (x.tolist(), lengths.tolist(), t.tolist(), name, nothing) == (
        [[1, 2], [3, 0]],
        [2, 1],
        [0, 1],
        ["a", "b"],
        None,
    )
    batch = pad([{"ids": np.array([1]), "t": 2.0}, {"ids": np.array([3, 4]), "t": 3.0}])
    assert batch["ids"][0].tolist() == [[1, 0], [3, 4]]
    assert batch["ids"][1].tolist() == [1, 2]
    assert batch["t"].dtype == np.float32
    pairs = [(np.array([1, 2]), np.array([5])), (np.array([3]), np.array([6, 7]))]
    x, t = PaddingCollate((0, -1), lengths=False)(pairs)
    assert (x.tolist(), t.tolist()) == ([[1, 2], [3, 0]], [[5, -1], [6, 7]])
    x, t = PaddingCollate((0, -1), lengths=False, left=True, multiple_of=4)(pairs)
    assert (x.tolist(), t.tolist()) == ([[0, 0, 1, 2], [0, 0, 0, 3]], [[-1, -1, -1, 5], [-1, -1, 6, 7]])
    with pytest.raises(ArgumentError, match="value holds 1 numbers; field 1 has none"):
        PaddingCollate((0,))(pairs)
    with pytest.raises(ShapeError, match="collate: example 0 of the batch has length 2, example 1 1"):
        pad([([1], 2), ([1],)])


def test_examples_without_sequences_are_collated_as_usual() -> None:
    with pytest.raises(ShapeError, match="shape"):
        collate([np.ones(2), np.ones(3)])
    np.testing.assert_array_equal(PaddingCollate()([1, 2]), [1, 2])


def test_a_loader_pads_its_batches() -> None:
    loader = DataLoader(SEQUENCES, 10, shuffle=False, collate=PaddingCollate(-1))
    for i, (x, lengths) in enumerate(loader):
        np.testing.assert_array_equal(lengths, LENGTHS[10 * i : 10 * i + 10])
        assert x.shape == (len(lengths), lengths.max())
        np.testing.assert_array_equal((x >= 0).sum(axis=1), lengths)


def padding(batches: Any) -> int:
    return sum(x.size - int(lengths.sum()) for x, lengths in batches)


@pytest.mark.parametrize("lengths", [None, LENGTHS, LENGTHS.tolist()])
@pytest.mark.parametrize("pool", [1, 3, 100])
def test_bucket_batches_hold_each_example_once_with_similar_lengths(lengths: Any, pool: int) -> None:
    loader = BucketDataLoader(SEQUENCES, 8, lengths, rng=0, pool=pool)
    epochs = [list(loader) for _ in range(2)]
    for batches in epochs:
        assert [len(x) for x, _ in batches] == [8] * 12 + [7]
        assert sorted(row[0] for x, _ in batches for row in x) == list(range(103))
    assert not np.array_equal(epochs[0][0][1], epochs[1][0][1])
    plain = padding(DataLoader(SEQUENCES, 8, rng=0, collate=PaddingCollate()))
    if pool == 100:
        assert padding(epochs[0]) < plain / 5
        firsts = [lengths[0] for _, lengths in epochs[0]]
        assert firsts != sorted(firsts), "the batches are in random order"
    elif pool == 3:
        assert padding(epochs[0]) < plain / 2


def test_without_shuffling_buckets_are_sorted_by_length() -> None:
    loader = BucketDataLoader(SEQUENCES, 8, shuffle=False)
    assert np.concatenate([lengths for _, lengths in loader]).tolist() == sorted(LENGTHS)


def test_drop_last_yields_full_batches_only() -> None:
    loader = BucketDataLoader(SEQUENCES, 8, drop_last=True, rng=0)
    seen = set()
    for _ in range(30):
        batches = list(loader)
        assert len(batches) == len(loader) == 12
        assert all(len(x) == 8 for x, _ in batches)
        seen |= {int(row[0]) for x, _ in batches for row in x}
    assert len(seen) == 103, "each example occurs in some epoch"


def test_lengths_are_taken_from_the_first_component() -> None:
    for data in (
        [(s, 0) for s in SEQUENCES],
        [{"ids": s, "t": 0} for s in SEQUENCES],
        [s.tolist() for s in SEQUENCES],
    ):
        loader = BucketDataLoader(data, 8, shuffle=False, collate=list)
        found = [e["ids"] if isinstance(e, dict) else e[0] if isinstance(e, tuple) else e for b in loader for e in b]
        assert [len(part) for part in found] == sorted(LENGTHS)


def test_an_epoch_of_buckets_resumes_exactly() -> None:
    first = BucketDataLoader(SEQUENCES, 8, rng=5)
    whole = [x for x, _ in first] + [x for x, _ in first]
    again, seen = BucketDataLoader(SEQUENCES, 8, rng=5), []
    for x, _ in again:
        seen.append(x)
        if len(seen) == 4:
            state = again.state_dict()
            break
    other = BucketDataLoader(SEQUENCES, 8, rng=6)
    other.load_state_dict(state)
    seen += [x for x, _ in other] + [x for x, _ in other]
    for found, expected in zip(seen, whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ArgumentError, match="state of a different loader"):
        BucketDataLoader(SEQUENCES, 9, rng=6).load_state_dict(state)


@pytest.mark.parametrize(
    ("error", "match", "data", "options"),
    [
        (
            ArgumentError,
            r"lengths has shape \(2,\); give one length for each of the 103",
            SEQUENCES,
            {"lengths": [1, 2]},
        ),
        (DTypeError, "lengths must be integers", SEQUENCES, {"lengths": np.ones(103)}),
        (ArgumentError, "103 examples do not fill a batch of 200", SEQUENCES, {"batch_size": 200, "drop_last": True}),
        (ArgumentError, "pool", SEQUENCES, {"pool": 0}),
        (DTypeError, "an example has no length; pass lengths=", [1, 2, 3], {}),
    ],
)
def test_invalid_arguments_of_bucket_loaders_raise(error: type[Exception], match: str, data: Any, options: Any) -> None:
    with pytest.raises(error, match=match):
        next(iter(BucketDataLoader(data, **{"batch_size": 8, **options})))

"""Windows of tokens, in order and at random, and streams of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passus import DataLoader, SeqDataLoader
from passus.errors import ArgumentError, DTypeError, LabelError
from passus.text import CharTokenizer, RandomWindows, TokenFile, TokenWindows, write_tokens


@given(count=st.integers(2, 60), length=st.integers(1, 10), stride=st.integers(1, 12) | st.none())
def test_windows_pair_tokens_with_the_tokens_that_follow(count: int, length: int, stride: int | None) -> None:
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


def test_streams_of_windows_continue_across_batches() -> None:
    """Row i of a batch continues row i of the previous batch, as truncated backpropagation requires."""
    loader = SeqDataLoader(TokenWindows(np.arange(101), length=5), batch_size=4)
    batches = [x for x, _ in loader]
    assert (len(batches), batches[0].shape) == (5, (4, 5))
    np.testing.assert_array_equal(np.concatenate(batches, axis=1), np.arange(100).reshape(4, 25))
    for x, t in loader:
        np.testing.assert_array_equal(t, x + 1)


def test_streams_of_tokens_decode_to_the_text() -> None:
    tokenizer = CharTokenizer.from_text("stream")
    batches = list(SeqDataLoader(tokenizer.encode("stream" * 2), batch_size=2))
    assert [tokenizer.decode(row) for row in np.stack(batches, axis=1)] == ["stream", "stream"]


@pytest.mark.parametrize("workers", [0, 2])
def test_random_windows_resume_exactly(workers: int, tmp_path: Path) -> None:
    write_tokens(tmp_path / "a", np.arange(1000), 1000)

    def loader() -> DataLoader:
        return DataLoader(RandomWindows(TokenFile(tmp_path / "a"), 7, size=50), 8, rng=3, workers=workers)

    first = loader()
    epochs = [[x for x, _ in first] for _ in range(2)]
    assert [len(x) for x in epochs[0]] == [8] * 6 + [2]
    assert not np.array_equal(epochs[0][0], epochs[1][0]), "each epoch draws new windows"
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


def test_random_windows_start_at_all_positions() -> None:
    windows = RandomWindows(np.arange(6), 4, size=200)
    x, t = windows.batch(np.arange(200))
    assert set(x[:, 0].tolist()) == {0, 1}
    assert t.max() == 5
    assert len(RandomWindows(np.arange(41), 4)) == 10
    with pytest.raises(LabelError, match="index 200 is out of range"):
        windows[200]


def test_windows_reject_data_that_are_not_tokens() -> None:
    for tokens in (np.zeros(5), np.zeros((5, 2), int), "text", [1, 2, 3]):
        for make in (TokenWindows, RandomWindows):
            with pytest.raises(DTypeError, match=f"{make.__name__}: tokens are"):
                make(tokens, 2)  # type: ignore[arg-type]

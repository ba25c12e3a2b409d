"""The examples on text: they learn, and an interrupted run resumes bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from passus.errors import ArgumentError, WeightsError
from passus.serializers import read_checkpoint
from passus.text import standard_library
from passus.training import TimeLimit
from tests.examples.test_examples import pictures, run
from tests.training.test_callbacks import Run


@pytest.mark.compiles
@pytest.mark.slow
@pytest.mark.parametrize("name", ["char_gpt", "char_lstm"])
def test_a_language_model_resumes_bit_for_bit(name, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    text = run(name, "--steps", 8, "--every", 3, "--out", whole)
    found = re.search(r"Validation loss: ([\d.]+) nats per character after 8 steps", text)
    assert found is not None, text
    assert float(found[1]) < 3.6  # All 101 characters alike would be 4.6.
    assert list(pictures(whole)) == ["curves.png"]
    assert "Paused after 4 steps" in run(name, "--steps", 8, "--pause", 4, "--every", 3, "--out", halves)
    assert "another run" in run(name, "--steps", 8, "--every", 3, "--out", halves, code=2)
    assert "Resumed after 4 steps" in run(name, "--steps", 8, "--every", 3, "--resume", "--out", halves)
    first, second = ((folder / "weights.safetensors").read_bytes() for folder in (whole, halves))
    assert first == second


@pytest.mark.compiles
@pytest.mark.slow
def test_dates_resume_bit_for_bit_and_draw_their_attention(tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    text = run("dates", "--steps", 20, "--out", whole)
    assert "Accuracy on held-out dates" in text
    assert pictures(whole)["attention.png"] > 20_000
    run("dates", "--steps", 20, "--pause", 10, "--out", halves)
    assert "Resumed after 10 steps" in run("dates", "--steps", 20, "--resume", "--out", halves)
    assert weights(whole).keys() == weights(halves).keys()
    assert all(np.array_equal(array, weights(halves)[name]) for name, array in weights(whole).items())


@pytest.mark.slow
@pytest.mark.compiles
def test_dates_are_learnt(tmp_path):
    text = run("dates", "--steps", 500, "--out", tmp_path)
    found = re.search(r"Accuracy on held-out dates: ([\d.]+)%", text)
    assert found is not None, text
    assert float(found[1]) > 40, text  # 75 % was measured; after all 1,500 steps it is 99.9 %.


def weights(folder: Path):
    (path,) = (folder / "checkpoints").glob("step-00000020.safetensors")
    return read_checkpoint(path)["parts"]["model"]


def test_the_parts_of_the_standard_library_are_whole_files():
    train, test = standard_library(), standard_library(train=False)
    assert len(train) > 10 * len(test) > 1_000_000
    assert "class JSONDecoder" in train + test
    assert ("class JSONDecoder" in train) != ("class JSONDecoder" in test)


def test_a_time_limit_stops_and_stays_stopped(monkeypatch):
    clock = iter([100.0, 110.0, 160.0, 500.0, 501.0])
    monkeypatch.setattr("passus.training.callbacks.limit.monotonic", lambda: next(clock))
    limit, loop = TimeLimit(minutes=1), Run()
    limit.on_start(loop)
    limit.on_step(loop)
    assert (limit.seconds, limit.share, loop.stopped) == (10.0, 10 / 60, False)
    limit.on_step(loop)
    assert (limit.share, loop.stopped) == (1.0, True)

    resumed, loop = TimeLimit(minutes=2), Run()
    resumed.load_state_dict(limit.state_dict())
    resumed.on_start(loop)
    assert (resumed.share, loop.stopped) == (0.5, False)
    resumed.on_step(loop)
    assert resumed.seconds == 61.0  # The time between the runs does not count.

    over, loop = TimeLimit(minutes=0.5), Run()
    over.load_state_dict(limit.state_dict())
    monkeypatch.setattr("passus.training.callbacks.limit.monotonic", lambda: 0.0)
    over.on_start(loop)
    assert loop.stopped


def test_a_time_limit_refuses_what_is_none():
    with pytest.raises(ArgumentError, match="0 < minutes"):
        TimeLimit(0)
    with pytest.raises(WeightsError):
        TimeLimit(1).load_state_dict({})

"""The examples on text: they learn, and interrupted runs resume bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from passus.serializers import read_checkpoint
from passus.text import standard_library
from tests.examples.test_examples import pictures, run


@pytest.mark.compiles
@pytest.mark.slow
@pytest.mark.parametrize("name", ["char_gpt", "char_lstm"])
def test_a_language_model_resumes_bit_for_bit(name, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    options = ("--steps", 8, "--every", 3, "--windows", 200)
    text = run(name, *options, "--out", whole)
    found = re.search(r"Validation loss: ([\d.]+) nats per character after 8 steps", text)
    assert found is not None, text
    assert float(found[1]) < 3.6  # A uniform distribution over 101 characters gives 4.6.
    assert list(pictures(whole)) == ["curves.png"]
    assert "Paused after 4 steps" in run(name, *options, "--pause", 4, "--out", halves)
    assert "another run" in run(name, *options, "--out", halves, code=2)
    assert "Resumed after 4 steps" in run(name, *options, "--resume", "--out", halves)
    first, second = ((folder / "weights.safetensors").read_bytes() for folder in (whole, halves))
    assert first == second


@pytest.mark.compiles
@pytest.mark.slow
def test_dates_resumes_bit_for_bit_and_draws_its_attention(tmp_path):
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
def test_dates_exceeds_its_stated_accuracy(tmp_path):
    text = run("dates", "--steps", 500, "--out", tmp_path)
    found = re.search(r"Accuracy on held-out dates: ([\d.]+)%", text)
    assert found is not None, text
    assert float(found[1]) > 40, text  # 75 % was measured; after all 1,500 steps it is 99.9 %.


def weights(folder: Path):
    (path,) = (folder / "checkpoints").glob("step-00000020.safetensors")
    return read_checkpoint(path)["parts"]["model"]


def test_the_standard_library_is_split_by_whole_files():
    train, test = standard_library(), standard_library(train=False)
    assert len(train) > 10 * len(test) > 1_000_000
    assert "class JSONDecoder" in train + test
    assert ("class JSONDecoder" in train) != ("class JSONDecoder" in test)

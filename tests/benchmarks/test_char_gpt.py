"""The comparison of programs that train the same language model: it runs, and the programs agree."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.char_gpt import __main__ as comparison
from benchmarks.char_gpt import worker
from benchmarks.char_gpt.in_passus import Learner
from benchmarks.char_gpt.task import GPT, Text, rate, starting_weights
from benchmarks.peers import missing
from benchmarks.processes import WorkerError
from benchmarks.sequences.problems import CHAR_GPT, Transformer
from examples import char_gpt as example

SMALL = Transformer(vocabulary=11, layers=2, heads=2, width=16, T=12)


def small() -> Text:
    """Tokens that count from 0 to 10 repeatedly."""
    tokens = (np.arange(3000) % SMALL.vocabulary).astype(np.uint8)
    return Text(tokens[:2000], tokens[2000:], SMALL, N=4)


@pytest.mark.slow
@pytest.mark.compiles
def test_programs_that_train_in_alternation_learn_to_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = [name for name in ("passus", "passus_recorded", "torch") if missing(name) is None]
    monkeypatch.setattr(comparison.Text, "of_example", small)
    monkeypatch.setattr(comparison, "measured_ceilings", lambda rounds: "a speed")
    monkeypatch.setattr(comparison, "REPORTS", 2)
    monkeypatch.setattr(comparison, "TURN", 100)
    monkeypatch.setattr(sys, "argv", ["char_gpt", "--steps", "200", "--programs", *programs])
    comparison.main()
    text = capsys.readouterr().out
    for name in programs:
        rows = re.findall(rf"{name} ([\d.]+) \((\d+) steps\)", text)
        assert [int(steps) for _, steps in rows] == [100, 200]
        losses = [float(loss) for loss, _ in rows]
        assert losses[1] < min(losses[0], math.log(SMALL.vocabulary) / 2), text
    assert text.splitlines()[-1].startswith("Validation loss in nats per character: passus ")


def test_a_run_by_time_stops_at_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a quarter of a second by the clock of the test."""
    clock = iter(np.arange(0.0, 100.0, 0.25))
    monkeypatch.setattr(worker, "perf_counter", lambda: next(clock))
    run = worker.Run("passus", small())
    run.start(3)
    assert [run.train_seconds(2) for _ in range(3)] == [(8, 2.0), (12, 3.0), (12, 3.0)]


@pytest.mark.slow
def test_an_error_in_a_worker_is_raised_with_its_type(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    Text(np.zeros(5, np.uint8), np.zeros(5, np.uint8), SMALL, N=4).save(path)
    with pytest.raises(WorkerError, match="ValueError"):
        comparison.compare(["passus"], str(path), 1)


def test_a_missing_program_is_skipped_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = []
    monkeypatch.setattr(comparison, "missing", lambda name: None if name == "passus" else "it is not installed")
    monkeypatch.setattr(comparison, "compare", lambda programs, path, *length: called.append((programs, *length)))
    monkeypatch.setattr(comparison.Text, "of_example", small)
    monkeypatch.setattr(comparison, "measured_ceilings", lambda rounds: "a speed")
    monkeypatch.setattr(sys, "argv", ["char_gpt", "--minutes", "0.1"])
    comparison.main()
    assert called == [(["passus"], 6, "seconds")]
    printed = capsys.readouterr().out
    assert "The machine reaches a speed." in printed
    assert "Skipped torch: it is not installed" in printed


def test_the_task_has_the_settings_of_the_example(tmp_path: Path) -> None:
    assert GPT == CHAR_GPT
    assert [rate(share) for share in (0.0, 1.0)] == pytest.approx([0.0, example.LR / 10])
    learner = Learner(GPT)
    learner.start(starting_weights(GPT))
    assert learner.loss(*next(Text.of_example().batches())) == pytest.approx(
        math.log(example.TOKENIZER.vocab_size), abs=0.3
    )
    text, path = small(), tmp_path / "text.npz"
    text.save(path)
    again = Text.read(path)
    assert (again.gpt, again.N) == (text.gpt, text.N)
    np.testing.assert_array_equal(again.train, text.train)
    for x, t in (next(again.batches()), *again.test_batches(8)):
        assert x.shape == t.shape == (4, 12)
        np.testing.assert_array_equal(t, (x + 1) % 11)

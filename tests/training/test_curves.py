"""Pictures of the history."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from passus.errors import ArgumentError
from passus.training import (
    PlotCurves,
    plot_history,
)
from tests.training.loops import trained


def test_a_failed_drawing_leaves_the_old_picture(tmp_path, monkeypatch):
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    def full(figure: Any, file: Any, **options: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    path = tmp_path / "new" / "curves.png"
    trained(PlotCurves(path, every=2))
    picture = imread(path)
    assert picture[..., :3].min() < 0.5, "the picture is not blank"
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"], "no temporary file is left"
    old = path.read_bytes()
    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        plot_history([{"epoch": 1, "loss": 1.0}], path)
    assert path.read_bytes() == old


def test_drawing_takes_a_bounded_share_of_the_time(tmp_path, monkeypatch):
    """Epochs take 1 s and pictures 2 s: one is drawn per 40 s of training per picture so far, and one at the end."""
    now, drawn = [0.0], []

    def draw(history: Any, path: Any) -> None:
        drawn.append(len(history))
        now[0] += 2.0

    monkeypatch.setattr("passus.training.callbacks.curves.monotonic", lambda: now[0])
    monkeypatch.setattr("passus.training.callbacks.curves.plot_history", draw)
    callback, run = PlotCurves(tmp_path / "curves.png"), SimpleNamespace(epoch=0, history=[])

    def train(epochs: int) -> None:
        callback.on_start(run)
        for _ in range(epochs):
            now[0] += 1.0
            run.epoch += 1
            run.history.append({"epoch": run.epoch})
            callback.on_epoch(run, run.history[-1])
        callback.on_end(run)

    train(100)
    assert drawn == [10, 78, 100]
    train(5)
    assert drawn[3:] == [105], "a second call of fit measures from its start"
    drawn.clear()
    callback.share = 1.0
    train(3)
    assert drawn == [107, 108]
    with pytest.raises(ArgumentError, match="share"):
        PlotCurves(tmp_path / "curves.png", share=1.5)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_history_with_missing_values_is_drawn(tmp_path, suffix):
    history = [{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 0.5, "test_top5": 0.1}, {"epoch": 3, "loss": 0.1}]
    plot_history(history, tmp_path / f"curves.{suffix}")
    assert (tmp_path / f"curves.{suffix}").stat().st_size > 1000


def test_invalid_histories_and_options_raise(tmp_path):
    with pytest.raises(ArgumentError, match="nothing to draw"):
        plot_history([], tmp_path / "curves.png")
    with pytest.raises(ArgumentError, match="every"):
        PlotCurves(tmp_path / "curves.png", every=0)
    with pytest.raises(ArgumentError, match="suffixes png, svg, pdf"):
        PlotCurves(tmp_path / "curves.xyz")
    with pytest.raises(ArgumentError, match="no epoch"):
        plot_history([{"loss": 1.0}], tmp_path / "curves.png")

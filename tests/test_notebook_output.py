"""Objects display themselves as HTML in a notebook, with every text escaped."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import passus.functions as F
from passus import DataLoader, Variable
from passus.datasets import ArrayDataset, Dataset, Subset
from passus.display import html_table, line_chart
from passus.layers import Layer, Linear, ReLU, Sequential
from passus.metrics import ConfusionMatrix
from passus.optimizers import SGD
from passus.summary import summary
from passus.training import Trainer

EVIL = "<script>&\"'"


def parsed(html: str) -> ElementTree.Element:
    """The tree of a piece of HTML; raises if an element is not closed or a text not escaped."""
    return ElementTree.fromstring(f"<div>{html.replace('<details open', '<details')}</div>")


def shown(value: Any) -> str:
    """The text that a notebook displays."""
    root = parsed(value._repr_html_())
    assert not list(root.iter("script"))
    return " ".join("".join(root.itertext()).split())


def cells(value: Any) -> list[list[str | None]]:
    return [[cell.text for cell in row] for row in parsed(value._repr_html_()).iter("tr")]


class Squares(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(4, dtype=np.float32)
        self.label = self.data**2


def trained(epochs: int, **options: Any) -> Trainer:
    model, batches = Linear(1, rng=0), [(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))]
    trainer = Trainer(model, SGD(lr=0.1).setup(model), batches, F.mean_squared_error, progress=False, **options)
    if epochs:
        trainer.fit(epochs=epochs)
    return trainer


def test_a_variable() -> None:
    x = Variable(np.array([1.0, 2.0]), name="x")
    assert shown(x) == "Variable · x · float64[2] · gradients flow[1. 2.]"
    F.sum(x * 3.0).backward()
    assert shown(x).endswith("gradient[3. 3.]")
    assert "no gradient" in shown(x.detach())
    assert "no data" in shown(Variable(None))


def test_a_model_is_a_tree() -> None:
    model = Sequential(Linear(2, in_size=3), Sequential(ReLU()), Linear(1))
    root = parsed(model._repr_html_())
    top = next(root.iter("details"))
    assert [node.tag for node in top] == ["summary", "div", "details", "div"]
    lines = [node.text for node in root.iter() if node.tag in ("summary", "div") and (node.text or "").strip()]
    assert lines == [line.strip() for line in repr(model).splitlines()]


def test_a_layer_without_layers() -> None:
    assert shown(Linear(2, in_size=3)) == repr(Linear(2, in_size=3)).replace("  ", " ").replace("  ", " ")


def test_a_summary_is_a_table_and_still_a_text() -> None:
    model, x = Sequential(Linear(3), ReLU()), np.ones((2, 4), np.float32)
    report = summary(model, x)
    assert isinstance(report, str)
    assert cells(report)[2] == ["l0", "Linear", "(2, 3)", "15", "0", "24"]
    assert "24 multiply-adds" in shown(report)
    assert len(cells(summary(model, x, depth=0))) == 2


def test_datasets() -> None:
    assert cells(Squares())[0] == ["examples", "4"]
    assert "float32[4] [0 1 4 9]" in shown(Squares())
    assert "int64[3] [0 1 2]" in shown(ArrayDataset(np.arange(3)))
    assert "ArrayDataset of 3 examples" in shown(Subset(ArrayDataset(np.arange(3)), [0, 2]))


def test_a_dataset_without_data_shows_that() -> None:
    class Endless(Dataset):
        def __getitem__(self, index: int) -> Any:
            return index, index

    assert cells(Endless())[0] == ["examples", "unknown"]


def test_a_loader_shows_its_position_and_stays_there() -> None:
    loader = DataLoader(ArrayDataset(np.arange(6)), batch_size=2, shuffle=False)
    assert ["position", "between epochs"] in cells(loader)
    next(loader)
    assert ["position", "batch 1 of the epoch"] in cells(loader)
    assert ["batches", "3"] in cells(loader)
    np.testing.assert_array_equal(np.ravel(next(loader)), [2, 3])


def test_a_trainer_shows_its_history_as_charts_and_as_a_table() -> None:
    trainer = trained(12, metrics={EVIL: lambda y, t: 0.5})
    root = parsed(trainer._repr_html_())
    polylines = [node for node in root.iter() if node.tag.endswith("polyline")]
    assert [len((node.get("points") or "").split()) for node in polylines] == [12, 12]
    history = [row for row in cells(trainer) if row[0] and row[0].isdigit()]
    assert [row[0] for row in history] == [str(epoch) for epoch in range(3, 13)]
    assert f"{trainer.history[-1]['loss']:.4g}" in shown(trainer)


def test_a_trainer_before_the_first_epoch() -> None:
    assert "<svg" not in trained(0)._repr_html_()


def test_a_confusion_matrix() -> None:
    matrix = ConfusionMatrix(["cat", EVIL])
    matrix.update(np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert cells(matrix) == [["label \\ prediction", "cat", EVIL], ["cat", "1", "1"], [EVIL, "0", "1"]]


class Evil(Layer):
    def __init__(self) -> None:
        self.kind = EVIL


@pytest.mark.parametrize(
    "value",
    [Variable(np.array(1.0), name=EVIL), Evil(), Sequential(Evil()), ConfusionMatrix([EVIL])],
    ids=["variable", "layer", "model", "matrix"],
)
def test_texts_are_escaped(value: Any) -> None:
    assert "<script>" in shown(value)
    assert "<script>" not in value._repr_html_()


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, 2.0), (2, 2.0)], [(1, float("nan")), (2, float("inf"))]])
def test_charts_of_few_points(points: Any) -> None:
    chart = line_chart("a < b", {"x": points})
    assert "nan" not in chart
    assert "inf" not in chart
    assert "a < b" in "".join(parsed(chart).itertext())


def test_colors_are_dark_on_white() -> None:
    table = html_table(["x"], [["1"]])
    assert re.findall(r"background:([^;\"]*);color:([^;\"]*)", table)
    assert set(re.findall(r"background:(\S+?);", table)) == {"#fff"}

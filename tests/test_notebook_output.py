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
from passus.display import line_chart
from passus.layers import Layer, Linear, ReLU, Sequential
from passus.metrics import AUC, F1, MAE, R2, Accuracy, ConfusionMatrix, Mean, Perplexity
from passus.optimizers import SGD
from passus.schedules import cosine
from passus.summary import summary
from passus.training import Trainer
from passus.transforms import (
    AsType,
    Compose,
    Flatten,
    Mixup,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToArray,
)
from passus.visualize import steps

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


def test_integers_take_no_gradient() -> None:
    assert "int64[2] \u00b7 no gradient" in shown(Variable(np.array([1, 2])))


@pytest.mark.parametrize("shape", [(1000,), (40, 40), (32, 3, 28, 28), (2, 2, 2, 9, 9)])
def test_a_large_variable_is_short(shape: tuple[int, ...]) -> None:
    x = Variable(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    F.sum(x).backward()
    lines = re.sub(r"<[^>]*>", "", x._repr_html_()).splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) < 120
    assert f"min 0, mean {(x.size - 1) / 2:.4g}, max {x.size - 1:.4g}" in shown(x)
    assert "all 1" in shown(x)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array(3.14159), "3.14159"),
        (np.array([1.0, np.nan, -np.inf]), "[ 1. nan -inf]"),
        (np.array([1, 65504], np.float16), "[1.00e+00 6.55e+04]"),
        (np.zeros((0, 3)), "[]"),
        (np.array([[1, 2], [3, 4]]), "[[1 2] [3 4]]"),
    ],
)
def test_a_small_variable_shows_all_elements(array: Any, text: str) -> None:
    assert shown(Variable(array)).split("gradients flow")[-1].split("no gradient")[-1] == text


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
    assert ["array 0", "<U3[2]  [cat dog]"] in cells(ArrayDataset(np.array(["cat", "dog"])))
    assert ["array 0", "<U3[20]"] in cells(ArrayDataset(np.array(["cat", "dog"] * 10)))


def test_a_dataset_shows_its_transforms() -> None:
    pipeline = Compose([RandomHorizontalFlip(), Normalize(0.5, 0.2), AsType(np.float32), np.flip])
    assert (
        repr(pipeline)
        == "Compose([RandomHorizontalFlip(p=0.5), Normalize(mean=[0.5], std=[0.2]), AsType(dtype=float32), flip])"
    )
    assert ["transform", repr(pipeline)] in cells(Squares(transform=pipeline))


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (RandomCrop(8), "RandomCrop(size=(8, 8), padding=0, pad_mode='zeros')"),
        (Mixup(10, 0.2, rng=0), "Mixup(classes=10, alpha=0.2)"),
        (Resize(8), "Resize(size=(8, 8), mode='bilinear')"),
        (ToArray(), "ToArray(dtype=float32)"),
        (Flatten(), "Flatten()"),
    ],
)
def test_transforms_show_their_options(transform: Any, text: str) -> None:
    assert repr(transform) == text


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


def test_a_changing_learning_rate_is_a_curve() -> None:
    model, batches = Linear(1, rng=0), [(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))]
    optimizer = SGD(lr=cosine(0.1, steps=5)).setup(model)
    trainer = Trainer(model, optimizer, batches, F.mean_squared_error, progress=False)
    trainer.fit(epochs=4)
    assert "schedule: 0.0345" in shown(trainer)
    assert "schedule" not in shown(trained(4))


def test_a_trainer_before_the_first_epoch() -> None:
    assert "<svg" not in trained(0)._repr_html_()


def test_a_confusion_matrix() -> None:
    matrix = ConfusionMatrix(["cat", EVIL])
    matrix.update(np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert cells(matrix) == [["label \\ prediction", "cat", EVIL], ["cat", "1", "1"], [EVIL, "0", "1"]]


def test_cells_of_a_confusion_matrix_are_tinted_by_their_share_of_the_row() -> None:
    matrix = ConfusionMatrix(["cat", "dog", "owl"])
    matrix.update(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 0]))
    html = matrix._repr_html_()
    grounds = [re.findall(r"background:(#\w+)", str(row)) for row in re.findall(r"<tr>.*?</tr>", html)]
    assert grounds[1] == ["#fff", "#abc3de", "#e3ebf4", "#fff"]
    assert grounds[2] == ["#fff", "#fff", "#8fafd4", "#fff"], "all examples: the darkest tint"
    assert grounds[3] == ["#fff"] * 4, "a class without examples"
    assert repr(matrix) == str(matrix)


def updated(metric: Any, y: Any, t: Any) -> Any:
    metric.update(np.array(y), np.array(t))
    return metric


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Accuracy(), "Accuracy: no values yet"),
        (updated(Accuracy(), [[0.1, 0.9], [0.8, 0.2]], [1, 1]), "Accuracy: 0.5"),
        (updated(F1(3, average="none"), [0, 1, 2, 1], [0, 1, 1, 1]), "F1: [1 0.8 0]"),
        (updated(F1(), [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]), "F1: 0.5"),
        (updated(MAE(), [1.0, 2.0], [1.5, 4.0]), "MAE: 1.25"),
        (updated(R2(), [1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "R2: 0.5"),
        (AUC(), "AUC: no values yet"),
        (R2(), "R2: no values yet"),
        (F1(), "F1: no values yet"),
        (Mean(), "Mean: no values yet"),
        (updated(Perplexity(), np.zeros((2, 7)), [0, 1]), "Perplexity: 7"),
    ],
)
def test_metrics_show_their_values(metric: Any, text: str) -> None:
    assert repr(metric) == text
    name, value = text.split(": ")
    assert shown(metric) == f"{name}value{value}"


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


def test_the_legend_of_a_chart_is_above_the_curves() -> None:
    chart = line_chart("loss", {"training": [(1, 1.0), (2, 0.0)], "test": [(1, 0.5), (2, 1.0)]})
    highest = min(
        float(y) for points in re.findall(r'points="([^"]*)"', chart) for y in re.findall(r",([\d.]+)", points)
    )
    legend = [float(y) for y, text in re.findall(r'<text x="\S+" y="([\d.]+)"[^>]*>([^<]*)', chart) if ": " in text]
    assert len(legend) == 2
    assert max(legend) < highest


SAMPLES = {
    "variable": Variable(np.ones(3)),
    "layer": Linear(2, in_size=3),
    "model": Sequential(Linear(2), ReLU()),
    "summary": summary(Sequential(Linear(3)), np.ones((2, 4), np.float32)),
    "steps": steps(Variable(np.ones(2)) * 2.0),
    "dataset": Squares(),
    "loader": DataLoader(ArrayDataset(np.arange(6)), batch_size=2),
    "trainer": trained(2),
    "matrix": ConfusionMatrix(2),
    "metric": Accuracy(),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_colors_are_dark_on_white(name: str) -> None:
    """A notebook may have a dark theme, whose style sheet colors the rows of tables, preformatted text and its own text."""
    root = parsed(SAMPLES[name]._repr_html_())
    for node in root.iter():
        style = node.get("style") or ""
        if node.tag in ("pre", "table", "caption", "td", "th") or node in list(root):
            assert node.tag.endswith("svg") or re.search(r"(^|;)color:#1a1a1a", style), node.tag
            assert node.tag.endswith("svg") or "background:#fff" in style, node.tag
        if node.tag.endswith("svg"):
            assert node[0].get("fill") == "white"
        if node.tag == "table":
            assert "margin:0" in style, "a notebook would center it"

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import passus.functions as F
from passus import Model, Variable
from passus.errors import ArgumentError, DependencyError, DTypeError, GraphError
from passus.layers import RNN, Conv2d, LayerNorm, Linear, LSTMCell, ReLU, Sequential
from passus.visualize import draw

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed (apt-get install graphviz)"
)


class Net(Model):
    def __init__(self) -> None:
        self.conv1 = Conv2d(2, 3, rng=0)
        self.body = Sequential(ReLU(), Linear(4, rng=0))

    def forward(self, x: Any) -> Any:
        return self.body(F.flatten(F.relu(self.conv1(x))))


def labels(dot: str) -> dict[str, list[str]]:
    """The lines of the label of each node."""
    return {name: text.split("\\n") for name, text in re.findall(r'^(n\d+) \[label="(.*?)",', dot, flags=re.MULTILINE)}


def members(dot: str, path: str) -> set[str]:
    """The first lines of the labels of the nodes in the frame of a layer, without those of its sub-layers."""
    [body] = re.findall(rf'subgraph "cluster {re.escape(path)}" {{ label="{re.escape(path)}"; ((?:n\d+; ?)*)', dot)
    return {labels(dot)[name][0] for name in re.findall(r"n\d+", body)}


def exp_times_x() -> Variable:
    x = Variable(np.array([0.0, 1.0]), name="x")
    y: Variable = F.exp(x) * x
    y.name = "y"
    return y


def test_values_and_gradients_are_those_of_the_passes() -> None:
    y = exp_times_x()
    shown = {lines[0]: lines[1:] for lines in labels(draw(y, values=True, gradients=True).dot).values()}
    assert shown["y: (2,) float64"] == ["[0 2.718]", "gradient [1 1]"]
    assert shown["x: (2,) float64"] == ["[0 1]", "gradient [1 5.437]"]
    assert shown["(2,) float64"] == ["[1 2.718]", "gradient [0 1]"]


def test_a_drawing_changes_no_gradient() -> None:
    y = exp_times_x()
    x: Any = y.creator.inputs[1]  # type: ignore[union-attr]
    draw(y, gradients=True)
    assert (y.grad, x.grad) == (None, None)
    y.backward()
    expected = x.grad.data.copy()
    draw(y, gradients=True)
    np.testing.assert_array_equal(x.grad.data, expected)


def test_what_is_not_requested_is_left_out() -> None:
    dot = draw(exp_times_x(), shapes=False).dot
    assert "gradient" not in dot
    assert sorted(labels(dot).values()) == [[""], ["Exp"], ["Mul"], ["x"], ["y"]]


def test_gradients_of_constants_are_an_error() -> None:
    with pytest.raises(GraphError):
        draw(exp_times_x().detach(), gradients=True)


def test_parameters_have_their_paths_and_the_input_is_drawn() -> None:
    model, x = Net(), np.ones((1, 1, 4, 4), np.float32)
    shown = {lines[0]: lines[1:] for lines in labels(draw(model(x), model, shapes=False).dot).values()}
    assert {"conv1.W", "conv1.b", "body.l1.W", "body.l1.b"} <= set(shown)
    assert shown["input"] == ["(1, 1, 4, 4) float32"]
    shown = {lines[0]: lines[1:] for lines in labels(draw(model(x), model).dot).values()}
    assert shown["conv1.W"] == ["(2, 1, 3, 3) float32"], "a path is long, and has a line for itself"


def test_functions_are_grouped_by_layer() -> None:
    model, x = Net(), np.ones((1, 1, 4, 4), np.float32)
    dot = draw(model(x), model, shapes=False).dot
    assert members(dot, "conv1") == {"conv1.W", "conv1.b", "Conv", ""}
    assert members(dot, "body.l0") == {"ReLU", ""}
    assert members(dot, "body.l1") == {"Linear", "body.l1.W", "body.l1.b", ""}
    assert members(dot, "body") == set()
    assert dot.count('"ReLU"') == 2, "the function between the layers is drawn outside of them"


def test_a_layer_called_twice_has_the_functions_of_both_calls() -> None:
    layer = Sequential(Linear(3, rng=0))
    y = layer(layer(np.ones((1, 3), np.float32)))
    dot = draw(y, layer, shapes=False).dot
    [frame] = [line for line in dot.splitlines() if line.startswith("subgraph")]
    assert sum(labels(dot)[name] == ["Linear"] for name in re.findall(r"n\d+", frame)) == 2


def test_carried_state_does_not_put_earlier_layers_into_a_frame() -> None:
    class Net(Model):
        def __init__(self) -> None:
            self.first, self.rnn = Linear(3, rng=0), RNN(2, rng=0)

        def forward(self, x: Any) -> Any:
            return self.rnn(self.first(x))

    model, x = Net(), np.ones((1, 2), np.float32)
    model(x)
    dot = draw(model(x), model, shapes=False).dot
    assert dot.count('"Linear"') >= 2
    assert "Linear" not in members(dot, "rnn")
    assert "Linear" in members(dot, "first")


class Unrolled(Model):
    def __init__(self) -> None:
        self.cell, self.head = LSTMCell(2, rng=0), Linear(1, rng=0)

    def forward(self, xs: Any) -> Any:
        state = None
        for x in xs:
            state = self.cell(x, state)
        return self.head(state[0])  # type: ignore[index]


def test_a_cell_that_a_model_calls_for_each_step_has_one_frame_with_all_calls() -> None:
    model = Unrolled()
    dot = draw(model(np.ones((5, 1, 3), np.float32)), model, shapes=False).dot
    [frame] = [line for line in dot.splitlines() if line.startswith('subgraph "cluster cell"')]
    assert [labels(dot)[name] for name in re.findall(r"n\d+", frame)].count(["LSTM"]) == dot.count('"LSTM"') == 5
    assert "Linear" in members(dot, "head")


def edges_of(dot: str, name: str) -> list[str]:
    """The edges of the nodes whose first line is ``name``."""
    nodes = [node for node, lines in labels(dot).items() if lines[0] == name]
    return [line for line in dot.splitlines() if " -> " in line and set(re.findall(r"n\d+", line)) & set(nodes)]


def test_parameters_used_once_stand_on_both_sides_of_their_function() -> None:
    model = Net()
    dot = draw(model(np.ones((1, 1, 4, 4), np.float32)), model).dot
    [function] = [node for node, lines in labels(dot).items() if lines == ["Conv"]]
    assert [re.sub(r"n\d+", lambda n: "f" if n[0] == function else "p", edge) for edge in edges_of(dot, "conv1.W")] == [
        "p -> f [minlen=0]"
    ]
    assert [re.sub(r"n\d+", lambda n: "f" if n[0] == function else "p", edge) for edge in edges_of(dot, "conv1.b")] == [
        "f -> p [minlen=0, dir=back]"
    ]


def test_a_parameter_used_twice_stands_above_its_functions() -> None:
    layer = Linear(3, rng=0)
    dot = draw(layer(layer(np.ones((1, 3), np.float32))), layer).dot
    assert len(edges_of(dot, "W")) == 2
    assert "minlen" not in dot


@needs_dot
def test_frames_of_a_hundred_nodes_stand_one_below_the_other() -> None:
    blocks = [Sequential(Linear(8, rng=0), LayerNorm(8), ReLU()) for _ in range(8)]
    model = Sequential(*blocks)
    drawing = draw(model(np.ones((2, 8), np.float32)), model)
    assert 75 <= len(labels(drawing.dot)) <= 110
    root = ElementTree.fromstring(drawing.svg())
    width, height = (float((root.get(side) or "").removesuffix("pt")) for side in ("width", "height"))
    assert width < 600, "a notebook would shrink a wider picture, and its text"
    assert height > 3 * width


def test_an_array_used_twice_is_one_node_and_each_number_is_its_own() -> None:
    a, x = np.ones(2), Variable(np.ones(2))
    dot = draw((x * a + a) * 2.0 * 2.0).dot
    assert dot.count('label="(2,) float64", shape=ellipse, style=filled, fillcolor="#f2f2f2"') == 1
    assert dot.count('label="2.0"') == 2


def test_graphs_of_gradients_of_gradients() -> None:
    x = Variable(np.array(2.0), name="x")
    (x**3).backward(create_graph=True)
    gx: Any = x.grad
    x.cleargrad()
    gx.backward(create_graph=True)
    assert x.grad is not None
    [lines] = [lines for lines in labels(draw(x.grad, values=True, gradients=True).dot).values() if lines[0][0] == "x"]
    assert lines == ["x: () float64", "2", "gradient 6"]


@pytest.mark.parametrize("output", [np.ones(2), 3, None])
def test_only_variables_are_drawn(output: Any) -> None:
    with pytest.raises(DTypeError, match="draw: "):
        draw(output)


def test_bad_options_are_refused() -> None:
    y = exp_times_x()
    with pytest.raises(DTypeError, match="not a layer"):
        draw(y, "model")  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="values"):
        draw(y, values="yes")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="suffixes dot"):
        draw(y).save("graph.txt")


def test_the_text_can_be_saved_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    drawing = draw(exp_times_x())
    drawing.save(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text() == drawing.dot
    [comment, *lines] = drawing._repr_mimebundle_()["text/plain"].splitlines()
    assert comment.startswith("// draw: needs the program dot of Graphviz: apt-get install graphviz")
    assert "\n".join(lines) == drawing.dot
    with pytest.raises(DependencyError, match="brew install graphviz"):
        drawing.svg()
    with pytest.raises(DependencyError, match=r"draw\(y\)\.dot"):
        drawing.save(tmp_path / "graph.svg")


@needs_dot
def test_a_notebook_shows_svg_with_dark_text_on_white() -> None:
    bundle = draw(exp_times_x(), values=True)._repr_mimebundle_()
    root = ElementTree.fromstring(bundle["image/svg+xml"])
    texts = [node for node in root.iter() if node.tag.endswith("}text")]
    assert "[0 1]" in {node.text for node in texts}
    assert {node.get("fill") for node in texts} == {"#1a1a1a"}
    assert all(float(node.get("font-size", "0")) >= 12 for node in texts)
    assert next(node for node in root.iter() if node.tag.endswith("}polygon")).get("fill") == "white"


@needs_dot
@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '" onload="x', "a & b"])
def test_names_are_escaped_in_svg(name: str) -> None:
    x = Variable(np.array(1.0), name=name)
    root = ElementTree.fromstring(draw(x, shapes=False).svg())
    assert name in {(node.text or "").replace("\xa0", " ") for node in root.iter()}
    assert not any(node.tag.endswith("script") for node in root.iter())


@needs_dot
def test_pictures_are_saved(tmp_path: Path) -> None:
    draw(exp_times_x()).save(tmp_path / "y.png")
    assert (tmp_path / "y.png").read_bytes().startswith(b"\x89PNG")

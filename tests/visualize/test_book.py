from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Variable
from passus.errors import ArgumentError, DependencyError, DTypeError, PathError
from passus.visualize import get_dot_graph, plot_dot_graph

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed (apt-get install graphviz)"
)


def labels(graph: str) -> list[str]:
    return re.findall(r'label="((?:[^"\\]|\\.)*)"', graph)


def edges(graph: str) -> list[tuple[str, str]]:
    return re.findall(r"^(\w+) -> (\w+)$", graph, flags=re.MULTILINE)


def squared_sum() -> Variable:
    x, y = Variable(np.array(1.0), name="x"), Variable(np.ones((2, 3), np.float32), name="y")
    z = (x + y) ** 2
    z.name = "z"
    return z


def test_each_variable_and_function_is_one_node() -> None:
    graph = get_dot_graph(squared_sum())
    assert sorted(labels(graph)) == sorted(
        ["z: (2, 3) float64", "Pow", "(2, 3) float64", "Add", "x: () float64", "y: (2, 3) float32"]
    )
    assert graph.count("shape=ellipse") == 4
    assert graph.count("shape=box") == 2


def test_edges_go_from_inputs_to_outputs() -> None:
    graph = get_dot_graph(squared_sum(), verbose=False)
    names = dict(re.findall(r'^(\w+) \[label="(\w*)"', graph, flags=re.MULTILINE))
    assert {(names[a], names[b]) for a, b in edges(graph)} == {
        ("x", "Add"), ("y", "Add"), ("Add", ""), ("", "Pow"), ("Pow", "z"),
    }  # fmt: skip


def test_variable_used_twice_is_one_node_with_two_edges() -> None:
    x = Variable(np.array(1.0), name="x")
    graph = get_dot_graph(x + x, verbose=False)
    assert labels(graph).count("x") == 1
    assert len(edges(graph)) == 3


def test_equal_graphs_give_equal_texts() -> None:
    assert get_dot_graph(squared_sum(), constants=True) == get_dot_graph(squared_sum(), constants=True)


def test_constants_are_drawn_on_request() -> None:
    y = Variable(np.ones(2), name="x") * np.zeros((3, 2)) + 0.5
    assert "shape=plaintext" not in get_dot_graph(y)
    assert {"(3, 2) float64", "0.5"} <= set(labels(get_dot_graph(y, constants=True)))


def test_a_leaf_and_a_variable_without_data() -> None:
    assert labels(get_dot_graph(Variable(np.array(1.0)))) == ["() float64"]
    assert labels(get_dot_graph(Variable(None, name="W"))) == ["W"]


@pytest.mark.parametrize(
    "name", ['say "x"', "back\\slash", "two\nlines", "größe λ 数", "a & b &lt;", "bell\a\0", "\udc80"]
)
def test_any_name_is_a_quoted_string(name: str) -> None:
    graph = get_dot_graph(Variable(np.array(1.0), name=name))
    assert len(graph.splitlines()) == 6
    assert len(labels(graph)) == 1
    graph.encode()


def test_deep_graphs_are_drawn_without_recursion() -> None:
    y: Any = Variable(np.array(1.0))
    for _ in range(5000):
        y = -y
    assert get_dot_graph(y, verbose=False).count("Neg") == 5000


def test_graphs_of_second_derivatives() -> None:
    x = Variable(np.array(2.0), name="x")
    F.sin(x).backward(create_graph=True)
    gx = x.grad
    assert gx is not None
    assert {"Cos", "x"} <= set(labels(get_dot_graph(gx, verbose=False)))


def test_graph_of_an_array_raises() -> None:
    with pytest.raises(DTypeError, match="ndarray is not supported"):
        get_dot_graph(np.array(1.0))  # type: ignore[arg-type]


@needs_dot
@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("SVG", b"<?xml")])
def test_pictures_are_drawn(tmp_path: Path, ending: str, start: bytes) -> None:
    path = plot_dot_graph(squared_sum(), to_file=tmp_path / f"graph of z.{ending}")
    assert path.read_bytes().startswith(start)


@needs_dot
def test_names_are_escaped_in_svg(tmp_path: Path) -> None:
    x = Variable(np.array(1.0), name='"λ" \\ &amp; <b>')
    picture = plot_dot_graph(x, verbose=False, to_file=tmp_path / "x.svg").read_text()
    assert "λ" in picture
    assert "&amp;amp; &lt;b&gt;" in picture.replace("&#45;", "-").replace("&#160;", " ")


@pytest.mark.parametrize("name", ["graph", "graph.txt", "graph.", ".png; rm -r"])
def test_unknown_file_suffix_raises(name: str) -> None:
    with pytest.raises(ArgumentError, match="use one of the suffixes"):
        plot_dot_graph(squared_sum(), to_file=name)


def test_missing_dot_raises_with_the_package_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="apt-get install graphviz"):
        plot_dot_graph(squared_sum(), to_file=tmp_path / "z.png")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def fake_dot(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A fake Graphviz that records its calls."""
    calls: list[Any] = []

    def run(command: list[str], **options: Any) -> Any:
        calls.append((command, options))
        return SimpleNamespace(returncode=0, stdout=b"picture", stderr=b"")

    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_dot_runs_without_a_shell_and_without_the_path(tmp_path: Path, fake_dot: list[Any]) -> None:
    path = tmp_path / "-o $(touch x).png"
    assert plot_dot_graph(squared_sum(), to_file=path) == path
    [(command, options)] = fake_dot
    assert command == ["/bin/dot", "-Tpng"]
    assert options["input"].decode() == get_dot_graph(squared_sum())
    assert not options.get("shell")
    assert path.read_bytes() == b"picture"


def test_error_of_dot_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_dot: list[Any]) -> None:
    failed = SimpleNamespace(returncode=1, stdout=b"", stderr=b"no memory\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: failed)
    with pytest.raises(ArgumentError, match="no memory"):
        plot_dot_graph(squared_sum(), to_file=tmp_path / "z.png")
    assert not (tmp_path / "z.png").exists()


def test_invalid_output_path_raises(tmp_path: Path, fake_dot: list[Any]) -> None:
    with pytest.raises(PathError, match="no such folder"):
        plot_dot_graph(squared_sum(), to_file=tmp_path / "new" / "z.png")
    with pytest.raises(DTypeError, match="not a path"):
        plot_dot_graph(squared_sum(), to_file=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(("ending", "shown"), [("png", True), ("pdf", False)])
def test_notebook_shows_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_dot: list[Any], ending: str, shown: bool
) -> None:
    ipython = SimpleNamespace(
        get_ipython=lambda: SimpleNamespace(kernel=True), display=SimpleNamespace(Image=lambda data: ("image", data))
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    path = tmp_path / f"z.{ending}"
    assert plot_dot_graph(squared_sum(), to_file=path) == (("image", b"picture") if shown else path)

"""A notebook is executed, and its outputs are those that a reader sees."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="the dev extras install nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="the dev extras install nbclient and ipykernel")

CELLS = {
    "imports": "import numpy as np, passus, passus.functions as F\nfrom passus.visualize import draw, steps",
    "variable": "x = passus.Variable(np.array([1.0, 2.0]), name='x')\ny = F.sum(F.exp(x) * x)\nx",
    "drawing": "draw(y, values=True, gradients=True)",
    "steps": "steps(y)",
    "model": "from passus.layers import Linear, ReLU, Sequential\nmodel = Sequential(Linear(3), ReLU(), Linear(1))\nmodel",
    "summary": "from passus.summary import summary\nsummary(model, np.ones((2, 4), np.float32))",
    "training": "from passus.training import Trainer\nfrom passus.optimizers import SGD\n"
    "batches = [(np.ones((4, 4), np.float32), np.ones((4, 1), np.float32))] * 3\n"
    "trainer = Trainer(model, SGD(lr=0.01).setup(model), batches, F.mean_squared_error)\nhistory = trainer.fit(epochs=4)",
    "trainer": "trainer",
    "dataset": "from passus.datasets import ArrayDataset\nArrayDataset(np.arange(6))",
    "loader": "passus.DataLoader(ArrayDataset(np.arange(6)), batch_size=2)",
    "matrix": "from passus.metrics import Accuracy, ConfusionMatrix\nConfusionMatrix(3)",
    "metric": "Accuracy()",
    "error": "model(np.ones((2, 7), np.float32))",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of the cells by name."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = nbclient.NotebookClient(
        notebook, timeout=100, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": folder}}
    )
    client.execute(cwd=folder, env=_environment())
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells)}


def _environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    inherited = {name: value for name, value in os.environ.items() if name != "PASSUS_TRACEBACK"}
    return {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PASSUS_QUIET": "1"}


def displayed(outputs: list[Any]) -> Any:
    """The data of the result of a cell, by MIME type."""
    assert not [output for output in outputs if output.output_type == "error"]
    [result] = [output for output in outputs if output.output_type == "execute_result"]
    return result.data


@pytest.mark.parametrize(
    "name", ["variable", "steps", "model", "summary", "dataset", "loader", "trainer", "matrix", "metric"]
)
def test_objects_are_displayed_as_html_and_as_text(outputs: dict[str, list[Any]], name: str) -> None:
    assert {"text/html", "text/plain"} <= set(displayed(outputs[name]))


def test_a_trainer_is_displayed_with_its_curves(outputs: dict[str, list[Any]]) -> None:
    assert "<polyline" in displayed(outputs["trainer"])["text/html"]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed (apt-get install graphviz)")
def test_a_drawing_is_displayed_as_svg(outputs: dict[str, list[Any]]) -> None:
    assert "gradient" in displayed(outputs["drawing"])["image/svg+xml"]


def test_an_error_shows_the_line_of_the_cell_and_no_frames_of_passus(outputs: dict[str, list[Any]]) -> None:
    [error] = outputs["error"]
    assert error.ename == "ShapeError"
    text = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))
    assert CELLS["error"] in text
    assert "forward" not in text
    assert "frames inside passus are hidden" in text


def test_a_training_shows_one_bar(outputs: dict[str, list[Any]]) -> None:
    assert "epoch 4/4" in str(outputs["training"])
    assert str(outputs["training"]).count("epoch 1/4: 100%") == 0
    assert "Warning" not in str(outputs["training"]), "tqdm.auto warns without ipywidgets"

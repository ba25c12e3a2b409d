"""The examples that need trained weights, run as programs."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from tests.examples.test_examples import percent, pictures, run
from tests.helpers.real_data import real

pytestmark = pytest.mark.compiles


@pytest.mark.slow
def test_fine_tuning_recognizes_faces_better_than_untrained_features():
    text = run("finetune_faces", "--weights", real("efficientnet-lite0.pth"), "--faces", real("lfw_subset.npy"))
    assert percent(text) >= 95.0  # 97.0 was measured; the order of summation may change one or two predictions.
    untrained, *_ = re.findall(r"(\d+)%$", text, re.MULTILINE)
    assert int(untrained) < 80


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 224])
def test_gradcam_locates_the_cat(left, tmp_path):
    photo = Image.new("RGB", (448, 224), "gray")
    photo.paste(Image.open(real("chelsea.png")).crop((30, 0, 330, 300)).resize((224, 224)), (left, 0))
    photo.save(tmp_path / "photo.png")
    options = (
        "--weights",
        real("efficientnet-lite0.pth"),
        "--photo",
        tmp_path / "photo.png",
        "--out",
        tmp_path / "out",
    )
    text = run("gradcam", *options)
    assert "cat" in text.splitlines()[0]
    columns = [int(column) for column in re.findall(r"cat: maximum at \d+% of the height, (\d+)%", text)]
    assert columns
    assert all((column > 50) == (left > 0) for column in columns)
    assert pictures(tmp_path / "out")["gradcam.png"] > 20_000


@pytest.mark.parametrize("name", ["gradcam", "finetune_faces", "style_transfer"])
def test_missing_weights_are_reported_with_the_command_to_fetch_them(name, tmp_path):
    assert "scripts/fetch-data" in run(name, code=2, PASSUS_CACHE=str(tmp_path))


@pytest.mark.slow
def test_style_transfer_halves_the_style_loss(tmp_path):
    weights, photo = real("efficientnet-lite0.pth"), real("chelsea.png")
    text = run("style_transfer", "--weights", weights, "--photo", photo, "--steps", "30", "--out", tmp_path)
    style = [float(number) for number in re.findall(r"style loss ([\d.]+)$", text, re.MULTILINE)]
    assert style[-1] < 0.5 * style[0]
    assert pictures(tmp_path)["style_transfer.png"] > 100_000

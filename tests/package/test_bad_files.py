"""Bad files of weights and checkpoints raise and leave a training run unchanged."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.layers as L
from passus.errors import DTypeError, PassusError, WeightsError
from passus.models import MLP
from passus.serializers import load_checkpoint, save_checkpoint, write_weights
from tests.package.running import Training, check_harmless

KINDS = ("npz", "safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_weights_file_raises(kind: str, tmp_path: Path) -> None:
    path, layer = tmp_path / f"weights.{kind}", L.Linear(2, in_size=3, rng=0)
    layer.save_weights(path)
    content, before = path.read_bytes(), layer.state_dict()
    for end in range(0, len(content), 1 if kind == "safetensors" else 3):
        path.write_bytes(content[:end])
        with pytest.raises(WeightsError, match="not a readable"):
            layer.load_weights(path)
    np.testing.assert_equal(layer.state_dict(), before)
    path.write_bytes(content)
    layer.load_weights(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"epoch,loss\n1,0.5\n", pickle.dumps({"l0.W": 1}), b"\x80" * 64])
def test_file_of_another_format_raises(kind: str, content: bytes, tmp_path: Path) -> None:
    training, path = Training(), tmp_path / f"other.{kind}"
    path.write_bytes(content)
    check_harmless(training, lambda: training.model.load_weights(path), ValueError, f"other.{kind}: not a readable")
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", KINDS)
def test_missing_file_folder_and_wrong_suffix_have_separate_errors(kind: str, tmp_path: Path) -> None:
    training, load = Training(), L.Linear(2).load_weights
    error = check_harmless(training, lambda: load(tmp_path / f"no.{kind}"), FileNotFoundError, "no such file")
    assert isinstance(error, WeightsError)
    (tmp_path / f"folder.{kind}").mkdir()
    with pytest.raises(WeightsError, match="this is a folder; give the path of a file in it"):
        load(tmp_path / f"folder.{kind}")
    check_harmless(
        training,
        lambda: training.model.save_weights(tmp_path / f"folder.{kind}"),
        OSError,
        "give the path of a file in",
    )
    check_harmless(
        training, lambda: training.model.save_weights(tmp_path / "a" / f"b.{kind}"), OSError, "create it first"
    )
    with pytest.raises(PassusError, match=r"must end in \.safetensors or \.npz"):
        load(tmp_path / "weights.pkl")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (MLP((5, 2), in_size=4).state_dict(), "missing: l1.gamma.*extra: l1.W.*shape: l0.W"),
        ({"l0.W": np.ones((4, 3), np.int32)}, "l0.W int32 instead of float32"),
        ({}, "missing: l0.W"),
    ],
    ids=["another model", "another dtype", "nothing"],
)
def test_weights_of_another_model_raise_and_list_the_differences(
    kind: str, arrays: Any, match: str, tmp_path: Path
) -> None:
    training, path = Training(), tmp_path / f"weights.{kind}"
    write_weights(path, arrays)
    check_harmless(training, lambda: training.model.load_weights(path), ValueError, f"{match}.*Nothing was changed")


@pytest.mark.parametrize("kind", KINDS)
def test_non_arrays_are_not_written(kind: str, tmp_path: Path) -> None:
    for wrong in ([1.0], "a", np.array(["a"]), np.array([None])):
        with pytest.raises(DTypeError, match="not written: W is not a numeric array"):
            write_weights(tmp_path / f"weights.{kind}", {"W": wrong})
    with pytest.raises(DTypeError, match="is not a path; give a string"):
        L.Linear(2, in_size=3).save_weights(None)
    assert not list(tmp_path.iterdir())


def test_objects_in_an_archive_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", W=np.array([None, 1], object))
    with pytest.raises(WeightsError, match="not a readable npz file of numbers"):
        L.Linear(2).load_weights(tmp_path / "objects.npz")


def test_checkpoint_with_missing_or_extra_components_raises(tmp_path: Path) -> None:
    training, path = Training(), tmp_path / "run.safetensors"
    save_checkpoint(path, model=training.model)
    components = {"model": training.model, "optimizer": training.optimizer}
    check_harmless(
        training, lambda: load_checkpoint(path, **components), ValueError, "holds model, not model, optimizer"
    )
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors", model=training.model)
    with pytest.raises(WeightsError, match=r"model: .*extra: l1\.gamma.*Nothing was changed"):
        load_checkpoint(path, model=MLP((2,), in_size=3))

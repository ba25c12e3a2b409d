"""safetensors files of other programs: 16-bit numbers, dtypes that NumPy lacks, shards."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from passus.errors import ArgumentError, MissingWeightsError, WeightsError
from passus.layers import Linear, Sequential
from passus.serializers import read_weights, write_weights

HALVES = torch.arange(-(2**15), 2**15, dtype=torch.int16)
"""All 16-bit patterns."""


def written(path: Path, header: dict[str, Any], content: bytes) -> Path:
    """Write a file with a given header."""
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


# Numbers of 16 bits.


def test_every_bfloat16_number_is_read_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    there = {
        "all": HALVES.view(torch.bfloat16).reshape(64, 32, 32),
        "one": torch.tensor(-2.5, dtype=torch.bfloat16),
        "none": torch.zeros(3, 0, dtype=torch.bfloat16),
        "beside": torch.tensor([0.1, 3e38]),
    }
    save_file(there, tmp_path / "w.safetensors")
    found = read_weights(tmp_path / "w.safetensors")
    assert found.keys() == there.keys()
    for name, tensor in there.items():
        expected = tensor.float().numpy()
        np.testing.assert_array_equal(found[name].view(np.uint32), expected.view(np.uint32), strict=True)
        assert found[name].dtype == np.float32
        assert found[name].flags.writeable


def test_bfloat16_at_odd_offsets_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path / "w.safetensors",
        {
            "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "b": {"dtype": "BF16", "shape": [2], "data_offsets": [1, 5]},
        },
        b"\x07\x80\x3f\x20\xc0",
    )
    assert {name: array.tolist() for name, array in read_weights(path).items()} == {"a": [7], "b": [1.0, -2.5]}


def test_widening_bfloat16_makes_one_copy(tmp_path: Path) -> None:
    numbers = 1 << 20
    save_file({"W": torch.ones(numbers // 64, 64, dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    read_weights(tmp_path / "w.safetensors")
    tracemalloc.start()
    found = read_weights(tmp_path / "w.safetensors")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["W"].nbytes == 4 * numbers
    assert most < 1.1 * 4 * numbers


def test_float16_stays_float16(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"W": HALVES.view(torch.float16).reshape(-1, 4), "b": torch.ones(4, dtype=torch.float16)}, path)
    found = read_weights(path)
    assert found["W"].dtype == np.float16
    np.testing.assert_array_equal(found["W"].view(np.int16).reshape(-1), HALVES.numpy())
    layer = Linear(4, in_size=2**14)
    with pytest.raises(WeightsError, match=r"W float16 instead of float32.*cast=True"):
        layer.load_weights(path)
    layer.load_weights(path, cast=True)
    np.testing.assert_array_equal(layer.W.data, found["W"].astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_unsupported_dtypes_are_named(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"b": torch.ones(2), "W": torch.ones(3, 2).to(dtype)}, path)
    layer = Linear(2, in_size=3, rng=0)
    before = layer.state_dict()
    with pytest.raises(WeightsError, match=r"w\.safetensors: W has type F8_E\w+, which .* F16, BF16 or F32"):
        layer.load_weights(path)
    check_unchanged(layer, before)


def test_a_truncated_file_raises_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"W": torch.ones(3, 2, dtype=torch.bfloat16), "b": torch.ones(2, dtype=torch.bfloat16)}, path)
    content = path.read_bytes()
    layer = Linear(2, in_size=3, rng=0)
    before = layer.state_dict()
    for length in (0, 4, 8, 20, len(content) - 4, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="not a readable safetensors file"):
            layer.load_weights(path)
    check_unchanged(layer, before)
    path.write_bytes(content)
    layer.load_weights(path)
    np.testing.assert_array_equal(layer.W.data, 1)


def check_unchanged(layer: Any, before: dict[str, Any]) -> None:
    after = layer.state_dict()
    assert after.keys() == before.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


# Shards.

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
ARRAYS = {
    "l0.W": torch.arange(6.0).reshape(3, 2),
    "l0.b": torch.tensor([1.0, 2.0]),
    "l1.W": torch.tensor([[3.0], [4.0]], dtype=torch.bfloat16),
    "l1.b": torch.tensor([0.1]),
}
FILES = dict(zip(ARRAYS, (SHARDS[0], SHARDS[1], SHARDS[1], SHARDS[0])))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index with two shards."""
    for shard in SHARDS:
        save_file({name: ARRAYS[name] for name, file in FILES.items() if file == shard}, tmp_path / shard)
    return described(tmp_path, FILES)


def described(folder: Path, weight_map: Any) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 40}, "weight_map": weight_map}))
    return path


def test_shards_are_read_through_their_index(index: Path) -> None:
    found = read_weights(index)
    assert found.keys() == ARRAYS.keys()
    for name, tensor in ARRAYS.items():
        np.testing.assert_array_equal(found[name], tensor.float().numpy(), strict=True)
    model = Sequential(Linear(2, in_size=3), Linear(1, in_size=2))
    model.load_weights(str(index))
    np.testing.assert_array_equal(model.state_dict()["l1.W"], found["l1.W"])
    report = Linear(2, in_size=3).load_weights(index, strict=False, prefix="l0")
    assert repr(report) == "Loaded(2 taken)"


def test_a_shard_may_be_a_link(index: Path) -> None:
    blobs = index.parent / "blobs"
    blobs.mkdir()
    (index.parent / SHARDS[0]).rename(blobs / "f00d")
    (index.parent / SHARDS[0]).symlink_to(blobs / "f00d")
    assert read_weights(index).keys() == ARRAYS.keys()


def test_writing_to_an_index_raises(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="must end in"):
        write_weights(tmp_path / "model.safetensors.index.json", {"W": np.ones(1)})


def without(name: str) -> Callable[[Path], Any]:
    return lambda folder: described(folder, {n: file for n, file in FILES.items() if n != name})


def moved_to(name: str, file: Any) -> Callable[[Path], Any]:
    return lambda folder: described(folder, FILES | {name: file})


def text(content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "model.safetensors.index.json").write_text(content)


def cut(folder: Path) -> None:
    path = folder / SHARDS[1]
    path.write_bytes(path.read_bytes()[:-1])


def twice(folder: Path) -> None:
    save_file({name: ARRAYS[name] for name in ("l0.b", "l1.W", "l1.b")}, folder / SHARDS[1])


def narrow(folder: Path) -> None:
    save_file({"l0.b": ARRAYS["l0.b"], "l1.W": ARRAYS["l1.W"].to(torch.float8_e4m3fn)}, folder / SHARDS[1])


def of_another_shape(folder: Path) -> None:
    save_file({"l0.b": torch.ones(3), "l1.W": ARRAYS["l1.W"]}, folder / SHARDS[1])


OUTSIDE = "expected a file in the same folder"
FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no shard": (
        lambda folder: (folder / SHARDS[1]).unlink(),
        r"model-00002-of-00002\.safetensors: no such file.*2 arrays",
    ),
    "a cut shard": (cut, r"model-00002-of-00002\.safetensors: not a readable safetensors file"),
    "a shard of no file": (lambda folder: (folder / SHARDS[1]).write_text(""), "model-00002-of-00002.* not a readable"),
    "an array that is not there": (
        moved_to("l2.W", SHARDS[0]),
        r"model-00001-.* missing arrays that .* lists: l2\.W",
    ),
    "an array elsewhere": (moved_to("l0.b", SHARDS[0]), r"model-00001-.* missing arrays that .* lists: l0\.b"),
    "an array that is not in the index": (
        without("l0.b"),
        r"model-00002-.*: arrays that .* does not list in this file: l0\.b",
    ),
    "an array in two shards": (twice, r"model-00002-.*: arrays that .* does not list in this file: l1\.b"),
    "a name twice": (
        text(f'{{"weight_map": {{"l0.W": "{SHARDS[0]}", "l0.W": "{SHARDS[1]}"}}}}'),
        r"index\.json: not a readable index of weights in JSON: duplicate key l0\.W",
    ),
    "a type that cannot be read": (narrow, r"model-00002-.*: l1\.W has type F8_E4M3"),
    "another shape": (of_another_shape, r"of another shape: l0\.b \(3,\) instead of \(2,\)"),
    "a path upwards": (moved_to("l0.b", "../model.safetensors"), OUTSIDE),
    "an absolute path": (moved_to("l0.b", "/etc/model.safetensors"), OUTSIDE),
    "a path of Windows": (moved_to("l0.b", "..\\model.safetensors"), OUTSIDE),
    "a drive": (moved_to("l0.b", "c:model.safetensors"), OUTSIDE),
    "a path with NUL": (moved_to("l0.b", "m\0.safetensors"), OUTSIDE),
    "a surrogate": (moved_to("l0.b", "\ud800.safetensors"), "not a valid path"),
    "a long name": (moved_to("l0.b", "m" * 300 + ".safetensors"), "no such file"),
    "another kind of file": (moved_to("l0.b", "model.bin"), OUTSIDE),
    "a number": (moved_to("l0.b", 3), OUTSIDE),
    "no file": (moved_to("l0.b", None), OUTSIDE),
    "no JSON": (text("{"), "not a readable index of weights in JSON"),
    "no object": (text("[]"), r"expected an object, not \[\]"),
    "deep": (text("[" * 100_000), "not a readable index of weights in JSON"),
    "no weight_map": (text("{}"), "has no weight_map"),
    "an empty weight_map": (text('{"weight_map": {}}'), "has no weight_map"),
    "a list": (text('{"weight_map": []}'), "has no weight_map"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_index_that_contradicts_its_shards_raises_and_changes_nothing(index: Path, fault: str) -> None:
    make, message = FAULTS[fault]
    make(index.parent)
    model = Sequential(Linear(2, in_size=3, rng=0), Linear(1, in_size=2, rng=0))
    before = model.state_dict()
    with pytest.raises((WeightsError, ArgumentError), match=message) as caught:
        model.load_weights(index)
    check_unchanged(model, before)
    assert (type(caught.value) is MissingWeightsError) == (fault in ("no shard", "a long name"))


def test_no_array_is_read_before_all_shards_are_verified(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (index.parent / SHARDS[1]).unlink()
    monkeypatch.setattr("passus.serializers.shards.read_safetensors", None)
    with pytest.raises(MissingWeightsError, match=r"such as l0\.b"):
        read_weights(index)

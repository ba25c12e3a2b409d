"""``summary`` and ``inspect``: files of all formats, damaged files, and outputs that end early."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from passus.cli import main
from passus.models import MLP
from passus.optimizers import Adam
from passus.serializers import save_checkpoint, write_weights


@pytest.fixture
def model() -> MLP:
    return MLP((10, 3), in_size=4)


def report(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The only line on stderr of a command that fails with status 2."""
    assert main([*map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("passus: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_every_array_of_a_file_of_weights(model, suffix, tmp_path, capsys):
    path = tmp_path / f"model{suffix}"
    model.save_weights(path)
    result = report(capsys, "inspect", path)
    assert (result["numbers"], result["bytes"]) == (83, 332)
    assert result["verified"] == (suffix == ".safetensors")
    arrays = {entry["name"]: entry for entry in result["arrays"]}
    assert arrays.keys() == {"l0.W", "l0.b", "l1.W", "l1.b"}
    W = model.l1.W.data
    assert arrays["l1.W"]["shape"] == [10, 3]
    assert arrays["l1.W"]["bytes"] == W.nbytes
    assert arrays["l1.W"]["crc32"] == f"{zlib.crc32(W.tobytes()):08x}"
    assert result["files"] == [
        {"file": str(path), "bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    ]


def test_the_layers_of_a_checkpoint_and_its_metadata(model, tmp_path, capsys):
    path = tmp_path / "run.safetensors"
    model.cleargrads()
    save_checkpoint(path, model=model, optimizer=Adam().setup(model), metadata={"epoch": 3})
    result = report(capsys, "summary", path)
    assert result["format"] == "checkpoint"
    assert result["verified"]
    assert result["values"] == {"epoch": 3}
    assert result["layers"][1] == {
        "layer": "model.l1",
        "arrays": {"W": [10, 3], "b": [3]},
        "numbers": 33,
        "bytes": 132,
    }


def test_text_of_a_summary(model, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    model.save_weights(path)
    assert main(["summary", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: safetensors, checksum verified",
        "layer  arrays              numbers  bytes",
        "-----------------------------------------",
        "l0     W (4, 10), b (10,)       50    200",
        "l1     W (10, 3), b (3,)        33    132",
        "4 arrays of 83 numbers (332 bytes)",
    ]


def test_types_that_numpy_lacks_are_shown_as_stored(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    arrays = {"a": torch.ones(3, dtype=torch.bfloat16), "b": torch.ones(2, 2).to(torch.float8_e4m3fn)}
    save_file(arrays, path, {"format": "pt"})
    result = report(capsys, "inspect", path)
    found = {entry["name"]: (entry["dtype"], entry["bytes"]) for entry in result["arrays"]}
    assert found == {"a": ("BF16", 6), "b": ("F8_E4M3", 4)}
    assert result["values"] == {"format": "pt"}
    assert not result["verified"]


def test_an_index_of_shards(tmp_path, capsys):
    names = {"a.W": "model-1.safetensors", "b.W": "model-2.safetensors"}
    for name, file in names.items():
        write_weights(tmp_path / file, {name: np.zeros(3, np.float32)})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    result = report(capsys, "inspect", index)
    assert [entry["name"] for entry in result["arrays"]] == ["a.W", "b.W"]
    assert [Path(entry["file"]).name for entry in result["files"]] == [index.name, *names.values()]
    (tmp_path / "model-2.safetensors").unlink()
    assert "no such file" in error(capsys, "inspect", index)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_pytorch(zipped, tmp_path, capsys):
    path = tmp_path / "model.pth"
    tree = {"net": torch.nn.Linear(3, 2).state_dict(), "losses": [0.5, 0.25], "name": "small"}
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    result = report(capsys, "inspect", path)
    assert {entry["name"]: entry["shape"] for entry in result["arrays"]} == {"net.weight": [2, 3], "net.bias": [2]}
    assert result["values"] == {"losses.0": 0.5, "losses.1": 0.25, "name": "small"}


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("command", ["summary", "inspect"])
def test_nothing_is_unpickled(command, zipped, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"W": Exploit()}, "model.pth", _use_new_zipfile_serialization=zipped)
    assert "unsupported name" in error(capsys, command, "model.pth")
    np.savez("model.npz", W=np.array([Exploit()], object))
    assert "not a readable npz file" in error(capsys, command, "model.npz")
    assert not Path("unpickled").exists()


def test_nan_and_infinity_are_strings_in_json(tmp_path, capsys):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, metadata={"loss": float("nan"), "losses": [float("inf"), 0.5], "best": {"f1": -float("inf")}})
    assert main(["inspect", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["values"] == {"loss": "NaN", "losses": ["Infinity", 0.5], "best": {"f1": "-Infinity"}}


def test_a_summary_reads_no_arrays(tmp_path, capsys):
    """A file of 2 GB, whose arrays take no space on the disk."""
    path = tmp_path / "large.safetensors"
    header = json.dumps({"W": {"dtype": "F32", "shape": [1 << 29], "data_offsets": [0, 1 << 31]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + (1 << 31))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert report(capsys, "summary", path)["numbers"] == 1 << 29
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # In units of 1024 bytes.
    os.truncate(path, 1 << 30)
    assert "not a readable safetensors file" in error(capsys, "summary", path)


def test_a_folder_stands_for_its_index_or_only_file(tmp_path, capsys):
    assert "folder with 0 files of weights; give the path" in error(capsys, "inspect", tmp_path)
    write_weights(tmp_path / "a.safetensors", {"a": np.zeros(3, np.float32)})
    (tmp_path / "config.json").write_text("{}")
    assert report(capsys, "inspect", tmp_path)["file"] == str(tmp_path / "a.safetensors")
    write_weights(tmp_path / "b.safetensors", {"b": np.zeros(3, np.float32)})
    assert "folder with 2 files of weights; give the path of a file, such as a.safetensors" in error(
        capsys, "summary", tmp_path
    )
    index = {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert report(capsys, "summary", tmp_path)["numbers"] == 6


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickles_and_other_files_are_named(protocol, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("model.pkl").write_bytes(pickle.dumps({"W": Exploit()}, protocol))
    assert "model.pkl: not a file of weights but a pickle" in error(capsys, "inspect", "model.pkl")
    assert not Path("unpickled").exists()
    np.save("a.npy", np.zeros(3))
    assert "a single array; read it with numpy.load" in error(capsys, "summary", "a.npy")
    Path("notes.txt").write_text("no weights")
    assert "the formats are .safetensors, " in error(capsys, "summary", "notes.txt")


@pytest.mark.parametrize("command", ["summary", "inspect"])
def test_unreadable_files_give_one_line_and_status_2(model, command, tmp_path, capsys):
    assert "no such file" in error(capsys, command, tmp_path / "missing.npz")
    assert "this is a folder" in error(capsys, command, tmp_path)
    for name in ("text.npz", "text.safetensors", "text.pth", "text.onnx", "text", "a.safetensors.index.json"):
        (tmp_path / name).write_text("not weights\n\x1b[31m")
        assert f"{tmp_path / name}: not a" in error(capsys, command, tmp_path / name)
    (tmp_path / "empty.safetensors").touch()
    assert "not a readable" in error(capsys, command, tmp_path / "empty.safetensors")


def test_a_changed_number_is_noticed(model, tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    model.save_weights(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "the checksum differs" in error(capsys, "inspect", path)


def test_names_cannot_control_the_terminal(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    write_weights(path, {"red\x1b[31m.W": np.zeros(1)})
    for command in ("summary", "inspect"):
        assert main([command, str(path)]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert r"red\x1b[31m" in out


def test_long_lists_of_values_are_shortened(tmp_path, capsys):
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, metadata={f"value{i}": "x" * 200 for i in range(50)})
    assert main(["inspect", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "and 10 more values" in lines
    assert max(map(len, lines)) < 150


def python(*arguments: object, **options: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "passus", *map(str, arguments)], stderr=subprocess.PIPE, **options)


def test_a_closed_pipe_is_no_error(tmp_path):
    path = tmp_path / "model.safetensors"
    write_weights(path, {f"l{i}.W": np.zeros(1) for i in range(3000)})  # More than a pipe holds.
    process = python("inspect", path, stdout=subprocess.PIPE)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0


def test_an_output_in_ascii_shows_other_characters_escaped(tmp_path):
    path = tmp_path / "model.safetensors"
    write_weights(path, {"größe.W": np.zeros(1)})
    process = python(
        "summary", path, stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    out, err = process.communicate()
    assert rb"gr\xf6\xdfe" in out
    assert (process.returncode, err) == (0, b"")

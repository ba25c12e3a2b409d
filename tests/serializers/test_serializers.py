"""Weights and checkpoints in files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.random
from passus import Variable
from passus import functions as F
from passus.core import Parameter
from passus.errors import ArgumentError, DependencyError, DTypeError, WeightsError
from passus.layers import BatchNorm, Dropout, Layer, Linear, Sequential
from passus.models import MLP
from passus.serializers import load_checkpoint, read_checkpoint, read_weights, save_checkpoint, write_weights
from passus.serializers.safetensors import write_safetensors

KINDS = ("npz", "safetensors")


def net(in_size: int | None = 4, rng: int = 0) -> Sequential:
    return Sequential(
        Linear(3, in_size=in_size, rng=rng), BatchNorm(in_size=3 if in_size else None), Linear(2, in_size=3)
    )


def arrays(layer: Layer) -> dict[str, Any]:
    return layer.state_dict()


def check_unchanged(layer: Layer, before: dict[str, Any]) -> None:
    np.testing.assert_equal(layer.state_dict(), before)


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"weights.{request.param}"


# Weights: round trips.


def test_weights_are_restored_exactly(path: Path) -> None:
    model, other = net(), net(rng=1)
    model(np.ones((5, 4), np.float32))  # Changes the running statistics.
    model.save_weights(path)
    other.load_weights(path)
    check_unchanged(other, arrays(model))
    assert list(read_weights(path)) == list(arrays(model)) or path.suffix == ".safetensors", "npz preserves the order"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_, ">f4"])
def test_every_dtype_layout_and_shape_is_restored(path: Path, dtype: Any) -> None:
    given = {
        "0-d": np.array(1).astype(dtype),
        "empty": np.zeros((0, 3), dtype),
        "transposed": np.arange(6).reshape(2, 3).T.astype(dtype, order="K"),
        "strided": np.arange(12).astype(dtype)[::2],
        "file": np.ones(2, dtype),  # Names of parameters of np.savez.
        "allow_pickle": np.ones(2, dtype),
        "Ebene.größe": np.ones(2, dtype),
    }
    write_weights(path, given)
    found = read_weights(path)
    assert set(found) == set(given)
    for name, array in given.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


def test_a_lazy_model_takes_its_shapes_from_the_file(path: Path) -> None:
    model, lazy = net(), net(in_size=None)
    model.save_weights(path)
    lazy.load_weights(path)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(lazy(x).data, model(x).data)


def test_a_lazy_model_rejects_files_that_contradict_its_known_sizes(path: Path) -> None:
    Linear(3, in_size=4).save_weights(path)
    lazy = Linear(2)
    with pytest.raises(WeightsError, match=r"W \(4, 3\) instead of \(\?, 2\).*b \(3,\) instead of \(2,\)"):
        lazy.load_weights(path)
    assert lazy.W.data is None


def test_a_model_without_shapes_is_not_saved(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"not written: .*l0\.W, .*call it once"):
        net(in_size=None).save_weights(path)
    assert not path.exists()


def test_saving_does_not_change_the_model_and_loading_shares_no_memory(path: Path) -> None:
    model = net()
    before = {name: p.data for name, p in model.named_params()}
    model.save_weights(path)
    assert all(p.data is before[name] for name, p in model.named_params())
    state = model.state_dict()
    model.load_state_dict(state)
    for name, p in model.named_params():
        assert not np.shares_memory(p.data, state[name])


def test_files_of_dezero_are_read(tmp_path: Path) -> None:
    model = MLP((3, 2), in_size=4)
    path = tmp_path / "dezero.npz"
    np.savez_compressed(path, **{name.replace(".", "/"): a + 1 for name, a in model.state_dict().items()})
    expected = {name: a + 1 for name, a in model.state_dict().items()}
    model.load_weights(path)
    check_unchanged(model, expected)


def test_weights_of_other_precision_require_cast(path: Path) -> None:
    double, single = Linear(3, dtype=np.float64, in_size=4), Linear(3, in_size=4)
    double.save_weights(path)
    before = arrays(single)
    with pytest.raises(WeightsError, match=r"of another dtype: W float64 instead of float32.*cast=True"):
        single.load_weights(path)
    check_unchanged(single, before)
    single.load_weights(path, cast=True)
    assert single.W.dtype == np.float32
    np.testing.assert_array_equal(single.W.data, double.W.data.astype(np.float32))


def test_cast_does_not_convert_integers_to_floats(path: Path) -> None:
    write_weights(path, {"W": np.zeros((4, 3), np.int32), "b": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError, match="W int32 instead of float32"):
        Linear(3, in_size=4).load_weights(path, cast=True)


# Weights: damaged and unsuitable files.


def test_a_file_of_another_model_is_rejected_with_the_differences(path: Path) -> None:
    MLP((5, 2), in_size=4).save_weights(path)
    model = net()
    before = arrays(model)
    with pytest.raises(WeightsError) as caught:
        model.load_weights(path)
    message = str(caught.value)
    for part in (str(path), "missing: l1.gamma", "extra: l1.W", "l0.W (4, 5) instead of (4, 3)", "Nothing was changed"):
        assert part in message
    assert isinstance(caught.value, ValueError)
    check_unchanged(model, before)


@pytest.mark.parametrize("left", [0, 1, 7, 8, 40, 0.5, -1])
def test_truncated_files_are_rejected(path: Path, left: float) -> None:
    model = net()
    model.save_weights(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content)) if left == 0.5 else int(left)])
    before = arrays(model)
    with pytest.raises(WeightsError, match=r"not a readable .* file"):
        model.load_weights(path)
    check_unchanged(model, before)


@pytest.mark.parametrize(("kind", "words"), [("npz", "CRC"), ("safetensors", "checksum differs")])
def test_changed_bytes_are_detected(tmp_path: Path, kind: str, words: str) -> None:
    model, path = Linear(30, in_size=40), tmp_path / f"weights.{kind}"
    model.save_weights(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    before = arrays(model)
    with pytest.raises(WeightsError, match=words):
        model.load_weights(path)
    check_unchanged(model, before)


def test_safetensors_without_a_checksum_are_read(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path, values = (
        tmp_path / "weights.safetensors",
        {"a": np.arange(3.0), "b": np.zeros((0, 2)), "c": np.float16(1)[...]},
    )
    save_file(values, path, {"by": "another"})
    assert_equal(read_weights(path), values)
    write_weights(path, values)
    assert_equal(load_file(path), values)
    assert_equal(read_weights(path), values)


def assert_equal(found: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> None:
    assert found.keys() == values.keys()
    for name, array in values.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize(
    "content", [b"", b"just a text, and no weights at all\n", bytes(1000), b"PK\x03\x04 and no zip"]
)
def test_files_without_weights_are_rejected(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"not a readable .* file"):
        net().load_weights(path)


def test_pickled_arrays_are_rejected(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "trap.npz", W=np.array([Trap()], dtype=object))
    with pytest.raises(WeightsError, match="not a readable npz file"):
        read_weights(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_archives_of_other_files_are_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    with pytest.raises(WeightsError, match="not a readable npz file"):
        read_weights(tmp_path / "other.npz")


def test_missing_files_and_folders_are_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=path.name):
        net().load_weights(path)
    path.mkdir()
    with pytest.raises(WeightsError, match=rf"{path.name}: this is a folder"):
        net().load_weights(path)
    with pytest.raises(IsADirectoryError, match=r"give the path of a file in it"):
        net().save_weights(path)
    with pytest.raises(FileNotFoundError, match=r"create it first.*nowhere"):
        net().save_weights(path.parent / "nowhere" / path.name)


@pytest.mark.parametrize("name", ["weights", "weights.pkl", "weights.npz.txt"])
def test_the_suffix_determines_the_format(tmp_path: Path, name: str) -> None:
    for act in (net().save_weights, net().load_weights):
        with pytest.raises(ArgumentError, match=r"must end in \.safetensors or \.npz"):
            act(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_unsupported_dtypes_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be written as safetensors"):
        write_weights(tmp_path / "w.safetensors", {"a": np.zeros(2, np.longdouble)})
    assert not list(tmp_path.iterdir())


def test_two_arrays_of_one_path_raise(path: Path) -> None:
    layer = Layer()
    layer.parts = {1: Parameter(np.zeros(1)), "1": Parameter(np.ones(1))}
    with pytest.raises(WeightsError, match=r"two parts are called parts\.1"):
        layer.save_weights(path)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(DependencyError, match="pip install safetensors"):
        net().save_weights(tmp_path / "w.safetensors")


# Writing is atomic.


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace", "numpy.lib.format.write_array"])
def test_a_failed_save_leaves_the_old_file_and_no_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "weights.npz"
    net().save_weights(path)
    before = path.read_bytes()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="No space left"):
        net(rng=1).save_weights(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_leaves_the_old_file_and_no_temporary_files(path: Path) -> None:
    script = f"""
        import resource, signal
        from passus.layers import Linear
        Linear(2, in_size=3).save_weights({str(path)!r})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            Linear(200, in_size=300).save_weights({str(path)!r})
        except OSError as error:
            print(error)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "File too large" in run.stdout
    assert read_weights(path)["W"].shape == (3, 2)
    assert list(path.parent.iterdir()) == [path]


def test_saving_through_a_link_writes_its_target(path: Path) -> None:
    target = path.with_name(f"run1{path.suffix}")
    path.symlink_to(target)
    net().save_weights(path)
    assert path.is_symlink()
    assert not target.is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_file_permissions_follow_the_umask(path: Path) -> None:
    before = os.umask(0o022)
    try:
        net().save_weights(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


# Checkpoints.


class Counter:
    """A component whose state has values of every kind."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "reject" in state:
            raise KeyError("reject")
        self.state = state


STATE: dict[str, Any] = {
    "step": 3,
    "big": 2**200,
    "lr": 0.1,
    "loss": np.float32(0.1),
    "best": -np.inf,
    "none": None,
    "flag": True,
    "name": "adam",
    "betas": (0.9, 0.999),
    "history": [1, [2.5, "x"]],
    "empty": {},
    "slots": {"l1.W": {"m": np.arange(6.0).reshape(2, 3)}, "l1": {"W": {"m": np.arange(3, dtype=np.int32)}}},
    "0-d": np.array(2.0, np.float32),
}


def test_every_kind_of_state_is_restored_exactly(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, counter=Counter(STATE), metadata={"epoch": 7, "note": "grün"})
    other = Counter({})
    assert load_checkpoint(path, counter=other) == {"epoch": 7, "note": "grün"}
    np.testing.assert_equal(other.state, STATE)
    assert other.state["slots"]["l1.W"]["m"].dtype == np.float64
    assert isinstance(other.state["betas"], tuple)
    assert isinstance(other.state["flag"], bool)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_generators_resume_exactly(tmp_path: Path, kind: Any) -> None:
    path, shuffle = tmp_path / "run.safetensors", np.random.Generator(kind(5))
    shuffle.random(3)
    save_checkpoint(path, shuffle=shuffle)
    expected = shuffle.random(4), passus.random.get_rng().random(4)
    load_checkpoint(path, shuffle=shuffle)
    np.testing.assert_array_equal(shuffle.random(4), expected[0])
    np.testing.assert_array_equal(passus.random.get_rng().random(4), expected[1])


def test_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)

    def steps(model: Layer, count: int) -> None:
        for _ in range(count):
            model.cleargrads()
            F.sum(F.square(model(x))).backward()
            for p in model.params():
                p.data = p.data - np.float32(0.01) * p.grad.data

    def fresh() -> Sequential:
        return Sequential(Linear(6), BatchNorm(), Dropout(0.5), Linear(2))

    path, model = tmp_path / "run.safetensors", fresh()
    steps(model, 3)
    save_checkpoint(path, model=model)
    steps(model, 3)
    resumed = fresh()
    load_checkpoint(path, model=resumed)
    steps(resumed, 3)
    np.testing.assert_equal(resumed.state_dict(), model.state_dict())


@pytest.mark.parametrize("error", ["weights error", "other error", "generator of another kind"])
def test_if_one_component_rejects_its_state_none_changes(tmp_path: Path, error: str) -> None:
    path, model = tmp_path / "run.safetensors", net(in_size=None)
    other = {
        "weights error": Linear(2, in_size=2),
        "other error": Counter({"reject": 1}),
        "generator of another kind": np.random.Generator(np.random.PCG64(1)),
    }[error]
    save_checkpoint(path, model=net(), other=other)
    if error == "weights error":
        other = Linear(2, in_size=3)
    elif error == "generator of another kind":
        other = np.random.Generator(np.random.MT19937(1))
    else:
        other.state = {"fine": 1}
    state = other.bit_generator.state if isinstance(other, np.random.Generator) else other.state_dict()
    before = model.state_dict(), passus.random.rng_state()
    with pytest.raises(ValueError, match="other: "):
        load_checkpoint(path, model=model, other=other)
    check_unchanged(model, before[0])
    assert model[0].W.data is None, "lazy as before"
    assert passus.random.rng_state() == before[1]
    now = other.bit_generator.state if isinstance(other, np.random.Generator) else other.state_dict()
    np.testing.assert_equal(now, state)


def test_the_components_must_be_those_that_were_saved(tmp_path: Path) -> None:
    path, model = tmp_path / "run.safetensors", net()
    save_checkpoint(path, model=model, counter=Counter({"step": 1}))
    with pytest.raises(WeightsError, match=r"holds model, counter, not model\..*read_checkpoint"):
        load_checkpoint(path, model=model)
    with pytest.raises(WeightsError, match="not model, counter, loader"):
        load_checkpoint(path, model=model, counter=Counter({}), loader=Counter({}))
    net(rng=1).load_state_dict(read_checkpoint(path)["parts"]["model"])


def test_values_that_cannot_be_saved_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    for parts, match in [
        ({"model": 3}, "model= is an int, which has no state_dict"),
        ({"a": Counter({"f": {"g": len}})}, r"a\.f\.g is a builtin_function"),
        ({"a": Counter({"f": {1: 2}})}, r"a\.f is a dict; .*keys are strings"),
        ({"metadata": 3}, "metadata is an int"),
        ({"metadata": {"x": Variable(np.zeros(1))}}, r"metadata\.x is a Variable"),
    ]:
        with pytest.raises(DTypeError, match=match):
            save_checkpoint(path, **parts)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_checkpoints_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(FileNotFoundError, match="run"):
        load_checkpoint(path)
    net().save_weights(path)
    with pytest.raises(WeightsError, match=r"not a checkpoint; use model\.load_weights"):
        load_checkpoint(path, model=net())
    for text in ("{", "[]", "{}", '{"parts": {"m": {"$array": "gone"}}, "rng": {}, "metadata": {}}', '{"parts": 3}'):
        write_safetensors(path, {}, {"passus.checkpoint": text})
        with pytest.raises(WeightsError, match="damaged checkpoint"):
            load_checkpoint(path, m=net())
    save_checkpoint(path, model=net())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_checkpoint(path, model=net())


def test_a_failed_checkpoint_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, counter=Counter({"step": 1}))

    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, counter=Counter({"step": 2}))
    assert read_checkpoint(path)["parts"] == {"counter": {"step": 1}}
    assert list(tmp_path.iterdir()) == [path]

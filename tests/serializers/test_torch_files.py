"""Files of PyTorch: what torch.save wrote is restored; any other content is rejected, and no code in it is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from passus.errors import MissingWeightsError, WeightsError
from passus.serializers import load_torch
from passus.serializers.torch_pickle import Unpickler

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])


def back(folder: Path, value: Any, zipped: bool = True) -> Any:
    """Save a value with PyTorch and read it with passus."""
    path = folder / "model.pth"
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return load_torch(path)


def numbers(dtype: torch.dtype) -> torch.Tensor:
    return (torch.arange(-7, 8).reshape(3, 5) * (0.37 if dtype.is_floating_point else 1)).to(dtype)


# Values that are restored.


@FORMATS
@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"])
def test_numbers_of_each_dtype_are_restored(tmp_path, name, zipped):
    saved = numbers(getattr(torch, name))
    w = back(tmp_path, {"w": saved}, zipped)["w"]
    assert w.dtype == name
    np.testing.assert_array_equal(w, saved.numpy())


@FORMATS
def test_bfloat16_becomes_float32(tmp_path, zipped):
    saved = torch.tensor([1.0, -2.5, 3.1415926, np.inf, np.nan, 1e-40, -0.0]).bfloat16()
    w = back(tmp_path, {"w": saved}, zipped)["w"]
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w, saved.float().numpy())
    assert np.signbit(w[-1])


@FORMATS
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 1, 3)])
def test_tensors_of_all_shapes_are_restored(tmp_path, shape, zipped):
    w = back(tmp_path, {"w": torch.ones(shape)}, zipped)["w"]
    np.testing.assert_array_equal(w, np.ones(shape, np.float32), strict=True)
    w += 1  # The result is writable.


@FORMATS
def test_noncontiguous_tensors_are_restored(tmp_path, zipped):
    base = torch.arange(24.0).reshape(2, 3, 4)
    saved = {
        "transposed": base.transpose(0, 2),
        "every second": base[:, ::2, 1:],
        "one": base[1, 2, 3],
        "channels last": base[None].to(memory_format=torch.channels_last),
    }
    for name, array in back(tmp_path, saved, zipped).items():
        np.testing.assert_array_equal(array, saved[name].numpy())


@given(data=st.data())
def test_views_are_restored(tmp_path_factory, data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    view = torch.arange(float(np.prod(shape))).reshape(shape)
    cuts = [slice(data.draw(st.integers(0, n - 1)), None, data.draw(st.integers(1, 3))) for n in shape]
    view = view[tuple(cuts)].permute(data.draw(st.permutations(range(len(shape)))))
    zipped = data.draw(st.booleans())
    np.testing.assert_array_equal(back(tmp_path_factory.getbasetemp(), {"w": view}, zipped)["w"], view.numpy())


@FORMATS
def test_tensors_that_share_memory_share_it_after_reading(tmp_path, zipped):
    w = torch.zeros(4)
    tied = back(tmp_path, {"w": w, "same": w, "tail": w[2:], "other": w.clone()}, zipped)
    assert np.shares_memory(tied["w"], tied["same"])
    assert np.shares_memory(tied["w"], tied["tail"])
    assert not np.shares_memory(tied["w"], tied["other"])
    tied["tail"][:] = 1
    assert tied["w"].tolist() == [0, 0, 1, 1]


@FORMATS
def test_states_of_a_model_and_an_optimizer_are_read(tmp_path, zipped):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.LazyLinear(2)
    )
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    saved = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "arch": "größe",
        "best": None,
    }
    read = back(tmp_path, saved, zipped)
    assert list(read["model"]) == list(saved["model"])
    np.testing.assert_equal(read, as_arrays(saved))


def as_arrays(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {name: as_arrays(v) for name, v in value.items()}
    return type(value)(map(as_arrays, value)) if isinstance(value, (list, tuple)) else value


LEAVES = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below)
        | st.lists(below).map(tuple)
        | st.dictionaries(st.text() | st.integers(), below)
        | st.dictionaries(st.text(), below).map(OrderedDict)
    ),
)


@given(tree=TREES)
def test_the_unpickler_agrees_with_pickle(tree):
    def read(value: Any) -> Any:
        return Unpickler({"collections OrderedDict": dict}, lambda _: None).run(BytesIO(pickle.dumps(value, 2)))

    assert read(tree) == tree
    assert repr(read([tree, tree])) == repr([plain(tree), plain(tree)])


def plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: plain(v) for name, v in tree.items()}
    return type(tree)(map(plain, tree)) if isinstance(tree, (list, tuple)) else tree


def test_recursive_lists_are_read(tmp_path):
    itself: list[Any] = []
    itself.append(itself)
    read = back(tmp_path, {"l": itself})["l"]
    assert read[0] is read


# Files with other content.


class Trap:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


@FORMATS
@pytest.mark.parametrize(
    ("function", "name"), [(os.system, r"posix\.system"), (eval, r"\w+\.eval"), (getattr, r"\w+\.getattr")]
)
def test_pickles_cannot_call_functions(tmp_path, function, name, zipped):
    mark = tmp_path / "called"
    arguments = {os.system: f"touch {mark}", eval: f"open({str(mark)!r}, 'w')"}
    with pytest.raises(
        WeightsError, match=rf"model\.pth: .*unsupported name {name}, .*not called\. Save only model\.state_dict\(\)"
    ):
        back(tmp_path, {"w": Trap(function, arguments.get(function, ""))}, zipped)
    assert not mark.exists()


@FORMATS
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (np.zeros(3), r"numpy\._core\.multiarray\._reconstruct"),
        (torch.nn.Parameter(torch.zeros(2)), r"torch\._utils\._rebuild_parameter"),
        (torch.zeros(2, dtype=torch.complex64), r"torch\.ComplexFloatStorage"),
        (b"bytes", r"_codecs\.encode"),
        ({1, 2}, r"\w+\.set"),
        (complex(1, 2), r"\w+\.complex"),
    ],
)
def test_objects_other_than_plain_tensors_are_named(tmp_path, value, name, zipped):
    with pytest.raises(WeightsError, match=f"unsupported name {name}"):
        back(tmp_path, {"w": value}, zipped)


def test_files_not_written_by_torch_are_rejected(tmp_path):
    path = tmp_path / "model.pth"
    with pytest.raises(MissingWeightsError, match="no such file"):
        load_torch(path)
    with pytest.raises(WeightsError, match="folder"):
        load_torch(tmp_path)
    for content in (
        b"",
        b"PK\x03\x04",
        b"hello",
        pickle.dumps({}),
        pickle.dumps(os.system),
        pickle.dumps(3, 0),
        b"cos\nsystem\n.",
    ):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"model\.pth: not a readable PyTorch file"):
            load_torch(path)
    with path.open("wb") as file:
        np.savez(file, w=np.zeros(3))
    with pytest.raises(WeightsError, match="0 members NAME/data"):
        load_torch(path)


@FORMATS
@pytest.mark.parametrize("value", [torch.zeros(3), [torch.zeros(3)], 3])
def test_the_file_must_hold_a_dict(tmp_path, value, zipped):
    with pytest.raises(WeightsError, match="not a dict of tensors"):
        back(tmp_path, value, zipped)


@FORMATS
def test_truncated_files_are_rejected(tmp_path, zipped):
    back(tmp_path, {"a": torch.arange(9.0), "b": torch.ones(3, 2, dtype=torch.int64)}, zipped)
    path = tmp_path / "model.pth"
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"model\.pth"):
            load_torch(path)


@FORMATS
def test_files_with_a_changed_byte_are_read_or_rejected(tmp_path, zipped):
    saved = OrderedDict(a=torch.arange(9.0), b=torch.ones(3, 2, dtype=torch.bfloat16), c=[1, 2.5, "x", None, (True,)])
    back(tmp_path, saved, zipped)
    path, rng = tmp_path / "model.pth", np.random.default_rng(0)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    rejected = 0
    for i in range(0, len(content), 3):
        other = content.copy()
        other[i] ^= rng.integers(1, 256)
        path.write_bytes(other.tobytes())
        try:
            tree = load_torch(path)
        except WeightsError:
            rejected += 1
        else:
            assert type(tree) is dict
    assert rejected > len(content) // 30


# Pickles written by hand.


def named(name: str) -> bytes:
    return b"c%s\n" % name.replace(" ", "\n").encode()


def pickled(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def storage(
    kind: str = "torch FloatStorage", key: Any = "0", count: Any = 4, what: str = "storage", rest: bytes = b""
) -> bytes:
    return b"(" + pickled(what) + named(kind) + pickled(key) + pickled("cpu") + pickled(count) + rest + b"tQ"


def tensor(lies: bytes, offset: Any = 0, size: Any = (4,), stride: Any = (1,)) -> bytes:
    options = b"".join(pickled(v) for v in (offset, size, stride, False, None))
    return named("torch._utils _rebuild_tensor_v2") + b"(" + lies + options + b"tR"


def by_name(value: bytes) -> bytes:
    return b"}" + pickled("w") + value + b"s"


def read(folder: Path, tree: bytes, numbers: bytes = bytes(16), compression: int = zipfile.ZIP_STORED) -> Any:
    path = folder / "model.pth"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("model/data.pkl", b"\x80\x02" + tree + b".")
        archive.writestr("model/data/0", numbers)
    return load_torch(path)


def test_handwritten_pickles_are_read(tmp_path):
    w = read(tmp_path, by_name(tensor(storage())), np.arange(4, dtype=np.float32).tobytes())["w"]
    assert w.tolist() == [0, 1, 2, 3]
    assert read(tmp_path, by_name(tensor(storage(), 1, (3, 1), (1, 2**62))))["w"].shape == (3, 1)


DEEP = b"(t" + b"q\x00h\x00\x86" * 60
"""Nested pairs; hashing them takes exponential time."""


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (by_name(tensor(storage(count=2**40))), "storage 0 has 1099511627776 numbers"),
        (by_name(tensor(storage(count=-1))), "does not name a"),
        (by_name(tensor(storage(count=3), size=(3,))), "a storage of 3 numbers has 16 bytes instead of 12"),
        (by_name(tensor(storage(count=True))), "does not name a storage of numbers"),
        (by_name(tensor(storage(key="1"))), "model/data/1"),
        (by_name(tensor(storage(key=0))), "does not name a storage of numbers"),
        (by_name(tensor(storage(what="module"))), "does not name a"),
        (by_name(tensor(storage(rest=pickled(("0", 0, 2))))), "whole storage"),
        (by_name(tensor(storage("collections OrderedDict"))), "does not name a storage of numbers"),
        (by_name(storage() + storage("torch IntStorage") + b"\x86"), "storage 0 is described inconsistently"),
        (by_name(pickled(("storage",)) + b"Q"), "not enough values"),
        (by_name(tensor(storage(), 1)), r"tensor of 4 numbers ends at index 4 of a storage of 4"),
        (by_name(tensor(storage(), -1)), "0 or more"),
        (by_name(tensor(storage(), size=(2, 2), stride=(4, 1))), "index 5 of"),
        (by_name(tensor(storage(), size=(2, 2), stride=(2**62, 1))), "index 4611686018427387905"),
        (by_name(tensor(storage(), size=(2,), stride=(-1,))), "0 or more"),
        (by_name(tensor(storage(), size=(2,), stride=())), "equally many"),
        (by_name(tensor(storage(), size=(2.0,))), "0 or more"),
        (by_name(tensor(storage(), size=(2**63,))), "0 or more"),
        (by_name(tensor(storage(), size=(2**40,), stride=(0,))), r"call \.contiguous\(\) on expanded"),
        (by_name(tensor(storage(), size=(1,) * 65, stride=(1,) * 65)), "at most 64"),
        (by_name(tensor(storage(), size=(0, 2**62), stride=(1, 1))), "not a readable PyTorch file"),
        (by_name(tensor(pickled(3))), "not described by a storage"),
        (by_name(tensor(tensor(storage()))), "not described by a storage"),
        (by_name(tensor(storage(), size=4)), "not described by a storage"),
        (by_name(named("torch._utils _rebuild_tensor_v2") + b")R"), "missing 4 required"),
        (by_name(named("torch FloatStorage") + b")R"), r"unsupported call of torch\.FloatStorage"),
        (by_name(pickled("os system") + b")R"), "expected a Global, found a str"),
        (by_name(pickled(("os system",)) + b")R"), "expected a Global, found a tuple"),
        (by_name(named("collections OrderedDict") + b"(" + DEEP + b"tR"), "takes 0 positional arguments"),
        (by_name(tensor(storage()) + pickled("0") + pickled(5) + b"s"), "expected a dict, found an ndarray"),
        (by_name(tensor(storage()) + pickled(5) + b"a"), "expected a list, found an ndarray"),
        (by_name(tensor(storage()) + b"}b"), "expected a dict, found an ndarray"),
        (b"}" + DEEP + b"Ns", "a tuple as the key of a dict"),
        (b"}G" + bytes(8) + b"Ns", "a float as the key of a dict"),
        (b"}(NNNu", "not a readable PyTorch file"),
        (b"}(Nu", "not a readable PyTorch file"),
        (b"", "not a readable PyTorch file"),
        (b"h\x07", "not a readable PyTorch file"),
        (b"0", "opcode POP"),
        (b"(ios\nsystem\n", "opcode INST"),
        (b"(t\x81", "opcode NEWOBJ"),
        (b"\x8c\x02os\x8c\x06system\x93", "opcode SHORT_BINUNICODE"),
        (b"\x82\x01", "opcode EXT1"),
        (b"P0\n", "opcode PERSID"),
        (b"P\\{\n", "opcode PERSID"),
        (b"ca\\{\nb\n", r"unsupported name a\\{\.b"),
        (b"cos\nsystem", "newline"),
        (b"cos\n\xff\n", "ascii"),
        (b"\xff", "unknown"),
        (b"X\xff\xff\xff\xffa", "not a readable PyTorch file"),
        (b"I" + b"9" * 10_000 + b"\n", "not a readable PyTorch file"),
    ],
)
def test_malformed_pickles_are_rejected(tmp_path, tree, match):
    with pytest.raises(WeightsError, match=match):
        read(tmp_path, tree)


def test_compressed_archives_are_rejected(tmp_path):
    with pytest.raises(WeightsError, match="compressed"):
        read(tmp_path, by_name(tensor(storage(count=2**20))), bytes(2**22), zipfile.ZIP_DEFLATED)


def test_members_larger_than_the_file_are_rejected(tmp_path):
    read(tmp_path, by_name(tensor(storage())))
    path = tmp_path / "model.pth"
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = 2 * (2**30).to_bytes(4, "little")  # Its compressed and uncompressed size.
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="larger than the file"):
        load_torch(path)


def test_archives_with_two_roots_are_rejected(tmp_path):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("b/data.pkl", pickle.dumps({}, 2))
    with pytest.raises(WeightsError, match="2 members"):
        load_torch(path)


def test_files_of_other_byte_order_are_rejected(tmp_path):
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}, 2))
        archive.writestr("model/byteorder", b"big")
    with pytest.raises(WeightsError, match="big-endian"):
        load_torch(path)
    magic = 0x1950A86A20F9469CFC6C
    for system in ({"little_endian": False}, [], {}):
        path.write_bytes(b"".join(pickle.dumps(v, 2) for v in (magic, 1001, system, {}, [])))
        with pytest.raises(WeightsError, match=r"big-endian|little_endian"):
            load_torch(path)


@pytest.mark.parametrize("keys", [*map(pickled, ([], ["0", "0"], ["1"], [0], "0")), b"]" + DEEP + b"a"], ids=range(6))
def test_the_list_of_storages_must_match_the_pickle(tmp_path, keys):
    path = tmp_path / "model.pth"
    tree = by_name(tensor(storage(rest=b"N")))
    parts = [pickled(v) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]

    def with_keys(keys: bytes, count: int = 4) -> Any:
        pickles = b"".join(b"\x80\x02" + part + b"." for part in (*parts, tree, keys))
        path.write_bytes(pickles + count.to_bytes(8, "little") + bytes(16))
        return load_torch(path)

    assert with_keys(pickled(["0"]))["w"].tolist() == [0, 0, 0, 0]
    with pytest.raises(WeightsError, match="the list of storages does not match"):
        with_keys(keys)
    with pytest.raises(WeightsError, match="length of a storage differs"):
        with_keys(pickled(["0"]), count=3)

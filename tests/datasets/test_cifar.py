"""CIFAR-10 and CIFAR-100, from archives of the published format."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import DataLoader
from passus.datasets import (
    CIFAR10,
    CIFAR100,
    cache_folder,
)
from passus.errors import DataError
from tests.helpers.served import Served


def archive(files: dict[str, bytes], link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    return packed.getvalue()


def records(n: int, classes: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = [rng.integers(0, c, (n, 1), np.uint8) for c in classes]
    return np.hstack([*labels, rng.integers(0, 256, (n, 3072), np.uint8)])


TEN = {
    f"cifar-10-batches-bin/{name}.bin": records(2, (10,), i).tobytes()
    for i, name in enumerate(
        ["data_batch_5", "data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "test_batch"]
    )
}


HUNDRED = {
    "cifar-100-binary/train.bin": records(4, (20, 100)).tobytes(),
    "cifar-100-binary/test.bin": records(3, (20, 100), 1).tobytes(),
}


def serve_cifar(served: Served, monkeypatch: pytest.MonkeyPatch, made: Any, content: bytes) -> str:
    name = made.url.rpartition("/")[2]
    served.files[name] = content
    monkeypatch.setattr(made, "checksum", hashlib.md5(content).hexdigest())
    return f"{served.url}/{name}"


def test_cifar10_orders_its_batches_by_number(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve_cifar(served, monkeypatch, CIFAR10, archive(TEN))
    train, test = CIFAR10(url=url), CIFAR10(train=False, url=url)
    assert served.requests.total() == 1
    rows = np.concatenate([records(2, (10,), i) for i in (1, 2, 3, 4, 0)])
    np.testing.assert_array_equal(train.data, rows[:, 1:].reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(train.label, rows[:, 0])
    assert train.label.dtype == np.int64
    assert len(test) == 2
    assert [p.name for p in cache_folder().iterdir()] == ["cifar-10-binary.tar.gz"]


def test_cifar_stores_bytes_and_returns_float32_between_0_and_1(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = CIFAR10(url=serve_cifar(served, monkeypatch, CIFAR10, archive(TEN)))
    assert dataset.data.dtype == np.uint8
    x, _ = next(iter(DataLoader(dataset, 10, shuffle=False)))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, dataset.data / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset[3][0], x[3])


@pytest.mark.parametrize(("label_type", "column"), [("fine", 1), ("coarse", 0)])
def test_cifar100_has_fine_and_coarse_labels(
    served: Served, monkeypatch: pytest.MonkeyPatch, label_type: Any, column: int
) -> None:
    dataset = CIFAR100(label_type=label_type, url=serve_cifar(served, monkeypatch, CIFAR100, archive(HUNDRED)))
    np.testing.assert_array_equal(dataset.label, records(4, (20, 100))[:, column])
    np.testing.assert_array_equal(dataset.data[0].ravel(), records(4, (20, 100))[0, 2:])


def test_class_names_are_complete() -> None:
    assert CIFAR10.labels()[3] == "cat"
    fine, coarse = CIFAR100.labels(), CIFAR100.labels("coarse")
    assert (len(fine), len(coarse)) == (100, 20)
    assert (fine[0], fine[99], coarse[0], coarse[19]) == ("apple", "worm", "aquatic_mammals", "vehicles_2")
    assert list(fine.values()) == sorted(set(fine.values()))
    assert list(coarse.values()) == sorted(set(coarse.values()))


FIRST = "cifar-10-batches-bin/data_batch_1.bin"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(TEN)[:-3000], "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
        (b"", "cannot be unpacked"),
        (archive({k: v for k, v in TEN.items() if k != FIRST}), f"has no member {FIRST}"),
        (archive({k: v for k, v in TEN.items() if k != FIRST}, link=FIRST), f"has no member {FIRST}"),
        (archive({**TEN, FIRST: TEN[FIRST][:-1]}), "6145 bytes"),
        (archive({**TEN, FIRST: b""}), "0 bytes"),
        (archive({**TEN, FIRST: b"\x0a" * 3073}), "label 10"),
    ],
)
def test_damaged_cifar_archives_are_named(
    served: Served, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    url = serve_cifar(served, monkeypatch, CIFAR10, content)
    with pytest.raises(DataError, match=message) as caught:
        CIFAR10(url=url)
    assert "cifar-10-binary.tar.gz" in str(caught.value)
    assert "delete the file" in str(caught.value)

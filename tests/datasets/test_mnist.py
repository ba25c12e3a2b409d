"""MNIST and Fashion-MNIST, from files of the published format."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import DataLoader
from passus.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    cache_folder,
)
from passus.datasets.pictures import mosaic
from passus.errors import DataError
from tests.helpers.served import Served


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_files(rng: np.random.Generator) -> dict[str, bytes]:
    files = {}
    for part, n in (("train", 7), ("t10k", 3)):
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(rng.integers(0, 256, (n, 28, 28), np.uint8)))
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(rng.integers(0, 10, n, np.uint8)))
    return files


def md5s(files: dict[str, bytes]) -> Any:
    return tuple(hashlib.md5(content).hexdigest() for content in files.values())


@pytest.fixture
def mnist(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    served.files = mnist_files(np.random.default_rng(0))
    monkeypatch.setattr(MNIST, "url", served.url)
    monkeypatch.setattr(MNIST, "checksums", md5s(served.files))
    return served


def break_file(served: Served, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes) -> None:
    """Serve a damaged file and declare its checksum, so that parsing fails instead of verification."""
    served.files[name] = content
    monkeypatch.setattr(MNIST, "checksums", md5s(served.files))


def test_mnist_has_the_pixels_and_labels_of_its_files(mnist: Served) -> None:
    for train, part, n in ((True, "train", 7), (False, "t10k", 3)):
        dataset = MNIST(train)
        pixels = gzip.decompress(mnist.files[f"{part}-images-idx3-ubyte.gz"])[16:]
        assert dataset.data.shape == (n, 1, 28, 28)
        assert dataset.data.dtype == np.uint8
        assert dataset.data.tobytes() == pixels
        assert dataset.label.tolist() == list(gzip.decompress(mnist.files[f"{part}-labels-idx1-ubyte.gz"])[8:])
    assert dataset.label.dtype == np.int64


def test_examples_are_flat_float32_between_0_and_1(mnist: Served) -> None:
    dataset = MNIST()
    x, t = dataset[2]
    assert x.shape == (784,)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, dataset.data[2].ravel() / 255, rtol=1e-6)
    xs, ts = next(iter(DataLoader(dataset, 7, shuffle=False)))
    np.testing.assert_array_equal(xs[2], x)
    assert ts[2] == t
    assert MNIST(transform=None)[0][0].dtype == np.uint8


def test_mnist_is_downloaded_once_and_then_needs_no_network(mnist: Served) -> None:
    MNIST()
    requests = mnist.requests.total()
    assert requests == 2
    MNIST(url="http://127.0.0.1:1")
    MNIST(folder=cache_folder() / "mnist")
    assert mnist.requests.total() == requests


def test_mnist_is_downloaded_from_a_given_mirror(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "url", "http://127.0.0.1:1")
    with pytest.raises(DataError, match="mirror"):
        MNIST()
    assert len(MNIST(url=mnist.url + "/some/where/")) == 7


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


SEVEN = np.zeros((7, 28, 28), np.uint8)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (IMAGES, lambda c: c[:-20], "cannot be unpacked"),
        (IMAGES, lambda c: c[:100] + b"passus" + c[106:], "cannot be unpacked"),
        (IMAGES, lambda c: b"<html>not found</html>", "cannot be unpacked"),
        (IMAGES, lambda c: b"", "not with the header of an IDX file"),
        (IMAGES, lambda c: gzip.compress(idx(SEVEN)[:-1]), "bytes for an array"),
        (IMAGES, lambda c: gzip.compress(idx(SEVEN) + b"x"), "bytes for an array"),
        (IMAGES, lambda c: gzip.compress(idx(SEVEN)[:10]), "not with the header of an IDX file"),
        (IMAGES, lambda c: gzip.compress(b"\x00\x00\x0d\x03" + idx(SEVEN)[4:]), "not with the header of an IDX file"),
        (IMAGES, lambda c: gzip.compress(idx(SEVEN[0])), "not with the header of an IDX file"),
        (IMAGES, lambda c: gzip.compress(idx(SEVEN[:6])), "6 pictures.*7 labels"),
        (LABELS, lambda c: gzip.compress(idx(np.full(7, 10, np.uint8))), "label 10"),
    ],
)
def test_damaged_mnist_files_are_named(
    mnist: Served, monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    break_file(mnist, monkeypatch, name, change(mnist.files[name]))
    with pytest.raises(DataError, match=message) as caught:
        MNIST()
    assert name in str(caught.value)
    assert "delete" in str(caught.value)


def test_a_changed_mnist_file_fails_its_checksum(mnist: Served) -> None:
    MNIST()
    path = cache_folder() / "mnist" / IMAGES
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"md5.*delete the file"):
        MNIST()
    path.unlink()
    assert len(MNIST()) == 7


def test_the_published_checksums_are_md5() -> None:
    for checksum in (*MNIST.checksums, *FashionMNIST.checksums, CIFAR10.checksum, CIFAR100.checksum):
        assert len(bytes.fromhex(checksum)) == 16


def test_fashion_mnist_is_cached_in_a_separate_folder(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    MNIST()
    mnist.files = mnist_files(np.random.default_rng(1))
    monkeypatch.setattr(FashionMNIST, "checksums", md5s(mnist.files))
    assert (FashionMNIST(url=mnist.url).data != MNIST().data).any()
    assert FashionMNIST.labels()[9] == "Ankle boot"
    assert MNIST.labels() == {i: str(i) for i in range(10)}


def test_show_draws_a_grid_of_images(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gca().images[0].get_array().shape))
    MNIST().show(2, 3)
    plt.close("all")
    assert shown == [(56, 84)]


def test_a_mosaic_consists_of_whole_images() -> None:
    images = np.arange(4, dtype=np.uint8).repeat(3 * 5 * 6).reshape(4, 3, 5, 6)
    grid = mosaic(images, 2, 3, rng=0)
    assert grid.shape == (10, 18, 3)
    tiles = grid.reshape(2, 5, 3, 6, 3).transpose(0, 2, 1, 3, 4).reshape(6, -1)
    assert (tiles == tiles[:, :1]).all()
    assert mosaic(images[:, :1], 1, 1).shape == (5, 6)

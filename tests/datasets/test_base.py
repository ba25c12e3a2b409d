"""Properties of all datasets: examples, transforms, arrays, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest

from passus.dataloaders import DataLoader
from passus.datasets import (
    CIFAR100,
    ArrayDataset,
    Dataset,
    Shakespeare,
)
from passus.datasets.pictures import mosaic
from passus.errors import ArgumentError, DTypeError, ShapeError


class Evens(Dataset):
    def prepare(self) -> None:
        self.data = np.arange(0, 10, 2)
        if self.train:
            self.label = self.data // 2


def test_transforms_apply_to_examples_and_labels() -> None:
    dataset = Evens(transform=lambda x: x + 0.5, target_transform=str)
    assert dataset[1] == (2.5, "1")
    assert len(dataset) == 5
    assert Evens(train=False)[2] == (4, None)


def test_datasets_are_iterable_and_take_negative_indices() -> None:
    assert [int(x) for x, _ in Evens()] == [0, 2, 4, 6, 8]
    assert Evens()[-1] == (8, 4)


def test_data_and_labels_of_different_length_raise() -> None:
    class Uneven(Dataset):
        def prepare(self) -> None:
            self.data, self.label = np.zeros((3, 2)), [0, 1]

    with pytest.raises(ShapeError, match="Uneven: data has 3 examples, but label has 2"):
        Uneven()

    class Windows(Uneven):
        def __getitem__(self, index: int) -> Any:
            return self.data[index : index + 2], self.label[index]

    assert Windows()[1][1] == 1  # An overridden __getitem__ is not checked.


@pytest.mark.parametrize(
    ("columns", "error", "match"),
    [
        ({}, ArgumentError, r"Broken: no data; set self.data in prepare\(\), which Dataset.__init__ calls, or define"),
        ({"examples": np.zeros(3)}, ArgumentError, "Broken: no data"),
        ({"data": iter([1, 2])}, DTypeError, "Broken: data is a list_iterator; prepare.. must set an array or list"),
        ({"data": 3}, DTypeError, "data is an int"),
        ({"data": np.array(3.0)}, DTypeError, "data is an ndarray"),
        ({"data": {"x": 1}}, DTypeError, "data is a dict"),
        ({"data": {1, 2}}, DTypeError, "data is a set"),
        ({"data": pandas.DataFrame({"x": [1, 2]})}, DTypeError, "data is a DataFrame"),
        ({"data": [1, 2], "label": 3}, DTypeError, "label is an int"),
        ({"data": [1, 2], "label": [3]}, ShapeError, "data has 2 examples, but label has 1"),
    ],
)
def test_a_broken_prepare_raises_in_the_constructor(columns: Any, error: type[Exception], match: str) -> None:
    class Broken(Dataset):
        def prepare(self) -> None:
            vars(self).update(columns)

    with pytest.raises(error, match=match):
        Broken()


def test_data_may_be_set_by_the_constructor_or_the_class() -> None:
    class Missing(Dataset):
        pass

    class Later(Dataset):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.data = np.arange(n)

    class Alone(Dataset):
        def __init__(self) -> None:
            self.data = [5, 6]

    class Given(Dataset):
        data = "abc"

    with pytest.raises(ArgumentError, match="Missing: no data"):
        Missing()
    assert (Later(3)[2], Alone()[0], Given()[1], len(Given())) == ((2, None), (5, None), ("b", None), 3)

    class Early(Dataset):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n

        def prepare(self) -> None:
            self.data = np.arange(self.n)

    with pytest.raises(AttributeError) as caught:
        Early(3)
    assert caught.value.__notes__[0].endswith("set the attributes that it reads before super().__init__()")


def test_a_dataset_may_override_getitem_and_len() -> None:
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
        (lambda: Dataset(), ArgumentError),
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
def test_invalid_uses_of_datasets_raise(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_array_dataset_pairs_the_rows_of_its_arrays() -> None:
    x, t = np.arange(6.0).reshape(3, 2), np.array([0, 1, 2])
    dataset = ArrayDataset(x, t)
    assert len(dataset) == 3
    assert dataset[-1][0].tolist() == [4, 5]
    xs, ts = next(iter(DataLoader(dataset, 3, shuffle=False)))
    np.testing.assert_array_equal(xs, x)
    np.testing.assert_array_equal(ts, t)
    assert list(DataLoader(dataset, 3, collate=len)) == [3]

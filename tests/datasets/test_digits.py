"""scikit-learn's digits."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from passus.datasets import (
    Digits,
)
from passus.errors import DependencyError


def test_digits_are_a_fixed_split_of_the_data_of_scikit_learn() -> None:
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


def test_digits_are_flat_or_square() -> None:
    flat, square = Digits(train=False), Digits(train=False, flat=False)
    assert square[3][0].shape == (1, 8, 8)
    np.testing.assert_array_equal(square.data.reshape(-1, 64), flat.data)
    assert Digits.labels()[7] == "7"


def test_without_scikit_learn_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DependencyError, match="pip install scikit-learn"):
        Digits()

"""The names of ImageNet's classes."""

from __future__ import annotations

import pytest

from passus.datasets import (
    ImageNet,
)
from passus.errors import DataError
from tests.helpers.served import Served


def imagenet_list(count: int) -> str:
    names = ["tench, Tinca tinca", 'a "quoted" one', "carpenter's kit"] + ["thing"] * (count - 3)
    return "{" + ",\n ".join(f"{i}: {name!r}" for i, name in enumerate(names)) + "}"


def test_labels_are_parsed(served: Served) -> None:
    served.files["labels.txt"] = imagenet_list(1000).encode()
    labels = ImageNet.labels(url=f"{served.url}/labels.txt")
    assert len(labels) == 1000
    assert [labels[i] for i in (0, 1, 2, 999)] == ["tench, Tinca tinca", 'a "quoted" one', "carpenter's kit", "thing"]


@pytest.mark.parametrize("content", [imagenet_list(999), "__import__('os').abort()", ""])
def test_lists_without_1000_ordered_labels_are_rejected(served: Served, content: str) -> None:
    served.files["labels.txt"] = content.encode()
    with pytest.raises(DataError, match="not 1000 in order"):
        ImageNet.labels(url=f"{served.url}/labels.txt")

"""The names of ImageNet's classes; the pictures themselves are not free to download."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar

from passus.datasets.download import get_file
from passus.errors import DataError

__all__ = ["ImageNet"]

LINE = re.compile(r"""^\{?\s*(\d+): (['"])(.+)\2[,}]?\s*$""", re.MULTILINE)
"""One class: its number, and its names between quotation marks."""


class ImageNet:
    """The 1,000 classes of ImageNet (ILSVRC 2012)."""

    # The address names one revision for good; no checksum of it was published, so the content is checked instead.
    url: ClassVar[str] = (
        "https://gist.githubusercontent.com/yrevar/942d3a0ac09ec9e5eb3a/raw/"
        "238f720ff059c1f82f368259d1ca4ffa5dd8f9f5/imagenet1000_clsidx_to_labels.txt"
    )

    @classmethod
    def labels(cls, *, url: str | None = None, folder: str | os.PathLike[str] | None = None) -> dict[int, str]:
        """The names of each class, joined by commas.

        Raises `DataError` if the list cannot be downloaded, or is not one of 1,000 classes in order.
        """
        path = get_file(url or cls.url, "imagenet_labels.txt", folder=folder)
        names = {int(number): name for number, _, name in LINE.findall(_text(path))}
        if list(names) != list(range(1000)):
            raise DataError(f"{path}: {len(names)} classes instead of 1000 in order; delete the file and try again")
        return names


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace")

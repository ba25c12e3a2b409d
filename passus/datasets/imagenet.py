"""The class names of ImageNet; the pictures themselves cannot be downloaded freely."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import ClassVar

from passus.datasets.download import damaged, get_file
from passus.unpacking import BROKEN

__all__ = ["ImageNet"]

LINE = re.compile(r"""\{?[ \t]{0,8}([0-9]{1,4}): (['"])(.{1,1000})\2[,}]?""")
"""One class: its label, then its names in quotation marks."""


class ImageNet:
    """The 1,000 classes of ImageNet (ILSVRC 2012)."""

    # The URL names a fixed revision. No checksum is published, so the content is checked instead.
    url: ClassVar[str] = (
        "https://gist.githubusercontent.com/yrevar/942d3a0ac09ec9e5eb3a/raw/"
        "238f720ff059c1f82f368259d1ca4ffa5dd8f9f5/imagenet1000_clsidx_to_labels.txt"
    )

    @classmethod
    def labels(cls, *, url: str | None = None, folder: str | os.PathLike[str] | None = None) -> dict[int, str]:
        """The names of each class, joined by commas.

        Raises `DataError` if the list cannot be downloaded, or does not hold 1,000 classes in order.
        """
        path = get_file(url or cls.url, "imagenet_labels.txt", folder=folder)
        lines = map(LINE.fullmatch, map(str.strip, _text(path).splitlines()))
        names = {int(line[1]): line[3] for line in lines if line}
        if list(names) != list(range(1000)):
            raise damaged(path, f"holds {len(names)} classes, not 1000 in order")
        return names


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except BROKEN as error:
        raise damaged(path, f"cannot be read ({error})") from error

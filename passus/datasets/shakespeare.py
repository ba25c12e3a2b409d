"""A million characters of Shakespeare, for language models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np

from passus.datasets.base import Dataset
from passus.datasets.download import damaged, get_file
from passus.errors import ArgumentError
from passus.transforms import Transform
from passus.unpacking import BROKEN

__all__ = ["Shakespear", "Shakespeare"]


class Shakespeare(Dataset):
    """The text "tiny Shakespeare" (Karpathy, 2015) as character ids; each label is the next character.

    Ids are assigned in order of first occurrence: ``char_to_id`` and ``id_to_char``. ``url``: the address of the file on
    a mirror; ``folder``: the folder of the file, by default the cache folder.

    Raises `DataError` if the file cannot be downloaded or has another checksum; `ArgumentError` for ``train=False``,
    because the text has no test split.
    """

    url: ClassVar[str] = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    checksum: ClassVar[str] = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        url: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if not train:
            raise ArgumentError(f"{type(self).__name__}: no test split exists; hold out the end of .data instead")
        self._path = get_file(url or self.url, "shakespeare.txt", checksum=self.checksum, folder=folder)
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        text = _read(self._path)
        self.char_to_id = {char: i for i, char in enumerate(dict.fromkeys(text))}
        self.id_to_char = dict(enumerate(self.char_to_id))
        ids = np.fromiter((self.char_to_id[char] for char in text), np.int64, len(text))
        self.data, self.label = ids[:-1], ids[1:]


Shakespear = Shakespeare
"""DeZero's spelling."""


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except BROKEN as error:
        raise damaged(path, f"is not UTF-8 text ({error})") from error

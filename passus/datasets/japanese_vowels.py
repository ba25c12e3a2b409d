"""Japanese vowels of nine speakers, as time series of 7 to 29 steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

import numpy as np

from passus.datasets.base import Dataset
from passus.datasets.download import cache_folder
from passus.datasets.ts_files import LabeledSeries, parse_ts, read_ts
from passus.datasets.wheels import file_or_wheel
from passus.errors import DataError
from passus.files import checked_path
from passus.transforms import Transform
from passus.unpacking import BROKEN, member

__all__ = ["JapaneseVowels"]

FOLDER = "aeon/datasets/data/JapaneseVowels"
COMMAND = "pip download --no-deps aeon==1.6.0 -d"
CHANNELS = 12


@final
class JapaneseVowels(Dataset):
    """Utterances of the vowels /ae/ by nine men, whose speaker is the label (Kudo, Toyama and Shimbo, 1999).

    Each is a series (T, 12) of float32, 12 coefficients (LPC cepstrum) for each of 7 to 29 frames of speech; the label is the
    speaker, from 0 to 8. 270 utterances are for training, 370 for testing. ``data`` is a list of arrays. ``path``: the
    wheel of the package aeon, which contains the files and need not be installed, or a folder with the wheel or with
    ``JapaneseVowels_TRAIN.ts`` and ``JapaneseVowels_TEST.ts``; by default the cache folder.

    Raises `DataError` for a missing file, with the command that downloads it, and for a damaged one.
    """

    classes = tuple("123456789")

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        self._path = cache_folder() if path is None else checked_path(path)
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        series = _series(self._path, f"JapaneseVowels_{'TRAIN' if self.train else 'TEST'}.ts")
        if series.classes != self.classes or series.data[0].shape[1] != CHANNELS:
            raise DataError(
                f"{self._path}: {series.data[0].shape[1]} channels and {len(series.classes)} classes, not the {CHANNELS} "
                f"and {len(self.classes)} of JapaneseVowels; use another file"
            )
        self.data = [x.astype(np.float32) for x in series.data]
        self.label = series.label


def _series(path: Path, name: str) -> LabeledSeries:
    path = file_or_wheel("JapaneseVowels", path, name, "aeon-*.whl", COMMAND)
    if path.suffix != ".whl":
        return read_ts(path)
    try:
        content = member(path, f"{FOLDER}/{name}")
    except BROKEN as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it, then run: {COMMAND} {path.parent}") from error
    return parse_ts(content, f"{path}: {name}")

"""Datasets whose examples take time in different ways; worker processes import them from here."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from passus.datasets import ArrayDataset


class Images:
    """Images of which each example is read alone."""

    def __init__(self, size: int, count: int) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.example(self.images[i]), i

    def example(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Dithered(Images):
    """Black and white by diffusion of errors, a loop in Python."""

    def example(self, image: np.ndarray) -> np.ndarray:
        rows = image[:, :, 0].astype(float).tolist()
        for y, row in enumerate(rows):
            below = rows[y + 1] if y + 1 < len(rows) else [0.0] * len(row)
            for x, old in enumerate(row):
                row[x] = new = 255.0 if old > 127 else 0.0
                error = (old - new) / 16
                if x + 1 < len(row):
                    row[x + 1] += 7 * error
                    below[x + 1] += error
                below[x] += 5 * error
                if x:
                    below[x - 1] += 3 * error
        return np.array(rows, np.float32)


class Noisy(Images):
    """Operations of NumPy on large arrays, which let other threads run."""

    def example(self, image: np.ndarray) -> np.ndarray:
        x = image.transpose(2, 0, 1)[:, :, ::-1].astype(np.float32)
        x = (x - x.mean(axis=(1, 2), keepdims=True)) / x.std(axis=(1, 2), keepdims=True)
        return np.clip(np.sign(x) * np.abs(x) ** 0.8, -2, 2)


class Pictures(Images):
    """JPEG files in memory, decoded and scaled by Pillow, which lets other threads run."""

    def __init__(self, size: int, count: int) -> None:
        from PIL import Image

        super().__init__(size, count)
        files = []
        for image in self.images:
            smooth = Image.fromarray(image).resize((32, 32)).resize((size, size))
            file = io.BytesIO()
            smooth.save(file, "JPEG")
            files.append(file.getvalue())
        self.images = files

    def example(self, image: Any) -> np.ndarray:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(image)).resize((224, 224))).transpose(2, 0, 1).astype(np.float32) / 255


@dataclass(frozen=True)
class Problem:
    """A dataset, and how it is described."""

    what: str
    batch_size: int
    arguments: tuple[Any, ...]
    kind: type | None = None

    def dataset(self) -> Any:
        if self.kind is not None:
            return self.kind(*self.arguments)
        rng = np.random.default_rng(0)
        return ArrayDataset(rng.random(self.arguments, np.float32), np.arange(self.arguments[0]))


PROBLEMS = {
    "python": Problem("a loop in Python over the pixels of each image, 32 x 32", 16, (32, 256), Dithered),
    "numpy": Problem("NumPy on each image, 224 x 224", 16, (224, 128), Noisy),
    "pillow": Problem("JPEG files of 320 x 320, decoded and scaled to 224 x 224 by Pillow", 16, (320, 128), Pictures),
    "arrays": Problem("rows of an array in memory, 3 x 32 x 32", 64, (4096, 3, 32, 32)),
}

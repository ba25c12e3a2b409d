"""Mixing the examples of a batch, and their labels accordingly.

These transforms take a whole batch and return soft labels, probabilities (N, classes), which `softmax_cross_entropy` accepts.
Use them in the ``collate`` of a `DataLoader`: ``DataLoader(data, 64, collate=lambda e: mixup(*collate(e)))``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np

from passus.arguments import checked_count, checked_number
from passus.backend import Array
from passus.display import ShowsOptions
from passus.errors import DTypeError, ShapeError, kind_of
from passus.functions.nn.embeddings import one_hot
from passus.random import RNG, get_rng
from passus.transforms.erasing import rectangle_masks
from passus.transforms.randomness import checked_images, in_dtype, working_dtype

__all__ = ["CutMix", "Mixup"]


class Mixing(ShowsOptions, ABC):
    """The base of mixing transforms; subclasses define `mix`."""

    def __init__(self, classes: int, alpha: float, rng: RNG = None) -> None:
        name = type(self).__name__
        self.classes = checked_count(name, "classes", classes)
        self.alpha = checked_number(name, "alpha", alpha, open_low=True)
        self.rng = None if rng is None else get_rng(rng)

    @abstractmethod
    def mix(self, x: Array, others: Array, weight: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Mix images (N, ...) with ``weight`` (N,) on ``x``; returns the images and the actual weights."""

    def __call__(self, x: Array, t: Array) -> tuple[Array, Array]:
        soft = self._soft(x, t)
        rng = get_rng(self.rng)
        order, weight = rng.permutation(len(x)), rng.beta(self.alpha, self.alpha, len(x))
        y, weight = self.mix(x, x[order], weight, rng)
        weight = weight.astype(soft.dtype)[:, None]
        return y, weight * soft + (1 - weight) * soft[order]

    def _soft(self, x: Any, t: Any) -> Array:
        """The labels as probabilities (N, classes)."""
        name = type(self).__name__
        checked_images(name, x, "(N, ..., H, W)", 3)
        if not isinstance(t, np.ndarray):
            raise DTypeError(f"{name}: t is {kind_of(t)}; give a NumPy array (x.data for a Variable)")
        soft = one_hot(t, self.classes) if t.dtype.kind != "f" else t
        if soft.shape != (len(x), self.classes):
            raise ShapeError(
                f"{name}: t {t.shape} does not fit x {x.shape}; it must hold labels ({len(x)},), or probabilities "
                f"({len(x)}, {self.classes})"
            )
        return soft


@final
class Mixup(Mixing):
    """Interpolate between images, ``w * x + (1 - w) * x[order]``, and between their labels likewise.

    ``mixup(x, t)``: images (N, ..., H, W), and labels (N,) or probabilities (N, classes); returns images of the same dtype
    and probabilities. ``alpha``: each w is drawn from Beta(alpha, alpha); near 0, most images hardly change.

    Raises `ArgumentError` unless ``alpha > 0``, `LabelError` for a label out of range, `ShapeError` if labels and images do
    not match. Source: Zhang et al., 2018, "mixup: Beyond empirical risk minimization".

    >>> x, t = Mixup(classes=2, rng=0)(np.ones((2, 1, 4, 4), np.float32), np.array([0, 1]))
    >>> x.shape, t.shape, t.sum(axis=1).round(6).tolist()
    ((2, 1, 4, 4), (2, 2), [1.0, 1.0])
    """

    def __init__(self, classes: int, alpha: float = 0.2, rng: RNG = None) -> None:
        super().__init__(classes, alpha, rng)

    def mix(self, x: Array, others: Array, weight: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        dtype = working_dtype(x)
        w = weight.astype(dtype).reshape(-1, *[1] * (x.ndim - 1))
        return in_dtype(w * x + (1 - w) * others, x.dtype), weight


@final
class CutMix(Mixing):
    """Replace a rectangle of each image by that of another image, and mix the labels in proportion to the areas.

    ``cutmix(x, t)``: as in `Mixup`. The rectangle has the aspect ratio of the image and the fraction 1 - w of its area; it is
    centred at a random pixel and clipped to the image. ``alpha``: each w is drawn from Beta(alpha, alpha).

    Raises the errors of `Mixup`. Source: Yun et al., 2019, "CutMix: Regularization strategy to train strong classifiers".

    >>> x = np.stack([np.zeros((1, 4, 4)), np.ones((1, 4, 4))])
    >>> y, t = CutMix(classes=2, rng=3)(x, np.array([0, 1]))
    >>> bool((y.mean(axis=(1, 2, 3)) == t[:, 1]).all())
    True
    """

    def __init__(self, classes: int, alpha: float = 1.0, rng: RNG = None) -> None:
        super().__init__(classes, alpha, rng)

    def mix(self, x: Array, others: Array, weight: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        *_, H, W = x.shape
        h, w = np.rint(np.sqrt(1 - weight) * [[H], [W]])
        top, left = np.floor(rng.random((2, len(x))) * [[H], [W]]) - np.array([h, w]) // 2
        box = rectangle_masks(H, W, top, left, h, w)
        y = np.where(box.reshape(len(x), *[1] * (x.ndim - 3), H, W), others, x)
        return y, 1 - box.mean(axis=(1, 2, 3))

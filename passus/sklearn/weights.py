"""Weights of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from passus.arguments import checked_number, shown
from passus.backend import Array
from passus.errors import ArgumentError

__all__ = ["class_weights"]


def class_weights(class_weight: Any, classes: Array, indices: Array, weights: Array | None = None) -> Array:
    """The weight of each class: of a dict, 1 for classes it lacks, or inverse to the frequencies for "balanced".

    ``indices``: (N,), the positions of the labels in ``classes``, which "balanced" counts. ``weights``: (N,), the number
    of times that each counts.

    Raises `ArgumentError` for other values, and for a dict that lacks some classes and has others instead.

    >>> class_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 0, 1]))
    array([0.66666667, 2.        ])
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        return _balanced(np.bincount(indices, weights, len(classes)))
    if not isinstance(class_weight, Mapping):
        raise ArgumentError(
            f"PassusClassifier: class_weight={shown(class_weight)}; give 'balanced' or a dict from classes to weights"
        )
    labels = classes.tolist()
    strange = [label for label in class_weight if label not in labels]
    if strange and any(label not in class_weight for label in labels):
        raise ArgumentError(
            f"PassusClassifier: class_weight has {shown(strange[0])}, which is not among the classes {shown(labels)}"
        )
    name = "class_weight[{!r}]"
    return np.array([checked_number("PassusClassifier", name.format(c), class_weight.get(c, 1.0)) for c in labels])


def _balanced(counts: Array) -> Array:
    """Weights with which all classes that occur count alike, and the examples have a mean weight of 1."""
    occur = counts > 0
    return np.divide(counts.sum(), occur.sum() * counts, out=np.zeros(len(counts)), where=occur)

"""A sequence of layers as a model."""

from __future__ import annotations

from passus import layers
from passus.models.model import Model

__all__ = ["Sequential"]


class Sequential(layers.Sequential, Model):
    """`passus.layers.Sequential` that can be drawn and summarised.

    >>> import numpy as np
    >>> model = Sequential(layers.Linear(3), layers.ReLU())
    >>> "l0" in model.summary(np.ones((2, 4), np.float32))
    True
    """

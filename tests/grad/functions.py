"""Functions with known derivatives, and arrays to evaluate them at."""

from __future__ import annotations

import numpy as np

import passus.functions as F

CONSTANTS = np.random.default_rng(7)
A = CONSTANTS.standard_normal((3, 3))
x3 = CONSTANTS.standard_normal(3)
v3 = CONSTANTS.standard_normal(3)


def quadratic(x):
    return x @ A @ x


def cubes(x):
    return (x**3).sum()


def field(x):
    """R^3 to R^2."""
    return F.stack([x[0] * x[1], F.sin(x[2])])


FIELD_JACOBIAN = np.array([[x3[1], x3[0], 0.0], [0.0, 0.0, np.cos(x3[2])]])

"""Datasets that are computed: the spiral and the sine curve."""

from __future__ import annotations

import numpy as np
import pytest

from passus.datasets import (
    SinCurve,
    Spiral,
    get_spiral,
)


@pytest.mark.parametrize(("train", "number"), [(True, 1984), (False, 2020)])
def test_the_spiral_equals_that_of_dezero(train: bool, number: int) -> None:
    rng = np.random.RandomState(number)
    points = []
    for arm in range(3):
        for i in range(100):
            angle = arm * 4.0 + 4.0 * (i / 100) + rng.randn() * 0.2
            points.append((i / 100 * np.sin(angle), i / 100 * np.cos(angle), arm))
    expected = np.array(points)[rng.permutation(300)]
    x, t = get_spiral(train)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected[:, :2], rtol=1e-6)
    np.testing.assert_array_equal(t, expected[:, 2])
    np.testing.assert_array_equal(Spiral(train).data, x)


def test_the_spiral_does_not_draw_from_the_global_generator() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    get_spiral()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_the_sine_curve_pairs_each_value_with_the_next() -> None:
    curve, angle = SinCurve(rng=0), np.linspace(0, 2 * np.pi, 1000)
    assert curve.data.shape == curve.label.shape == (999, 1)
    assert curve.data.dtype == np.float32
    np.testing.assert_array_equal(curve.data[1:], curve.label[:-1])
    noise = curve.data[:, 0] - np.sin(angle)[:-1]
    assert np.abs(noise).max() <= 0.0501
    assert noise.std() > 0.02
    np.testing.assert_array_equal(curve.data, SinCurve(rng=0).data)
    np.testing.assert_allclose(SinCurve(train=False).label[:, 0], np.cos(angle)[1:], atol=1e-6)

"""Metrics against scikit-learn, over batches of unequal size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from passus import Variable
from passus.errors import ArgumentError, DTypeError, LabelError, PassusError, ShapeError, WeightsError
from passus.metrics import (
    Accuracy,
    ConfusionMatrix,
    Mean,
    TopKAccuracy,
    accuracy,
    confusion_matrix,
    top_k_accuracy,
)

N, C = 97, 5
RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((N, C)).astype(np.float32)
LABELS = RNG.integers(C, size=N)
PREDICTED = SCORES.argmax(axis=1)


def collected(metric: Any, y: Any = SCORES, t: Any = LABELS) -> Any:
    """The metric after batches of unequal size, the last of them of one example."""
    for start, stop in [(0, 10), (10, 60), (60, N - 1), (N - 1, N)]:
        metric.update(y[start:stop], t[start:stop])
    return metric


def test_accuracy_over_unequal_batches():
    expected = reference.accuracy_score(LABELS, PREDICTED)
    assert collected(Accuracy()).compute() == pytest.approx(expected, rel=1e-12)
    assert accuracy(SCORES, LABELS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_top_k_accuracy(k):
    expected = np.mean([t in np.argsort(y)[-k:] for y, t in zip(SCORES, LABELS)])
    assert collected(TopKAccuracy(k)).compute() == pytest.approx(expected, rel=1e-12)
    assert top_k_accuracy(SCORES, LABELS, k) == pytest.approx(expected, rel=1e-12)


def test_confusion_matrix_precision_and_recall():
    matrix = collected(ConfusionMatrix(C))
    np.testing.assert_array_equal(matrix.compute(), reference.confusion_matrix(LABELS, PREDICTED))
    np.testing.assert_array_equal(confusion_matrix(SCORES, LABELS, C), matrix.compute())
    np.testing.assert_allclose(matrix.precision(), reference.precision_score(LABELS, PREDICTED, average=None))
    np.testing.assert_allclose(matrix.recall(), reference.recall_score(LABELS, PREDICTED, average=None))
    matrix.compute()[...] = 0  # A copy: the metric keeps its counts.
    assert matrix.compute().sum() == N


def test_confusion_matrix_takes_predicted_classes_of_any_integer_type():
    for dtype in (np.uint8, np.int8, np.uint64):
        counts = confusion_matrix(PREDICTED.astype(dtype), LABELS.astype(dtype), C)
        np.testing.assert_array_equal(counts, reference.confusion_matrix(LABELS, PREDICTED))


def test_confusion_matrix_of_more_classes_than_a_small_type_can_multiply():
    t = np.arange(100, dtype=np.uint8)
    np.testing.assert_array_equal(confusion_matrix(t, t, 100), np.eye(100, dtype=np.int64))


def test_a_class_without_examples_has_no_recall():
    matrix = ConfusionMatrix(["a", "b", "c"])
    matrix.update(np.array([0, 1]), np.array([0, 0]))
    np.testing.assert_array_equal(matrix.recall(), [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(matrix.precision(), [1.0, 0.0, np.nan])


def test_mean_with_weights():
    values, weights = RNG.standard_normal(20), RNG.uniform(0, 3, 20)
    mean = Mean()
    for value, weight in zip(values, weights):
        mean.update(Variable(np.array(value)), weight)
    assert mean.compute() == pytest.approx(np.average(values, weights=weights), rel=1e-12)


def test_of_equal_scores_the_first_class_counts_and_a_nan_is_never_right():
    ties = np.zeros((3, 3))
    assert [top_k_accuracy(ties, np.arange(3), k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert top_k_accuracy(np.full((2, 3), np.nan), np.array([0, 1]), 2) == 0
    assert accuracy(np.array([[1.0, np.nan]]), np.array([0])) == 0


def test_pictures_of_labels():
    y, t = RNG.standard_normal((2, 3, 4, 5)), RNG.integers(3, size=(2, 4, 5))
    assert accuracy(y, t) == pytest.approx((y.argmax(axis=1) == t).mean(), rel=1e-12)
    assert confusion_matrix(y, t, 3).sum() == t.size


@pytest.mark.parametrize("make", [Accuracy, lambda: TopKAccuracy(2), lambda: ConfusionMatrix(C)])
def test_state_and_reset(make):
    half = make()
    half.update(SCORES[:40], LABELS[:40])
    resumed = make()
    resumed.load_state_dict(half.state_dict())
    resumed.update(SCORES[40:], LABELS[40:])
    np.testing.assert_array_equal(resumed.compute(), _of(make, SCORES, LABELS))
    resumed.reset()
    resumed.update(SCORES[:3], LABELS[:3])
    np.testing.assert_array_equal(resumed.compute(), _of(make, SCORES[:3], LABELS[:3]))


def _of(make: Any, y: Any, t: Any) -> Any:
    metric = make()
    metric.update(y, t)
    return metric.compute()


@pytest.mark.parametrize("kind", [Variable, np.asfortranarray, lambda y: y.astype(np.float64)])
def test_variables_and_arrays_of_any_layout(kind):
    assert accuracy(kind(SCORES), LABELS) == accuracy(SCORES, LABELS)


def test_inputs_may_be_read_only_and_stay_as_they_are():
    y, t = SCORES.copy(), LABELS.copy()
    y.flags.writeable = t.flags.writeable = False
    collected(ConfusionMatrix(C), y, t)
    collected(Accuracy(), y, t)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Accuracy().compute(), ArgumentError, "nothing"),
        (lambda: Mean().compute(), ArgumentError, "nothing"),
        (lambda: accuracy(SCORES[:0], LABELS[:0]), ArgumentError, "nothing"),
        (lambda: accuracy(SCORES, LABELS[:-1]), ShapeError, r"\(96,\)"),
        (lambda: accuracy(SCORES, LABELS[:, np.newaxis]), ShapeError, "one label"),
        (lambda: accuracy(SCORES[0], LABELS[0]), ShapeError, "reshape"),
        (lambda: accuracy(SCORES, LABELS + 1), LabelError, "label 5"),
        (lambda: accuracy(SCORES, LABELS - 1), LabelError, "label -1"),
        (lambda: accuracy(SCORES, LABELS.astype(float)), DTypeError, "integers"),
        (lambda: accuracy(SCORES > 0, LABELS), DTypeError, "bool"),
        (lambda: TopKAccuracy(0), ArgumentError, "at least 1"),
        (lambda: TopKAccuracy(1.5), DTypeError, "integer"),
        (lambda: top_k_accuracy(SCORES, LABELS, 6), ArgumentError, "only 5 classes"),
        (lambda: ConfusionMatrix(0), ArgumentError, "classes"),
        (lambda: ConfusionMatrix(["a", "a"]), ArgumentError, "name of its own"),
        (lambda: confusion_matrix(SCORES, LABELS, 4), PassusError, "4"),
        (lambda: confusion_matrix(SCORES, np.minimum(LABELS, 3), 4), ShapeError, "5 classes"),
        (lambda: confusion_matrix(SCORES > 0, LABELS, C), DTypeError, "numbers, not bool"),
        (lambda: confusion_matrix(np.where(SCORES > 0, SCORES, np.nan), LABELS, C), ArgumentError, "a score is NaN"),
        (lambda: confusion_matrix(PREDICTED + 1, LABELS, C), LabelError, "label 5"),
        (lambda: ConfusionMatrix(3).load_state_dict({"counts": np.zeros((2, 2))}), ShapeError, "3 classes"),
        (lambda: Mean().update(np.ones(3)), ShapeError, r"\(3,\)"),
        (lambda: Mean().update(1.0, weight=-1), ArgumentError, "weight"),
        (lambda: Mean().update(1.0, weight=float("nan")), ArgumentError, "weight"),
        (lambda: Mean().update(1.0, weight="a"), DTypeError, "weight is a str"),
        (lambda: Accuracy().load_state_dict({"total": 1.0}), WeightsError, "missing: weight"),
        (lambda: ConfusionMatrix(3).load_state_dict(3), DTypeError, "no state"),
        (lambda: accuracy([[0.1, 0.9]], LABELS), DTypeError, "^Accuracy"),
    ],
)
def test_what_does_not_fit_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_refused_batch_is_not_counted():
    metric = collected(ConfusionMatrix(C))
    with pytest.raises(LabelError):
        metric.update(SCORES, LABELS + 1)
    assert metric.compute().sum() == N

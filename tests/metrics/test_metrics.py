"""Metrics against scikit-learn, over batches of unequal size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from passus import Variable
from passus.errors import ArgumentError, DTypeError, LabelError, PassusError, ShapeError, WeightsError
from passus.metrics import (
    AUC,
    F1,
    MAE,
    R2,
    Accuracy,
    ConfusionMatrix,
    Mean,
    MeanOf,
    TopKAccuracy,
    accuracy,
    auc,
    confusion_matrix,
    f1,
    mae,
    r2,
    top_k_accuracy,
)

N, C = 97, 5
CONSTANTS = np.random.default_rng(0)
SCORES = CONSTANTS.standard_normal((N, C)).astype(np.float32)
LABELS = CONSTANTS.integers(C, size=N)
PREDICTED = SCORES.argmax(axis=1)


def collected(metric: Any, y: Any = SCORES, t: Any = LABELS) -> Any:
    """Update a metric with batches of unequal size; the last has one example."""
    for start, stop in [(0, 10), (10, 60), (60, N - 1), (N - 1, N)]:
        metric.update(y[start:stop], t[start:stop])
    return metric


def test_accuracy_weights_unequal_batches_by_size():
    expected = reference.accuracy_score(LABELS, PREDICTED)
    assert collected(Accuracy()).compute() == pytest.approx(expected, rel=1e-12)
    assert accuracy(SCORES, LABELS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_top_k_accuracy_counts_labels_among_the_k_highest_scores(k):
    expected = np.mean([t in np.argsort(y)[-k:] for y, t in zip(SCORES, LABELS)])
    assert collected(TopKAccuracy(k)).compute() == pytest.approx(expected, rel=1e-12)
    assert top_k_accuracy(SCORES, LABELS, k) == pytest.approx(expected, rel=1e-12)


def test_confusion_matrix_precision_and_recall():
    matrix = collected(ConfusionMatrix(C))
    np.testing.assert_array_equal(matrix.compute(), reference.confusion_matrix(LABELS, PREDICTED))
    np.testing.assert_array_equal(confusion_matrix(SCORES, LABELS, C), matrix.compute())
    np.testing.assert_allclose(matrix.precision(), reference.precision_score(LABELS, PREDICTED, average=None))
    np.testing.assert_allclose(matrix.recall(), reference.recall_score(LABELS, PREDICTED, average=None))
    matrix.compute()[...] = 0  # compute returns a copy.
    assert matrix.compute().sum() == N


def test_confusion_matrix_accepts_predicted_classes_of_any_integer_type():
    for dtype in (np.uint8, np.int8, np.uint64):
        counts = confusion_matrix(PREDICTED.astype(dtype), LABELS.astype(dtype), C)
        np.testing.assert_array_equal(counts, reference.confusion_matrix(LABELS, PREDICTED))


def test_confusion_matrix_indices_do_not_overflow_small_integer_types():
    t = np.arange(100, dtype=np.uint8)
    np.testing.assert_array_equal(confusion_matrix(t, t, 100), np.eye(100, dtype=np.int64))


def test_a_class_without_examples_has_no_recall():
    matrix = ConfusionMatrix(["a", "b", "c"])
    matrix.update(np.array([0, 1]), np.array([0, 0]))
    np.testing.assert_array_equal(matrix.recall(), [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(matrix.precision(), [1.0, 0.0, np.nan])


def test_mean_is_weighted(rng):
    values, weights = rng.standard_normal(20), rng.uniform(0, 3, 20)
    mean = Mean()
    for value, weight in zip(values, weights):
        mean.update(Variable(np.array(value)), weight)
    assert mean.compute() == pytest.approx(np.average(values, weights=weights), rel=1e-12)


def test_ties_select_the_first_class_and_nan_scores_are_wrong():
    ties = np.zeros((3, 3))
    assert [top_k_accuracy(ties, np.arange(3), k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert top_k_accuracy(np.full((2, 3), np.nan), np.array([0, 1]), 2) == 0
    assert accuracy(np.array([[1.0, np.nan]]), np.array([0])) == 0


def test_accuracy_of_label_images_counts_pixels(rng):
    y, t = rng.standard_normal((2, 3, 4, 5)), rng.integers(3, size=(2, 4, 5))
    assert accuracy(y, t) == pytest.approx((y.argmax(axis=1) == t).mean(), rel=1e-12)
    assert confusion_matrix(y, t, 3).sum() == t.size


@pytest.mark.parametrize("make", [Accuracy, lambda: TopKAccuracy(2), lambda: ConfusionMatrix(C)])
def test_states_are_restored_and_reset(make):
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
def test_variables_and_arrays_of_any_layout_are_accepted(kind):
    assert accuracy(kind(SCORES), LABELS) == accuracy(SCORES, LABELS)


def test_inputs_may_be_read_only_and_are_not_modified():
    y, t = SCORES.copy(), LABELS.copy()
    y.flags.writeable = t.flags.writeable = False
    collected(ConfusionMatrix(C), y, t)
    collected(Accuracy(), y, t)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Accuracy().compute(), ArgumentError, "no values yet"),
        (lambda: Mean().compute(), ArgumentError, "no values yet"),
        (lambda: accuracy(SCORES[:0], LABELS[:0]), ArgumentError, "no values yet"),
        (lambda: accuracy(SCORES, LABELS[:-1]), ShapeError, r"\(96,\)"),
        (lambda: accuracy(SCORES, LABELS[:, np.newaxis]), ShapeError, "do not match x"),
        (lambda: accuracy(SCORES[0], LABELS[0]), ShapeError, "reshape"),
        (lambda: accuracy(SCORES, LABELS + 1), LabelError, "label 5"),
        (lambda: accuracy(SCORES, LABELS - 1), LabelError, "label -1"),
        (lambda: accuracy(SCORES, LABELS.astype(float)), DTypeError, "integers"),
        (lambda: accuracy(SCORES > 0, LABELS), DTypeError, "bool"),
        (lambda: TopKAccuracy(0), ArgumentError, "at least 1"),
        (lambda: TopKAccuracy(1.5), DTypeError, "integer"),
        (lambda: top_k_accuracy(SCORES, LABELS, 6), ArgumentError, "only 5 classes"),
        (lambda: ConfusionMatrix(0), ArgumentError, "classes"),
        (lambda: ConfusionMatrix(["a", "a"]), ArgumentError, "a distinct name"),
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
        (lambda: ConfusionMatrix(3).load_state_dict(3), DTypeError, "not a state"),
        (lambda: accuracy([[0.1, 0.9]], LABELS), DTypeError, "^Accuracy"),
    ],
)
def test_invalid_labels_and_scores_raise(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_rejected_batch_is_not_counted():
    metric = collected(ConfusionMatrix(C))
    with pytest.raises(LabelError):
        metric.update(SCORES, LABELS + 1)
    assert metric.compute().sum() == N


# Binary classes, regression, and ignored labels.

BINARY = CONSTANTS.integers(2, size=N)
CHANCES = np.round(np.clip(BINARY * 0.2 + CONSTANTS.uniform(0, 0.8, N), 0, 1), 2)  # With ties.
TARGETS = CONSTANTS.standard_normal((N, 3)) * [1, 10, 1e-3] + [0, 1e6, 5]
NEAR = TARGETS + CONSTANTS.standard_normal((N, 3)) * [0.5, 1, 1e-3]
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


@DTYPES
def test_auc_equals_scikit_learn(dtype):
    chances = CHANCES.astype(dtype)
    expected = reference.roc_auc_score(BINARY, chances)
    assert collected(AUC(), chances, BINARY).compute() == pytest.approx(expected, rel=1e-12)
    assert auc(Variable(chances), BINARY == 1) == pytest.approx(expected, rel=1e-12)
    both = np.stack([1 - chances, chances], axis=1)
    assert collected(AUC(), both, BINARY).compute() == pytest.approx(
        reference.roc_auc_score(BINARY, both[:, 1]), abs=1e-3
    )
    assert auc(chances[:, None], BINARY[:, None]) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(auc(chances, np.ones(N, int)))
    assert auc(np.array([0, 255], np.uint8), np.array([0, 1])) == 1.0


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "none"])
def test_f1_of_many_classes_equals_scikit_learn(average):
    expected = reference.f1_score(LABELS, PREDICTED, average=None if average == "none" else average)
    np.testing.assert_allclose(collected(F1(C, average)).compute(), expected, rtol=1e-12)
    np.testing.assert_allclose(f1(SCORES, LABELS, C, average), expected, rtol=1e-12)
    if average != "none":  # Classes that never occur are excluded from the mean.
        assert f1(PREDICTED, LABELS, C + 2, average) == pytest.approx(expected, rel=1e-12)


@DTYPES
def test_f1_of_two_classes_equals_scikit_learn(dtype):
    expected = reference.f1_score(BINARY, CHANCES.astype(dtype) > 0.5)
    assert collected(F1(), CHANCES.astype(dtype), BINARY).compute() == pytest.approx(expected, rel=1e-12)
    logits = (CHANCES - 0.5).astype(dtype)
    assert f1(logits, BINARY, threshold=0.0) == pytest.approx(reference.f1_score(BINARY, logits > 0), rel=1e-12)
    assert f1((CHANCES > 0.5).astype(int), BINARY, average="macro") == pytest.approx(
        reference.f1_score(BINARY, CHANCES > 0.5, average="macro"), rel=1e-12
    )


def test_regression_metrics_equal_scikit_learn():
    assert collected(MAE(), NEAR, TARGETS).compute() == pytest.approx(
        reference.mean_absolute_error(TARGETS, NEAR), rel=1e-12
    )
    assert collected(R2(), NEAR, TARGETS).compute() == pytest.approx(reference.r2_score(TARGETS, NEAR), rel=1e-9)
    assert r2(NEAR[:, 0], TARGETS[:, 0]) == pytest.approx(reference.r2_score(TARGETS[:, 0], NEAR[:, 0]), rel=1e-12)
    assert mae(np.array([3, 250], np.uint8), np.array([5, 4], np.uint8)) == 124.0
    same = np.ones(4)
    assert [r2(same, same), r2(same * 2, same)] == [1.0, 0.0] == [reference.r2_score(same, y) for y in (same, 2 * same)]


def test_sums_of_float16_do_not_overflow():
    y = np.full(4096, 20, np.float16)
    assert mae(y, np.zeros(4096, np.float16)) == 20.0
    assert r2(y, y + 1) == 0.0
    assert accuracy(np.zeros((1, 2, 300, 300), np.float16), np.zeros((1, 300, 300), int)) == 1.0


IGNORED = np.where(CONSTANTS.random(N) < 0.3, -1, LABELS)
COUNTED = IGNORED >= 0


@pytest.mark.parametrize(
    ("make", "reached"),
    [
        (lambda **options: Accuracy(**options), SCORES),
        (lambda **options: TopKAccuracy(2, **options), SCORES),
        (lambda **options: ConfusionMatrix(C, **options), SCORES),
        (lambda **options: ConfusionMatrix(C, **options), PREDICTED),
        (lambda **options: F1(C, **options), SCORES),
        (lambda **options: F1(C, **options), PREDICTED),
    ],
)
@pytest.mark.parametrize("label", [-1, 255, 2])
def test_ignored_labels_are_not_counted(make, reached, label):
    t = np.where(IGNORED < 0, label, IGNORED)
    counted = t != label
    expected = collected(make(), reached[counted], t[counted]).compute()
    np.testing.assert_array_equal(collected(make(ignore_index=label), reached, t).compute(), expected)
    maps = reached[:96].reshape(2, 48, *reached.shape[1:])  # The same examples as two rows of pixels.
    maps = np.moveaxis(maps, -1, 1) if maps.ndim == 3 else maps
    metric = make(ignore_index=label)
    metric.update(maps, t[:96].reshape(2, 48))
    metric.update(reached[96:], t[96:])
    np.testing.assert_array_equal(metric.compute(), expected)
    nothing = make(ignore_index=label)
    nothing.update(reached, np.full(N, label))
    if not isinstance(nothing, ConfusionMatrix):
        with pytest.raises(ArgumentError, match=r"no examples yet|no values yet"):
            nothing.compute()
    with pytest.raises(LabelError):
        make().update(reached, np.where(IGNORED < 0, -1, IGNORED))


def test_functions_of_one_batch_ignore_labels(rng):
    assert accuracy(SCORES, IGNORED, ignore_index=-1) == accuracy(SCORES[COUNTED], IGNORED[COUNTED])
    assert top_k_accuracy(SCORES, IGNORED, 2, ignore_index=-1) == top_k_accuracy(SCORES[COUNTED], IGNORED[COUNTED], 2)
    np.testing.assert_array_equal(
        confusion_matrix(SCORES, IGNORED, C, ignore_index=-1), confusion_matrix(SCORES[COUNTED], IGNORED[COUNTED], C)
    )
    ones = np.where(rng.random(N) < 0.3, -1, BINARY)
    metric = AUC(ignore_index=-1)
    metric.update(CHANCES, ones)
    assert metric.compute() == auc(CHANCES[ones >= 0], ones[ones >= 0])


@pytest.mark.parametrize(
    ("make", "y", "t"),
    [(AUC, CHANCES, BINARY), (F1, CHANCES, BINARY), (MAE, NEAR, TARGETS), (R2, NEAR, TARGETS)],
)
def test_a_restored_state_continues_and_empty_batches_change_nothing(make, y, t):
    whole = collected(make(), y, t).compute()
    first, second = make(), make()
    first.update(y[:0], t[:0])
    first.update(y[:40], t[:40])
    second.load_state_dict(json_like(first.state_dict()))
    second.update(y[:0], t[:0])
    second.update(y[40:], t[40:])
    assert second.compute() == pytest.approx(whole, rel=1e-12)
    second.reset()
    with pytest.raises(ArgumentError, match=r"no examples yet|no values yet"):
        second.compute()
    with pytest.raises(WeightsError, match="missing"):
        second.load_state_dict({})


def json_like(state: Any) -> Any:
    """The state as it is read from a file."""
    return {name: np.asarray(value) if np.ndim(value) else value for name, value in state.items()}


def test_mean_averages_a_function_over_examples():
    calls = []

    def function(y, t):
        calls.append(len(y))
        return Variable(np.asarray(abs(y - t).mean()))

    assert collected(MeanOf(function), NEAR, TARGETS).compute() == pytest.approx(mae(NEAR, TARGETS), rel=1e-12)
    metric = MeanOf(function)
    metric.update(NEAR[:0], TARGETS[:0])
    assert calls == [10, 50, 36, 1], "it is not called for empty batches"
    with pytest.raises(ArgumentError):
        metric.compute()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: auc(SCORES, LABELS), ShapeError, "for each class"),
        (lambda: auc(CHANCES, LABELS), LabelError, "0 to 1"),
        (lambda: auc(np.array([np.nan, 1]), np.array([0, 1])), ArgumentError, "NaN"),
        (lambda: auc(np.array([True]), np.array([1])), DTypeError, "bool"),
        (lambda: mae(np.ones((3, 1)), np.ones(3)), ShapeError, "same shape"),
        (lambda: r2(np.ones((3, 1)), np.ones(3)), ShapeError, "same shape"),
        (lambda: r2(np.array(1.0), np.array(1.0)), ShapeError, "scalars"),
        (lambda: F1(3, "binary"), ArgumentError, "two classes"),
        (lambda: F1(3, "mean"), ArgumentError, "macro"),
        (lambda: F1(1), ArgumentError, "at least 2"),
        (lambda: Accuracy(ignore_index="x"), DTypeError, "ignore_index"),
        (lambda: MeanOf(3), DTypeError, "function"),
        (lambda: MeanOf(lambda y, t: y).update(np.ones(2), np.ones(2)), ShapeError, "return its mean"),
    ],
)
def test_invalid_arguments_of_metrics_raise(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_examples_of_weight_zero_do_not_change_a_mean(value: float) -> None:
    mean = Mean()
    mean.update(2.0)
    mean.update(value, weight=0)
    assert mean.compute() == 2

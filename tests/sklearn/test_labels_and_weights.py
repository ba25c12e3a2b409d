"""Several labels of an example, weights of examples and classes, and the dtypes of given networks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import make_multilabel_classification, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from passus.errors import ArgumentError, LabelError
from passus.layers import Linear, ReLU, Sequential
from passus.sklearn import PassusClassifier, PassusRegressor
from passus.sklearn.weights import class_weights


@pytest.fixture(scope="module")
def labelled():
    return make_multilabel_classification(100, 8, n_classes=4, random_state=0)


@pytest.fixture(scope="module")
def imbalanced():
    """One example of 20 is of the class "rare"."""
    rare = np.arange(400) % 20 == 0
    return np.random.default_rng(0).normal(0, 1, (400, 2)) + rare[:, None], np.where(rare, "rare", "usual")


def classifier(**options):
    return PassusClassifier((32,), learning_rate=0.02, max_iter=60, random_state=0, **options)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_several_labels_are_predicted_as_indicators(labelled, early_stopping):
    x, t = labelled
    model = classifier(early_stopping=early_stopping).fit(x, t)
    p = model.predict_proba(x)
    assert (model.predict(x) == t).mean() > 0.8
    np.testing.assert_array_equal(model.predict(x), p > 0.5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), p)
    assert list(model.classes_) == [0, 1, 2, 3]


def test_indicators_may_be_sparse_and_come_in_parts(labelled):
    x, t = labelled
    model = classifier().fit(x, t)
    np.testing.assert_array_equal(classifier().fit(x, csr_array(t)).predict_proba(x), model.predict_proba(x))
    parts = classifier().partial_fit(x, t, classes=range(4))
    for _ in range(60):
        parts.partial_fit(x, t)
    assert (parts.predict(x) == t).mean() > 0.8


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (lambda t: t * 2, r"must be 0 and 1 of the shape \(N, 4\)"),
        (lambda t: t + np.arange(4), "more than two values; .*sklearn.multioutput"),
    ],
)
def test_targets_of_two_axes_are_indicators(labelled, targets, message):
    x, t = labelled
    with pytest.raises(LabelError, match=message):
        classifier().fit(x, targets(t))


def test_later_indicators_have_the_first_number_of_columns(labelled):
    x, t = labelled
    model = classifier().partial_fit(x, t, classes=range(4))
    with pytest.raises(LabelError, match=r"these have the shape \(100, 3\)"):
        model.partial_fit(x, t[:, :3])


@pytest.mark.parametrize("class_weight", ["balanced", {"rare": 30.0}])
def test_weights_of_classes_move_the_border_as_in_scikit_learn(imbalanced, class_weight):
    x, t = imbalanced
    model = PassusClassifier((), class_weight=class_weight, learning_rate=0.05, max_iter=300, random_state=0)
    reference = LogisticRegression(class_weight=class_weight, C=1e6)
    assert (model.fit(x, t).predict(x) == reference.fit(x, t).predict(x)).mean() > 0.98
    unweighted = model.set_params(class_weight=None).fit(x, t).predict(x)
    assert (unweighted == "rare").sum() < 20 < (reference.predict(x) == "rare").sum()


def test_weights_of_classes_multiply_those_of_examples(imbalanced):
    x, t = imbalanced
    weighted = classifier().fit(x, t, sample_weight=np.where(t == "rare", 6.0, 2.0))
    classes = classifier(class_weight={"rare": 3.0}).fit(x, t, sample_weight=np.full(len(x), 2.0))
    np.testing.assert_allclose(classes.predict_proba(x), weighted.predict_proba(x), rtol=1e-6)


def test_balanced_weights_are_those_of_scikit_learn():
    t = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=t)
    np.testing.assert_allclose(class_weights("balanced", np.arange(3), t), expected)
    repeated = class_weights("balanced", np.arange(4), np.arange(3), np.array([3.0, 1.0, 2.0]))
    np.testing.assert_allclose(repeated, [*expected, 0.0])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("equal", "give 'balanced' or a dict"),
        (3, "give 'balanced' or a dict"),
        ({"rare": 3.0, "common": 1.0}, "'common', which is not among the classes"),
        ({"rare": -1.0}, r"class_weight\['rare'\]"),
    ],
)
def test_weights_of_classes_that_mean_nothing_are_refused(imbalanced, class_weight, message):
    with pytest.raises(ArgumentError, match=message):
        classifier(class_weight=class_weight).fit(*imbalanced)


def test_weights_of_classes_need_one_class_per_example_and_all_examples(labelled, imbalanced):
    with pytest.raises(ArgumentError, match=r"targets of shape \(N,\); give sample_weight"):
        classifier(class_weight={0: 2.0}).fit(*labelled)
    with pytest.raises(ArgumentError, match="counts all examples; give a dict"):
        classifier(class_weight="balanced").partial_fit(*imbalanced, classes=["rare", "usual"])


def test_weights_have_an_effect_in_batches_of_one_example(imbalanced):
    """Weights divided by their sum over a batch would cancel."""
    x, t = imbalanced[0][:100], imbalanced[1][:100]
    options = {"optimizer": "sgd", "learning_rate": 0.05, "max_iter": 3, "batch_size": 1, "random_state": 0}
    plain = PassusClassifier((), **options).fit(x, t).predict(x)
    weighted = PassusClassifier((), class_weight="balanced", **options).fit(x, t).predict(x)
    assert (plain == "rare").sum() < 5 < (weighted == "rare").sum()


@pytest.mark.parametrize("targets", [1, 3])
def test_equal_weights_change_nothing(targets):
    x, t = make_regression(100, 4, n_targets=targets, random_state=0)
    options = {"optimizer": "sgd", "max_iter": 5, "random_state": 0}
    plain, weighted = [PassusRegressor(**options).fit(x, t / t.std(), w) for w in (None, np.full(100, 3.0))]
    np.testing.assert_allclose(weighted.predict(x), plain.predict(x))
    np.testing.assert_allclose(weighted.loss_curve_, plain.loss_curve_)


def test_the_first_weights_of_a_given_network_do_not_depend_on_the_number_of_examples(imbalanced):
    x, t = imbalanced
    network = Sequential(Linear(8), ReLU(), Linear(2))
    model = PassusClassifier(network=network, max_iter=1, learning_rate=0.0, random_state=0)
    expected = model.fit(x, t).predict_proba(x)
    np.testing.assert_array_equal(model.fit(x[:50], t[:50]).predict_proba(x), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("in_size", [None, 4])
def test_a_given_network_computes_in_the_dtype_of_its_parameters(dtype, in_size):
    x, t = make_regression(50, 4, random_state=0)
    network = Sequential(Linear(8, in_size=in_size, dtype=dtype), ReLU(), Linear(1, dtype=dtype))
    model = PassusRegressor(network=network, max_iter=2).fit(x, t, sample_weight=np.ones(50))
    assert model.predict(x).dtype == dtype
    assert {parameter.dtype for parameter in model.network_.params()} == {np.dtype(dtype)}

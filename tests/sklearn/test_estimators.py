"""Estimators in the tools of scikit-learn: data, labels, weights, stopping, continuing and copies."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import passus
import passus.functions as F
from passus.errors import ArgumentError, DependencyError, DTypeError, LabelError, ShapeError
from passus.layers import Conv2d, Flatten, Linear, ReLU, Sequential
from passus.optimizers import SGD, Adam
from passus.sklearn import PassusClassifier, PassusRegressor
from passus.sklearn.batches import Batches


@pytest.fixture(scope="module")
def iris():
    x, t = load_iris(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), t


def quick(**options):
    return PassusClassifier((16,), learning_rate=0.02, max_iter=30, random_state=0, **options)


def test_both_estimators_have_the_same_options_and_defaults():
    classifier, regressor = PassusClassifier().get_params(), PassusRegressor().get_params()
    assert classifier == {**regressor, "class_weight": None}


def test_string_labels_of_a_data_frame(iris):
    names = np.array(["setosa", "versicolor", "virginica"])
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    model = quick().fit(frame, pd.Series(names[iris[1]]))
    assert list(model.classes_) == list(names)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.score(frame, names[iris[1]]) > 0.95
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "e"}))


def test_probabilities_are_those_of_the_network(iris):
    model = quick().fit(*iris)
    p = model.predict_proba(iris[0])
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(iris[0]))
    np.testing.assert_allclose(p, F.softmax(model.network_(iris[0]), axis=1).data)
    assert (model.classes_[p.argmax(axis=1)] == model.predict(iris[0])).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_default_network_computes_in_the_dtype_of_the_data(iris, dtype):
    model = quick(weight_decay=1e-3).fit(iris[0].astype(dtype), iris[1])
    assert {parameter.dtype for parameter in model.network_.params()} == {np.dtype(dtype)}
    assert model.predict_proba(iris[0]).dtype == model._dtype == dtype


def test_grid_search_in_a_pipeline_sets_nested_parameters(iris):
    x, t = load_iris(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"passusclassifier__hidden_layer_sizes": [(1,), (16,)], "passusclassifier__activation": ["tanh"]},
        cv=3,
        error_score="raise",
    ).fit(x, t)
    assert search.best_params_["passusclassifier__hidden_layer_sizes"] == (16,)
    assert search.best_score_ > 0.9
    assert search.best_estimator_[-1].network_.activation is F.tanh


def test_a_clone_has_the_parameters_and_no_network(iris):
    network, optimizer = Sequential(Linear(8), ReLU(), Linear(3)), Adam(lr=0.02)
    copy = clone(quick(network=network, optimizer=optimizer).set_params(max_iter=100).fit(*iris))
    assert not hasattr(copy, "network_")
    assert isinstance(copy.get_params()["network"], Sequential)
    assert copy.fit(*iris).score(*iris) > 0.9


def test_results_are_reproducible_by_random_state(iris):
    p, q = [quick().fit(*iris).predict_proba(iris[0]) for _ in range(2)]
    np.testing.assert_array_equal(p, q)
    other = quick().set_params(random_state=1).fit(*iris).predict_proba(iris[0])
    assert not np.allclose(p, other)
    kinds = [np.random.RandomState(0), np.random.default_rng(0), np.int64(0)]
    assert all(quick().set_params(random_state=kind).fit(*iris).score(*iris) > 0.9 for kind in kinds)


def test_without_random_state_the_seed_of_passus_decides(iris):
    results = []
    for _ in range(2):
        passus.random.seed(3)
        results.append(quick().set_params(random_state=None).fit(*iris).predict_proba(iris[0]))
    np.testing.assert_array_equal(*results)


def test_a_pickled_estimator_predicts_and_continues_alike(iris):
    model = quick(warm_start=True).fit(*iris)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(iris[0]), model.predict_proba(iris[0]))
    np.testing.assert_array_equal(copy.fit(*iris).predict_proba(iris[0]), model.fit(*iris).predict_proba(iris[0]))


def test_a_weight_counts_examples(iris):
    x, t = iris
    weights = np.arange(len(x)) % 3
    options = {"batch_size": 1000, "shuffle": False}
    weighted = quick(**options).fit(x, t, sample_weight=weights)
    repeated = quick(**options).fit(np.repeat(x, weights, axis=0), np.repeat(t, weights))
    np.testing.assert_allclose(weighted.predict_proba(x), repeated.predict_proba(x), rtol=1e-6)
    assert not np.allclose(weighted.predict_proba(x), quick(**options).fit(x, t).predict_proba(x), rtol=1e-3)


@pytest.mark.parametrize(("weight", "message"), [(-1.0, "Negative"), (0.0, "at least one non-zero")])
def test_weights_that_mean_nothing_are_refused(iris, weight, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(*iris, sample_weight=np.full(len(iris[0]), weight))


def test_early_stopping_holds_out_a_fraction_and_restores_the_best_weights(iris):
    model = quick(early_stopping=True, validation_fraction=0.2, n_iter_no_change=3, tol=0.0)
    model.set_params(max_iter=1000, learning_rate=0.1).fit(*iris)
    assert model.n_iter_ < 1000
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == model.n_iter_
    best = int(np.argmin(model.validation_loss_curve_))
    assert best == model.n_iter_ - 4
    again = quick(early_stopping=True, validation_fraction=0.2).set_params(max_iter=best + 1, learning_rate=0.1)
    np.testing.assert_allclose(again.fit(*iris).predict_proba(iris[0]), model.predict_proba(iris[0]))


def test_held_out_examples_are_stratified_and_keep_their_weights(iris):
    model = quick(early_stopping=True, validation_fraction=0.2)
    x, t, weights = model._prepared(*iris, sample_weight=1.0 + iris[1], first=True)
    (train, _, _), (held_out, labels, held_weights) = model._split(x, t, weights)
    assert (len(train), len(held_out)) == (120, 30)
    assert list(np.bincount(labels)) == [10, 10, 10]
    np.testing.assert_array_equal(held_weights, 1.0 + labels)


def test_training_stops_when_the_loss_no_longer_improves(iris):
    model = quick(tol=100.0, n_iter_no_change=4).fit(*iris)
    assert model.n_iter_ == 5
    assert model.validation_loss_curve_ == []


def test_a_warm_start_continues_with_the_network(iris):
    model = quick(warm_start=True).fit(*iris)
    network, loss = model.network_, model.loss_curve_[-1]
    assert model.fit(*iris).network_ is network
    assert model.loss_curve_[30] < 1.5 * loss
    assert model.n_iter_ == 60
    with pytest.raises(LabelError, match="the label 3 is not in classes_"):
        model.fit(iris[0], iris[1] + 1)
    assert quick().fit(*iris).network_ is not network


def test_partial_fit_trains_for_one_epoch_on_the_batches_of_a_stream(iris):
    x, t = iris
    model = quick()
    with pytest.raises(ArgumentError, match="on the first call"):
        model.partial_fit(x, t)
    for _ in range(40):
        for start in range(3):
            model.partial_fit(x[start::3], t[start::3], classes=[0, 1, 2])
    assert model.n_iter_ == 120
    assert model.score(x, t) > 0.9
    with pytest.raises(ArgumentError, match="differ from those"):
        model.partial_fit(x, t, classes=[0, 1])
    with pytest.raises(LabelError, match="the label 7"):
        model.partial_fit(x, np.full(150, 7))


def test_several_targets():
    x, t = make_regression(200, 5, n_targets=3, random_state=0)
    model = PassusRegressor((32,), learning_rate=0.02, random_state=0)
    scaled = TransformedTargetRegressor(model, transformer=StandardScaler()).fit(x, t)
    assert scaled.predict(x).shape == (200, 3)
    assert scaled.score(x, t) > 0.95
    model = clone(model).set_params(max_iter=1).fit(x, t)
    with pytest.raises(ShapeError, match="targets of shape"):
        model.partial_fit(x, t[:, 0])


def test_partial_fit_of_a_regressor():
    x, t = make_regression(200, 5, random_state=0)
    model = PassusRegressor((32,), learning_rate=0.02, random_state=0)
    for _ in range(60):
        model.partial_fit(x, t / t.std())
    assert model.predict(x).shape == (200,)
    assert model.score(x, t / t.std()) > 0.95


@pytest.mark.parametrize("estimator", [PassusClassifier(), PassusRegressor()])
def test_nan_and_sparse_data_are_refused(estimator, iris):
    x, t = iris
    model = clone(estimator).set_params(max_iter=1).fit(x, t)
    missing = np.where(np.arange(4) == 2, np.nan, x)
    for call in (lambda x: clone(model).fit(x, t), model.predict, lambda x: model.partial_fit(x, t)):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call(missing)
        with pytest.raises(TypeError, match=r"Sparse data was passed.*toarray"):
            call(csr_array(x))


def images(in_size: int, out_size: int) -> Sequential:
    return Sequential(Conv2d(4, kernel_size=3, pad=1), ReLU(), Flatten(), Linear(out_size))


def test_a_factory_of_networks_takes_images():
    rng = np.random.default_rng(0)
    t = rng.integers(0, 2, 80)
    x = rng.normal(0, 0.3, (80, 1, 6, 6)) + t[:, None, None, None] * np.eye(6)
    model = PassusClassifier(network=images, learning_rate=0.01, max_iter=20, random_state=0)
    assert model.fit(x, t).score(x, t) > 0.95
    assert model.predict_proba(x).dtype == np.float32
    assert cross_val_score(model, x, t, cv=2).min() > 0.9
    flat = x.reshape(80, -1)
    with pytest.raises(ValueError, match="Found array with dim 4"):
        quick().fit(x, t)
    assert quick().fit(flat, t).score(flat, t) > 0.95


def test_a_given_layer_and_optimizer_are_copied(iris):
    network, optimizer = Sequential(Linear(8), ReLU(), Linear(3)), SGD(lr=0.5)
    model = quick(network=network, optimizer=optimizer).set_params(max_iter=100).fit(*iris)
    assert all(parameter._data is None or not parameter._data.any() for parameter in network.params())
    assert model.optimizer_ is not optimizer
    assert model.optimizer_.lr == 0.5
    assert model.score(*iris) > 0.9


@pytest.mark.parametrize("name", ["adam", "adamw", "momentum", "sgd"])
def test_optimizers_by_name(iris, name):
    assert quick(optimizer=name).set_params(learning_rate=0.05, max_iter=100).fit(*iris).score(*iris) > 0.8


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"activation": "swish2"}, ArgumentError, "activation='swish2'; give one of gelu"),
        ({"hidden_layer_sizes": (0,)}, ArgumentError, "integers of 1 or more"),
        ({"hidden_layer_sizes": None}, DTypeError, "give a tuple"),
        ({"optimizer": "lbfgs"}, ArgumentError, "give one of adam"),
        ({"optimizer": SGD}, DTypeError, "optimizer is the class SGD"),
        ({"network": 3}, DTypeError, "network is an int"),
        ({"network": lambda i, o: None}, DTypeError, "returned None"),
        ({"network": Linear(7)}, ShapeError, r"it must return \(150, 3\)"),
        ({"batch_size": 0}, ArgumentError, "PassusClassifier: batch_size"),
        ({"max_iter": 0}, ArgumentError, "PassusClassifier: max_iter"),
        ({"learning_rate": -1.0}, ArgumentError, "PassusClassifier: learning_rate"),
        ({"validation_fraction": 2.0, "early_stopping": True}, ArgumentError, "validation_fraction"),
        ({"random_state": "seed"}, DTypeError, "neither a seed"),
    ],
)
def test_parameters_out_of_range_are_refused_when_fitting(iris, options, error, message):
    with pytest.raises(error, match=message):
        quick().set_params(**options).fit(*iris)


def test_verbose_shows_progress(iris, capsys):
    quick(verbose=True).set_params(max_iter=1).fit(*iris)
    assert "epoch 1/1" in capsys.readouterr().err


def test_batches_are_shuffled_in_each_epoch_and_hold_each_row_once():
    x = np.arange(10)
    batches = Batches((x, None), 4, np.random.default_rng(0))
    first, second = [np.concatenate([rows for rows, _ in batches]) for _ in range(2)]
    assert sorted(first) == sorted(second) == list(x)
    assert len(batches) == 3
    assert not np.array_equal(first, second)


def test_scikit_learn_is_imported_with_passus_sklearn_only():
    code = "import passus, sys; assert 'sklearn' not in sys.modules; import passus.sklearn; assert 'sklearn' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_the_error_names_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; import passus.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert DependencyError.__name__ in done.stderr
    assert "passus.sklearn needs scikit-learn: pip install scikit-learn" in done.stderr

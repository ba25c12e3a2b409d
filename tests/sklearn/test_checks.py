"""The estimators pass the checks of scikit-learn itself."""

from __future__ import annotations

from sklearn.utils.estimator_checks import parametrize_with_checks

from passus.sklearn import PassusClassifier, PassusRegressor


@parametrize_with_checks([PassusClassifier(), PassusRegressor()])
def test_estimators_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)

"""The estimators pass the checks of scikit-learn itself."""

from __future__ import annotations

import numpy as np
from sklearn.utils.estimator_checks import parametrize_with_checks

from passus.layers import Linear, ReLU, Sequential
from passus.sklearn import PassusClassifier, PassusRegressor


class Network:
    """Creates a network. It has a name without an address, because names of tests must be equal in all processes."""

    def __call__(self, in_size: int, out_size: int) -> Sequential:
        """The shapes of W are inferred: the first weights must not depend on the examples."""
        return Sequential(Linear(100, dtype=np.float64), ReLU(), Linear(out_size, dtype=np.float64))

    def __repr__(self) -> str:
        return "network"


ESTIMATORS = [
    PassusClassifier(),
    PassusRegressor(),
    PassusClassifier(network=Network()),
    PassusRegressor(network=Network()),
]


@parametrize_with_checks(ESTIMATORS)
def test_estimators_pass_the_checks_of_scikit_learn(estimator, check):
    check(estimator)

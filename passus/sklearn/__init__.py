"""Estimators for scikit-learn: networks in pipelines, cross-validation and grid search.

scikit-learn 1.6 or later is needed from the import of this package on; nothing else in passus imports it for estimators. The
estimators pass the checks of 1.6, 1.7, 1.8 and 1.9, and so does one with a ``network`` of float64; with float32, which is
faster, its results agree with those of repeated examples within the precision of float32 only.

>>> from sklearn.datasets import load_iris
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from passus.sklearn import PassusClassifier
>>> x, t = load_iris(return_X_y=True)
>>> model = make_pipeline(StandardScaler(), PassusClassifier((16,), learning_rate=0.01, random_state=0))
>>> model.fit(x, t).score(x, t) > 0.95
True
"""

from passus import exports as _exports
from passus import optional as _optional

_optional.import_optional("sklearn", "scikit-learn", "passus.sklearn")

from passus.sklearn.classifier import PassusClassifier as PassusClassifier  # noqa: E402
from passus.sklearn.regressor import PassusRegressor as PassusRegressor  # noqa: E402

_exports.export_names(__name__)

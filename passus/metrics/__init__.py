"""Measures of predictions, collected over batches of any size, and the same measures of one batch as functions.

>>> import numpy as np
>>> metric = Accuracy()
>>> for y, t in [(np.array([[0.2, 0.8]]), np.array([1])), (np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([1, 0]))]:
...     metric.update(y, t)
>>> round(metric.compute(), 4)
0.6667
"""

from passus import answers as _answers
from passus import foreign as _foreign
from passus.metrics.base import Mean as Mean
from passus.metrics.base import MeanOf as MeanOf
from passus.metrics.base import Metric as Metric
from passus.metrics.classification import Accuracy as Accuracy
from passus.metrics.classification import ConfusionMatrix as ConfusionMatrix
from passus.metrics.classification import TopKAccuracy as TopKAccuracy
from passus.metrics.classification import accuracy as accuracy
from passus.metrics.classification import confusion_matrix as confusion_matrix
from passus.metrics.classification import top_k_accuracy as top_k_accuracy
from passus.metrics.f1 import F1 as F1
from passus.metrics.f1 import f1 as f1
from passus.metrics.ranking import AUC as AUC
from passus.metrics.ranking import auc as auc
from passus.metrics.regression import MAE as MAE
from passus.metrics.regression import R2 as R2
from passus.metrics.regression import mae as mae
from passus.metrics.regression import r2 as r2

__all__ = [
    "AUC",
    "Accuracy",
    "ConfusionMatrix",
    "F1",
    "MAE",
    "Mean",
    "MeanOf",
    "Metric",
    "R2",
    "TopKAccuracy",
    "accuracy",
    "auc",
    "confusion_matrix",
    "f1",
    "mae",
    "r2",
    "top_k_accuracy",
]

_answers.answers_for(__name__, _foreign.METRICS)
for _metric in (AUC, ConfusionMatrix, F1, MAE, Mean, R2, TopKAccuracy):
    _answers.answers(_metric, _foreign.METRIC)

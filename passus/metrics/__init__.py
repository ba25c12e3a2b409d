"""Metrics: classes that accumulate over batches of any size, and functions for a single batch.

>>> import numpy as np
>>> metric = Accuracy()
>>> for y, t in [(np.array([[0.2, 0.8]]), np.array([1])), (np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([1, 0]))]:
...     metric.update(y, t)
>>> round(metric.compute(), 4)
0.6667
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.loading import Verified as _Verified
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
from passus.metrics.text import BitsPerCharacter as BitsPerCharacter
from passus.metrics.text import CharacterErrorRate as CharacterErrorRate
from passus.metrics.text import Perplexity as Perplexity
from passus.metrics.text import WordErrorRate as WordErrorRate
from passus.metrics.text import bits_per_character as bits_per_character
from passus.metrics.text import character_error_rate as character_error_rate
from passus.metrics.text import edit_distance as edit_distance
from passus.metrics.text import perplexity as perplexity
from passus.metrics.text import word_error_rate as word_error_rate

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.METRICS)
for _metric in list(vars().values()):
    if isinstance(_metric, type) and issubclass(_metric, _Verified):
        _answers.answers(_metric, _foreign.METRIC)

"""Optimizers: update rules for parameters, and hooks that run before and after an update."""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.optimizers.accumulation import GradientAccumulation as GradientAccumulation
from passus.optimizers.adagrad import AdaDelta as AdaDelta
from passus.optimizers.adagrad import AdaGrad as AdaGrad
from passus.optimizers.adagrad import RMSprop as RMSprop
from passus.optimizers.adam import Adam as Adam
from passus.optimizers.adam import AdamW as AdamW
from passus.optimizers.adam import AMSGrad as AMSGrad
from passus.optimizers.adam import NAdam as NAdam
from passus.optimizers.adam import RAdam as RAdam
from passus.optimizers.base import Optimizer as Optimizer
from passus.optimizers.ema import EMA as EMA
from passus.optimizers.hooks import ClipGrad as ClipGrad
from passus.optimizers.hooks import ClipValue as ClipValue
from passus.optimizers.hooks import FreezeParam as FreezeParam
from passus.optimizers.hooks import Hook as Hook
from passus.optimizers.hooks import WeightDecay as WeightDecay
from passus.optimizers.lamb import LAMB as LAMB
from passus.optimizers.lion import Lion as Lion
from passus.optimizers.options import Options as Options
from passus.optimizers.options import Rate as Rate
from passus.optimizers.sgd import SGD as SGD
from passus.optimizers.sgd import MomentumSGD as MomentumSGD
from passus.optimizers.sgd import Nesterov as Nesterov

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.OPTIMIZERS)

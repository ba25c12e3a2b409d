"""Callbacks: logging, checkpoints, early stopping and plots during training."""

from passus import exports as _exports
from passus.training.callbacks.base import Callback as Callback
from passus.training.callbacks.base import Row as Row
from passus.training.callbacks.base import Run as Run
from passus.training.callbacks.best import Best as Best
from passus.training.callbacks.checkpoint import Checkpoint as Checkpoint
from passus.training.callbacks.checkpoint import CheckpointFolder as CheckpointFolder
from passus.training.callbacks.curves import PlotCurves as PlotCurves
from passus.training.callbacks.curves import plot_history as plot_history
from passus.training.callbacks.limit import TimeLimit as TimeLimit
from passus.training.callbacks.logs import CSVLog as CSVLog
from passus.training.callbacks.logs import JSONLinesLog as JSONLinesLog
from passus.training.callbacks.stopping import EarlyStopping as EarlyStopping
from passus.training.callbacks.stopping import ReportPlateau as ReportPlateau
from passus.training.callbacks.tensorboard import TensorBoardLog as TensorBoardLog

_exports.export_names(__name__)

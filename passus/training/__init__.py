"""Training: the `Trainer`, its callbacks, and a progress bar for custom loops."""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.training.callbacks import Best as Best
from passus.training.callbacks import Callback as Callback
from passus.training.callbacks import Checkpoint as Checkpoint
from passus.training.callbacks import CheckpointFolder as CheckpointFolder
from passus.training.callbacks import CSVLog as CSVLog
from passus.training.callbacks import EarlyStopping as EarlyStopping
from passus.training.callbacks import JSONLinesLog as JSONLinesLog
from passus.training.callbacks import PlotCurves as PlotCurves
from passus.training.callbacks import ReportPlateau as ReportPlateau
from passus.training.callbacks import TensorBoardLog as TensorBoardLog
from passus.training.callbacks import TimeLimit as TimeLimit
from passus.training.callbacks import plot_history as plot_history
from passus.training.progress import progress_bar as progress_bar
from passus.training.trainer import Trainer as Trainer

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.TRAINING)

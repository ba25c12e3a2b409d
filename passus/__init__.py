"""passus: a deep learning framework that shows its steps."""

from passus import functions as functions
from passus.core import Variable as Variable

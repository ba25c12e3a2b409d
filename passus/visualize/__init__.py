"""Drawings of the graph of a result, and tables of its steps."""

from passus import answers as _answers
from passus import exports as _exports
from passus.visualize.book import get_dot_graph as get_dot_graph
from passus.visualize.book import plot_dot_graph as plot_dot_graph
from passus.visualize.drawing import Drawing as Drawing
from passus.visualize.drawing import draw as draw
from passus.visualize.steps import Step as Step
from passus.visualize.steps import Steps as Steps
from passus.visualize.steps import steps as steps

_exports.export_names(__name__)
_answers.not_callable(__name__)

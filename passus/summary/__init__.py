"""A model as a table: the output shape, parameters and cost of each layer."""

from passus import answers as _answers
from passus import exports as _exports
from passus.summary.report import Summary as Summary
from passus.summary.report import summary as summary

_exports.export_names(__name__)
_answers.not_callable(__name__)

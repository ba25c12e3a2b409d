"""A model as a table: what each layer gives, how much it learns, and how much there is to compute."""

from passus import answers as _answers
from passus import exports as _exports
from passus.summary.report import summary as summary

_exports.export_names(__name__)
_answers.not_callable(__name__)

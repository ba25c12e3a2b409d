"""A model as a table: what each layer gives, how much it learns, and how much there is to compute."""

from passus import answers as _answers
from passus.summary.report import summary as summary

__all__ = ["summary"]

_answers.not_callable(__name__)

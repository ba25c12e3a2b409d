"""A model as a table: what each layer gives, how much it learns, and how much there is to compute."""

from passus.summary.report import summary as summary

__all__ = ["summary"]

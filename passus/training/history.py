"""The history of a training in a notebook: a chart for each number, and a table of the last epochs."""

from __future__ import annotations

from collections.abc import Sequence

from passus.display import html_table, line_chart
from passus.training.callbacks import Row
from passus.training.callbacks.curves import curve_names, curves_of

__all__ = ["html_of_history"]

LAST = 10
"""Number of epochs in the table."""


def html_of_history(history: Sequence[Row]) -> str:
    """Charts of training and test together, and of a learning rate that changes, and a table; an empty text for an empty
    history.

    >>> html_of_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]).count("<svg")
    1
    """
    if not history:
        return ""
    charts = [line_chart(name, curves_of(history, name)) for name in curve_names(history)]
    rates = [(row["epoch"], row["lr"]) for row in history if "lr" in row]
    if len({lr for _, lr in rates}) > 1:
        charts.append(line_chart("lr", {"schedule": rates}))
    names = list({name: None for row in history for name in row})
    rows = [[_number(row[name]) if name in row else "" for name in names] for row in history[-LAST:]]
    return "".join(charts) + html_table(names, rows, right=len(names))


def _number(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

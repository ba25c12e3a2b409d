"""Checks of weight files of all formats."""

from __future__ import annotations

from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath, checked_file

__all__ = ["check_readable"]


def check_readable(path: FilePath) -> None:
    """Raise `MissingWeightsError` (a `FileNotFoundError`) for a missing file, `WeightsError` for a folder or device."""
    checked_file(path, MissingWeightsError, WeightsError)

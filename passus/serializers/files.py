"""Checks of weight files of all formats."""

from __future__ import annotations

from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath, check_file_is_there

__all__ = ["check_readable"]


def check_readable(path: FilePath) -> None:
    """Raise `MissingWeightsError` (a `FileNotFoundError`) for a missing file, `WeightsError` for a folder or device."""
    check_file_is_there(path, MissingWeightsError, WeightsError)

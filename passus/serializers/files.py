"""What holds for every file of weights, whatever its format."""

from __future__ import annotations

from passus.errors import MissingWeightsError, WeightsError
from passus.files import FilePath, check_file_is_there

__all__ = ["check_readable"]


def check_readable(path: FilePath) -> None:
    """Raise `MissingWeightsError` (a `FileNotFoundError`) or, for what is no file, `WeightsError`, with the path."""
    check_file_is_there(path, MissingWeightsError, WeightsError)

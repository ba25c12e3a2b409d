"""A context manager that records warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from passus.errors import PassusWarning


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collect the messages of all warnings in the block; each must be a PassusWarning."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    assert all(warning.category is PassusWarning for warning in caught)
    messages += [str(warning.message) for warning in caught]

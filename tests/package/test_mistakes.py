"""Each mistake of the catalogue has the outcome that its entry declares."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from passus.errors import PassusError, PassusWarning
from tests.package.mistakes import MISTAKES, SETUP, Mistake

INTERNAL = re.compile(r"\b_[a-z]\w+|<\w+ object at|\bNoneType\b|object has no attribute")
"""Never part of a message: private names, addresses, and types in place of values."""


def namespace() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "mistake"}
    exec(SETUP, names)
    return names


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: re.sub(r"\W+", "-", f"{m.title}-{m.code[:30]}"))
def test_outcome_is_the_declared_one(mistake: Mistake) -> None:
    names, raised = namespace(), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(mistake.code, names)
        except Exception as error:
            raised = error
    messages = [str(warning.message) for warning in caught]
    if mistake.outcome == "error":
        assert isinstance(raised, (PassusError, NotImplementedError)) or (raised is not None and mistake.reason), raised
        assert re.search(mistake.message, str(raised), re.DOTALL), raised
        assert not INTERNAL.search(str(raised)), raised
        return
    assert raised is None
    if mistake.outcome == "silent":
        assert messages == []
        assert mistake.reason
    else:
        assert len(messages) == 1, messages
        assert caught[0].category is PassusWarning
        assert caught[0].filename == "<string>", "the warning points at the code of the user"
        assert re.search(mistake.message, messages[0], re.DOTALL), messages
        assert not INTERNAL.search(messages[0])


def test_catalogue_is_large_and_without_duplicates() -> None:
    codes = [mistake.code for mistake in MISTAKES]
    assert len(codes) == len(set(codes)) >= 75

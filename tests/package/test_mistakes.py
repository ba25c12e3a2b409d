"""Each mistake of the gallery has the outcome that the gallery names."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

from passus.errors import PassusError, PassusWarning
from tests.package.mistakes import MISTAKES, SETTING, Mistake

INTERNAL = re.compile(r"\b_[a-z]\w+|<\w+ object at|\bNoneType\b|object has no attribute")
"""What no message says: names that are no one's business, addresses, types for values."""


def setting() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "gallery"}
    exec(SETTING, names)
    return names


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: re.sub(r"\W+", "-", f"{m.title}-{m.code[:30]}"))
def test_a_mistake_has_the_outcome_that_the_gallery_names(mistake: Mistake) -> None:
    names, raised = setting(), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(mistake.code, names)
        except Exception as error:
            raised = error
    messages = [str(warning.message) for warning in caught]
    if mistake.outcome == "error":
        assert isinstance(raised, (PassusError, NotImplementedError)) or (raised is not None and mistake.reason), raised
        assert re.search(mistake.says, str(raised), re.DOTALL), raised
        assert not INTERNAL.search(str(raised)), raised
        return
    assert raised is None
    if mistake.outcome == "silent":
        assert messages == []
        assert mistake.reason
    else:
        assert len(messages) == 1, messages
        assert caught[0].category is PassusWarning
        assert caught[0].filename == "<string>", "it points at the lines of the user"
        assert re.search(mistake.says, messages[0], re.DOTALL), messages
        assert not INTERNAL.search(messages[0])


def test_the_gallery_is_large_and_says_each_mistake_once() -> None:
    codes = [mistake.code for mistake in MISTAKES]
    assert len(codes) == len(set(codes)) >= 75

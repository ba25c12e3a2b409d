"""``help(passus.functions)`` begins with a table by family, and lists functions instead of their rules."""

from __future__ import annotations

import pydoc
import re

import passus.functions as F


def page() -> str:
    return pydoc.plain(pydoc.render_doc(F))


def test_page_begins_with_a_table_of_all_functions_by_family() -> None:
    description = page().partition("PACKAGE CONTENTS")[0]
    functions = {name for name in F.__all__ if not isinstance(getattr(F, name), type)}
    assert set(re.findall(r"\w+", description)) >= functions
    assert len(description.splitlines()) < 300
    assert "Softmax and its logarithm\n        log_softmax, softmax\n" in description


def test_page_has_no_rules() -> None:
    text = page()
    assert "class SoftmaxCrossEntropy" not in text
    assert "class RotaryScaling" in text, "an option of users, not a rule"
    assert len(text.splitlines()) < 6000


def test_rules_are_exported_but_not_completed() -> None:
    assert "softmax" in dir(F)
    assert "Softmax" not in dir(F)
    assert "Softmax" in F.__all__

"""The programs of the steps run on passus after the imports are changed, and print the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passus import using_config
from tests.helpers.snippets import blocks, run_session
from tests.steps.programs import PAGES, program

ON_PASSUS = program("pictures.py")["on_passus"]

EXEMPT = {
    "10": "runs the tests of mini",
    "11": "functions take lists in this step only",
    "14": "shows a gradient that two variables share; passus does not share it",
    "15": "shows wrong derivatives, which the next step mends",
    "21": "shows NumPy's result for an operator without priority; passus takes part in it",
    "26": "prints labels without shapes",
    "30": "shows gradients that are arrays, until step 32",
    "34": "counts products of constants, which passus does not record",
    "35": "counts products of constants, which passus does not record",
    "44": "prints losses of random weights; passus draws others",
    "45": "prints losses of random weights; passus draws others",
    "46": "prints losses of random weights; passus draws others",
    "48": "draws points of the spiral; passus has others",
    "49": "prints a point of the spiral; passus has others",
    "52": "counts what mini takes from NumPy",
    "54": "prints masks and weights of random numbers; passus draws others",
    "59": "prints losses of random weights; passus draws others",
    "60": "prints losses of random weights; passus draws others",
    "61": "builds a layer of attention with a mask; passus gets the mask as an argument",
    "62": "builds a block with a mask; passus gets the mask as an argument",
    "63": "prints the number of parameters; that of passus has others",
    "64": "trains the model of step 63",
}
"""By number of a page, the reason why its programs print something else on passus."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_print_the_same_on_passus(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with using_config("native", False):  # Nothing is compiled.
        if page.stem in EXEMPT:
            with pytest.raises(AssertionError):
                run_on_passus(page)
        else:
            run_on_passus(page)


def run_on_passus(page: Path) -> None:
    end = page.read_text().split("## What can go wrong")[0].count("\n")  # Errors and exercises are about mini.
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, source in blocks(page, "python"):
        if line < end:
            run_session(ON_PASSUS(source), namespace, page, line)

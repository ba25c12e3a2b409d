"""examples/semantic_search.py: docstrings of the standard library, and the search with the published weights."""

from __future__ import annotations

import re
import runpy
import sys

import pytest

from tests.examples.test_examples import EXAMPLES, run
from tests.helpers.real_data import real

MODULES = ("--modules", "statistics", "shlex", "colorsys")


@pytest.mark.compiles
def test_results_match_the_meaning_and_the_index_is_cached(tmp_path):
    pytest.importorskip("tokenizers")
    files = (
        "--weights",
        real("all-minilm-l6-v2.safetensors", "large"),
        "--vocabulary",
        real("all-minilm-l6-v2-vocab.txt", "large"),
    )
    query = ("split", "a", "command", "line", "like", "the", "shell", "does")
    text = run("semantic_search", *query, "--top", 2, *MODULES, *files, PASSUS_CACHE=str(tmp_path))
    assert "Indexing" in text
    again = run("semantic_search", *query, "--top", 2, *MODULES, *files, PASSUS_CACHE=str(tmp_path))
    assert "Indexing" not in again
    hits = re.findall(r"^(0\.\d{3})  ([\w.]+): ", again, re.MULTILINE)
    assert hits == re.findall(r"^(0\.\d{3})  ([\w.]+): ", text, re.MULTILINE)
    (best, name), (second, _) = hits
    assert name == "shlex.split"
    assert best >= second
    average = run("semantic_search", "average of numbers", "--top", 1, *MODULES, *files, PASSUS_CACHE=str(tmp_path))
    assert "statistics.mean: " in average
    assert len(list(tmp_path.glob("docstrings-*.npz"))) == 1
    assert "no docstrings in absent" in run("semantic_search", "x", "--modules", "absent", *files, code=2)


@pytest.mark.parametrize("library", [True, False])
def test_missing_weights_or_tokenizers_are_reported(library, tmp_path, monkeypatch, capsys):
    if library:
        pytest.importorskip("tokenizers")
    else:
        monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["semantic_search", "a", "query"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(EXAMPLES / "semantic_search.py"), run_name="__main__")
    assert ("scripts/fetch-data large" if library else "pip install passus[text]") in capsys.readouterr().err


def test_docstrings_are_read_without_importing_modules():
    example = runpy.run_path(str(EXAMPLES / "semantic_search.py"))
    before = set(sys.modules)
    found = example["docstrings"](["this", "antigravity", "json", "decimal"])
    assert not {"this", "antigravity"} & (set(sys.modules) - before)
    assert found["json.decoder.JSONDecoder.decode"].startswith("Return the Python representation of ``s``")
    assert "\n" not in "".join(found.values())
    assert "decimal.Decimal.sqrt" in found  # Its Python source is called _pydecimal.
    assert not [name for name in found if re.search(r"\b_|\btests?\b", name)]

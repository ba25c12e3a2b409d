"""Documents: snippets run, links have targets, and the list of modules is complete."""

from __future__ import annotations

import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import passus
from tests.helpers.snippets import blocks, is_script, run_program, run_script, run_session

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if not path.stem.isdigit()], ids=name_of)
def test_snippets_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the numbered pages of docs/steps, which have tests of their own."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, source in blocks(path, "python"):
        if is_script(source):
            run_script(source, tmp_path, line)
        else:
            run = run_session if source.startswith(">>>") else run_program
            run(source, namespace, path, line)


def test_wrong_snippet_fails() -> None:
    with pytest.raises(AssertionError, match="Expected:"):
        run_session(">>> 1 + 1\n3\n", {}, ROOT / "README.md", 0)


@each_document
def test_links_point_to_existing_files_and_headings(path: Path) -> None:
    text = re.sub(r"<!-- site:.*?-->", "", path.read_text(), flags=re.DOTALL)  # Those are checked by test_site.py.
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), target
        assert not heading or heading in headings(linked), target


def headings(path: Path) -> set[str]:
    """The anchors of a document."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.compiles
def test_picture_of_the_readme_is_drawn(tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed: no program called dot")
    picture = tmp_path / "front_page.png"
    program = [sys.executable, str(ROOT / "docs" / "front_page.py"), "--epochs", "1", "--out", str(picture)]
    subprocess.run(program, check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_picture_shows_all_convolutional_networks_of_the_benchmarks() -> None:
    ratios = runpy.run_path(str(ROOT / "docs" / "front_page.py"))["convolutional_networks"]()
    assert list(ratios) == ["LeNet", "three convolutions", "ResNet-20", "blocks of MobileNetV2", "wide layers"]
    claim = re.search(r"five CNNs train ([\d.]+) to ([\d.]+) times", (ROOT / "README.md").read_text())
    assert claim is not None
    assert float(claim[1]) <= round(min(ratios.values()), 1)


def test_readme_contains_the_two_commands() -> None:
    job, tests = [command for _, command in blocks(ROOT / "README.md", "sh")]
    assert shlex.split(job)[-1] == "examples/digits.py"
    assert shlex.split(tests)[-1] == "scripts/test"
    for command in (job, tests):
        assert (ROOT / shlex.split(command)[-1]).exists()


def test_architecture_lists_every_module() -> None:
    shown = set(
        re.findall(r"^\| `([\w/.]+?)(?:\.py|/)`", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE)
    )
    assert shown == {module.name for module in pkgutil.iter_modules(passus.__path__)}

"""The sixty steps: changes apply, snippets print what the pages say, and the same programs run on passus."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.snippets import blocks, run_session
from tests.steps.programs import PAGES, STEPS, program

BUILD, REFERENCES, NOTEBOOKS, PICTURES = map(program, ("build.py", "references.py", "notebooks.py", "pictures.py"))

MOST_BYTES = 60_000
"""Size of a picture."""

MOST_LINES = 45
"""Changed lines of a step, without empty ones."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture
def _clean_modules(tmp_path: Path) -> Iterator[None]:
    """Each step imports its own state of the package."""
    yield
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "mini" or str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@each_page
@pytest.mark.usefixtures("_clean_modules")
def test_snippets_print_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BUILD["write"](int(page.stem), tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line, source in blocks(page, "python"):
        run_session(source, namespace, page, line)


@each_page
def test_a_step_is_small(page: Path) -> None:
    lines = [line for _, block in blocks(page, "diff") for line in block.splitlines()]
    changed = [line for line in lines if line[:1] in ("+", "-") and line[1:].strip()]
    assert len(changed) <= MOST_LINES


@each_page
def test_a_page_has_its_sections_and_neighbours(page: Path) -> None:
    text, number = page.read_text(), int(page.stem)
    assert re.match(rf"# Step {number}: \S", text)
    sections = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert sections[-3:] == ["What can go wrong", "Exercises", "In passus"]
    assert text.count("<summary>Answer</summary>") == 2
    for neighbour in (number - 1, number + 1):
        assert not (STEPS / f"{neighbour:02}.md").exists() or f"[Step {neighbour}]({neighbour:02}.md)" in text


@each_page
def test_references_have_the_line_numbers_of_today(page: Path) -> None:
    text = page.read_text()
    assert REFERENCES["REFERENCE"].search(text)
    assert REFERENCES["current"](text) == text, "run: python docs/steps/references.py"


def test_the_index_has_all_steps_and_links_to_their_pages() -> None:
    text = (STEPS / "README.md").read_text()
    assert [int(row["step"]) for row in REFERENCES["ROW"].finditer(text)] == list(range(1, 65))
    assert REFERENCES["index"](text) == text, "run: python docs/steps/references.py"


def test_the_package_of_the_last_step_is_checked_in() -> None:
    files = {path: text for path, text in BUILD["framework"](len(PAGES)).items() if path.startswith("mini/")}
    found = {str(path.relative_to(STEPS)): path.read_text() for path in STEPS.glob("mini/**/*.py")}
    assert found == files


def test_a_change_that_does_not_apply_is_an_error() -> None:
    with pytest.raises(BUILD["ChangeError"], match="0 places"):
        BUILD["changed"]("a\nb\n", "c\n", "d\n")
    with pytest.raises(BUILD["ChangeError"], match="2 places"):
        BUILD["changed"]("a\na\n", "a\n", "b\n")
    assert BUILD["changed"]("a\nb\n", "b\n", "b\nc\n") == "a\nb\nc\n"
    assert BUILD["changed"](None, "", "a\n") == "a\n"


def test_a_reference_to_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(LookupError, match="Variabel"):
        REFERENCES["reference"]("passus/core/variable.py", "Variabel")


STAGES = [PAGES[first : first + 12] for first in range(0, len(PAGES), 12)]


@pytest.mark.slow
@pytest.mark.parametrize("pages", STAGES, ids=lambda pages: f"{pages[0].stem} to {pages[-1].stem}")
def test_notebooks_run(pages: list[Path], tmp_path: Path) -> None:
    """Notebooks of several pages run in one kernel, one after the other."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = NOTEBOOKS["notebook"](pages[0])
    notebook["cells"] = [cell for page in pages for cell in NOTEBOOKS["notebook"](page)["cells"]]
    loaded = nbformat.from_dict(notebook)
    nbformat.validate(loaded)
    nbclient.NotebookClient(loaded, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    raising = [cell for cell in loaded.cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert all(any(output.output_type == "error" for output in cell.outputs) for cell in raising)


@each_page
def test_text_of_a_notebook_needs_no_other_file_of_the_project(page: Path) -> None:
    text = "\n".join(cell.text for cell in NOTEBOOKS["cells"](page) if not cell.is_code)
    links = re.findall(r"\]\((?!https?:|#)([^)\s]*)", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL))
    assert all(re.fullmatch(r"step\d\d\.ipynb|images/[\w-]+\.svg", link) for link in links), links
    assert "<details>" not in text
    assert "<!--" not in text


def test_the_folder_of_notebooks_has_their_pictures(tmp_path: Path) -> None:
    NOTEBOOKS["main"](tmp_path)
    assert (tmp_path / "step07.ipynb").exists()
    assert (tmp_path / "images" / "07-y.svg").exists()


def test_scripts_have_the_cells_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = next(page for page in PAGES if page.stem == "06")
    path = tmp_path / "step06.py"
    path.write_text(NOTEBOOKS["script"](page))
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "3.297442541400256" in done.stdout
    assert (tmp_path / "mini" / "core.py").exists()


def test_notebooks_have_no_programs_of_charts() -> None:
    page = next(page for page in PAGES if page.stem == "34")
    text = "".join(cell.text for cell in NOTEBOOKS["cells"](page))
    assert "![The sine and its first three derivatives]" in text
    assert "<!--" not in text


def test_every_picture_belongs_to_a_page() -> None:
    linked = {name for page in PAGES for name in re.findall(r"\(images/([\w-]+\.svg)\)", page.read_text())}
    assert linked == {path.name for path in STEPS.glob("images/*")}
    assert not [page.stem for page in PAGES if "<!-- picture" in page.read_text()], "run: python docs/steps/pictures.py"
    for page in PAGES:
        assert page.read_text().count("<!-- chart") == len(PICTURES["CHART"].findall(page.read_text())), page.stem


def test_a_picture_is_small_and_described() -> None:
    assert not [path.name for path in STEPS.glob("images/*") if path.stat().st_size > MOST_BYTES]
    assert not [page.stem for page in PAGES if "![](" in page.read_text()]


def test_a_picture_shows_names_numbers_and_gradients() -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed: no program called dot")
    page, namespace = next(page for page in PAGES if page.stem == "07"), {"__name__": "__main__"}
    PICTURES["run"](PICTURES["on_passus"](page.read_text().split("![")[0]), namespace)
    drawn = PICTURES["graph"](namespace, "y")
    for text in (">x<", ">1.649<", ">gradient 3.297<"):
        assert text in drawn
        assert text in (STEPS / "images" / "07-y.svg").read_text()


@pytest.mark.usefixtures("_clean_modules")
def test_a_chart_is_drawn_from_the_sessions_of_its_page() -> None:
    """Of one page, since the sessions run again. Numbers differ by the rounding of processors."""
    charts = PICTURES["page_charts"](next(page for page in PAGES if page.stem == "34"))
    name, drawn = next(charts)
    charts.close()  # The next one needs Graphviz.
    stored = (STEPS / "images" / name).read_text()
    assert drawn.count("<polyline") == 4
    numbers = re.compile(r"(?<=[ ,\"])\d+\.\d")
    assert numbers.sub("", drawn) == numbers.sub("", stored)
    np.testing.assert_allclose(*[[float(n) for n in numbers.findall(svg)] for svg in (drawn, stored)], atol=0.11)


@pytest.mark.usefixtures("_clean_modules")
def test_a_graph_of_mini_shows_all_calls_and_their_values() -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed: no program called dot")
    ((name, drawn),) = PICTURES["page_charts"](next(page for page in PAGES if page.stem == "32"))
    stored = (STEPS / "images" / name).read_text()
    for svg in (drawn, stored):
        calls = re.findall(r">(Mul|Pow|Neg|Add)<", svg)
        assert (len(calls), calls.count("Pow")) == (9, 2)
        assert ">gradient 44<" in svg


def test_a_chart_of_cells_and_contours() -> None:
    charts = program("charts.py")
    grid = np.linspace(-1.0, 1.0, 11)
    drawn = charts["chart"](
        charts["cells"](np.tile([0, 1], (3, 1)), (-1, 1), (-1, 1)),
        charts["contours"](grid, grid, grid[:, None] ** 2 + grid**2, levels=[0.5]),
        charts["points"]([0.0], [0.0], "middle"),
        charts["labels"]([0.5], [0.5], ["a < b"]),
    )
    assert len(re.findall(r"\dz", drawn)) == 6
    assert "a &lt; b" in drawn
    circle = re.search(r'd="(M[^"]*)" fill="none" stroke="#999999"', drawn)
    assert circle is not None
    assert circle[1].count("M") == 28  # The circle of radius √½ crosses so many of the squares of length 0.2.


def test_a_map_of_numbers_is_black_for_the_largest_and_joins_equal_neighbours() -> None:
    charts = program("charts.py")
    drawn = charts["chart"](charts["cells"]([[0.0, 0.0, 0.5], [1.0, 1.0, 1.0]]), axes=False)
    assert [(fill, path.count("M")) for path, fill in re.findall(r'<path d="(M[^"]*)" fill="(#\w+)"', drawn)] == [
        ("#000000", 1),
        ("#808080", 1),
        ("#ffffff", 1),
    ]


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    charts = program("charts.py")
    drawn = charts["chart"](charts["curve"]([0, 100], [1.0, 0.001]), log=True)
    assert [f">{n}<" in drawn for n in ("1", "0.1", "0.01", "0.001", "0.8")] == [True, True, True, True, False]
    assert ">0.8<" in charts["chart"](charts["curve"]([0, 100], [1.0, 0.001]))
    assert [name for _, name in charts["y_ticks"]((-12.0, 0.0), True)] == [
        "10⁻¹²", "10⁻¹⁰", "10⁻⁸", "10⁻⁶", "0.0001", "0.01", "1",
    ]  # fmt: skip
    assert [charts["number"](value) for value in (-0.0, -0.5, 0.1 + 0.2, 2e7)] == [
        "0",
        "\N{MINUS SIGN}0.5",
        "0.3",
        "2 · 10⁷",
    ]

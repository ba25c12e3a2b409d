"""The sixty steps: changes apply, snippets print what the pages say, and the same programs run on passus."""

from __future__ import annotations

import doctest
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


def test_an_earlier_step_replaces_a_later_one(tmp_path: Path) -> None:
    for step in (30, 7):
        BUILD["write"](step, tmp_path)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("**/*.py")}
    assert found == BUILD["framework"](7)


def test_a_file_of_the_learner_is_not_replaced(tmp_path: Path) -> None:
    BUILD["write"](7, tmp_path)
    (tmp_path / "mini" / "mine.py").write_text("a = 1\n")  # No step has a file of this name.
    BUILD["write"](30, tmp_path)
    for path in ("mini/core.py", "mini/layers.py"):  # Step 30 has no layers.
        own = f"{BUILD['framework'](64)[path]}# Mine.\n"
        (tmp_path / path).write_text(own)
        with pytest.raises(FileExistsError, match=f"{path} would be lost; use another folder, or --force"):
            BUILD["write"](30, tmp_path)
        assert (tmp_path / path).read_text() == own
        BUILD["write"](30, tmp_path, force=True)
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("**/*.py")}
    assert found == {**BUILD["framework"](30), "mini/mine.py": "a = 1\n"}


def test_a_step_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    for step in ("0", "99"):
        command = [sys.executable, str(STEPS / "build.py"), step, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.endswith(f"there is no step {step}; the steps are 1 to 64\n")
    assert not list(tmp_path.iterdir())


def shows(printed: str, page: Path) -> bool:
    """Whether a text is all that the sessions of a page print, and the errors that they raise."""
    source = "".join(source for _, source in blocks(page, "python"))
    examples = doctest.DocTestParser().get_examples(source)
    wanted = "".join(example.want if example.exc_msg is None else error_line(example.exc_msg) for example in examples)
    return doctest.OutputChecker().check_output(wanted, printed, doctest.ELLIPSIS)


def error_line(message: str) -> str:
    """An error as scripts print it: with a colon, even without a message. A doctest does not say what comes before it."""
    return f"...{message}" if ":" in message else f"...{message.rstrip()}: \n"


@pytest.mark.slow
@pytest.mark.parametrize("pages", STAGES, ids=lambda pages: f"{pages[0].stem} to {pages[-1].stem}")
def test_notebooks_run(pages: list[Path], tmp_path: Path) -> None:
    """Notebooks of several pages run in one kernel, one after the other."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = NOTEBOOKS["notebook"](pages[0])
    notebook["cells"] = [cell for page in pages for cell in NOTEBOOKS["notebook"](page)["cells"]]
    loaded = nbformat.from_dict(notebook)
    nbformat.validate(loaded)
    loaded.cells.insert(0, nbformat.v4.new_code_cell("%pprint", id="pprint"))  # Long lists remain on one line.
    nbclient.NotebookClient(loaded, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    raising = [cell for cell in loaded.cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert all(any(output.output_type == "error" for output in cell.outputs) for cell in raising)
    for page in pages:
        outputs = [cell.outputs for cell in loaded.cells if cell.cell_type == "code" and cell.id.startswith(page.stem)]
        printed = "".join(text_of(output) for of_cell in outputs for output in of_cell)
        assert shows(printed, page), f"{page.stem}: {printed}"


def text_of(output: Any) -> str:
    """What an output of a cell shows as text."""
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    return f"{output.ename}: {output.evalue}\n" if output.output_type == "error" else f"{output.data['text/plain']}\n"


@each_page
def test_values_that_a_page_shows_end_cells_of_its_notebook(page: Path) -> None:
    source = "".join(source for _, source in blocks(page, "python"))
    examples = [example for example in doctest.DocTestParser().get_examples(source) if example.want]
    cells = [cell.text for cell in NOTEBOOKS["cells"](page) if cell.is_code]
    values = [example.source.rstrip() for example in examples if NOTEBOOKS["is_shown"](example)]
    assert all(any(cell.endswith(value) for cell in cells) for value in values)


@each_page
def test_text_of_a_notebook_needs_no_other_file_of_the_project(page: Path) -> None:
    text = "\n".join(cell.text for cell in NOTEBOOKS["cells"](page) if not cell.is_code)
    links = re.findall(r"\]\((?!https?:|#)([^)\s]*)", re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL))
    assert all(re.fullmatch(r"step\d\d\.ipynb|images/[\w-]+\.svg", link) for link in links), links
    assert "<details>" not in text
    assert "<!--" not in text


def test_the_folder_of_notebooks_has_their_pictures(tmp_path: Path) -> None:
    NOTEBOOKS["write"](tmp_path)
    assert (tmp_path / "step07.ipynb").exists()
    assert (tmp_path / "images" / "07-y.svg").exists()


def test_a_notebook_that_was_changed_is_not_replaced(tmp_path: Path) -> None:
    NOTEBOOKS["write"](tmp_path)
    NOTEBOOKS["write"](tmp_path)
    (tmp_path / "step07.ipynb").write_text("{}")
    with pytest.raises(FileExistsError, match=r"step07.ipynb would be lost; use another folder, or --force"):
        NOTEBOOKS["write"](tmp_path)
    assert (tmp_path / "step07.ipynb").read_text() == "{}"
    NOTEBOOKS["write"](tmp_path, force=True)
    assert (tmp_path / "step07.ipynb").read_text() != "{}"


def run_script(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder.parent / f"{folder.name}-{page.stem}.py"
    path.write_text(NOTEBOOKS["script"](page))
    return subprocess.run([sys.executable, str(path)], cwd=folder, capture_output=True, text=True)


def the_page(stem: str) -> Path:
    return next(page for page in PAGES if page.stem == stem)


@pytest.mark.slow
@each_page
def test_scripts_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    done = run_script(page, tmp_path)
    assert done.returncode == 0, done.stderr
    assert shows(done.stdout, page), done.stdout


def test_a_script_prints_the_values_of_its_page_and_no_none(tmp_path: Path) -> None:
    assert "variable([[1. 2. 3.]" in run_script(the_page("19"), tmp_path).stdout
    assert shows(run_script(the_page("16"), tmp_path).stdout, the_page("16"))


def test_a_script_of_an_earlier_step_replaces_a_later_one(tmp_path: Path) -> None:
    for stem in ("30", "12"):
        done = run_script(the_page(stem), tmp_path)
        assert done.returncode == 0, done.stderr
    found = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.glob("**/*.py")}
    assert found == BUILD["framework"](12)


def test_a_script_does_not_replace_a_file_of_the_learner(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "core.py").write_text("a = 1\n")
    done = run_script(the_page("07"), tmp_path)
    assert done.stderr.endswith("FileExistsError: your own mini/core.py would be lost; run this in another folder\n")
    assert [path.name for path in tmp_path.glob("**/*.py")] == ["core.py"]
    assert (tmp_path / "mini" / "core.py").read_text() == "a = 1\n"


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

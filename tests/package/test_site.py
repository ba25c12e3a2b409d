"""The site: each link leads to a page and a heading, and each public function and layer has an entry."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import posixpath
import re
from typing import Any

import pytest

import passus
import passus.functions as F
import passus.layers as L
from docs.site import gallery, markup, navigation, pages, reference
from tests.package.mistakes import MISTAKES


@pytest.fixture(scope="module")
def site() -> pages.Site:
    result = pages.Site(generated=reference.pages() | gallery.pages())
    result.add_documents()
    return result


def anchors(page: str) -> set[str]:
    """The anchors of a page: identifiers that are given, and those that are derived from headings."""
    prose = "".join(pages.FENCE.split(page)[::2])
    given = re.findall(r"^#+ .*\{ #(\S+) \}$", prose, flags=re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    return {*given, *(re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles)}


def test_every_link_leads_to_a_page_and_a_heading(site: pages.Site) -> None:
    headings = {name: anchors(text) for name, text in site.pages.items()}
    checked = 0
    for name, text in site.pages.items():
        for target in pages.LINK.findall("".join(pages.FENCE.split(text)[::2])):
            if target and not target.startswith("https:"):
                file, _, heading = target.partition("#")
                page = posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name
                assert page in site.pages or page in site.pictures, (name, target)
                assert not heading or heading in headings[page], (name, target)
                checked += 1
    assert checked > 500


def test_every_page_is_in_the_navigation_or_is_linked(site: pages.Site) -> None:
    def names(entry: Any) -> set[str]:
        return (
            {entry}
            if isinstance(entry, str)
            else set().union(*map(names, entry.values() if isinstance(entry, dict) else entry))
        )

    listed = names(navigation.navigation(site))
    assert listed <= set(site.pages)
    assert {name for name in site.pages if name not in listed and not name.startswith("source/")} == set()


def test_steps_are_grouped_by_stages(site: pages.Site) -> None:
    first, *stages = navigation.steps(site)
    assert first == {"Sixty steps": "steps/index.md"}
    titles = [title for stage in stages for title in stage]
    assert len(titles) == 6
    assert [title[:8] for title in titles] == [f"Stage {i}:" for i in range(1, 7)]
    listed = [name for stage in stages for pages in stage.values() for page in pages for name in page.values()]
    assert listed == sorted(name for name in site.pages if re.fullmatch(r"steps/\d+\.md", name))


def test_each_how_to_page_has_a_place_in_the_navigation(site: pages.Site) -> None:
    found = {name[len("how-to/") : -len(".md")] for name in site.pages if name.startswith("how-to/")}
    assert found - {"index"} == set(navigation.HOW_TO)


WITHOUT_REFERENCE = {
    "core_simple, functions_conv, utils and dezero: see Coming from DeZero": [
        "core_simple", "functions_conv", "utils", "dezero",
    ],
    "config: its names are exported by passus, and stand with those of the engine": ["config"],
    "the command line: see How to": ["__main__", "cli"],
    "parts of passus itself": [
        "answers", "arguments", "attributes", "backend", "constructors", "exports", "files", "foreign", "loading",
        "notices", "optional", "scopes", "tracebacks", "tree", "unpacking",
    ],
}  # fmt: skip
"""Modules of passus that have no page of the reference, by the reason."""


def test_each_module_has_pages_of_the_reference_or_a_reason_for_none() -> None:
    exempt = [name for names in WITHOUT_REFERENCE.values() for name in names]
    modules = {module.name for module in pkgutil.iter_modules(passus.__path__)}
    assert modules == {*reference.PACKAGES, *exempt}
    assert len(modules) == len(reference.PACKAGES) + len(exempt)


@pytest.mark.parametrize("package", reference.PACKAGES)
def test_reference_lists_every_function_and_class(package: str, site: pages.Site) -> None:
    module = importlib.import_module("passus" if package == "core" else f"passus.{package}")
    callables = {
        name: value
        for name in module.__all__
        if callable(value := getattr(module, name)) and not inspect.ismodule(value)
    }
    public = {name for name, value in callables.items() if reference.is_documented(package, value)}
    assert public
    headings = [
        set(re.findall(r"^## `(\w+)`", text, flags=re.MULTILINE))
        for name, text in site.pages.items()
        if name.startswith(f"reference/{package}/")
    ]
    assert public - set().union(*headings) == set()


def test_parts_for_the_site_alone_are_on_the_site(site: pages.Site) -> None:
    assert "](errors.md)" in site.pages["index.md"]
    assert "<!--" not in "".join(pages.FENCE.split(site.pages["index.md"])[::2])


def test_blocks_of_text_in_docstrings_are_not_changed() -> None:
    block = "```\nf    <*>\n```"
    assert markup.markdown(f"See:\n\n{block}\n\nEnd.", markup.Linker({}, "index.md")) == f"See:\n\n{block}\n\nEnd."


def test_link_to_a_missing_file_fails() -> None:
    with pytest.raises(ValueError, match=r"x\.md: nothing\.md does not exist"):
        pages.Site({})._linked("see [this](nothing.md)", pages.ROOT, "x.md")


def test_links_inside_code_are_not_changed() -> None:
    text = "`a[0](b.md)`\n```python\nf[1](x)\n```\n"
    assert pages.Site({})._linked(text, pages.ROOT, "x.md") == text


def test_index_lists_every_function_and_layer(site: pages.Site) -> None:
    index = site.pages["reference/index.md"]
    functions = {name for name in F.__all__ if not isinstance(getattr(F, name), type)}
    listed = set(re.findall(r"^\| \[`(\w+)`\]\(functions/", index, flags=re.MULTILINE))
    assert functions - listed == set()
    assert set(L.__all__) - set(re.findall(r"^\| \[`(\w+)`\]\(layers/", index, flags=re.MULTILINE)) == set()


def test_reference_has_no_addresses_and_no_unresolved_markup(site: pages.Site) -> None:
    for name, text in site.pages.items():
        if name.startswith("reference/"):
            assert " at 0x" not in text
            assert "``" not in "".join(pages.FENCE.split(text)[::2]).replace("` `` `", ""), name


def test_gallery_shows_every_mistake_with_its_message(site: pages.Site) -> None:
    text = site.pages["errors.md"]
    assert text.count("``` { .text .message }\n") == sum(mistake.outcome != "silent" for mistake in MISTAKES)
    assert ".message }\n\n```" not in text
    assert "ShapeError: " in text


@pytest.mark.parametrize("module", [pages, markup], ids=["pages", "markup"])
def test_examples_in_docstrings(module: Any) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0

"""The site: each link leads to a page and a heading, and each public function and layer has an entry."""

from __future__ import annotations

import doctest
import posixpath
import re
from typing import Any

import pytest

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
    assert text.count("```text\n") == sum(mistake.outcome != "silent" for mistake in MISTAKES)
    assert "```text\n\n```" not in text
    assert "ShapeError: " in text


@pytest.mark.parametrize("module", [pages, markup], ids=["pages", "markup"])
def test_examples_in_docstrings(module: Any) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0

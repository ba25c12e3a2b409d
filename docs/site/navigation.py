"""The order of the pages in the navigation."""

from __future__ import annotations

import re
from typing import Any

from docs.site.pages import Site, title_of

__all__ = ["navigation"]

HOW_TO = [
    "training", "resume", "data", "images", "text", "custom-operations", "second-derivatives", "pytorch-weights",
    "scikit-learn", "speed", "compile", "devices", "notebooks", "command-line", "debugging",
]  # fmt: skip
"""The how-to pages in order; others follow in alphabetical order."""


def navigation(site: Site) -> list[dict[str, Any]]:
    """The navigation: sections with pages, or with sections. Empty ones are left out."""
    found = [
        {"Start": entries(site, "index.md", "tutorial.md")},
        {"Sixty steps": steps(site)},
        {"How to": entries(site, *how_to(site))},
        {"Reference": entries(site, "reference/index.md") + sections(site)},
        {"Coming from": entries(site, "coming-from-dezero.md", "coming-from-others.md")},
        {"Errors": entries(site, "errors.md")},
        {"Benchmarks": entries(site, "benchmarks/index.md")},
        {"Design": entries(site, "architecture.md", "contributing.md", "changelog.md")},
    ]
    return [section for section in found if any(section.values())]


def entries(site: Site, *names: str) -> list[dict[str, Any]]:
    return [{title_of(site.pages[name]): name} for name in names if name in site.pages]


def how_to(site: Site) -> list[str]:
    found = sorted(name for name in site.pages if name.startswith("how-to/") and name != "how-to/index.md")
    order = {f"how-to/{name}.md": i for i, name in enumerate(HOW_TO)}
    return ["how-to/index.md", *sorted(found, key=lambda name: order.get(name, len(order)))]


def steps(site: Site) -> list[dict[str, Any]]:
    """The stages of the table of contents with the pages that each lists, however many there are."""
    contents = site.pages.get("steps/index.md", "")
    result, listed = entries(site, "steps/index.md"), {"steps/index.md"}
    for title, body in re.findall(r"^## (Stage [^\n]*)\n(.*?)(?=^## |\Z)", contents, flags=re.MULTILINE | re.DOTALL):
        pages = [f"steps/{name}" for name in re.findall(r"\]\((\d+\.md)\)", body)]
        listed.update(pages)
        if pages:
            result.append({title: entries(site, *pages)})
    return result + entries(
        site, *sorted(name for name in site.pages if name.startswith("steps/") and name not in listed)
    )


def sections(site: Site) -> list[dict[str, Any]]:
    """The generated pages of each package."""
    packages = dict.fromkeys(
        name.split("/")[1] for name in site.pages if name.count("/") == 2 and name.startswith("reference/")
    )
    return [
        {f"passus.{package}": entries(site, *(n for n in site.pages if n.startswith(f"reference/{package}/")))}
        for package in packages
    ]

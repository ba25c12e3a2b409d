"""The configuration of the renderer. Nothing is loaded from the network: fonts are those of the system."""

from __future__ import annotations

from typing import Any

__all__ = ["SETTINGS"]


def scheme(name: str, media: str, icon: str, other: str) -> dict[str, Any]:
    """The colours for light or dark, chosen by the system until the reader chooses."""
    return {
        "media": f"(prefers-color-scheme: {media})",
        "scheme": name,
        "primary": "indigo",
        "accent": "indigo",
        "toggle": {"icon": icon, "name": f"Switch to {other}"},
    }


SETTINGS: dict[str, Any] = {
    "site_name": "passus",
    "site_description": "A define-by-run deep learning framework on NumPy",
    "docs_dir": "pages",
    "site_dir": "html",
    "theme": {
        "name": "material",
        "variant": "classic",
        "language": "en",
        "font": False,
        "palette": [
            scheme("default", "light", "material/weather-night", "dark"),
            scheme("slate", "dark", "material/weather-sunny", "light"),
        ],
        "features": [
            "content.code.copy",
            "navigation.footer",
            "navigation.indexes",
            "navigation.prune",
            "navigation.tabs",
            "navigation.top",
            "search.highlight",
        ],
    },
    "extra": {"generator": False},
    "extra_css": ["style.css"],
    "plugins": ["search"],
    "markdown_extensions": [
        "attr_list",
        "md_in_html",
        "sane_lists",
        "tables",
        {"toc": {"permalink": True}},
        {"pymdownx.highlight": {"anchor_linenums": False}},
        "pymdownx.superfences",
    ],
}

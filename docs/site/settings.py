"""The configuration of the renderer. Nothing is loaded from the network: fonts are those of the system."""

from __future__ import annotations

from typing import Any

__all__ = ["SETTINGS"]


def scheme(media: str, icon: str, following: str, **colors: str) -> dict[str, Any]:
    """A setting of the button for colors; a click switches to the following one."""
    return {"media": media, "toggle": {"icon": icon, "name": f"Switch to {following}"}} | colors


INDIGO = {"primary": "indigo", "accent": "indigo"}


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
            # The first follows the system, also while a page is open, until the reader chooses another.
            scheme("(prefers-color-scheme)", "material/brightness-auto", "light"),
            scheme("(prefers-color-scheme: light)", "material/weather-sunny", "dark", scheme="default", **INDIGO),
            scheme("(prefers-color-scheme: dark)", "material/weather-night", "system", scheme="slate", **INDIGO),
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

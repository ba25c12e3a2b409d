"""Pages of the site from the Markdown files of the repository.

A link to another document becomes a link to its page. A link to a source file or folder becomes a link to a page that
shows it, so the site is complete without the repository. A link to nothing is an error.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path, PurePosixPath

__all__ = ["ROOT", "Site", "for_site", "outside_code", "page_of", "title_of"]

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"(^ *````.*?^ *````$|^ *```.*?^ *```$)", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"`[^`]*`|(?<=\]\()([^)\s]+)(?=\))")
PICTURES = {".png", ".svg"}


class Site:
    """The pages (by path in the site) and pictures of the site.

    ``generated``: pages that are not files of the repository; they are added first and may be linked.
    """

    def __init__(self, generated: dict[str, str]) -> None:
        self.pages = dict(generated)
        self.pictures: dict[str, Path] = {}
        self._waiting: deque[Path] = deque()

    def add_documents(self) -> None:
        """Add all documents, and all files that they link to."""
        self._waiting.extend(sorted(ROOT.glob("docs/**/*.md")))
        self._waiting.extend(ROOT / name for name in ("benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
        while self._waiting:
            path = self._waiting.popleft()
            name = page_of(path)
            if name not in self.pages:
                self.pages[name] = ""  # A page may link to itself.
                self.pages[name] = self._page(path, name)

    def _page(self, path: Path, name: str) -> str:
        if path.is_dir():
            return self._linked(folder_listing(path), path, name)
        if path.suffix == ".md":
            return self._linked(for_site(path.read_text()), path.parent, name)
        return source_listing(path)

    def _linked(self, text: str, folder: Path, name: str) -> str:
        """A text with the links of the repository replaced by those of the site."""

        def replace(match: re.Match[str]) -> str:
            target = match[1]
            if target is None or target.startswith(("https:", "mailto:", "#")):
                return match[0]
            file, _, heading = target.partition("#")
            page = self._linked_page((folder / file).resolve(), f"{name}: {target}")
            relative = posixpath.relpath(page, posixpath.dirname(name) or ".")
            return f"{relative}#{heading}" if heading else relative

        return outside_code(lambda part: LINK.sub(replace, part), text)

    def _linked_page(self, path: Path, link: str) -> str:
        """The page that shows a file. ``link``: for the error if there is no such file."""
        page = page_of(path)
        if page in self.pages:
            return page
        if not path.exists():
            raise ValueError(f"{link} does not exist")
        if path.suffix in PICTURES:
            self.pictures[page] = path
        else:
            self._waiting.append(path)
        return page


def page_of(path: Path) -> str:
    """The path in the site of the page that shows a file or folder of the repository.

    >>> page_of(ROOT / "docs/steps/README.md"), page_of(ROOT / "examples/vae.py"), page_of(ROOT / "CONTRIBUTING.md")
    ('steps/index.md', 'source/examples/vae.py.md', 'contributing.md')
    """
    inside = PurePosixPath(path.relative_to(ROOT).as_posix())
    if path.is_dir():
        return f"source/{inside}/index.md"
    if inside == PurePosixPath("README.md"):
        return "index.md"
    if inside.suffix not in {".md", *PICTURES}:
        return f"source/{inside}.md"
    if inside.parts[0] == "docs":
        inside = inside.relative_to("docs")
    return str(inside).lower().replace("readme.md", "index.md")


def title_of(page: str) -> str:
    """The first heading of a page, as plain text."""
    heading = re.search(r"^# (.*?)(?: \{.*\})?$", page, flags=re.MULTILINE)
    return re.sub(r"[`*]", "", heading[1]) if heading else ""


def outside_code(change: Callable[[str], str], text: str) -> str:
    """A text whose parts between fenced code blocks are replaced by ``change(part)``."""
    parts = FENCE.split(text)
    parts[::2] = [change(part) for part in parts[::2]]
    return "".join(parts)


def for_site(text: str) -> str:
    """Markdown with what the renderer needs in addition, and with the parts for the site alone.

    Such a part stands in a comment that begins with ``site:``; it may link to generated pages.

    >>> for_site("See below.\\n<!-- site:\\nSee also [errors](errors.md).\\n-->\\n")
    'See below.\\nSee also [errors](errors.md).\\n'
    """
    text = re.sub(r"^<!-- site:\n(.*?)^-->\n", r"\1", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^( *)```python\n(?=\s*>>> )", r"\1```pycon\n", text, flags=re.MULTILINE)
    return outside_code(lambda part: part.replace("<details>", '<details markdown="1">'), text)


def source_listing(path: Path) -> str:
    """A page with the text of a source file."""
    language = {".py": "python", ".toml": "toml", ".sh": "sh"}.get(path.suffix, "text")
    return f"# {path.relative_to(ROOT)}\n\n````{language}\n{path.read_text().rstrip()}\n````\n"


def folder_listing(path: Path) -> str:
    """A page with a link to each source file of a folder."""
    files = sorted(file for file in path.iterdir() if file.suffix in {".py", ".md"})
    return f"# {path.relative_to(ROOT)}\n\n" + "".join(f"- [{file.name}]({file.name})\n" for file in files)

"""Docstrings as Markdown."""

from __future__ import annotations

import posixpath
import re

__all__ = ["Linker", "first_sentence", "markdown"]

CODE = re.compile(r"``(.+?)``|`([\w.]+)`", flags=re.DOTALL)
BLOCK = re.compile(r"(^```\n.*?^```$|^ *>>> .*?(?=\n\s*\n|\Z))", flags=re.MULTILINE | re.DOTALL)


class Linker:
    """Links from one page to the entries of public names.

    ``places``: page and anchor of each name, such as ``functions.exp``. ``package``: where names without a package are
    looked up first.
    """

    def __init__(self, places: dict[str, tuple[str, str]], page: str, package: str = "functions") -> None:
        self.places, self.page, self.package = places, page, package

    def link(self, name: str, text: str | None = None) -> str:
        """A link if the name is public, and code otherwise."""
        place = next((self.places[key] for key in self._keys(name) if key in self.places), None)
        code = f"`{text or name}`"
        if place is None:
            return code
        relative = posixpath.relpath(place[0], posixpath.dirname(self.page))
        return f"[{code}]({relative}#{place[1]})"

    def _keys(self, name: str) -> list[str]:
        name = name.removeprefix("passus.")
        packages = dict.fromkeys([self.package, "core", *(key.partition(".")[0] for key in self.places)])
        return [name, *(f"{package}.{name}" for package in packages)]


def markdown(docstring: str, linker: Linker) -> str:
    """The Markdown of a docstring: sessions are fenced, names are linked, other text is shown as it is written.

    >>> markdown("Twice ``x``, as in `f`.", Linker({"functions.f": ("a/f.md", "f")}, "a/index.md"))
    'Twice `x`, as in [`f`](f.md#f).'
    """
    parts = BLOCK.split(docstring)
    parts[::2] = [_prose(part, linker) for part in parts[::2]]
    parts[1::2] = [part if part.startswith("```") else f"\n```pycon\n{part.rstrip()}\n```\n" for part in parts[1::2]]
    return "".join(parts).strip()


def _prose(text: str, linker: Linker) -> str:
    pieces, end = [], 0
    for found in CODE.finditer(text):
        pieces += [_escaped(text[end : found.start()])]
        pieces += [f"`{found[1]}`" if found[1] else linker.link(found[2])]
        end = found.end()
    return "".join([*pieces, _escaped(text[end:])])


def _escaped(text: str) -> str:
    return re.sub(r"(?<!^)([*<_|])", r"\\\1", text)


def first_sentence(text: str) -> str:
    """The first sentence of a text, on one line.

    >>> first_sentence("The sum, i.e. ``x +\\ny``. It is fast.")
    'The sum, i.e. ``x + y``.'
    """
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    found = re.match(r"(?:`[^`]*`|[^`])*?(?<!i\.e)(?<!e\.g)(?<!et al)[.:?!](?= [A-Z\[`\"(]|$)", paragraph)
    return found[0].rstrip(":") if found and not found[0].endswith(":") else paragraph

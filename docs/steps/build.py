"""Build the framework of the sixty steps as it stands after any one of them.

    python docs/steps/build.py 7 /tmp/step7

Each page changes the framework in its ``diff`` blocks. A block has one change or several; a change begins with a line that names
the file, followed by unchanged lines (after a space), removed lines (-) and added lines (+):

    @@ mini/core.py
     class Variable:
         def __init__(self, data):
             self.data = data
    +        self.grad = None

The unchanged and removed lines must occur exactly once in the file. A change that only adds lines appends them to the file, and
creates it if need be.

Files of other steps in the folder are replaced or removed. A file that you changed is not, unless you say ``--force``.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PAGES = Path(__file__).parent

Files = dict[str, str]
"""The text of each file of the framework, by path."""


class ChangeError(Exception):
    """A change does not apply to the framework before its page."""


class StepError(Exception):
    """No page has this number."""


def pages() -> list[Path]:
    """The pages, in their order."""
    return sorted(PAGES.glob("[0-9][0-9].md"))


def framework(step: int) -> Files:
    """The files of the framework after a step.

    Raises `StepError` if there is no such page.
    """
    if step not in states():
        raise StepError(f"there is no step {step}; the steps are {min(states())} to {max(states())}")
    return dict(states()[step])


@cache
def states() -> dict[int, Files]:
    """The files of the framework after each step, from the changes of all pages up to it.

    Raises `ChangeError` if one of them does not apply.
    """
    found: dict[int, Files] = {}
    files: Files = {}
    for page in pages():
        for path, old, new in changes(page):
            try:
                files[path] = changed(files.get(path), old, new)
            except ChangeError as error:
                raise ChangeError(f"step {page.stem}: {path}: {error}") from None
        found[int(page.stem)] = dict(files)
    return found


@cache
def versions() -> dict[str, list[str]]:
    """For each file of the framework the digests of its versions in all steps."""
    found: dict[str, list[str]] = {}
    for files in states().values():
        for path, text in files.items():
            if (code := digest(text.encode())) not in found.setdefault(path, []):
                found[path].append(code)
    return found


def changes(path: Path) -> Iterator[tuple[str, str, str]]:
    """For each change of a page the file, the lines it expects there, and those that replace them."""
    for block in re.findall(r"^```diff\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL):
        for change in re.split(r"^@@ ", block, flags=re.MULTILINE)[1:]:
            file, *lines = change.splitlines()
            if unknown := [line for line in lines if line and line[0] not in " -+"]:
                raise ChangeError(f"{path.name}: {file}: lines begin with a space, - or +, not {unknown[0]!r}")
            old = [line[1:] for line in lines if not line.startswith("+")]
            new = [line[1:] for line in lines if not line.startswith("-")]
            yield file.strip(), "".join(f"{line}\n" for line in old), "".join(f"{line}\n" for line in new)


def changed(text: str | None, old: str, new: str) -> str:
    """The text with the lines ``old`` replaced by ``new``, or with ``new`` appended if ``old`` is empty."""
    if not old:
        return new if text is None else f"{text}{new}"
    lines, expected = (text or "").splitlines(), old.splitlines()
    starts = [n for n in range(len(lines)) if lines[n : n + len(expected)] == expected]
    if len(starts) != 1:
        raise ChangeError(f"{len(starts)} places instead of one have these lines:\n{old}")
    lines[starts[0] : starts[0] + len(expected)] = new.splitlines()
    return "".join(f"{line}\n" for line in lines)


def digest(data: bytes) -> str:
    """A short name for the content of a file."""
    return hashlib.sha256(data).hexdigest()[:12]


def changed_by_hand(versions: dict[str, list[str]], folder: Path) -> list[str]:
    """The files in a folder that have a path of the framework, but not its content after any step."""
    there = [path for path in versions if (folder / path).exists()]
    return [path for path in there if digest((folder / path).read_bytes()) not in versions[path]]


def place(files: dict[str, str], versions: dict[str, list[str]], folder: Path) -> None:
    """Write the files of a step to a folder, and remove those that only other steps have."""
    for path in versions:
        if path not in files:
            (folder / path).unlink(missing_ok=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


def write(step: int, folder: Path, *, force: bool = False) -> None:
    """Write the framework after a step to a folder, in place of any other step.

    Raises `FileExistsError`, and writes nothing, if a file was changed by hand; with ``force`` it is lost.
    """
    files = framework(step)
    if not force and (own := changed_by_hand(versions(), folder)):
        raise FileExistsError(f"your own {', '.join(own)} would be lost; use another folder, or --force")
    place(files, versions(), folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the framework as it stands after a step.")
    parser.add_argument("step", type=int, help="number of the step")
    parser.add_argument("folder", type=Path, help="folder for the package mini")
    parser.add_argument("--force", action="store_true", help="replace files that you changed, too")
    arguments = parser.parse_args()
    try:
        write(arguments.step, arguments.folder, force=arguments.force)
    except (StepError, FileExistsError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

"""Build the site: ``python -m docs.site``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from docs.site import gallery, navigation, pages, reference, settings


def write(folder: Path, site: pages.Site) -> None:
    """Write the sources of the site: pages, pictures, and the configuration."""
    for name, text in site.pages.items():
        target = folder / "pages" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for name, source in site.pictures.items():
        target = folder / "pages" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copyfile(Path(__file__).with_name("style.css"), folder / "pages" / "style.css")
    (folder / "mkdocs.yml").write_text(json.dumps(settings.SETTINGS | {"nav": navigation.navigation(site)}, indent=2))


def main() -> int:
    if find_spec("zensical") is None:
        print('The site is rendered by Zensical: pip install -e ".[docs]"', file=sys.stderr)
        return 1
    folder = pages.ROOT / "build" / "site"
    shutil.rmtree(folder, ignore_errors=True)
    site = pages.Site(generated=reference.pages() | gallery.pages())
    site.add_documents()
    write(folder, site)
    print(f"{len(site.pages)} pages")
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "--config-file",
        str(folder / "mkdocs.yml"),
    ]
    return subprocess.run(command, check=False).returncode


sys.exit(main())

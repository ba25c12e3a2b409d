"""Open each page of the built site in Chromium: ``python -m docs.site.browser``.

Each page is checked at the widths of a desktop and of a phone, light and dark: no error of the console, no failed request,
nothing loaded from elsewhere, no scrolling to the side, no broken picture, one heading of the first level, and a title.
Searches must find the pages that they name. Playwright is needed, and Chromium on the path or installed by Playwright.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from docs.site.pages import ROOT

HTML = ROOT / "build" / "site" / "html"

WIDTHS = (1280, 390)

SCHEMES = {"light": "default", "dark": "slate"}
"""The names of the renderer for the colors of the system."""

FAULTS = """() => [
    document.documentElement.scrollWidth > innerWidth && "is wider than the screen",
    document.querySelectorAll("h1").length != 1 && "has not one h1",
    document.title.trim() || "has no title",
    ...[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => `has a broken picture ${i.src}`),
].filter(fault => typeof fault == "string" && fault != document.title.trim())"""

SEARCHES = {
    "softmax": "reference/functions/nn-softmax/",
    "Trainer resume": "how-to/resume/",
    "NaN": "how-to/debugging/",
    "double backprop": "how-to/second-derivatives/",
}
"""What is typed, and the address of a page among the first results."""

RESULTS = 8


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def addresses(folder: Path) -> list[str]:
    """The addresses of all pages, relative to that of the site."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    return sorted(name.removesuffix("index.html") for name in names)


def check_page(page: Any, address: str, log: list[str]) -> Iterator[str]:
    """The faults of a page at each width and in each scheme. ``log``: what the browser reports, emptied here."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(address)
    for width in WIDTHS:
        for scheme, name in SCHEMES.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.body.dataset.mdColorScheme == '{name}'")
            yield from (f"{fault} ({width} pixels, {scheme})" for fault in page.evaluate(FAULTS))
    yield from log
    log.clear()


def check_search(page: Any, words: str, expected: str) -> Iterator[str]:
    """The fault of a search on the open page, if the expected page is not among its first results."""
    field = page.get_by_role("combobox", name="Search")
    if not field.is_visible():
        page.get_by_text("Search", exact=True).first.click()
    field.fill(words)
    results = page.locator(f"li a[href*='?h={quote_plus(words)}']")
    results.first.wait_for()
    found = [link.get_attribute("href") or "" for link in results.all()[:RESULTS]]
    if not any(f"/{expected}" in link for link in found):
        yield f"the search for {words!r} finds {found}, but not {expected}"


def faults(page: Any, site: str) -> Iterator[str]:
    """The faults of all pages and searches."""
    log: list[str] = []
    page.on("console", lambda message: message.type in {"error", "warning"} and log.append(message.text))
    page.on("pageerror", lambda error: log.append(str(error)))
    page.on("requestfailed", lambda request: log.append(f"cannot load {request.url}"))
    page.on("response", lambda response: response.status >= 400 and log.append(f"{response.status} {response.url}"))
    page.on("request", lambda request: is_elsewhere(request.url, site) and log.append(f"loads {request.url}"))
    for address in addresses(HTML):
        yield from (f"{address or 'start'}: {fault}" for fault in check_page(page, site + address, log))
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.goto(site)
    for words, expected in SEARCHES.items():
        yield from check_search(page, words, expected)


def is_elsewhere(address: str, site: str) -> bool:
    return not address.startswith((site, "data:", "blob:"))


def main() -> int:
    from playwright.sync_api import sync_playwright

    found = 0
    with serving(HTML) as site, sync_playwright() as playwright:
        # Without a sandbox it also runs in a container; it opens pages of this site only.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for fault in faults(browser.new_page(), site):
            print(fault, flush=True)
            found += 1
        browser.close()
    pages, views = len(addresses(HTML)), len(WIDTHS) * len(SCHEMES)
    print(f"{pages} pages in {views} views, {len(SEARCHES)} searches: {found} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

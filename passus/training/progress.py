"""A progress bar in terminals and notebooks, and plain lines elsewhere; for the Trainer and for custom loops."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from importlib.util import find_spec
from time import monotonic
from types import TracebackType
from typing import Any

from passus.display import in_notebook
from passus.optional import import_optional

__all__ = ["Lines", "progress_bar"]

EVERY = 60.0
"""Number of seconds between the lines that report the progress of a long loop."""


def progress_bar(
    iterable: Iterable[Any] | None = None,
    desc: str = "",
    *,
    total: int | None = None,
    initial: int = 0,
    show: bool = True,
) -> Any:
    """Return a progress bar (a tqdm) around ``iterable``, or one that is advanced with ``bar.update()``.

    If standard error is a file or a pipe, it prints a line of text every minute and at the end, without control
    characters. With ``show=False`` it prints nothing. ``initial`` of ``total`` items are already complete.

    Raises `DependencyError` if tqdm is not installed.

    >>> for batch in progress_bar(["a", "b"], desc="epoch 1", show=False):
    ...     print(batch)
    a
    b
    """
    if show and not _moves_cursor():
        return Lines(iterable, desc, total=total, initial=initial)
    has_widgets = in_notebook() and find_spec("ipywidgets") is not None
    # tqdm.auto warns in a notebook without widgets, where a bar of text is as good.
    tqdm = import_optional("tqdm.auto" if has_widgets else "tqdm.std", "tqdm", "a progress bar").tqdm
    return tqdm(iterable, desc=desc, total=total, initial=initial, disable=not show, dynamic_ncols=True)


def _moves_cursor() -> bool:
    """Whether a printed line can be overwritten."""
    isatty = getattr(sys.stderr, "isatty", None)
    return in_notebook() or (isatty is not None and isatty())


class Lines:
    """The interface of tqdm as far as loops need it, with lines of text on standard error.

    >>> with Lines(total=3) as bar:
    ...     bar.update(3)
    ...     bar.n
    3
    """

    def __init__(
        self, iterable: Iterable[Any] | None = None, desc: str = "", *, total: int | None = None, initial: int = 0
    ) -> None:
        self.iterable, self.desc, self.n, self.initial = iterable, desc, initial, initial
        self.total = len(iterable) if total is None and isinstance(iterable, Sized) else total
        self._postfix = ""
        self._start = self._printed = monotonic()
        self._is_open = True

    def __iter__(self) -> Iterator[Any]:
        try:
            for item in self.iterable or ():
                yield item
                self.update()
        finally:
            self.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Advance by ``n`` items."""
        self.n += n
        if monotonic() - self._printed >= EVERY:
            self._print()

    def set_description(self, desc: str = "", refresh: bool = True) -> None:
        """Set the text at the beginning of a line."""
        self.desc = desc

    def set_postfix(self, values: Mapping[str, Any] | None = None, refresh: bool = True, **more: Any) -> None:
        """Set the numbers at the end of a line."""
        shown = {**(values or {}), **more}
        self._postfix = "".join([f", {name}={_short(value)}" for name, value in shown.items()])

    def close(self) -> None:
        """Print the last line."""
        if self._is_open:
            self._is_open = False
            self._print()

    def _print(self) -> None:
        self._printed = monotonic()
        seconds = f"{self._printed - self._start:.1f} s"
        count = str(self.n) if self.total is None else f"{self.n}/{self.total}"
        line = f"{self.desc}: {count} in {seconds}{self._postfix}".removeprefix(": ")
        if sys.stderr is not None:  # It is None in programs without a console.
            print(line, file=sys.stderr, flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

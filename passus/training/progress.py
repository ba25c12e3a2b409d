"""A progress bar for terminals and notebooks, for the trainer and for loops of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from passus.optional import import_optional

__all__ = ["progress_bar"]


def progress_bar(
    iterable: Iterable[Any] | None = None,
    desc: str = "",
    *,
    total: int | None = None,
    initial: int = 0,
    show: bool = True,
) -> Any:
    """A bar (a tqdm) around ``iterable``, or one that is moved by hand with ``bar.update()``.

    With ``show=False`` it behaves the same and prints nothing. ``initial`` of ``total`` items are done already.

    Raises `DependencyError` if tqdm is not installed.

    >>> for batch in progress_bar(["a", "b"], desc="epoch 1", show=False):
    ...     print(batch)
    a
    b
    """
    tqdm = import_optional("tqdm.auto", "tqdm", "a progress bar").tqdm
    return tqdm(iterable, desc=desc, total=total, initial=initial, disable=not show, dynamic_ncols=True)

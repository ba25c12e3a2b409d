"""Objects that are known by a few facts show these in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping

from passus.display.html import html_fields

__all__ = ["ShowsFields"]


class ShowsFields:
    """A base of classes that name their fields: ``repr`` is the class with the fields, and a notebook shows them as a table.

    >>> class Crowd(ShowsFields):
    ...     def _fields(self):
    ...         return {"people": "1,000", "open": True}
    >>> Crowd()
    Crowd(people: 1,000, open: True)
    """

    def _fields(self) -> Mapping[str, object]:
        """The facts by name."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([f'{name}: {value}' for name, value in self._fields().items()])})"

    def _repr_html_(self) -> str:
        return html_fields(type(self).__name__, self._fields())

"""The commands ``summary`` and ``inspect``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passus.cli.contents import Contents, Entry, contents_of, digest
from passus.cli.tables import columns, printable
from passus.files import FilePath, checked_path
from passus.summary.table import size

__all__ = ["Inspection", "Summary", "inspected", "summarized"]

MAX_VALUES, MAX_WIDTH = 40, 100
"""Number of values and of characters of each that a text shows; JSON has all."""


def inspected(path: FilePath) -> Inspection:
    """The report on every array of a file."""
    return Inspection(contents_of(checked_path(path)))


def summarized(path: FilePath) -> Summary:
    """The report on the layers of a file."""
    return Summary(contents_of(checked_path(path)))


@dataclass(frozen=True)
class Inspection:
    """Every array of a file."""

    contents: Contents
    status = 0

    def text(self) -> str:
        """A table of the arrays, the values, and the checksums of the files."""
        rows = [(printable(e.name), str(e.shape), e.dtype, e.checksum, f"{e.nbytes:,}") for e in self.contents.arrays]
        table = columns(("name", "shape", "dtype", "crc32", "bytes"), rows, numbers=1)
        files = [f"sha256 {digest(path)}  {printable(path.name)}" for path in _files(self.contents)]
        return "\n".join([_heading(self.contents), table, _total(self.contents), *_values(self.contents), *files])

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        arrays = [
            {"name": e.name, "shape": list(e.shape), "dtype": e.dtype, "bytes": e.nbytes, "crc32": e.checksum}
            for e in self.contents.arrays
        ]
        files = [{"file": str(p), "bytes": p.stat().st_size, "sha256": digest(p)} for p in _files(self.contents)]
        return {**_common(self.contents), "files": files, "arrays": arrays}


@dataclass(frozen=True)
class Summary:
    """The layers of a file: arrays grouped by their names without the last component."""

    contents: Contents
    status = 0

    def layers(self) -> dict[str, list[Entry]]:
        """The arrays of each layer."""
        layers: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.contents.arrays:
            layers[entry.name.rpartition(".")[0]].append(entry)
        return layers

    def text(self) -> str:
        """A table of the layers."""
        rows = [
            (
                printable(name),
                ", ".join([f"{printable(e.name.rpartition('.')[2])} {e.shape}" for e in entries]),
                f"{sum(e.size for e in entries):,}",
                f"{sum(e.nbytes for e in entries):,}",
            )
            for name, entries in self.layers().items()
        ]
        table = columns(("layer", "arrays", "numbers", "bytes"), rows, numbers=2)
        return "\n".join([_heading(self.contents), table, _total(self.contents), *_values(self.contents)])

    def values(self) -> dict[str, Any]:
        """The same for JSON."""
        layers = [
            {
                "layer": name,
                "arrays": {e.name.rpartition(".")[2]: list(e.shape) for e in entries},
                "numbers": sum(e.size for e in entries),
                "bytes": sum(e.nbytes for e in entries),
            }
            for name, entries in self.layers().items()
        ]
        return {**_common(self.contents), "layers": layers}


def _files(contents: Contents) -> list[Path]:
    return [contents.path, *contents.shards]


def _heading(contents: Contents) -> str:
    verified = ", checksum verified" if contents.verified else ""
    return f"{printable(contents.path)}: {contents.kind}{verified}"


def _total(contents: Contents) -> str:
    arrays = contents.arrays
    numbers, total = sum(e.size for e in arrays), sum(e.nbytes for e in arrays)
    return f"{len(arrays):,} arrays of {numbers:,} numbers ({size(total)})"


def _values(contents: Contents) -> list[str]:
    lines = [f"{printable(name)}: {_shortened(value)}" for name, value in list(contents.values.items())[:MAX_VALUES]]
    rest = len(contents.values) - len(lines)
    return [*lines, f"and {rest} more values"] if rest else lines


def _shortened(value: object) -> str:
    text = printable(value)
    return text if len(text) <= MAX_WIDTH else f"{text[:MAX_WIDTH]}..."


def _common(contents: Contents) -> dict[str, Any]:
    return {
        "file": str(contents.path),
        "format": contents.kind,
        "verified": contents.verified,
        "numbers": sum(e.size for e in contents.arrays),
        "bytes": sum(e.nbytes for e in contents.arrays),
        "values": contents.values,
    }

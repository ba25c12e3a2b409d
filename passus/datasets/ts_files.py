"""The file format ``.ts`` for labelled time series: header lines ``@name value``, then one case per line.

The format: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from passus.arguments import shown
from passus.backend import Array
from passus.errors import DataError
from passus.files import FilePath, checked_file, checked_path
from passus.unpacking import BROKEN

__all__ = ["LabeledSeries", "parse_ts", "read_ts"]


class LabeledSeries(NamedTuple):
    """Time series with labels; ``data``: arrays (T, C) of float64, ``label``: int64 (N,), indices into ``classes``."""

    data: list[Array]
    label: Array
    classes: tuple[str, ...]


def read_ts(path: FilePath) -> LabeledSeries:
    r"""Read a ``.ts`` file: series of C channels, of equal or different lengths, with class labels.

    Missing values, ``?`` or ``NaN``, become NaN. Raises `DataError` for a file that is missing or damaged, has time stamps
    or lacks class labels.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "two.ts"
    >>> _ = path.write_text("@classLabel true low high\n@data\n1,2,3:4,5,?:high\n0,1:2,3:low\n")
    >>> data, label, classes = read_ts(path)
    >>> [x.shape for x in data], label, classes
    ([(3, 2), (2, 2)], array([1, 0]), ('low', 'high'))
    """
    checked_file(path, DataError, DataError)
    try:
        content = checked_path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_ts(content, f"{path}")


def parse_ts(content: bytes, where: str) -> LabeledSeries:
    r"""Parse the bytes of a ``.ts`` file; ``where``: the name of the file in messages.

    Raises `DataError` as `read_ts` does.

    >>> parse_ts(b"@classLabel true a b\n@data\n1,2:b", "text").label
    array([1])
    """
    header: dict[str, list[str]] = {}
    cases: list[tuple[Array, str]] = []
    number = 1
    try:
        for text in content.decode().splitlines():
            line = text.strip()
            if not line or line.startswith("#"):
                pass
            elif "data" in header:
                cases.append(_case(line, header))
            elif line.startswith("@"):
                name, *values = line[1:].split()
                header[name.lower()] = values
                if name.lower() == "data":
                    _check_header(header)
            else:
                raise ValueError("values before @data")
            number += 1
        if not cases:
            raise ValueError("no case after @data")
    except BROKEN as error:
        raise DataError(f"{where}: line {number}: {error}; expected a .ts file of labelled series") from error
    classes = tuple(header["classlabel"][1:])
    index = {name: i for i, name in enumerate(classes)}
    return LabeledSeries([x for x, _ in cases], np.array([index[label] for _, label in cases]), classes)


def _check_header(header: dict[str, list[str]]) -> None:
    if [v.lower() for v in header.get("timestamps", [])] == ["true"]:
        raise ValueError("series with time stamps are not supported")
    labels = header.get("classlabel", [])
    if len(labels) < 2 or labels[0].lower() != "true":
        raise ValueError("the header has no class labels, such as: @classLabel true low high")


def _case(line: str, header: dict[str, list[str]]) -> tuple[Array, str]:
    """A series (T, C), and its label."""
    *channels, label = line.split(":")
    label = label.strip()
    if label not in header["classlabel"][1:]:
        raise ValueError(f"unknown class label {shown(label)}")
    rows = [[np.nan if v.strip() == "?" else float(v) for v in channel.split(",")] for channel in channels]
    expected = header.setdefault("dimensions", [str(len(rows))])
    if expected != [str(len(rows))] or not rows:
        raise ValueError(f"{len(rows)} channels, expected {' '.join(expected)}")
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"channels have different lengths: {shown([len(row) for row in rows])}")
    x = np.array(rows)
    if np.isinf(x).any():
        raise ValueError("a number is infinite")
    return np.ascontiguousarray(x.T), label

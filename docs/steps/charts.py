"""Charts of the pages as SVG: curves, points, contours and colored cells between two axes.

chart(points(x, t, "data"), curve(grid, y, "network"), x="x", y="t")
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from passus.display.charts import COLORS
from passus.display.html import html_escaped

__all__ = ["cells", "chart", "contours", "curve", "labels", "losses", "points"]

SIZE = (640, 360)
LEFT, RIGHT, TOP, BOTTOM = 66, 20, 34, 46
"""Space beside the axes for their numbers and names, and for the legend."""
MARGIN = 0.04
"""Empty space around the data, as a share of their range."""
TICKS = 7
GREYS = 16

RAISED = str.maketrans("0123456789\N{MINUS SIGN}", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

Array = np.ndarray[Any, Any]
Pair = tuple[float, float]
Place = Callable[[float, float], Pair]
"""From a point of the data to a point of the picture."""


class Mark(NamedTuple):
    """What a chart shows: its data, and its SVG at a place and in a color."""

    xs: Array
    ys: Array
    svg: Callable[[Place, str], str]
    name: str = ""
    color: int | None = None
    """The number of its color; by default one more than that of the curve or points before it."""
    takes_color: bool = True
    fills: bool = False
    """Whether it fills the whole area between the axes."""


def curve(xs: Any, ys: Any, name: str = "", color: int | None = None, dashed: bool = False) -> Mark:
    """A line through points, in their order."""
    xs, ys = np.ravel(xs), np.ravel(ys)
    dashes = ' stroke-dasharray="6 4"' if dashed else ""

    def svg(place: Place, color: str) -> str:
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in map(place, xs, ys))
        return f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>'

    return Mark(xs, ys, svg, name, color)


def losses(values: Sequence[float], name: str = "", color: int | None = None) -> Mark:
    """The curve of values over their numbers, from 0."""
    return curve(np.arange(len(values)), values, name, color)


def points(xs: Any, ys: Any, name: str = "", color: int | None = None) -> Mark:
    """A dot at each point."""
    xs, ys = np.ravel(xs), np.ravel(ys)

    def svg(place: Place, color: str) -> str:
        dots = "".join(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3"/>' for px, py in map(place, xs, ys))
        return f'<g fill="{color}" fill-opacity="0.8">{dots}</g>'

    return Mark(xs, ys, svg, name, color)


def labels(xs: Any, ys: Any, texts: Iterable[Any]) -> Mark:
    """A text at each point, which is its middle."""
    xs, ys, shown = np.ravel(xs), np.ravel(ys), [str(words) for words in texts]

    def svg(place: Place, color: str) -> str:
        return "".join(text(px, py + 4.5, words) for (px, py), words in zip(map(place, xs, ys), shown))

    return Mark(xs, ys, svg, takes_color=False)


def contours(xs: Any, ys: Any, values: Any, levels: Iterable[float]) -> Mark:
    """Lines on which a function has the given values. ``values``: those of the function, (len(ys), len(xs))."""
    xs, ys, values = np.ravel(xs), np.ravel(ys), np.asarray(values, float)

    def svg(place: Place, color: str) -> str:
        lines = [line for level in levels for line in zero_lines(xs, ys, values - level)]
        path = "".join("M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*place(*a), *place(*b)) for a, b in lines)
        return f'<path d="{path}" fill="none" stroke="#999999"/>'

    return Mark(xs[[0, -1]], ys[[0, -1]], svg, takes_color=False, fills=True)


def zero_lines(xs: Array, ys: Array, values: Array) -> Iterator[tuple[Pair, Pair]]:
    """The lines on which a function is 0, from edge to edge of the rectangles of a grid."""
    for row, column in np.ndindex(len(ys) - 1, len(xs) - 1):
        corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column), (row, column)]
        ends = []
        for (r0, c0), (r1, c1) in itertools.pairwise(corners):
            v0, v1 = values[r0, c0], values[r1, c1]
            if (v0 > 0) != (v1 > 0):
                share = v0 / (v0 - v1)
                ends.append((xs[c0] + share * (xs[c1] - xs[c0]), ys[r0] + share * (ys[r1] - ys[r0])))
        yield from zip(ends[::2], ends[1::2])


def cells(values: Any, xs: Pair | None = None, ys: Pair | None = None) -> Mark:
    """A table as colored rectangles: whole numbers choose a pale color; others a grey, black for the largest one.

    ``xs``, ``ys``: where the first column and row begin and the last ones end. By default an entry is a square of length
    1, and the first row is the highest.
    """
    values = np.asarray(values)
    rows, columns = values.shape
    x_edges = np.linspace(*(xs or (0, columns)), columns + 1)
    y_edges = np.linspace(*(ys or (rows, 0)), rows + 1)
    fills = pale(values) if values.dtype.kind in "biu" else grey(values)

    def svg(place: Place, color: str) -> str:
        paths: dict[str, str] = {}
        for row in range(rows):
            stop = 0
            for fill, run in itertools.groupby(fills[row]):
                start, stop = stop, stop + len(list(run))
                left, top = place(x_edges[start], y_edges[row])
                right, bottom = place(x_edges[stop], y_edges[row + 1])
                paths[fill] = paths.get(fill, "") + f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}z"
        return "".join(f'<path d="{paths[fill]}" fill="{fill}"/>' for fill in sorted(paths))

    return Mark(x_edges[[0, -1]], y_edges[[0, -1]], svg, takes_color=False, fills=True)


def pale(numbers: Array) -> list[list[str]]:
    """For each number a light version of the color with this number."""
    lights = ["#" + "".join(f"{255 - (255 - part) // 4:02x}" for part in bytes.fromhex(color[1:])) for color in COLORS]
    return [[lights[number % len(lights)] for number in row] for row in numbers.astype(int).tolist()]


def grey(values: Array) -> list[list[str]]:
    """White for the smallest value, black for the largest."""
    steps = np.rint((values - values.min()) / (np.ptp(values) or 1) * GREYS).astype(int)
    return [["#" + f"{255 - 255 * step // GREYS:02x}" * 3 for step in row] for row in steps.tolist()]


def chart(
    *marks: Mark,
    x: str = "",
    y: str = "",
    log: bool = False,
    equal: bool = False,
    axes: bool = True,
    size: tuple[int, int] = SIZE,
) -> str:
    """The marks, one over the other, between axes with the names ``x`` and ``y``, and a legend above.

    ``log``: equal distances on the axis of y are equal factors. ``equal``: both axes have the same scale. ``axes``: False
    for a table without numbers beside it.
    """
    width, height = size
    left, right, bottom, top = LEFT, width - RIGHT, height - BOTTOM, TOP
    margin = 0 if any(mark.fills for mark in marks) else MARGIN
    x_range = padded(np.concatenate([mark.xs for mark in marks]), margin)
    y_range = padded(on_axis(np.concatenate([mark.ys for mark in marks]), log), margin)
    if equal:
        scale = min((right - left) / (x_range[1] - x_range[0]), (bottom - top) / (y_range[1] - y_range[0]))
        right, top = left + scale * (x_range[1] - x_range[0]), bottom - scale * (y_range[1] - y_range[0])

    def place(px: float, py: float) -> Pair:
        return scaled(px, x_range, left, right), scaled(float(on_axis(py, log)), y_range, bottom, top)

    def numbered_axes() -> Iterator[str]:
        yield f'<path d="M{left:.1f} {top:.1f}V{bottom}H{right:.1f}" fill="none" stroke="#666666"/>'
        for value in ticks(x_range):
            yield bottom_tick(scaled(value, x_range, left, right), bottom, number(value))
        for value, name in y_ticks(y_range, log):
            yield left_tick(left, scaled(value, y_range, bottom, top), name)

    colors = colors_of(marks)
    parts = [
        *[mark.svg(place, color) for mark, color in zip(marks, colors)],
        *(numbered_axes() if axes else ()),
        text((left + right) / 2, height - 8, x),
        text(16, (top + bottom) / 2, y, f' transform="rotate(-90 16 {(top + bottom) / 2:.1f})"'),
        *legend([(mark.name, color) for mark, color in zip(marks, colors) if mark.name], top - 14),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" fill="#1a1a1a">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(filter(None, parts)) + "\n</svg>\n"
    )


def colors_of(marks: Iterable[Mark]) -> list[str]:
    """The color of each mark."""
    colors, following = [], 0
    for mark in marks:
        number = following if mark.color is None else mark.color
        following = number + 1 if mark.takes_color else following
        colors.append(COLORS[number % len(COLORS)])
    return colors


def on_axis(values: Any, log: bool) -> Array:
    return np.log10(values) if log else np.asarray(values)


def padded(values: Array, margin: float) -> Pair:
    """The range of values with a margin on each side."""
    low, high = float(values.min()), float(values.max())
    space = margin * (high - low) or (0 if high > low else 1)
    return low - space, high + space


def scaled(value: float, bounds: Pair, low: float, high: float) -> float:
    """The position of a value on an axis from ``low`` to ``high``."""
    return low + (high - low) * (value - bounds[0]) / (bounds[1] - bounds[0])


def ticks(bounds: Pair) -> list[float]:
    """At most `TICKS` round numbers at equal distances."""
    power = 10.0 ** math.floor(math.log10((bounds[1] - bounds[0]) / TICKS))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if (bounds[1] - bounds[0]) / step <= TICKS)
    return [step * n for n in range(math.ceil(bounds[0] / step - 1e-9), math.floor(bounds[1] / step + 1e-9) + 1)]


def y_ticks(bounds: Pair, log: bool) -> list[tuple[float, str]]:
    """Places on the axis of y, and the numbers there; if ``log``, powers of ten, and 2 and 5 between a few of them."""
    if not log:
        return [(value, number(value)) for value in ticks(bounds)]
    step = math.ceil((bounds[1] - bounds[0]) / TICKS)
    powers = range(step * math.floor(bounds[0] / step), math.ceil(bounds[1]) + 1, step)
    factors = (1, 2, 5) if bounds[1] - bounds[0] < 2 else (1,)
    places = [(power + math.log10(factor), factor * 10.0**power) for power in powers for factor in factors]
    return [(place, number(value)) for place, value in places if bounds[0] <= place <= bounds[1]]


def number(value: float) -> str:
    """A number as it is written by hand, such as 0.5 and 10⁻⁶."""
    digits, _, power = f"{float(f'{value:.12g}') + 0.0:g}".replace("-", "\N{MINUS SIGN}").partition("e")
    if not power:
        return digits
    raised = power.replace("+", "").replace("\N{MINUS SIGN}0", "\N{MINUS SIGN}").lstrip("0").translate(RAISED)
    return f"10{raised}" if digits == "1" else f"{digits} · 10{raised}"


def bottom_tick(place: float, bottom: float, name: str) -> str:
    return f'<path d="M{place:.1f} {bottom}v5" stroke="#666666"/>{text(place, bottom + 19, name)}'


def left_tick(left: float, place: float, name: str) -> str:
    return (
        f'<path d="M{left} {place:.1f}h-5" stroke="#666666"/>'
        f'<text x="{left - 9}" y="{place + 4.5:.1f}" text-anchor="end">{html_escaped(name)}</text>'
    )


def legend(names: Sequence[tuple[str, str]], bottom: float) -> Iterator[str]:
    """The names beside their colors, in a row."""
    left = LEFT
    for name, color in names:
        yield f'<rect x="{left}" y="{bottom - 10:.1f}" width="14" height="10" fill="{color}"/>'
        yield f'<text x="{left + 19}" y="{bottom:.1f}">{html_escaped(name)}</text>'
        left += 40 + 7 * len(name)


def text(x: float, y: float, text: str, turned: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{turned}>{html_escaped(text)}</text>' if text else ""

"""Line charts as SVG, for notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from passus.display.html import html_escaped

__all__ = ["line_chart"]

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 70, 12, 26, 26
LINE = 15
"""The height of a line of the legend."""
COLORS = ("#1f5fa8", "#c2410c", "#2f7d32", "#6b3fa0")

Points = Sequence[tuple[float, float]]


def line_chart(title: str, curves: Mapping[str, Points]) -> str:
    """A chart of the curves with the lowest and highest values at the axes, and the last value of each in the legend.

    Points that are not finite are left out.

    >>> line_chart("loss", {"training": [(1, 0.5), (2, 0.25)]}).count("<polyline")
    1
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)] for name, points in curves.items()
    }
    drawn = {name: points for name, points in finite.items() if points}
    xs, ys = ([p[axis] for points in drawn.values() for p in points] or [0.0] for axis in (0, 1))
    x_range, y_range = (min(xs), max(xs)), (min(ys), max(ys))
    top = TOP + LINE * len(drawn)  # Below the legend, which would hide curves.
    parts = [_text(WIDTH / 2, 16, title, "middle", "bold"), *_axes(x_range, y_range, top)]
    for i, (name, points) in enumerate(drawn.items()):
        color = COLORS[i % len(COLORS)]
        places = [
            (_scaled(x, x_range, LEFT, WIDTH - RIGHT), _scaled(y, y_range, HEIGHT - BOTTOM, top)) for x, y in points
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<circle cx="{places[-1][0]:.1f}" cy="{places[-1][1]:.1f}" r="3" fill="{color}"/>')
        parts.append(_text(WIDTH - RIGHT, TOP + 6 + LINE * i, f"{name}: {points[-1][1]:.4g}", "end", fill=color))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(parts)}</svg>'
    )


def _axes(x_range: tuple[float, float], y_range: tuple[float, float], top: float) -> list[str]:
    """The axes, with the bounds of their values; bounds that are equal are written once, where the points are."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    axes = f'<path d="M{LEFT} {top}V{bottom}H{right}" fill="none" stroke="#666666"/>'
    xs = [
        _text(_scaled(x, x_range, LEFT, right), bottom + 16, f"{x:g}", "end" if x > x_range[0] else "middle")
        for x in dict.fromkeys(x_range)
    ]
    ys = [_text(LEFT - 5, _scaled(y, y_range, bottom, top + 8), f"{y:.4g}", "end") for y in dict.fromkeys(y_range)]
    return [axes, *xs, *ys]


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal", fill: str = "#1a1a1a") -> str:
    return (
        f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="12" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{html_escaped(text)}</text>'
    )


def _scaled(value: float, bounds: tuple[float, float], low: float, high: float) -> float:
    """The position of a value on an axis from ``low`` to ``high``; the middle if the bounds are equal."""
    length = bounds[1] - bounds[0]
    return low + (high - low) * ((value - bounds[0]) / length if length else 0.5)

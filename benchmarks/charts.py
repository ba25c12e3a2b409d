"""Charts of the results: times relative to passus, shares of the ceilings, and growth of the cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter

from benchmarks.catalogue import panel_of
from benchmarks.comparison import Comparison
from benchmarks.growth import Line
from benchmarks.maps import Cells, Map, batches_of
from benchmarks.operations.measuring import Operations

FLOOR = 1.2
"""Target: the time of the fastest peer as a multiple of that of passus."""
FLOOR_OF_SEQUENCES = 1.3

LABEL_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
"""Keeps numbers readable where they overlap a line."""

STYLES = {
    "passus": ("#000000", "o"),
    "passus_recorded": ("#882255", "p"),
    "torch": ("#E69F00", "s"),
    "torch_channels_last": ("#D55E00", "D"),
    "torch_compiled": ("#CC79A7", "^"),
    "jax": ("#0072B2", "v"),
    "autograd": ("#56B4E9", "P"),
    "passus_numpy": ("#999999", "X"),
    "dezero": ("#009E73", "*"),
}
"""Colors that are safe for the color-blind (Okabe and Ito, 2008; one more by Tol), and markers for print in grey."""


def ratios(comparisons: list[Comparison], machine: str, path: Path, floor: float = FLOOR) -> None:
    """Draw a bar for each peer and problem; passus is faster where it ends to the right of 1."""
    panels: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        panels.setdefault(panel_of(comparison.problem), []).append(comparison)
    rows = max(sum(len(comparison.timings) for comparison in members) for members in panels.values())
    figure = Figure(figsize=(2 + 5 * len(panels), 2 + 0.19 * rows), layout="constrained")
    for axes, (title, members) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items()):
        draw_ratios(axes, members, floor)
        axes.set_title(title, fontsize=11)
    finish(figure, "Time taken, as a multiple of that of passus", machine, path)


def draw_ratios(axes: Axes, comparisons: list[Comparison], floor: float = FLOOR) -> None:
    top, ticks = 0, []
    for comparison in comparisons:
        peers = [timing for timing in comparison.timings if timing.name != "passus"]
        for y, timing in enumerate(peers, start=top):
            draw_bar(axes, y, comparison.ratio(timing), timing.name)
        ticks.append(top + (len(peers) - 1) / 2)
        top += len(peers) + 1
    axes.set_yticks(ticks, [comparison.problem for comparison in comparisons])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(top - 1, -1)
    scale_for_ratios(axes, floor)


def scale_for_ratios(axes: Axes, floor: float) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12)
    axes.axvline(1, color="black", linewidth=1)
    axes.axvline(floor, color="black", linewidth=1, linestyle=":", label=f"{floor} times")
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_bar(axes: Axes, y: float, ratio: float, name: str) -> None:
    axes.barh(y, ratio - 1, left=1, color=STYLES[name][0], label=name, height=0.85)
    side, offset = ("left", 3) if ratio >= 1 else ("right", -3)
    style = {"xytext": (offset, 0), "textcoords": "offset points", "ha": side, "va": "center"}
    axes.annotate(f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}", (ratio, y), fontsize=7, bbox=LABEL_BOX, **style)


def operations(operations: Operations, machine: str, path: Path) -> None:
    """Draw a bar for each operation, direction and framework, as a share of the ceiling."""
    figure = Figure(figsize=(9, 2 + 0.36 * len(operations.comparisons)), layout="constrained")
    axes = figure.add_subplot()
    for row, comparison in enumerate(operations.comparisons):
        draw_shares(axes, row, operations, comparison)
    names = [operations.name(comparison) for comparison in operations.comparisons]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(ylim=(len(names) - 0.3, -0.7), xlabel="share of the ceiling; labels in GFLOP/s or GB/s")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.axvline(1, color="black", linewidth=1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
    finish(figure, "Operations alone", machine, path)


def draw_shares(axes: Axes, row: int, operations: Operations, comparison: Comparison) -> None:
    count = len(comparison.timings)
    for y, timing in zip(row + 0.85 * (np.arange(count) - (count - 1) / 2) / count, comparison.timings):
        share, speed = operations.share(comparison, timing), operations.speed(comparison, timing)
        axes.barh(y, share, color=STYLES[timing.name][0], label=timing.name, height=0.85 / count)
        axes.annotate(f" {speed:.0f}" if speed >= 100 else f" {speed:.1f}", (share, y), fontsize=7, va="center")


def growth(lines: list[Line], machine: str, path: Path) -> None:
    """Draw a panel for each varied property, both axes logarithmic."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    for axes, line in zip(np.atleast_1d(figure.subplots(1, len(lines), sharey=True)), lines):
        draw_line(axes, line, line.seconds(), 1e3)
    figure.axes[0].set_ylabel("milliseconds")
    finish(figure, "Training step of three convolutions with one property varied", machine, path)


def attention(line: Line, machine: str, path: Path) -> None:
    """Draw time and memory against the number of tokens, both axes logarithmic."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    time, memory = figure.subplots(1, 2)
    draw_line(time, line, line.seconds(), 1e3)
    time.set_ylabel("milliseconds")
    draw_line(memory, line, line.peaks(), 2**-20)
    memory.set_ylabel("peak memory of the process, MiB")
    finish(figure, "Causal attention alone, forward and backward", machine, path)


def perceptrons(found: Map, machine: str, path: Path) -> None:
    """Draw a panel for each program: the ratio to JAX by units and batch, orange where the program is faster."""
    figure = Figure(figsize=(1.5 + 4.8 * len(found.programs), 5.5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(found.programs), sharey=True))
    for axes, name in zip(panels, found.programs):
        image = draw_map(axes, found.ratios(name))
        axes.set_title(name, fontsize=11)
    panels[0].set_ylabel("units of each layer")
    bar = figure.colorbar(image, ax=panels, ticks=[-2, -1, 0, 1, 2], shrink=0.8)
    bar.ax.set_yticklabels(["0.25", "0.5", "1", "2", "4"])
    finish(figure, "Training steps of perceptrons: time of JAX, as a multiple of that of each program", machine, path)


def draw_map(axes: Axes, rows: Cells) -> AxesImage:
    """Draw the ratios as colors on a logarithmic scale from 1/4 to 4, and as numbers."""
    batches = batches_of(rows)
    ratios = np.array([[row.get(N, np.nan) for N in batches] for row in rows.values()])
    image = axes.imshow(np.log2(ratios), cmap="PuOr_r", vmin=-2, vmax=2, aspect="auto")
    for (i, j), ratio in np.ndenumerate(ratios):
        color = "white" if abs(np.log2(ratio)) > 1.1 else "black"
        axes.text(j, i, "" if np.isnan(ratio) else f"{ratio:.2f}", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(len(batches)), batches)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("batch")
    return image


def draw_line(axes: Axes, line: Line, numbers: dict[str, dict[int, float]], scale: float) -> None:
    for name, points in numbers.items():
        color, marker = STYLES[name]
        axes.plot([*points], [scale * y for y in points.values()], color=color, marker=marker, label=name)
    axes.set(xscale="log", yscale="log", xlabel=line.what, xticks=[*line.points])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(alpha=0.3)


def finish(figure: Figure, title: str, machine: str, path: Path) -> None:
    """Add one legend for all panels and the name of the machine, and save the figure."""
    labels = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    order = [name for name in (*STYLES, *labels) if name in labels]
    labels = {name: labels[name] for name in order}
    legend = figure.legend(
        labels.values(),
        labels.keys(),
        title=machine,
        loc="outside lower center",
        ncols=max(1, len(labels)) if len(labels) < 6 else 4,
        frameon=False,
        fontsize=9,
    )
    legend.get_title().set(fontsize=8, color="#555555")
    figure.suptitle(title, fontsize=13)
    figure.savefig(path, dpi=150)

"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.catalogue import describe, rate_of
from benchmarks.comparison import Comparison
from benchmarks.growth import Line
from benchmarks.maps import REFERENCE, Cells, Map, batches_of
from benchmarks.operations.costs import operation_of
from benchmarks.operations.measuring import Operations
from benchmarks.peers import RIVALS
from benchmarks.timing import Timing


def table_of(comparison: Comparison) -> str:
    """A row for each framework, with the ratio of the medians and the quartiles of the ratios turn by turn."""
    problem = comparison.problem
    count, items = rate_of(problem) or (0, "")
    lines = [f"### {problem}: {describe(problem)}", ""]
    lines += [f"| program | median | times passus | quartiles | peak memory |{f' {items} per second |' * bool(count)}"]
    lines += [f"|---|--:|--:|--:|--:|{'--:|' * bool(count)}"]
    for timing in comparison.timings:
        rate = f" {count / timing.median:.0f} |" * bool(count)
        lines.append(f"{row(comparison, timing)} {mebibytes(timing.peak)} |{rate}")
    skipped = [f"Skipped {name}: {reason}.\n" for name, reason in comparison.skipped.items()]
    return "\n".join([*lines, "", *skipped])


def floors_table(comparisons: list[Comparison]) -> str:
    """A row for each problem, with the fastest peer beside passus and its recorded steps, and PyTorch's memory."""
    columns = ["problem", "passus", "recorded", "fastest peer", "times passus", "times recorded"]
    lines = ["### fastest peer", "", f"| {' | '.join(columns)} | memory of torch, times passus |"]
    return "\n".join([*lines, "|---|--:|--:|---|--:|--:|--:|", *map(floors_row, comparisons), ""])


def floors_row(comparison: Comparison) -> str:
    peer, torch = comparison.fastest_of(RIVALS), comparison.fastest_of({"torch"})
    ours, recorded = comparison.ours, comparison.fastest_of({"passus_recorded"})
    cells = [comparison.problem, duration(ours.median), duration(recorded.median) if recorded else ""]
    cells += [peer.name if peer else ""]
    cells += [f"{peer.median / timing.median:.2f}" if peer and timing else "" for timing in (ours, recorded)]
    cells.append(f"{torch.peak / ours.peak:.2f}" if torch else "")
    return f"| {' | '.join(cells)} |"


def operations_table(operations: Operations) -> str:
    """A row for each operation and direction, with the share of the ceiling that passus reaches."""
    lines = [f"### operations alone; the machine reaches {operations.ceilings}", ""]
    lines += ["| operation | shapes | passus | of the ceiling | torch | times passus | quartiles |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|"]
    return "\n".join([*lines, *[operation_row(operations, comparison) for comparison in operations.comparisons], ""])


def operation_row(operations: Operations, comparison: Comparison) -> str:
    _, operation = operation_of(comparison.problem)
    ours = comparison.ours
    share = f"{operations.share(comparison, ours):.0%}" if operations.ceilings.speeds else ""
    cells = [operations.name(comparison), operation.what, speed(operations, comparison, ours), share]
    for timing in comparison.timings:
        if timing is not ours:
            low, _, high = comparison.quartiles(timing)
            cells += [
                speed(operations, comparison, timing),
                f"{comparison.ratio(timing):.2f}",
                f"{low:.2f} to {high:.2f}",
            ]
    return f"| {' | '.join(cells)} |"


def speed(operations: Operations, comparison: Comparison, timing: Timing) -> str:
    return f"{operations.speed(comparison, timing):.1f} {operation_of(comparison.problem)[1].unit}"


def map_tables(perceptrons: Map) -> str:
    """A table of the times of passus, and one of ratios for each program beside JAX."""
    tables = [cells_table("perceptrons: time of passus", perceptrons.seconds("passus"), duration)]
    for name in perceptrons.programs:
        title = f"perceptrons: time of {REFERENCE} as a multiple of that of {name}"
        tables.append(cells_table(title, perceptrons.ratios(name), "{:.2f}".format))
    return "\n".join(tables)


def cells_table(title: str, rows: Cells, text_of: Callable[[float], str]) -> str:
    """A row for each number of units, and a column for each batch."""
    batches = batches_of(rows)
    lines = [f"### {title}", "", f"| units | {' | '.join(f'batch {N}' for N in batches)} |"]
    lines += [f"|---|{'--:|' * len(batches)}"]
    for label, row in rows.items():
        lines.append(f"| {label} | {' | '.join(text_of(row[N]) if N in row else '' for N in batches)} |")
    return "\n".join([*lines, ""])


def growth_table(line: Line) -> str:
    return line_table(line, f"growth over {line.what}", line.seconds(), duration)


def attention_tables(line: Line) -> str:
    """Tables of time and peak memory of attention alone."""
    times = line_table(line, "attention alone: time", line.seconds(), duration)
    return f"{times}\n{line_table(line, 'attention alone: peak memory', line.peaks(), mebibytes)}"


def line_table(line: Line, title: str, numbers: dict[str, dict[int, float]], text_of: Callable[[float], str]) -> str:
    """A row for each value of the varied property, and a column for each framework."""
    lines = [f"### {title}", "", f"| {line.what} | {' | '.join(numbers)} |", f"|--:|{'--:|' * len(numbers)}"]
    for value in line.points:
        cells = [text_of(points[value]) if value in points else "" for points in numbers.values()]
        lines.append(f"| {value} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def imports_table(imports: Comparison) -> str:
    """The time of each package includes that of NumPy, which it imports."""
    lines = [
        "### import in a fresh process",
        "",
        "| package | median | times passus | quartiles |",
        "|---|--:|--:|--:|",
    ]
    return "\n".join([*lines, *[row(imports, timing) for timing in imports.timings], ""])


def row(comparison: Comparison, timing: Timing) -> str:
    low, _, high = comparison.quartiles(timing)
    ratio = comparison.ratio(timing)
    return f"| {timing.name} | {duration(timing.median)} | {ratio:.2f} | {low:.2f} to {high:.2f} |"


def duration(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def mebibytes(count: float | None) -> str:
    return "" if count is None else f"{count / 2**20:.0f} MiB"

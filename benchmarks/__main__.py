"""``python -m benchmarks [name ...]``: compare passus with its peers, in Markdown tables of time ratios."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import growth, maps
from benchmarks.catalogue import EVERYTHING, GROUPS, PROBLEMS, by_group, operations_of, problems_of
from benchmarks.ceilings import measured_ceilings
from benchmarks.comparison import Comparison, compare
from benchmarks.growth import Line
from benchmarks.machine import machine
from benchmarks.operations.costs import OPERATIONS
from benchmarks.operations.measuring import measure
from benchmarks.peers import frameworks_for
from benchmarks.problems import GROWTH, POINTS
from benchmarks.processes import import_times
from benchmarks.report import Report
from benchmarks.sequences.problems import ATTENTION

IMPORTS = ("numpy", "passus", "torch")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = (*GROUPS, *PROBLEMS, "operations", *OPERATIONS, "import")
    parser.add_argument("what", nargs="*", metavar="name", help=f"any of {', '.join(known)} (default: all groups)")
    parser.add_argument("--rounds", type=int, default=5, help="number of turns of each program (default: 5)")
    parser.add_argument("--growth", action="store_true", help="measure how the cost grows with the problem size")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="folder for tables, numbers and charts")
    arguments = parser.parse_args()
    unknown = set(arguments.what) - {*known}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if arguments.rounds < 2:
        parser.error("--rounds must be at least 2, because one turn has no quartiles")
    report = Report(machine(), arguments.save)
    run(arguments.what or ([] if arguments.growth else [*EVERYTHING]), arguments.rounds, report)
    if arguments.growth:
        report.begin_group("growth", measured_ceilings(arguments.rounds))
        for line in GROWTH:
            report.add_line(growth.measure(line, arguments.rounds))


def run(names: list[str], rounds: int, report: Report) -> None:
    for group, problems in by_group(problems_of(names)).items():
        report.begin_group(group, measured_ceilings(rounds))
        for problem in problems:
            if problem not in POINTS:
                report.add_problem(compare(problem, frameworks_for(problem), rounds))
        if on_map := [problem for problem in problems if problem in POINTS]:
            report.add_map(maps.measure(on_map, rounds))
    if points := {ATTENTION[found.problem].T: found for found in report.problems if found.problem in ATTENTION}:
        report.add_attention(Line("tokens", points))
    report.add_floors()
    if operations := operations_of(names):
        report.add_operations(measure(operations, rounds))
    if "import" in names:
        report.begin_group("import", measured_ceilings(rounds))
        report.add_imports(Comparison("import", import_times([*IMPORTS], rounds), {}))


if __name__ == "__main__":
    main()

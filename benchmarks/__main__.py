"""``python -m benchmarks [name ...]``: passus and its peers in turn, as tables of ratios in Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import growth
from benchmarks.comparison import Comparison, compare
from benchmarks.machine import machine
from benchmarks.operations.costs import DIRECTIONS, OPERATIONS
from benchmarks.operations.measuring import measure
from benchmarks.peers import frameworks_for
from benchmarks.problems import FORWARD, GROWTH, IMAGES, ONE, TRAINING, VECTORS
from benchmarks.processes import import_times
from benchmarks.report import Report

GROUPS = {"vectors": (*VECTORS,), "training": (*TRAINING,), "forward": (*FORWARD,), "one": (*ONE,)}
EVERYTHING = [*GROUPS, "operations", "import"]
IMPORTS = ("numpy", "passus", "torch")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = (*GROUPS, *VECTORS, *IMAGES, "operations", *OPERATIONS, "import")
    parser.add_argument("what", nargs="*", metavar="name", help=f"of {', '.join(known)}; all groups if none")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program (default: 5)")
    parser.add_argument("--growth", action="store_true", help="how the cost grows, instead of all groups")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="keep the tables, the numbers, and charts")
    chosen = parser.parse_args()
    unknown = set(chosen.what) - {*known}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    if chosen.rounds < 2:
        parser.error("--rounds: 2 or more, for one turn has no quartiles")
    report = Report(machine(), chosen.save)
    run(chosen.what or ([] if chosen.growth else EVERYTHING), chosen.rounds, report)
    if chosen.growth:
        for line in GROWTH:
            report.add_line(growth.measure(line, chosen.rounds))


def run(names: list[str], rounds: int, report: Report) -> None:
    for problem in problems_of(names):
        report.add_problem(compare(problem, frameworks_for(problem), rounds))
    report.add_floors()
    if operations := operations_of(names):
        report.add_operations(measure(operations, rounds))
    if "import" in names:
        report.add_imports(Comparison("import", import_times([*IMPORTS], rounds), {}))


def problems_of(names: list[str]) -> list[str]:
    """The problems that are meant by names of problems and of groups, each once."""
    meant = [problem for name in names for problem in GROUPS.get(name, (name,))]
    return [*dict.fromkeys(problem for problem in meant if problem in (*VECTORS, *IMAGES))]


def operations_of(names: list[str]) -> list[str]:
    return [problem for problem in DIRECTIONS if "operations" in names or problem.partition(":")[2] in names]


if __name__ == "__main__":
    main()

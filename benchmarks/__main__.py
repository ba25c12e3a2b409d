"""``python -m benchmarks [name ...]``: passus and its peers in turn, as tables of ratios in Markdown."""

from __future__ import annotations

import argparse

from benchmarks.comparison import compare
from benchmarks.machine import machine
from benchmarks.operations.costs import DIRECTIONS, OPERATIONS
from benchmarks.operations.measuring import measure
from benchmarks.peers import frameworks_for
from benchmarks.problems import FORWARD, IMAGES, ONE, TRAINING, VECTORS
from benchmarks.processes import import_times
from benchmarks.tables import imports_table, operations_table, table_of

GROUPS = {"vectors": (*VECTORS,), "training": (*TRAINING,), "forward": (*FORWARD,), "one": (*ONE,)}
IMPORTS = ("numpy", "passus", "torch")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = (*GROUPS, *VECTORS, *IMAGES, "operations", *OPERATIONS, "import")
    parser.add_argument("what", nargs="*", metavar="name", help=f"of {', '.join(known)}; all groups if none")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each program (default: 9)")
    chosen = parser.parse_args()
    unknown = set(chosen.what) - {*known}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(f"{machine()}\n")
    for problem in problems_of(chosen.what or [*GROUPS]):
        print(table_of(compare(problem, frameworks_for(problem), chosen.rounds)), flush=True)
    if operations := operations_of(chosen.what or ["operations"]):
        print(operations_table(measure(operations, chosen.rounds)), flush=True)
    if not chosen.what or "import" in chosen.what:
        print(imports_table(import_times([*IMPORTS], chosen.rounds)))


def problems_of(names: list[str]) -> list[str]:
    """The problems that are meant by names of problems and of groups, each once."""
    meant = [problem for name in names for problem in GROUPS.get(name, (name,))]
    return [*dict.fromkeys(problem for problem in meant if problem in (*VECTORS, *IMAGES))]


def operations_of(names: list[str]) -> list[str]:
    return [problem for problem in DIRECTIONS if "operations" in names or problem.partition(":")[2] in names]


if __name__ == "__main__":
    main()

"""``python -m benchmarks [name ...]``: passus and its peers in turn, as tables of ratios in Markdown."""

from __future__ import annotations

import argparse

from benchmarks.comparison import compare
from benchmarks.machine import machine
from benchmarks.peers import frameworks_for
from benchmarks.problems import FORWARD, IMAGES, ONE, TRAINING, VECTORS
from benchmarks.processes import import_times
from benchmarks.tables import imports_table, table_of

GROUPS = {"vectors": (*VECTORS,), "training": (*TRAINING,), "forward": (*FORWARD,), "one": (*ONE,)}
IMPORTS = ("numpy", "passus", "torch")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = (*GROUPS, *VECTORS, *IMAGES, "import")
    parser.add_argument("what", nargs="*", metavar="name", help=f"of {', '.join(known)}; all groups if none")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each program (default: 9)")
    chosen = parser.parse_args()
    unknown = set(chosen.what) - {*known}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(f"{machine()}\n")
    for problem in problems_of(chosen.what or [*GROUPS]):
        print(table_of(compare(problem, frameworks_for(problem), chosen.rounds)), flush=True)
    if not chosen.what or "import" in chosen.what:
        print(imports_table(import_times([*IMPORTS], chosen.rounds)))


def problems_of(names: list[str]) -> list[str]:
    """The problems that are meant by names of problems and of groups, each once."""
    return [*dict.fromkeys(problem for name in names if name != "import" for problem in GROUPS.get(name, (name,)))]


if __name__ == "__main__":
    main()

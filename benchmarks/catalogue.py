"""All problems by group, and their descriptions."""

from __future__ import annotations

from benchmarks.operations.costs import DIRECTIONS
from benchmarks.problems import CHAIN, FORWARD, IMAGES, ONE, PERCEPTRONS, POINTS, TRAINING, VECTORS
from benchmarks.sequences import problems as sequences
from benchmarks.sequences.problems import SEQUENCES

GROUPS = {
    "vectors": VECTORS,
    "perceptrons": ("larger", *POINTS),
    "training": (*TRAINING,),
    "forward": (*FORWARD,),
    "one": (*ONE,),
    "sequences": (*sequences.TRAINING,),
    "held-out": (*sequences.HELD_OUT,),
    "attention": (*sequences.ATTENTION,),
    "inference": (*sequences.INFERENCE,),
}
EVERYTHING = (*GROUPS, "operations", "import")
PROBLEMS = ("chain", *PERCEPTRONS, *IMAGES, *SEQUENCES)


def problems_of(names: list[str]) -> list[str]:
    """Return the problems that these names of problems and groups select, each once."""
    selected = [problem for name in names for problem in GROUPS.get(name, (name,))]
    return [*dict.fromkeys(problem for problem in selected if problem in PROBLEMS)]


def by_group(problems: list[str]) -> dict[str, list[str]]:
    """Return the problems by group; problems that vary a size form the group `growth`."""
    groups: dict[str, list[str]] = {}
    for problem in problems:
        group = next((name for name, members in GROUPS.items() if problem in members), "growth")
        groups.setdefault(group, []).append(problem)
    return groups


def operations_of(names: list[str]) -> list[str]:
    return [problem for problem in DIRECTIONS if "operations" in names or problem.partition(":")[2] in names]


def describe(problem: str) -> str:
    found = PERCEPTRONS.get(problem) or IMAGES.get(problem) or SEQUENCES.get(problem)
    return found.what if found else CHAIN


def rate_of(problem: str) -> tuple[int, str] | None:
    """Return the number of items that one step processes and their name, or None if no rate is reported."""
    return SEQUENCES[problem].rate if problem in SEQUENCES else None


def panel_of(problem: str) -> str:
    """Return the panel in which a problem is drawn."""
    if problem in SEQUENCES:
        return SEQUENCES[problem].panel
    return "training steps" if problem not in IMAGES or IMAGES[problem].training else "forward passes"

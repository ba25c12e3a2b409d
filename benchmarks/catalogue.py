"""All problems by group, and what each is."""

from __future__ import annotations

from benchmarks.operations.costs import DIRECTIONS
from benchmarks.problems import FORWARD, IMAGES, ONE, TRAINING, VECTORS
from benchmarks.sequences import problems as sequences
from benchmarks.sequences.problems import SEQUENCES

GROUPS = {
    "vectors": (*VECTORS,),
    "training": (*TRAINING,),
    "forward": (*FORWARD,),
    "one": (*ONE,),
    "sequences": (*sequences.TRAINING,),
    "held-out": (*sequences.HELD_OUT,),
    "attention": (*sequences.ATTENTION,),
    "inference": (*sequences.INFERENCE,),
}
EVERYTHING = (*GROUPS, "operations", "import")
PROBLEMS = (*VECTORS, *IMAGES, *SEQUENCES)


def problems_of(names: list[str]) -> list[str]:
    """The problems that are meant by names of problems and of groups, each once."""
    meant = [problem for name in names for problem in GROUPS.get(name, (name,))]
    return [*dict.fromkeys(problem for problem in meant if problem in PROBLEMS)]


def by_group(problems: list[str]) -> dict[str, list[str]]:
    """These problems by the group that each belongs to; problems of the growth have none of their own."""
    groups: dict[str, list[str]] = {}
    for problem in problems:
        group = next((name for name, members in GROUPS.items() if problem in members), "growth")
        groups.setdefault(group, []).append(problem)
    return groups


def operations_of(names: list[str]) -> list[str]:
    return [problem for problem in DIRECTIONS if "operations" in names or problem.partition(":")[2] in names]


def what_is(problem: str) -> str:
    described = IMAGES.get(problem) or SEQUENCES.get(problem)
    return described.what if described else VECTORS[problem]


def rate_of(problem: str) -> tuple[int, str] | None:
    """How many of what one step processes, where a rate is told."""
    return SEQUENCES[problem].rate if problem in SEQUENCES else None


def panel_of(problem: str) -> str:
    """Where its bars are drawn."""
    if problem in SEQUENCES:
        return SEQUENCES[problem].panel
    return "training steps" if problem in VECTORS or IMAGES[problem].training else "forward passes"

"""The benchmarks run, and the compared frameworks compute the same results. No times are asserted."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from benchmarks import agreement, charts, maps, timing, with_ceiling, worker
from benchmarks.catalogue import EVERYTHING, by_group, describe, operations_of, panel_of, problems_of
from benchmarks.ceilings import Ceilings, highest, measured_ceilings
from benchmarks.comparison import FEW, Comparison, compare, first_results
from benchmarks.growth import Line
from benchmarks.maps import Map, measure
from benchmarks.networks import rows
from benchmarks.operations import in_passus, in_torch
from benchmarks.operations.costs import BYTES, DIRECTIONS, FLOPS, OPERATIONS, operation_of
from benchmarks.operations.measuring import Operations
from benchmarks.peers import DEZERO, frameworks_for, missing
from benchmarks.problems import (
    FORWARD,
    GROWTH,
    IMAGES,
    MAP,
    ONE,
    PERCEPTRONS,
    POINTS,
    TRAINING,
    VECTORS,
    name_in_growth,
    name_on_map,
)
from benchmarks.processes import Worker, WorkerError
from benchmarks.report import Report
from benchmarks.sequences.problems import ATTENTION, SEQUENCES
from benchmarks.tables import attention_tables, floors_table, map_tables, operations_table, table_of
from benchmarks.timing import Timing, in_turns
from passus.kernels.threads import get_num_threads
from passus.models import efficientnet, mobilenet

CORNERS = ["perceptron-16-1", "perceptron-64-adam-4", "perceptron-256-64"]
"""Some points of the map of perceptrons."""
PROBLEMS = [*VECTORS, "larger", *CORNERS, *TRAINING, *FORWARD, *ONE, *SEQUENCES]
SLOW_TO_START = ("jax", "torch_compiled")
"""Run in separate processes, because a process with threads of JAX must not fork."""

SMALLER: dict[str, Callable] = {
    "recurrent": lambda problem: replace(problem, N=4, T=5),
    "language": lambda problem: replace(problem, N=2, gpt=replace(problem.gpt, layers=2, T=19)),
    "generation": lambda problem: replace(problem, gpt=replace(problem.gpt, layers=2), prompt=5, new=7),
    "encoding": lambda problem: replace(problem, N=4, T=9, bert=replace(problem.bert, layers=2, vocabulary=100)),
    "attention": lambda problem: replace(problem, T=problem.T // 16 + 1),
}
"""Functions that shrink a problem on sequences, by its kind."""

LONG = [problem for problem, described in ATTENTION.items() if described.T > 512]
"""Without a fused attention these need gigabytes."""


@pytest.fixture(scope="module")
def peers() -> Iterator[Callable[[str], Worker]]:
    """One process for each framework, because its import takes seconds."""
    with ExitStack() as stack:
        yield cache(lambda framework: stack.enter_context(Worker(framework)))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_all_frameworks_compute_the_same(problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if problem in IMAGES:
        N, *image = IMAGES[problem].shape
        monkeypatch.setitem(IMAGES, problem, replace(IMAGES[problem], shape=(min(N, 4), *image)))
    if problem in SEQUENCES:
        monkeypatch.setitem(SEQUENCES, problem, SMALLER[SEQUENCES[problem].kind](SEQUENCES[problem]))
    worker.step_of.cache_clear()
    frameworks = [name for name in frameworks_for(problem) if name not in SLOW_TO_START and missing(name) is None]
    results = {name: worker.results(name, problem, FEW) for name in frameworks}
    agreement.check(results, rtol=1e-3)


@pytest.mark.parametrize("problem", DIRECTIONS)
def test_operations_agree_with_torch(problem: str) -> None:
    direction, operation = operation_of(problem)
    N, *others = operation.shapes[0]
    smaller = replace(operation, shapes=((min(N, 2), *others), *operation.shapes[1:]))
    steps = {name: getattr(module, direction)(smaller) for name, module in (("passus", in_passus), ("torch", in_torch))}
    results = {name: [worker.numbers(step()) for _ in range(FEW)] for name, step in steps.items()}
    agreement.check(results, rtol=1e-4)


def test_the_work_of_an_operation_is_counted() -> None:
    x, W = OPERATIONS["conv1x1-256"].shapes
    assert OPERATIONS["conv1x1-256"].work["forward"] == pytest.approx(2e-9 * 16 * 16 * x[0] * 256 * 256)
    assert W == (256, 256, 1, 1)
    assert OPERATIONS["relu"].work["backward"] == pytest.approx(3e-9 * 4 * 64 * 64 * 32 * 32)


@pytest.mark.parametrize("name", with_ceiling.WORK)
def test_ceiling_programs_return_finite_numbers(name: str) -> None:
    assert np.isfinite(getattr(with_ceiling, name)()()).all()


def test_the_table_of_operations_shows_speeds_and_fractions_of_the_ceiling() -> None:
    work = OPERATIONS["relu"].work["forward"]
    timings = [Timing("passus", [1.0, 1.0]), Timing("torch", [2.0, 2.0])]
    ceilings = Ceilings({BYTES: 2 * work}, lanes=8)
    table = operations_table(Operations([Comparison("forward:relu", timings, {})], ceilings))
    assert f"{work:.1f} GB/s | 50% | {work / 2:.1f} GB/s | 2.00 | 2.00 to 2.00 |" in table


def test_ceilings_are_printed_with_the_kind_of_machine() -> None:
    ceilings = Ceilings({FLOPS: 123.4, BYTES: 5.6}, lanes=16, threads=2, clock=3.21)
    assert str(ceilings) == "123 GFLOP/s and 6 GB/s: 2 threads at 3.2 GHz, vectors of 16 numbers (AVX-512)"
    assert Ceilings({}, lanes=8, threads=1, clock=2.0).kind == "1 thread at 2.0 GHz, vectors of 8 numbers (AVX2)"
    assert str(Ceilings({})) == "unknown speeds"
    other = Ceilings({FLOPS: 100.0, BYTES: 7.0}, lanes=16, threads=2, clock=3.0)
    assert highest([ceilings, other]) == Ceilings({FLOPS: 123.4, BYTES: 7.0}, lanes=16, threads=2, clock=3.21)
    assert str(highest([])) == str(Ceilings({}))


@pytest.mark.compiles
def test_ceilings_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REST_SECONDS", 0.0)
    monkeypatch.setattr(timing, "TURN_SECONDS", 1e-6)
    ceilings = measured_ceilings(rounds=1)
    assert (ceilings.lanes, ceilings.threads) == (with_ceiling.LANES, get_num_threads())
    assert min(ceilings.speeds[FLOPS], ceilings.speeds[BYTES]) > 0
    assert 0.1 < ceilings.clock < 10  # A chain that the compiler shortened would be faster than any clock.


@pytest.mark.slow
@pytest.mark.compiles
@pytest.mark.parametrize(
    ("framework", "problem"),
    [
        *[("torch_compiled", problem) for problem in ("small", "lstm", "generation", "attention-128")],
        *[("jax", problem) for problem in PROBLEMS if problem not in LONG],
    ],
)
def test_compiled_frameworks_compute_the_same(framework: str, problem: str, peers: Callable[[str], Worker]) -> None:
    if reason := missing(framework):
        pytest.skip(reason)
    peer = peers(framework).ask("results", problem, FEW)
    agreement.check({"passus": worker.results("passus", problem, FEW), framework: peer}, rtol=1e-3)


def test_generated_tokens_vary() -> None:
    tokens = worker.results("torch", "generation", 1)[0]
    assert len(tokens) == 64
    assert len({*tokens}) > 10


def test_results_that_disagree_raise() -> None:
    with pytest.raises(AssertionError, match="peer disagrees with passus"):
        agreement.check({"passus": [[1.0]], "peer": [[1.01]]})


def test_a_missing_framework_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEZERO, raising=False)
    monkeypatch.setattr(timing, "REST_SECONDS", 0.0)
    monkeypatch.setattr(timing, "TURN_SECONDS", 1e-6)
    comparison = compare("chain", ("passus", "dezero"), rounds=2)
    assert [timing.name for timing in comparison.timings] == ["passus"]
    assert f"Skipped dezero: {DEZERO} is not set" in table_of(comparison)


def test_missing_requirements_of_a_framework_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing("passus_numpy") is None
    monkeypatch.setenv("CXX", "a-compiler-that-does-not-exist")
    assert missing("torch_compiled") == "torch.compile needs the compiler a-compiler-that-does-not-exist"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert missing("jax") == "jax is not installed"


@pytest.mark.compiles
def test_a_failing_peer_is_skipped_with_its_reason() -> None:
    skipped: dict[str, str] = {}
    with Worker("passus") as reference, Worker("autograd") as peer:
        results = first_results("lenet", {"passus": reference, "autograd": peer}, skipped)
    assert [*results] == ["passus"]
    assert "has no attribute 'network'" in skipped["autograd"]


def test_a_failure_of_passus_is_raised() -> None:
    with Worker("passus") as reference, pytest.raises(WorkerError, match="'nonsense'"):
        first_results("nonsense", {"passus": reference}, {})


def test_each_program_runs_once_per_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "REST_SECONDS", 0.0)
    calls: list[str] = []

    def program(name: str, repeats: int) -> float:
        calls.append(name)
        return 1.0

    timings = in_turns({name: partial(program, name) for name in "ab"}, rounds=3)
    assert [(timing.name, len(timing.turns)) for timing in timings] == [("a", 3), ("b", 3)]
    assert {*calls} == {"a", "b"}


def test_a_worker_answers_requests_and_exits_cleanly() -> None:
    with Worker("passus") as process:
        assert process.ask("turn", "chain", 1) > 0
        assert process.ask("turn", "chain", 2) > 0
        assert process.ask("peak", "chain") > 2**20
    assert process.process.returncode == 0


def test_a_worker_that_died_raises() -> None:
    with Worker("passus") as process:
        process.process.kill()
        with pytest.raises(WorkerError, match="the process ended"):
            process.answer()


def test_ratios_are_ratios_of_medians() -> None:
    timings = [Timing("passus", [1e-6, 2e-6, 3e-6]), Timing("torch", [4e-6, 6e-6, 9e-6], peak=3 * 2**20)]
    assert "| torch | 6.0 µs | 3.00 | 3.00 to 3.50 | 3 MiB |" in table_of(Comparison("chain", timings, {}))


def test_the_table_of_floors_compares_with_the_fastest_peer() -> None:
    timings = [
        Timing(name, [time], peak=2 * time) for name, time in (("passus", 2), ("torch", 6), ("jax", 3), ("dezero", 1))
    ]
    assert "| lenet | 2000.00 ms |  | jax | 1.50 |  | 3.00 |" in floors_table([Comparison("lenet", timings, {})])
    recorded = Timing("passus_recorded", [1.5], peak=1)
    assert "| 2000.00 ms | 1500.00 ms | jax | 1.50 | 2.00 |" in floors_table(
        [Comparison("lenet", [*timings, recorded], {})]
    )
    assert "| lenet | 2000.00 ms |  |  |  |  |  |" in floors_table([Comparison("lenet", timings[:1], {})])


def test_rates_are_shown_for_problems_that_have_one() -> None:
    timings = [Timing("passus", [0.5, 0.5], peak=2**20), Timing("torch", [1.0, 1.0], peak=2**20)]
    table = table_of(Comparison("generation", timings, {})).splitlines()
    assert table[2].endswith("| peak memory | tokens per second |")
    assert table[4].endswith("| 1 MiB | 128 |")
    assert table[5].endswith("| 1 MiB | 64 |")
    assert "second" not in table_of(Comparison("gpt", timings, {}))


def test_attention_tables_show_time_and_memory() -> None:
    table = attention_tables(Line("tokens", {128: made_up("attention-128"), 256: made_up("attention-256")}))
    assert "| tokens | passus | torch |" in table
    assert "| 128 | 1.50 ms | 3.00 ms |" in table
    assert "| 256 | 1 MiB | 2 MiB |" in table


def made_up_map() -> Map:
    """Batches in any order; one point is missing, and at one JAX did not run."""
    times = {"passus": [2e-3, 2e-3], "passus_recorded": [1e-3, 1e-3], "jax": [3e-3, 3e-3]}
    timings = [Timing(name, turns) for name, turns in times.items()]
    point = Comparison("perceptron-16-1", timings, {})
    return Map({"16": {4: point, 1: point}, "64 Adam": {4: Comparison("perceptron-64-adam-4", timings[:2], {})}})


def test_the_map_shows_the_time_of_jax_beside_each_program() -> None:
    found = made_up_map()
    assert found.programs == ["passus", "passus_recorded"]
    assert found.ratios("passus_recorded") == {"16": {1: pytest.approx(3), 4: pytest.approx(3)}, "64 Adam": {}}
    tables = map_tables(found)
    assert "| units | batch 1 | batch 4 |" in tables
    assert "| 64 Adam |  | 2.00 ms |" in tables
    assert "| 16 | 1.50 | 1.50 |" in tables
    assert "| 16 | 3.00 | 3.00 |" in tables
    axes = Figure().add_subplot()
    charts.draw_map(axes, found.ratios("passus"))
    assert [text.get_text() for text in axes.texts] == ["1.50", "1.50", "", ""]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["16", "64 Adam"]


def test_without_jax_the_map_has_times_only() -> None:
    found = Map({"16": {1: Comparison("perceptron-16-1", [Timing("passus", [1e-3])], {})}})
    assert found.programs == []
    assert map_tables(found).count("###") == 1


def test_points_of_the_map_are_measured_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "compare", lambda problem, frameworks, rounds: Comparison(problem, [], {}))
    found = measure(["perceptron-64-adam-4", "perceptron-16-1", "chain"], rounds=2)
    problems = {label: {N: point.problem for N, point in row.items()} for label, row in found.rows.items()}
    assert problems == {"16": {1: "perceptron-16-1"}, "64 Adam": {4: "perceptron-64-adam-4"}}


@pytest.mark.parametrize("row", MAP)
def test_units_and_batch_vary_on_the_map(row: str) -> None:
    for N, problem in MAP[row].items():
        assert (problem.sizes[1], problem.N) == (int(row.split()[0]), N)
        assert ("Adam" in row) == ("Adam" in describe(name_on_map(row, N)))


@pytest.mark.parametrize(("network", "module"), [("mobilenetv2", mobilenet), ("efficientnet", efficientnet)])
def test_peers_have_the_blocks_of_the_models(network: str, module: ModuleType) -> None:
    assert [(*row, 3)[:5] for row in rows.ROWS[network]] == [tuple(row) for row in module.ROWS]


def test_everything_but_single_operations_is_recorded() -> None:
    assert all("passus_recorded" in frameworks_for(problem) for problem in PROBLEMS)


def made_up(problem: str) -> Comparison:
    timings = [Timing("passus", [1e-3, 2e-3], peak=2**20), Timing("torch", [2e-3, 4e-3], peak=2**21)]
    return Comparison(problem, timings, {})


def test_a_report_saves_tables_numbers_and_charts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("a machine", tmp_path / "new")
    report.begin_group("training", Ceilings({FLOPS: 200.0}, lanes=8, threads=2, clock=3.0))
    report.add_problem(made_up("lenet"))
    report.add_problem(made_up("lenet-one"))
    report.begin_group("sequences", Ceilings({FLOPS: 300.0}, lanes=8, threads=2, clock=3.0))
    report.add_problem(made_up("lstm"))
    report.add_problem(made_up("generation"))
    report.add_attention(Line("tokens", {n: made_up(f"attention-{n}") for n in (128, 256)}))
    report.add_map(made_up_map())
    report.add_floors()
    report.add_operations(Operations([made_up("forward:relu")], Ceilings({BYTES: 50.0}, lanes=8)))
    report.add_imports(made_up("import"))
    report.add_line(Line("batch", {n: made_up(name_in_growth("batch", n)) for n in (1, 4)}))
    assert (tmp_path / "new" / "results.md").read_text().splitlines() == capsys.readouterr().out.splitlines()
    saved = json.loads((tmp_path / "new" / "results.json").read_text())
    assert saved["machine"] == "a machine"
    assert saved["ceilings"]["sequences"] == {"speeds": {FLOPS: 300.0}, "lanes": 8, "threads": 2, "clock": 3.0}
    assert "The machine reaches 200 GFLOP/s: 2 threads at 3.0 GHz, vectors of 8 numbers (AVX2)." in report.texts[1]
    assert "reached 300 GFLOP/s" in report.where
    assert saved["problems"][0]["timings"][1] == {"name": "torch", "turns": [2e-3, 4e-3], "peak": 2**21}
    assert saved["growth"] == {
        "batch": {name: {"1": time, "4": time} for name, time in (("passus", 1.5e-3), ("torch", 3e-3))}
    }
    for name in ("ratios.png", "sequences.png", "attention.png", "perceptrons.png", "operations.png", "growth.png"):
        height, width, _ = imread(tmp_path / "new" / name).shape
        assert min(height, width) > 300


def test_the_chart_has_a_bar_for_each_peer() -> None:
    axes = Figure().add_subplot()
    charts.draw_ratios(axes, [made_up("lenet"), made_up("cnn")])
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(1, 1), (1, 1)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lenet", "cnn"]


def test_names_of_groups_and_problems_are_resolved() -> None:
    assert problems_of(["vectors", "chain", "cnn", "relu", "import"]) == ["chain", "small", "large", "cnn"]
    assert operations_of(["relu", "cnn"]) == ["forward:relu", "backward:relu"]
    assert operations_of(["operations"]) == [*DIRECTIONS]
    assert {*problems_of([*EVERYTHING])} == {*PROBLEMS, *POINTS}
    assert problems_of(["perceptrons"]) == ["larger", *POINTS]
    assert {*VECTORS, "larger", *POINTS} == {"chain", *PERCEPTRONS}
    assert by_group(["chain", "gpt", "small", "cnn-batch-4"]) == {
        "vectors": ["chain", "small"],
        "sequences": ["gpt"],
        "growth": ["cnn-batch-4"],
    }


@pytest.mark.parametrize("problem", SEQUENCES)
def test_problems_on_sequences_are_described(problem: str) -> None:
    assert describe(problem).count(",") >= 2
    assert panel_of(problem) in ("training steps", "attention alone", "inference")
    assert [name for name in frameworks_for(problem) if name != "passus_recorded"] == [
        "passus",
        "torch",
        "torch_compiled",
        "jax",
    ]


@pytest.mark.parametrize("line", GROWTH)
def test_one_property_varies_along_a_growth_line(line: str) -> None:
    points = [IMAGES[name_in_growth(line, n)] for n in GROWTH[line]]
    values = [
        [point.shape[0] for point in points],
        [point.width for point in points],
        [point.shape[2] for point in points],
    ]
    assert sorted(len({*value}) for value in values) == [1, 1, len(points)]

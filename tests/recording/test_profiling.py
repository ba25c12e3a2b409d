"""Profiles of recorded steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable
from passus.errors import RecordingError, ShapeError
from passus.layers import LSTM, BatchNorm, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential
from passus.optimizers import SGD, Adam
from passus.recording import compile
from passus.recording.profiling import Profile
from tests.recording.comparing import assert_same, assert_untraced, frozen, numbers


def network() -> Any:
    with passus.random.using_rng(0):
        model = Sequential(Linear(8, in_size=4), BatchNorm(in_size=8), Dropout(0.5), ReLU(), Linear(3, in_size=8))
    return model


def training(model: Any, optimizer: Any) -> Any:
    def step(x: Any, t: Any) -> Any:
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return compile(step)


def batch(n: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 4), np.float32), rng.integers(0, 3, n)


def labels_of(profile: Profile) -> list[str]:
    return [row.instruction.label for row in profile.rows]


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_a_profile_leaves_all_state_as_it_was(calls: int):
    model = network()
    optimizer = Adam().setup(model)
    step, args = training(model, optimizer), batch()
    for _ in range(calls):
        step(*args)
    parts = model, optimizer, passus.random.get_rng(), args
    before, programs = frozen(parts), list(step.versions)
    profile = step.profile(*args)
    assert_same(frozen(parts), before, "state")
    assert_untraced(model)
    assert step.versions == programs
    assert [row.is_run for row in profile.rows] == [label != "Adam.update" for label in labels_of(profile)]
    assert labels_of(profile).count("Adam.update") == 1
    step(*args)


def test_sums_by_layer_and_direction_are_those_of_the_instructions():
    model = network()
    profile = training(model, SGD().setup(model)).profile(*batch())
    layers, directions, total = profile.by_layer(), profile.by_direction(), profile.total
    assert {"l0", "l1", "l2", "l3", "l4", ""} == set(layers)
    assert list(directions) == ["forward", "backward"]
    for sums in (layers, directions):
        assert math.isclose(sum(part.seconds for part in sums.values()), total.seconds)
        assert sum(part.read for part in sums.values()) == total.read
        assert sum(part.written for part in sums.values()) == total.written
    assert total.seconds > 0
    assert all(row.seconds > 0 for row in profile.rows if row.is_run)


def test_the_program_as_it_runs_is_measured():
    with passus.random.using_rng(0):
        model = Sequential(
            Conv2d(8, 3, pad=1, in_channels=3), BatchNorm(in_size=8), ReLU(), Flatten(), Linear(3, in_size=2048)
        )
    x = np.random.default_rng(0).standard_normal((8, 3, 16, 16), np.float32)
    step = compile(model, exact=True)
    recorded = step.profile(x)
    for _ in range(3):
        step(x)
    kept = step.profile(x)
    assert labels_of(kept) == [i.label for i in step.versions[0].executed.instructions]
    assert len(kept.rows) < len(recorded.rows)
    assert not kept.is_joined


def test_a_program_of_one_call_is_measured_instruction_by_instruction():
    pytest.importorskip("numba")
    model = network()
    step, args = training(model, SGD().setup(model)), batch()
    for _ in range(3):
        step(*args)
    profile = step.profile(*args)
    assert profile.is_joined
    assert labels_of(profile) == [i.label for i in step.program.instructions]
    assert "one call of compiled code" in str(profile)
    assert "one call of compiled code" in profile._repr_html_()


def test_arrays_are_counted_whole_and_views_cost_nothing():
    def f(x: Any, i: Any) -> Any:
        y = x + 1.0
        y[2:4] = x[:2]
        y *= 2.0
        return y.T, y[i], np.concatenate([x, x, y]), y.sum()

    x, i = np.ones((10, 5)), np.arange(3)
    profile = compile(f).profile(x, i)
    found = [(str(row.instruction).split(" = ")[-1], row.read, row.written) for row in profile.rows]
    assert found == [
        ("x + 1.0", 400, 400),
        ("x[:2]", 0, 0),
        ("x3", 80, 80),
        ("x2 *= 2.0", 400, 400),
        ("x2.T", 0, 0),
        ("x2[i]", 3 * 40 + 24, 3 * 40),
        ("concatenate([x, x, x2])", 800, 1200),
        ("x2.sum()", 400, 8),
    ]
    assert (x == 1.0).all(), "it runs on copies"


def test_hooks_are_listed_and_not_called():
    model, calls = Linear(2, in_size=4), []
    model.add_forward_hook(lambda *args: calls.append(args))
    step = compile(lambda x: model(x))
    x = batch()[0]
    for _ in range(3):
        step(x)
    count = len(calls)
    profile = step.profile(x)
    assert len(calls) == count
    assert [label for label, row in zip(labels_of(profile), profile.rows) if not row.is_run] == ["<lambda>"]


def test_what_follows_an_update_is_measured():
    with passus.random.using_rng(0):
        model = Linear(1, in_size=4)
    optimizer = SGD(lr=0.1).setup(model)

    def step(x: Any) -> Any:
        loss = F.sum(model(x) ** 2)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return F.sum(model(x)) + F.sum(model.W.grad)

    recorded = compile(step)
    before = frozen(model)
    profile = recorded.profile(batch()[0])
    assert_same(frozen(model), before, "model")
    at = labels_of(profile).index("SGD.update")
    assert len(profile.rows) > at + 3
    assert all(row.is_run for row in profile.rows[at + 1 :])


def test_the_program_of_the_branch_and_of_the_switches_is_measured():
    def f(x: Any) -> Any:
        return F.exp(x) if np.sum(x) > 0 else F.tanh(x)

    step, x = compile(f), np.ones(3)
    for _ in range(3):
        step(x)
    assert "exp" in labels_of(step.profile(x))
    assert "tanh" in labels_of(step.profile(-x))
    dropout = compile(lambda x: F.dropout(x, 0.5))
    for _ in range(3):
        dropout(x)
    assert "rng.integers" in labels_of(dropout.profile(x))
    with passus.test_mode():
        assert "rng.integers" not in labels_of(dropout.profile(x))


def test_other_arguments_are_recorded_and_not_kept():
    step = compile(lambda x, scale: x["a"] * scale)
    for _ in range(3):
        step({"a": np.ones(3)}, 2.0)
    profile = step.profile({"a": np.ones(7)}, scale=3.0)
    assert [str(row.instruction) for row in profile.rows] == ["x1: float64[7] = x['a'] * 3.0"]
    assert len(step.versions) == 1


def test_variables_among_the_arguments_and_carried_state():
    with passus.random.using_rng(0):
        model = LSTM(3, in_size=4)
    x = Variable(batch()[0])

    def step(x: Any) -> Any:
        y = F.sum(model(x))
        x.cleargrad()
        y.backward()
        model.h, model.c = model.h.detach(), model.c.detach()
        return y

    recorded = compile(step)
    for _ in range(3):
        recorded(x)
    before = frozen((model, x))
    profile = recorded.profile(x)
    assert_same(frozen((model, x)), before, "state")
    assert profile.by_direction()["backward"].seconds > 0


def test_the_state_of_floating_point_errors_is_that_of_the_step():
    def f(x: Any) -> Any:
        with np.errstate(divide="ignore"):
            return np.log(x)

    assert labels_of(compile(f).profile(np.zeros(3))) == ["log"]


def test_what_cannot_be_recorded_has_no_profile():
    step: Any = compile(lambda x: x * float(x.sum()), fallback=True)
    with pytest.raises(RecordingError, match="float"):
        step.profile(np.ones(2))
    model = Linear(2)
    with pytest.raises(RecordingError, match=r"Linear: its parameters have no shapes yet; call it once first"):
        compile(model).profile(np.ones((2, 3), np.float32))
    assert model.W._data is None
    with pytest.raises(ShapeError):
        compile(Linear(2, in_size=4)).profile(np.ones((2, 3), np.float32))


def test_tables_show_instructions_and_layers():
    model = network()
    profile = training(model, SGD().setup(model)).profile(*batch())
    text, html = str(profile), profile._repr_html_()
    title, table, layers, *_ = text.split("\n\n")
    assert title.startswith(f"step: {len(profile.rows)} instructions, ")
    lines = table.splitlines()
    assert lines[0].split() == ["instruction", "layer", "us", "kB", "GB/s", "%"]
    assert len(lines) == len(profile.rows) + 3
    assert lines[-1].startswith("total")
    assert lines[-1].endswith("100")
    assert any("not run" in line and "SGD.update" in line for line in lines)
    assert layers.splitlines()[0].split()[:3] == ["layer", "forward", "us"]
    assert [line.split()[0] for line in layers.splitlines()[2:]] == ["l0", "l1", "l2", "l3", "l4", "outside", "total"]
    assert html.count("<table") == 2
    assert "&lt;" in html, "conditions are escaped"
    assert repr(profile) == text


def test_programs_without_instructions():
    profile = compile(lambda x: x).profile(np.ones(2))
    assert profile.rows == ()
    assert profile.total == (0, 0, 0)
    assert "0 instructions" in str(profile)


def test_random_numbers_are_drawn_by_the_same_generator_afterwards():
    rng = np.random.default_rng(5)
    step = compile(lambda x: F.dropout(x, 0.5, rng=rng))
    (x,) = numbers(1, (4, 4))[0]
    for _ in range(3):
        step(x)
    before = rng.bit_generator.state
    step.profile(x)
    assert rng.bit_generator.state == before

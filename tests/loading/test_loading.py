"""Loading is atomic: a bad state raises and changes nothing; otherwise training continues."""

from __future__ import annotations

import copy
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import passus.layers as L
import passus.random
from passus.errors import PassusError, WeightsError
from passus.loading import Loading
from tests.loading.mutations import MUTATIONS, check, leaves, mutated
from tests.loading.run import begun, training


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("accumulate", [False, True], ids=["", "accumulated"])
def test_mutated_states_are_rejected_or_training_continues(tmp_path: Path, accumulate: bool) -> None:
    saved = training(tmp_path, accumulate=accumulate)
    saved.fit(steps=7)
    good = {name: copy.deepcopy(part.state_dict()) for name, part in saved.components().items()}
    paths = list(leaves(good))
    chance, run = random.Random(0), begun(tmp_path, accumulate)
    rejected = 0
    for name, *rest in paths:
        for change in chance.sample(list(MUTATIONS), 1 if rest else 0):
            bad = mutated(good[name], tuple(rest), MUTATIONS[change])
            if check(run, partial(run.components()[name].load_state_dict, bad)):
                rejected += 1
            else:
                run = begun(tmp_path, accumulate)
    assert rejected > len(paths) // 2


def leaf_of_each_kind() -> list[tuple[str, ...]]:
    return [
        ("model", "l0.W"),
        ("model", "l1.avg_var"),
        ("model", "l2.rng"),
        ("optimizer", "step"),
        ("optimizer", "options", "eps"),
        ("optimizer", "groups", "0", "lr"),
        ("optimizer", "options", "betas"),
        ("optimizer", "slots", "l0", "W", "step"),
        ("optimizer", "slots", "l0", "W", "m"),
        ("optimizer", "schedule0"),
        ("optimizer", "schedule0", "best"),
        ("optimizer", "hook0", "decay"),
        ("optimizer", "hook1", "counts"),
        ("loader", "order"),
        ("loader", "seed"),
        ("loader", "iteration"),
        ("loader", "rng", "state", "state"),
        ("loader", "generators"),
        ("loader", "seeds"),
        ("loader", "size"),
        ("loader", "batch_size"),
        ("trainer", "batch"),
        ("trainer", "step"),
        ("trainer", "history"),
        ("trainer", "tally", "loss", "weight"),
        ("trainer", "tally", "confusion", "counts"),
        ("trainer", "tally", "auc", "scores"),
        ("trainer", "tally", "auc", "labels"),
        ("trainer", "tally", "r2", "count"),
        ("trainer", "tally", "r2", "mean"),
        ("trainer", "tally", "f1"),
        ("trainer", "lr"),
        ("trainer", "callbacks", "0_EarlyStopping", "waited"),
        ("trainer", "callbacks", "0_EarlyStopping", "weights"),
        ("trainer", "callbacks", "0_EarlyStopping", "best", "value"),
    ]


@pytest.mark.parametrize("path", leaf_of_each_kind(), ids=".".join)
def test_every_kind_of_leaf_with_every_mutation(tmp_path: Path, path: tuple[str, ...]) -> None:
    saved = training(tmp_path)
    saved.fit(steps=7)
    name, *rest = path
    good = copy.deepcopy(saved.components()[name].state_dict())
    run = begun(tmp_path)
    for change in MUTATIONS.values():
        bad = mutated(good, tuple(rest), change)
        if not check(run, partial(run.components()[name].load_state_dict, bad)):
            run = begun(tmp_path)


def test_none_is_accepted_only_for_uninitialized_arrays() -> None:
    for model in (L.Linear(2, in_size=3), L.BatchNorm(in_size=2)):
        for name in model.state_dict():
            before = model.state_dict()
            with pytest.raises(WeightsError, match=f"not an array: {name}"):
                model.load_state_dict(before | {name: None})
            np.testing.assert_equal(model.state_dict(), before)
    L.Linear(2).load_state_dict(L.Linear(2).state_dict())


def test_invalid_generator_positions_raise() -> None:
    for kind, path in ((np.random.MT19937, ("state", "pos")), (np.random.Philox, ("buffer_pos",))):
        generator = np.random.Generator(kind(1))
        before = passus.random.rng_state(generator)
        for wrong in (-1, 10**6, 2.0, None, "1"):
            bad = mutated(before, path, lambda leaf, wrong=wrong: wrong)
            with pytest.raises(PassusError, match=f"not a state of {kind.__name__}"):
                passus.random.load_rng_state(bad, generator)
        np.testing.assert_equal(passus.random.rng_state(generator), before)


def test_keyboard_interrupt_while_loading_restores_everything() -> None:
    class Interrupted:
        @property
        def value(self) -> int:
            return 1

        @value.setter
        def value(self, value: int) -> None:
            if value == 2:
                raise KeyboardInterrupt

    model = L.Linear(2, in_size=3)
    before, loading = model.state_dict(), Loading()
    loading.verify(model, L.Linear(2, in_size=3, rng=5).state_dict())
    loading.assign(Interrupted(), "value", 2)
    with pytest.raises(KeyboardInterrupt):
        loading.commit()
    np.testing.assert_equal(model.state_dict(), before)

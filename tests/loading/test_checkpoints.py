"""Loading of checkpoints is atomic: bad components and metadata raise and change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.layers as L
import passus.random
from passus.errors import PassusError, WeightsError
from passus.serializers import load_checkpoint, read_checkpoint, save_checkpoint
from passus.serializers.safetensors import write_safetensors
from tests.loading.mutations import DEEP, check, mutated
from tests.loading.run import begun, state, training


@pytest.mark.parametrize("lazy", [False, True], ids=["", "lazy"])
@pytest.mark.parametrize("part", ["model", "optimizer", "trainer", "loader", "test_loader"])
def test_checkpoint_with_one_bad_component_changes_nothing(tmp_path: Path, part: str, lazy: bool) -> None:
    saved = training(tmp_path, lazy=lazy)
    saved.fit(steps=7)
    path = tmp_path / "run.safetensors"
    saved.save(path)
    run = training(tmp_path, seed=1, lazy=lazy)
    run.history.append({"epoch": 1, "step": 4, "lr": 0.1, "loss": 1.0})
    batches = iter(run.loader)
    next(batches)
    before = state(run)
    parts: dict[str, Any] = run.components()
    method = parts[part].state_dict
    saved_parts: dict[str, Any] = saved.components()

    class BadComponent:
        def state_dict(self) -> Any:
            tree = saved_parts[part].state_dict()
            return mutated(tree, (list(tree)[-1],), lambda leaf: "text")

        def load_state_dict(self, state: Any) -> None: ...

    save_checkpoint(path, **(saved_parts | {part: BadComponent()}))
    with pytest.raises(PassusError, match=rf"^{part}[.:]"):
        load_checkpoint(path, **parts)
    assert parts[part].state_dict == method
    np.testing.assert_equal(state(run), before)
    iteration = run.loader.iteration
    next(batches)
    assert run.loader.iteration == iteration + 1, "the current epoch continues"


def rewrite_metadata(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the metadata of a checkpoint, with a valid checksum."""
    from passus.serializers.safetensors import read_safetensors

    arrays, texts = read_safetensors(path)
    content = json.loads(texts["passus.checkpoint"])
    changed = change(content)
    text = changed if isinstance(changed, str) else json.dumps(content)
    write_safetensors(path, arrays, {"passus.checkpoint": text})


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(kernels={}),
        lambda c: c.update(kernels={"in_use": "no"}),
        lambda c: c.update(kernels=[]),
        lambda c: c.update(metadata=3),
        lambda c: c.update(rng=None),
        lambda c: c.update(rng={}),
        lambda c: c["rng"].update(has_uint32=-1),
        lambda c: c["rng"].update(bit_generator="MT19937"),
        lambda c: c.pop("kernels"),
        lambda c: c.update(parts=[1]),
        lambda c: c["parts"].update(model=3),
        lambda c: c["parts"]["model"].update({"l0.W": None}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$array": "none"}}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$array": [1]}}),
        lambda c: c["parts"]["model"].update({"l0.W": {"$tuple": 3}}),
        lambda c: c["parts"]["optimizer"]["slots"]["l0"]["W"].update(step=-1),
        lambda c: c["parts"]["optimizer"].update(step=10**400),
        lambda c: "[" * 100_000,
        lambda c: '{"a":' * 100_000,
        lambda c: "{" * 10,
        lambda c: f'{{"parts": {"1" * 5000}}}',
        lambda c: "[]",
        lambda c: "3",
    ],
)
def test_checkpoint_with_modified_metadata_changes_nothing(tmp_path: Path, change: Any) -> None:
    saved = training(tmp_path)
    saved.fit(steps=7)
    path = tmp_path / "run.safetensors"
    saved.save(path)
    rewrite_metadata(path, change)
    run = begun(tmp_path)
    assert check(run, lambda: run.resume(path))


def test_checkpoint_without_checksum_raises(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path, model = tmp_path / "run.safetensors", L.Linear(2, in_size=3)
    save_checkpoint(path, model=model)
    from passus.serializers.safetensors import read_safetensors

    arrays, texts = read_safetensors(path)
    save_file(arrays, path, texts)
    with pytest.raises(WeightsError, match="the checksum is missing"):
        read_checkpoint(path)
    save_file({"W": np.ones((3, 2), np.float32), "b": np.ones(2, np.float32)}, path)
    model.load_weights(path)


def test_unbounded_metadata_is_not_saved(tmp_path: Path) -> None:
    ring: list[Any] = []
    ring.append(ring)
    for unbounded in (DEEP, {"a": ring}):
        with pytest.raises(WeightsError, match="more than 100 levels deep"):
            save_checkpoint(tmp_path / "run.safetensors", metadata=unbounded)
    with pytest.raises(PassusError, match="x is an int"):
        save_checkpoint(tmp_path / "run.safetensors", metadata={"x": 10**5000})
    assert not list(tmp_path.iterdir())


class FailsAfterLoading(L.Layer):
    """A user-defined layer that fails after its parameters were loaded."""

    def __init__(self) -> None:
        self.l = L.Linear(2)

    def load_state_dict(self, state: Any, cast: bool = False) -> None:
        super().load_state_dict(state, cast)
        raise ZeroDivisionError("failed")


@pytest.mark.parametrize("first", ["model", "other"])
def test_failing_user_defined_component_restores_all_components(tmp_path: Path, first: str) -> None:
    path = tmp_path / "run.safetensors"
    whole = FailsAfterLoading()
    whole.l(np.ones((1, 3), np.float32))
    parts: dict[str, Any] = {"model": whole, "other": L.Linear(2, in_size=3), "rng": np.random.default_rng(0)}
    save_checkpoint(path, **parts)
    model = FailsAfterLoading()
    parts = {"model": model, "other": L.Linear(2, in_size=3), "rng": np.random.default_rng(1)}
    before = parts["other"].state_dict(), passus.random.rng_state(parts["rng"])
    order = [first, *(name for name in parts if name != first)]
    with pytest.raises(WeightsError, match="model: cannot load its state: ZeroDivisionError"):
        load_checkpoint(path, **{name: parts[name] for name in order})
    assert model.l.W.data is None, "lazy as before"
    np.testing.assert_equal((parts["other"].state_dict(), passus.random.rng_state(parts["rng"])), before)

"""A KeyboardInterrupt in a call leaves a training run unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import DataLoader, Function, no_grad
from passus.models import Sequential
from tests.package.running import Training


def interrupt(*args: Any) -> Any:
    raise KeyboardInterrupt


class Interrupted(Function):
    """An identity with an interrupted backward pass."""

    def forward(self, x: Any) -> Any:
        return x + 0

    def backward(self, gy: Any) -> Any:
        raise KeyboardInterrupt


def check_interrupted(training: Training, call: Callable[[], Any]) -> None:
    before = training.state()
    with pytest.raises(KeyboardInterrupt):
        call()
    np.testing.assert_equal(training.state(), before)


def test_interrupted_forward_pass_changes_nothing() -> None:
    training = Training()
    model = Sequential(training.model[0], interrupt)
    check_interrupted(training, lambda: no_grad()(model)(np.ones((2, 4), np.float32)))
    training.step()


@pytest.mark.parametrize("create_graph", [False, True])
def test_interrupted_backward_pass_changes_nothing(create_graph: bool) -> None:
    training = Training()
    y = F.sum(training.model[2](Interrupted()(training.model[0](np.ones((2, 4), np.float32)))))
    check_interrupted(training, lambda: y.backward(create_graph=create_graph))
    training.step()


def test_interrupted_hook_prevents_the_update() -> None:
    training = Training()
    training.optimizer.add_hook(interrupt)
    check_interrupted(training, training.optimizer.update)
    training.optimizer.hooks.clear()
    training.step()


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_interrupted_save_keeps_the_old_file(
    kind: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, path = Training(), tmp_path / f"weights.{kind}"
    training.model.save_weights(path)
    content = path.read_bytes()
    training.step()
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": ("os.fsync", interrupt), "replace": ("pathlib.Path.replace", interrupt)}[moment])
        check_interrupted(training, lambda: training.model.save_weights(path))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    training.model.save_weights(path)
    assert path.read_bytes() != content


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted_loader_can_restart(workers: int) -> None:
    class Examples(list[float]):
        broken = True

        def __getitem__(self, i: Any) -> Any:
            return interrupt() if self.broken and i == 3 else super().__getitem__(i)

    examples = Examples([0.0, 1.0, 2.0, 3.0])
    loader = DataLoader(examples, 2, shuffle=False, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        list(loader)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("passus-loader")]
    examples.broken = False
    assert [batch.tolist() for batch in loader] == [[0.0, 1.0], [2.0, 3.0]]


def test_leaving_an_epoch_stops_its_threads() -> None:
    batches = iter(DataLoader(np.arange(20.0), 2, workers=2, rng=0))
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("passus-loader")]

"""Recorded training steps and inference of the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import models
from passus.config import no_grad, test_mode
from passus.kernels.dispatch import start_using
from passus.optimizers import Adam, MomentumSGD
from tests.recording.comparing import World, assert_same, compared, exactly, frozen, images


def training(make_model: Callable[[], Any], make_optimizer: Callable[[], Any]) -> Callable[[], World]:
    def make() -> World:
        start_using()  # The first kernel would otherwise change the thresholds of the others between two calls.
        model, optimizer = make_model(), make_optimizer()
        optimizer.setup(model)

        def step(x: Any, t: Any) -> Any:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer, model=model)

    return make


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "LeNet": (lambda: models.LeNet(rng=0), (4, 1, 28, 28)),
    "ResNet18": (lambda: models.ResNet18(num_classes=10, rng=0), (2, 3, 32, 32)),
    "MobileNetV2": (lambda: models.MobileNetV2(width=0.25, num_classes=10, rng=0), (2, 3, 32, 32)),
    "SqueezeNet": (lambda: models.SqueezeNet(num_classes=10, rng=0), (2, 3, 32, 32)),
}


@pytest.mark.compiles
@pytest.mark.parametrize("name", NETWORKS)
def test_training_of_image_networks(name: str) -> None:
    make_model, shape = NETWORKS[name]
    compared(training(make_model, lambda: MomentumSGD(lr=0.01)), images(3, shape, 10), programs=None, exact_only=True)


@pytest.mark.compiles
@pytest.mark.parametrize("name", NETWORKS)
def test_inference_of_image_networks(name: str) -> None:
    make_model, shape = NETWORKS[name]
    start_using()
    first, second = make_model(), make_model()
    recorded = exactly(second)
    for x, _ in images(4, shape, 10):
        with no_grad(), test_mode():
            expected = first(x)
        assert_same(frozen(recorded(x)), frozen(expected), name)
    assert_same(frozen(second), frozen(first), "state")


def test_training_of_a_language_model() -> None:
    rng = np.random.default_rng(0)
    calls = [(rng.integers(0, 20, (2, 8)), rng.integers(0, 20, (2, 8))) for _ in range(5)]

    def make() -> World:
        model = models.GPT(20, 2, 2, 16, 8, dropout_ratio=0.1, rng=0)
        optimizer = Adam(lr=0.001).setup(model)

        def step(ids: Any, targets: Any) -> Any:
            logits = model(ids)
            loss = F.softmax_cross_entropy(logits.reshape(-1, 20), targets.reshape(-1))
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss

        return World(step, model, optimizer)

    compared(make, calls)


@pytest.mark.parametrize(
    "options", [{"positions": "rotary", "norm": "rms"}, {"positions": "rotary", "activation": "swiglu"}]
)
def test_inference_of_a_language_model(options: dict[str, Any]) -> None:
    first, second = [models.GPT(20, 2, 2, 16, 8, rng=0, **options) for _ in range(2)]
    recorded = exactly(second)
    rng = np.random.default_rng(0)
    for _ in range(4):
        ids = rng.integers(0, 20, (2, 6))
        with no_grad(), test_mode():
            expected = first(ids)
        assert_same(frozen(recorded(ids)), frozen(expected), "logits")

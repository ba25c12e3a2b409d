"""The task in passus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
from benchmarks.preparing import Prepare, eagerly
from benchmarks.sequences.models_in_passus import load_transformer
from benchmarks.sequences.problems import Transformer
from benchmarks.sequences.weights import Weights
from examples import char_gpt as example
from passus import models
from passus.optimizers import AdamW, ClipGrad, Optimizer


class Learner:
    def __init__(self, gpt: Transformer, prepared: Prepare = eagerly) -> None:
        self.prepared = prepared
        self.model = models.GPT(gpt.vocabulary, gpt.layers, gpt.heads, gpt.width, gpt.T)

    def start(self, weights: Weights) -> None:
        load_transformer(self.model, weights)
        self.optimizer = AdamW(betas=example.BETAS, weight_decay=example.WEIGHT_DECAY).setup(self.model)
        self.optimizer.add_hook(ClipGrad(example.MAX_NORM))
        self.minimize = self.prepared(minimizing(self.model, self.optimizer))

    def step(self, x: np.ndarray, t: np.ndarray, lr: float) -> float:
        self.optimizer.lr = lr
        return float(self.minimize(x, t))

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        with passus.no_grad(), passus.test_mode():
            return float(F.softmax_cross_entropy(self.model(x), t, axis=-1))


def minimizing(model: models.GPT, optimizer: Optimizer) -> Callable[[np.ndarray, np.ndarray], passus.Variable]:
    def step(x: np.ndarray, t: np.ndarray) -> passus.Variable:
        loss = F.softmax_cross_entropy(model(x), t, axis=-1)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return loss

    return step

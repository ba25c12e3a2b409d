"""The task in passus."""

from __future__ import annotations

import numpy as np

import passus
import passus.functions as F
from benchmarks.sequences.models_in_passus import load_transformer
from benchmarks.sequences.problems import Transformer
from benchmarks.sequences.weights import Weights
from examples import char_gpt as example
from passus import models
from passus.optimizers import AdamW, ClipGrad


class Learner:
    def __init__(self, gpt: Transformer) -> None:
        self.model = models.GPT(gpt.vocabulary, gpt.layers, gpt.heads, gpt.width, gpt.T)

    def start(self, weights: Weights) -> None:
        load_transformer(self.model, weights)
        self.optimizer = AdamW(betas=example.BETAS, weight_decay=example.WEIGHT_DECAY).setup(self.model)
        self.optimizer.add_hook(ClipGrad(example.MAX_NORM))

    def step(self, x: np.ndarray, t: np.ndarray, lr: float) -> float:
        loss = F.softmax_cross_entropy(self.model(x), t, axis=-1)
        self.model.cleargrads()
        loss.backward()
        self.optimizer.lr = lr
        self.optimizer.update()
        return float(loss)

    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        with passus.no_grad(), passus.test_mode():
            return float(F.softmax_cross_entropy(self.model(x), t, axis=-1))

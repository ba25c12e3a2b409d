"""The task in PyTorch, eager, with its fused AdamW."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from benchmarks.preparing import Prepare, eagerly
from benchmarks.sequences import models_in_torch
from benchmarks.sequences.problems import Transformer
from benchmarks.sequences.weights import Weights
from examples import char_gpt as example


class Learner:
    def __init__(self, gpt: Transformer, prepared: Prepare = eagerly) -> None:
        self.model = models_in_torch.GPT(gpt)
        self.prepared = prepared(lambda x, t: functional.cross_entropy(self.model(x).flatten(0, 1), t.flatten()))

    def start(self, weights: Weights) -> None:
        models_in_torch.load(self.model, weights)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=example.BETAS, weight_decay=example.WEIGHT_DECAY, fused=True
        )

    def step(self, x: np.ndarray, t: np.ndarray, lr: float) -> float:
        loss = self.prepared(torch.from_numpy(x), torch.from_numpy(t))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), example.MAX_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def loss(self, x: np.ndarray, t: np.ndarray) -> float:
        return self.prepared(torch.from_numpy(x), torch.from_numpy(t)).item()

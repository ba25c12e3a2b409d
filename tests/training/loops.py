"""Loops that call callbacks: a minimal one without a trainer, and a small trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import passus.functions as F
import passus.random
from passus.layers import Linear
from passus.optimizers import SGD, Adam
from passus.training import (
    Callback,
    Trainer,
)


class Run:
    """A loop with only the attributes that callbacks need."""

    def __init__(self) -> None:
        self.model = Linear(1, in_size=2)
        self.optimizer = Adam().setup(self.model)
        self.epoch = self.step = 0
        self.history: list[Any] = []
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def components(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer}

    def go(self, callback: Callback, *losses: float) -> None:
        """Run one epoch of two steps per loss, or fewer if the callback stops the run."""
        self.stopped = False
        callback.on_start(self)
        for loss in losses:
            for _ in range(2):
                self.step += 1
                callback.on_step(self)
            self.epoch += 1
            self.model.b.data = np.full_like(self.model.b.data, self.epoch)
            self.history.append({"epoch": self.epoch, "step": self.step, "test_loss": loss})
            callback.on_epoch(self, self.history[-1])
            if self.stopped:
                break
        callback.on_finish(self)
        callback.on_end(self)


def trained(*callbacks: Callback, epochs: int = 3, resume: Path | None = None) -> Trainer:
    passus.random.seed(0)
    model = Linear(1, in_size=2)
    x, t = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    run = Trainer(
        model,
        SGD(lr=0.1).setup(model),
        [(x, t), (2 * x, t)],
        F.mean_squared_error,
        test_loader=[(x, t)],
        callbacks=callbacks,
        progress=False,
    )
    if resume is not None:
        run.resume(resume)
    run.fit(epochs)
    return run

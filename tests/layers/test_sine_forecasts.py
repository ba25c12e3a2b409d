"""Recurrent networks of the book learn a sine curve, in single steps (59) and in parallel streams (60)."""

from __future__ import annotations

from typing import Any

import numpy as np

import passus.functions as F
import passus.layers as L
from passus import Model, SeqDataLoader, no_grad, optimizers
from passus.datasets import SinCurve


class Forecast(Model):
    def __init__(self, recurrent: Any) -> None:
        super().__init__()
        self.rnn, self.fc = recurrent, L.Linear(1, rng=1)

    def reset_state(self) -> None:
        self.rnn.reset_state()

    def forward(self, x: Any) -> Any:
        return self.fc(self.rnn(x))


def cosine_forecast_error(model: Forecast) -> float:
    """The mean squared error of one-step forecasts of a curve that is not in the training data."""
    curve = np.cos(np.linspace(0, 4 * np.pi, 1000)).astype(np.float32)
    model.reset_state()
    with no_grad():
        forecasts = [model(np.array([[v]], np.float32)).item() for v in curve[:-1]]
    return float(np.mean((np.array(forecasts) - curve[1:])[50:] ** 2))


def test_rnn_learns_a_sine_curve_as_in_step_59() -> None:
    data, model = SinCurve(train=True, rng=0), Forecast(L.RNN(30, rng=0))
    optimizer = optimizers.Adam().setup(model)
    before = cosine_forecast_error(model)
    for _ in range(12):
        model.reset_state()
        loss = 0
        for count, (x, t) in enumerate(data, 1):
            loss += F.mean_squared_error(model(x.reshape(1, 1)), t.reshape(1, 1))
            if count % 30 == 0 or count == len(data):
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
    assert before > 0.1
    assert cosine_forecast_error(model) < 0.02


def test_lstm_learns_a_sine_curve_in_parallel_streams_as_in_step_60() -> None:
    loader, model = SeqDataLoader(SinCurve(train=True, rng=0), batch_size=30), Forecast(L.LSTM(50, rng=0))
    optimizer = optimizers.Adam().setup(model)
    for _ in range(40):
        model.reset_state()
        loss = 0
        for count, (x, t) in enumerate(loader, 1):
            loss += F.mean_squared_error(model(x), t)
            if count % 30 == 0 or count == loader.max_iter:
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
    assert cosine_forecast_error(model) < 0.02

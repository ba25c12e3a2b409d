"""Forecast a noisy sine curve and the yearly numbers of sunspots with an LSTM, and draw both.

    python examples/forecast.py --out runs/forecast

Root mean squared errors on held-out values, and those of two forecasts without training:

    series                                    LSTM   last value repeated   last period repeated
    sine, each of 100 next values             0.106          0.224
    sine, 50 values free-running              0.097                                0.133
    sunspots, each of 50 next years          20.0           30.3
    sunspots, 22 years free-running          61.5                                 37.2

Free-running, the LSTM continues the series from its own forecasts. The noise of the sine has a standard deviation of
0.1, which no forecast can beat. The next year of sunspots is forecast well, two whole cycles are not, because their
period varies. Both take 7 seconds on one core. `scripts/fetch-data` downloads the numbers of sunspots.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset, cache_folder
from passus.layers import LSTM, Layer, Linear
from passus.optimizers import AdamW
from passus.random import get_rng
from passus.schedules import one_cycle

WINDOW, WARM_UP, BATCH = 44, 11, 32
"""Length of a training window; number of its first steps without loss; batch size."""


class Forecaster(Layer):
    """Forecasts of the next value at each step: (N, T, 1) for sequences (N, T, 1), (N, 1) for single steps (N, 1)."""

    def __init__(self, hidden_size=32):
        self.lstm = LSTM(hidden_size, in_size=1)
        self.fc = Linear(1, in_size=hidden_size)

    def forward(self, x):
        return self.fc(self.lstm(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sunspots", type=Path, default=cache_folder() / "sunspots.csv", help="CSV file of years and numbers"
    )
    parser.add_argument("--epochs", type=int, default=60, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/forecast"), help="folder for the pictures")
    arguments = parser.parse_args()
    try:
        years, numbers = read_table(arguments.sunspots)
    except (OSError, ValueError, IndexError) as error:
        print(
            f"{arguments.sunspots}: {error}\nRun scripts/fetch-data to download the numbers of sunspots",
            file=sys.stderr,
        )
        return 2

    arguments.out.mkdir(parents=True, exist_ok=True)
    steps = np.arange(400)
    curve = np.sin(2 * np.pi * steps / 25) + 0.1 * get_rng(0).standard_normal(len(steps))
    study("sine", steps, curve.astype(np.float32), 100, 25, arguments)
    # The variance of the square roots does not depend on the level.
    study("sunspots", years, numbers, 50, 11, arguments, transform=np.sqrt, inverse=lambda z: np.maximum(z, 0) ** 2)
    return 0


def read_table(path):
    """Return the first two columns of a CSV file with a header line."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([int(row[0]) for row in rows]), np.array([row[1] for row in rows], np.float32)


def study(name, times, series, held_out, period, arguments, transform=np.copy, inverse=np.copy):
    """Train on all but the last values, forecast these, and compare with forecasts without training."""
    passus.random.seed(0)
    z = transform(series)
    past = z[:-held_out]
    mean, std = past.mean(), past.std()
    model = train((past - mean) / std, arguments.epochs)
    next_forecasts = inverse(next_values(model, (z - mean) / std)[-held_out - 1 : -1] * std + mean)
    continuation = inverse(continue_series(model, (past - mean) / std, held_out) * std + mean)

    past, future, steps = series[:-held_out], series[-held_out:], 2 * period
    last_values, last_periods = series[-held_out - 1 : -1], np.tile(past[-period:], 2)
    print(f"{name}: root mean squared errors after the first {len(past)} values")
    print(f"  next value: LSTM {rmse(next_forecasts, future):.3f}, last value repeated {rmse(last_values, future):.3f}")
    print(
        f"  {steps} values: LSTM {rmse(continuation[:steps], future[:steps]):.3f}, "
        f"last period repeated {rmse(last_periods, future[:steps]):.3f}"
    )
    draw(name, times, series, next_forecasts, continuation[:steps], arguments.out / f"{name}.png")


def train(z, epochs):
    windows = np.lib.stride_tricks.sliding_window_view(z, WINDOW + 1)[:, :, None].copy()
    batches = DataLoader(ArrayDataset(windows[:, :-1], windows[:, 1:]), BATCH)
    model = Forecaster()
    optimizer = AdamW(lr=one_cycle(5e-3, steps=epochs * len(batches)), weight_decay=0.01).setup(model)
    for _ in range(epochs):
        for x, t in batches:
            loss = F.mean_squared_error(model(x)[:, WARM_UP:], t[:, WARM_UP:])
            model.cleargrads()
            loss.backward()
            optimizer.update()
    return model


@passus.no_grad()
def next_values(model, z):
    """Return the forecast of the next value at each step."""
    return model(z[None, :, None]).data[0, :, 0]


@passus.no_grad()
def continue_series(model, past, count):
    """Continue the past by ``count`` values, each forecast from the previous ones."""
    model.lstm.reset_state()
    for value in past:
        y = model(np.array([[value]]))
    forecasts = []
    for _ in range(count):
        forecasts.append(y.data[0, 0])
        y = model(y)
    return np.array(forecasts)


def rmse(y, t):
    return np.sqrt(np.mean((y - t) ** 2))


def draw(name, times, series, next_forecasts, continuation, path):
    from matplotlib.figure import Figure

    start = len(series) - len(next_forecasts)
    shown = max(0, start - 2 * len(next_forecasts))
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(times[shown:], series[shown:], color="#bbbbbb", label="observed")
    axes.plot(times[start:], next_forecasts, color="#4477aa", label="LSTM, next value")
    axes.plot(
        times[start : start + len(continuation)],
        continuation,
        color="#ee6677",
        linestyle="--",
        label="LSTM, free-running",
    )
    axes.axvline(times[start], color="black", linewidth=0.8)
    axes.set_title(f"{name}: trained on the values before the line")
    axes.set_xlabel("year" if name == "sunspots" else "step")
    axes.legend(loc="upper left")
    figure.savefig(path)
    print(f"Picture saved as {path}")


if __name__ == "__main__":
    sys.exit(main())

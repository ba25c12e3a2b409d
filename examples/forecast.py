"""Forecast a sine curve with noise and the yearly numbers of sunspots with an LSTM, and draw both.

    python examples/forecast.py --out runs/forecast

Root mean squared errors over values that it was not trained on, beside forecasts that need no training:

    series                                    LSTM   the last value again   the last period again
    sine, next of 100 values                  0.106          0.224
    sine, 50 values from the past alone       0.097                                 0.133
    sunspots, next of 50 years               20.0           30.3
    sunspots, 22 years from the past alone   61.5                                  37.2

The noise of the sine has a standard deviation of 0.1, which nothing can forecast. A year of sunspots is forecast well from the
years before it, two cycles are not: the period varies. Both take 7 seconds on one core. `scripts/fetch-data` fetches the
numbers of sunspots.
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
"""Steps of a training example; its first steps, whose forecasts do not count; examples in a batch."""


class Forecaster(Layer):
    """The next value at each step, (N, T, 1) to (N, T, 1) for sequences, (N, 1) to (N, 1) for single steps."""

    def __init__(self, hidden_size=32):
        self.lstm = LSTM(hidden_size, in_size=1)
        self.fc = Linear(1, in_size=hidden_size)

    def forward(self, x):
        return self.fc(self.lstm(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sunspots", type=Path, default=cache_folder() / "sunspots.csv", help="a table of years and numbers"
    )
    parser.add_argument("--epochs", type=int, default=60, help="how often to go through the data")
    parser.add_argument("--out", type=Path, default=Path("runs/forecast"), help="folder for the pictures")
    arguments = parser.parse_args()
    try:
        years, numbers = read_table(arguments.sunspots)
    except (OSError, ValueError, IndexError) as error:
        print(f"{arguments.sunspots}: {error}\nscripts/fetch-data fetches the numbers of sunspots", file=sys.stderr)
        return 2

    arguments.out.mkdir(parents=True, exist_ok=True)
    steps = np.arange(400)
    curve = np.sin(2 * np.pi * steps / 25) + 0.1 * get_rng(0).standard_normal(len(steps))
    study("sine", steps, curve.astype(np.float32), 100, 25, arguments)
    # Their square roots vary as much in high years as in low ones.
    study("sunspots", years, numbers, 50, 11, arguments, to=np.sqrt, back=lambda z: np.maximum(z, 0) ** 2)
    return 0


def read_table(path):
    """The first two columns of a file .csv with a title line."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([int(row[0]) for row in rows]), np.array([row[1] for row in rows], np.float32)


def study(name, times, series, held_out, period, arguments, to=np.copy, back=np.copy):
    """Train on all but the last values, forecast these, and compare with forecasts that need no training."""
    passus.random.seed(0)
    z = to(series)
    past = z[:-held_out]
    mean, std = past.mean(), past.std()
    model = trained((past - mean) / std, arguments.epochs)
    ahead = back(next_values(model, (z - mean) / std)[-held_out - 1 : -1] * std + mean)
    free = back(continued(model, (past - mean) / std, held_out) * std + mean)

    past, future, far = series[:-held_out], series[-held_out:], 2 * period
    again, repeated = series[-held_out - 1 : -1], np.tile(past[-period:], 2)
    print(f"{name}: root mean squared error after the first {len(past)} values")
    print(f"  next value: LSTM {rmse(ahead, future):.3f}, the last value again {rmse(again, future):.3f}")
    print(
        f"  {far} values: LSTM {rmse(free[:far], future[:far]):.3f}, "
        f"the last period again {rmse(repeated, future[:far]):.3f}"
    )
    draw(name, times, series, ahead, free[:far], arguments.out / f"{name}.png")


def trained(z, epochs):
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
    """At each step the forecast of the value after it."""
    return model(z[None, :, None]).data[0, :, 0]


@passus.no_grad()
def continued(model, past, count):
    """``count`` values after the past, each computed from those before it."""
    model.lstm.reset_state()
    for value in past:
        y = model(np.array([[value]]))
    found = []
    for _ in range(count):
        found.append(y.data[0, 0])
        y = model(y)
    return np.array(found)


def rmse(y, t):
    return np.sqrt(np.mean((y - t) ** 2))


def draw(name, times, series, ahead, free, path):
    from matplotlib.figure import Figure

    start = len(series) - len(ahead)
    shown = max(0, start - 2 * len(ahead))
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(times[shown:], series[shown:], color="#bbbbbb", label="observed")
    axes.plot(times[start:], ahead, color="#4477aa", label="LSTM, one value ahead")
    axes.plot(
        times[start : start + len(free)], free, color="#ee6677", linestyle="--", label="LSTM, from the past alone"
    )
    axes.axvline(times[start], color="black", linewidth=0.8)
    axes.set_title(f"{name}: trained on the values before the line")
    axes.set_xlabel("year" if name == "sunspots" else "step")
    axes.legend(loc="upper left")
    figure.savefig(path)
    print(f"The picture is {path}")


if __name__ == "__main__":
    sys.exit(main())

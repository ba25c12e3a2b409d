"""Separate three arms of a spiral, and draw where the network sees the borders between them.

    python examples/spiral.py --out runs/spiral

The loop is written out here: what `passus.training.Trainer` does, in six lines.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import Spiral
from passus.errors import DependencyError
from passus.layers import BatchNorm, Linear, ReLU, Sequential
from passus.optimizers import Adam


def train(epochs):
    passus.random.seed(0)
    model = Sequential(Linear(32), BatchNorm(), ReLU(), Linear(32), BatchNorm(), ReLU(), Linear(3))
    optimizer = Adam(lr=0.01).setup(model)
    batches = DataLoader(Spiral(train=True), batch_size=30)
    for epoch in range(epochs):
        total = 0.0
        for x, t in batches:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            total += float(loss) * len(t)
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:3d}  loss {total / 300:.4f}")
    return model


def predict(model, x):
    # In test mode the batch normalisation uses the statistics of the training, so a point is read by itself.
    with passus.test_mode(), passus.no_grad():
        return model(x).data.argmax(axis=1)


def draw(model, points, labels, path):
    """The class that the network sees at every place, and the points it learnt from."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    side = np.linspace(-1.15, 1.15, 300, dtype=np.float32)
    places = np.stack(np.meshgrid(side, side), axis=-1)
    seen = predict(model, places.reshape(-1, 2)).reshape(300, 300)
    colours = ListedColormap(["#4477aa", "#ee6677", "#228833"])
    figure = Figure(figsize=(6, 6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.pcolormesh(side, side, seen, cmap=colours, alpha=0.3, rasterized=True)
    for arm, marker in enumerate("ox^"):
        axes.scatter(*points[labels == arm].T, color=colours(arm), marker=marker, s=22, label=f"arm {arm}")
    axes.set_aspect("equal")
    axes.set_title("A spiral of three arms, and what the network makes of the plane")
    axes.legend(loc="upper right")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60, help="how often to go through the data")
    parser.add_argument("--out", type=Path, default=Path("runs/spiral"), help="folder for the picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    model = train(arguments.epochs)
    test, data = Spiral(train=False), Spiral(train=True)
    print(f"Test accuracy: {(predict(model, test.data) == test.label).mean():.1%}")
    draw(model, data.data, data.label, arguments.out / "boundary.png")
    print(f"The picture is in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (DependencyError, ModuleNotFoundError) as error:
        sys.exit(f"{error}\nThis example needs the extra plot: pip install '.[plot]'")

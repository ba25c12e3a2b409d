"""Classify the points of three spiral arms, and draw the decision boundary of the network.

    python examples/spiral.py --out runs/spiral

The training loop is written out: it is what `passus.training.Trainer` does.
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
    # In test mode batch normalization uses running statistics, so predictions do not depend on the batch.
    with passus.test_mode(), passus.no_grad():
        return model(x).data.argmax(axis=1)


def draw(model, points, labels, path):
    """Draw the predicted class at each point of the plane, and the training data."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    side = np.linspace(-1.15, 1.15, 300, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    predicted = predict(model, grid.reshape(-1, 2)).reshape(300, 300)
    colors = ListedColormap(["#4477aa", "#ee6677", "#228833"])
    figure = Figure(figsize=(6, 6), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.pcolormesh(side, side, predicted, cmap=colors, alpha=0.3, rasterized=True)
    for arm, marker in enumerate("ox^"):
        axes.scatter(*points[labels == arm].T, color=colors(arm), marker=marker, s=22, label=f"arm {arm}")
    axes.set_aspect("equal")
    axes.set_title("Three spiral arms and the decision boundary of the network")
    axes.legend(loc="upper right")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/spiral"), help="folder for the picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    model = train(arguments.epochs)
    test, data = Spiral(train=False), Spiral(train=True)
    print(f"Test accuracy: {(predict(model, test.data) == test.label).mean():.1%}")
    draw(model, data.data, data.label, arguments.out / "boundary.png")
    print(f"Picture saved in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (DependencyError, ModuleNotFoundError) as error:
        sys.exit(f"{error}\nThis example needs the extra plot: pip install '.[plot]'")

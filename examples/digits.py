"""Train a small network on handwritten digits, save its weights, and load them into another network.

    python examples/digits.py --out runs/digits

The data are the 1,797 digits of 8 x 8 pixels that come with scikit-learn; 355 of them are held out for testing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import Digits
from passus.errors import DependencyError
from passus.layers import Dropout, Linear, ReLU, Sequential
from passus.metrics import Accuracy
from passus.optimizers import AdamW
from passus.schedules import one_cycle
from passus.summary import summary
from passus.training import CSVLog, PlotCurves, Trainer


def network():
    return Sequential(Linear(128), ReLU(), Dropout(0.3), Linear(128), ReLU(), Dropout(0.3), Linear(10))


def train(epochs, out):
    passus.random.seed(0)
    batches = DataLoader(Digits(train=True), batch_size=32)
    test_batches = DataLoader(Digits(train=False), batch_size=355, shuffle=False)
    model = network()
    print(summary(model, Digits()[0][0][np.newaxis]), end="\n\n")

    optimizer = AdamW(lr=one_cycle(5e-3, steps=epochs * len(batches)), weight_decay=0.01).setup(model)
    trainer = Trainer(
        model,
        optimizer,
        batches,
        F.softmax_cross_entropy,
        test_loader=test_batches,
        metrics={"accuracy": Accuracy()},
        callbacks=[CSVLog(out / "history.csv"), PlotCurves(out / "curves.png", every=10)],
    )
    trainer.fit(epochs)
    return model


def predict(model, x):
    with passus.test_mode(), passus.no_grad():
        return model(x).data.argmax(axis=1)


def draw_mistakes(x, t, predicted, path):
    """Draw misclassified digits with their true and predicted labels."""
    from matplotlib.figure import Figure

    wrong = np.flatnonzero(predicted != t)[:12]
    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    figure.suptitle(f"{(predicted != t).sum()} of {len(t)} test digits were misclassified")
    for axes in figure.subplots(2, 6).flat:
        axes.set_axis_off()
    for axes, i in zip(figure.axes, wrong):
        axes.imshow(x[i].reshape(8, 8), cmap="gray_r")
        axes.set_title(f"{t[i]} read as {predicted[i]}", fontsize=10)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/digits"), help="folder for weights and pictures")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    model = train(arguments.epochs, out)
    model.save_weights(out / "weights.safetensors")

    # As another program would: a new network of the same architecture loads the weights.
    loaded = network()
    loaded.load_weights(out / "weights.safetensors")
    test = Digits(train=False)
    predicted = predict(loaded, test.data)
    assert (predicted == predict(model, test.data)).all(), "the loaded weights differ from the saved ones"

    draw_mistakes(test.data, test.label, predicted, out / "mistakes.png")
    print(f"\nFirst ten test digits: {test.label[:10]}; predicted: {predicted[:10]}.")
    print(f"Test accuracy: {(predicted == test.label).mean():.2%}. Weights, history and pictures are in {out}.")


if __name__ == "__main__":
    try:
        main()
    except DependencyError as error:
        sys.exit(f"{error}\nThis example needs the extras plot and data: pip install '.[plot,data]'")

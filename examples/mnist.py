"""Train a convolutional network on the 60,000 training images of MNIST and test it on the other 10,000.

    python examples/mnist.py --data FOLDER --out runs/mnist

The folder holds the four files of the data set, ``train-images-idx3-ubyte.gz`` and so on. Missing files are downloaded
into it; the default is the cache folder. An interrupted run resumes from its last checkpoint.
"""

import argparse
import sys
from pathlib import Path

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import MNIST
from passus.errors import DataError
from passus.layers import BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPooling, ReLU, Sequential
from passus.metrics import Accuracy
from passus.optimizers import AdamW
from passus.schedules import one_cycle
from passus.training import Checkpoint, Trainer
from passus.transforms import Compose, Normalize, RandomCrop, RandomRotation


def network():
    return Sequential(
        *(Conv2d(32, 3, pad=1, nobias=True), BatchNorm(), ReLU(), MaxPooling(2)),
        *(Conv2d(64, 3, pad=1, nobias=True), BatchNorm(), ReLU(), MaxPooling(2)),
        *(Flatten(), Linear(128), ReLU(), Dropout(0.3), Linear(10)),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the files (default: in the cache folder)")
    parser.add_argument("--url", help="address from which missing files are downloaded")
    parser.add_argument("--epochs", type=int, default=5, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/mnist"), help="folder for checkpoints")
    arguments = parser.parse_args()
    source = {"folder": arguments.data, "url": arguments.url}
    pixels = Normalize(0.0, 255.0)
    moved = Compose([pixels, RandomRotation(10), RandomCrop(28, padding=2)])
    try:
        train, test = MNIST(True, moved, **source), MNIST(False, pixels, **source)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches, test_batches = DataLoader(train, 100), DataLoader(test, 500, shuffle=False)
    model, checkpoint = network(), Checkpoint(arguments.out, every_steps=200, keep=1)
    optimizer = AdamW(lr=one_cycle(4e-3, steps=arguments.epochs * len(batches)), weight_decay=0.05).setup(model)
    trainer = Trainer(
        *(model, optimizer, batches, F.softmax_cross_entropy),
        test_loader=test_batches,
        metrics={"accuracy": Accuracy()},
        callbacks=[checkpoint],
    )
    if checkpoint.resume(trainer):
        print(f"Resumed after {trainer.step} steps")
    trainer.fit(arguments.epochs)
    print(f"Test accuracy: {trainer.evaluate()['accuracy']:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

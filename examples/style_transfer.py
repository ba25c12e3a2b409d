"""Render a photo in the style of another picture (Gatys, Ecker and Bethge, 2016), with features of EfficientNet-Lite0.

    python examples/style_transfer.py --out FOLDER

The pixels are optimized; the weights of the network are frozen. The content of a picture is the features of a layer at
each position; its style is the correlations of the channels over all positions (a Gram matrix). `scripts/fetch-data`
downloads the photo and the weights into the cache folder. The default style is a pattern of waves.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus import Parameter
from passus.datasets import cache_folder
from passus.errors import MissingWeightsError
from passus.layers import Layer
from passus.models import EfficientNetLite0
from passus.optimizers import Adam
from passus.schedules import cosine
from passus.transforms import Compose, Convert, Normalize, Resize, ToArray

BLOCKS = 7
"""Number of blocks whose features define the style; their stride is 16 pixels at most."""

CONTENT_BLOCK = 4

SMOOTH = 20.0
"""Weight of the differences between neighbouring pixels in the loss."""


class Painting(Layer):
    """A trainable picture (1, 3, H, W) in the input range of the network, -1 to 1."""

    def __init__(self, start):
        self.picture = Parameter(start.copy())

    def forward(self):
        return F.clip(self.picture, -1, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=cache_folder() / "efficientnet-lite0.pth")
    parser.add_argument("--photo", type=Path, default=cache_folder() / "chelsea.png")
    parser.add_argument("--style", type=Path, help="picture with the style (default: waves)")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--style-weight", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=Path("runs/style_transfer"), help="folder for the picture")
    arguments = parser.parse_args()
    try:
        model, photo = EfficientNetLite0(weights=arguments.weights).freeze(), pixels(arguments.photo)
        style = waves(photo.shape) if arguments.style is None else pixels(arguments.style)
    except (MissingWeightsError, FileNotFoundError) as error:
        print(f"{error}\nRun scripts/fetch-data to download the photo and the weights", file=sys.stderr)
        return 2

    painting = Painting(photo)
    optimizer = Adam(lr=cosine(0.05, steps=arguments.steps)).setup(painting)
    with passus.test_mode():  # Batch normalization uses its running statistics and does not update them.
        with passus.no_grad():
            content = features(model, photo)[CONTENT_BLOCK].data
            grams = [gram(x).data for x in features(model, style)]
        for step in range(arguments.steps):
            outputs = features(model, painting())
            content_loss = F.mean_squared_error(outputs[CONTENT_BLOCK], content)
            style_loss = sum(F.mean_squared_error(gram(x), g) / (g**2).mean() for x, g in zip(outputs, grams))
            loss = content_loss / content.var() + arguments.style_weight * style_loss + SMOOTH * roughness(painting())
            painting.cleargrads()
            loss.backward()
            optimizer.update()
            if step % 25 == 0 or step == arguments.steps - 1:
                print(f"step {step}: loss {loss.item():.3f}, style loss {style_loss.item():.3f}")
    draw({"the photo": photo, "the style": style, "the painting": painting().data}, arguments.out)
    print(f"Picture saved in {arguments.out}")
    return 0


def features(model, x):
    """Return the outputs of the first blocks, each after its residual connection."""
    x = model.stem(x)
    outputs = []
    for block in model.blocks[:BLOCKS]:
        x = block(x)
        outputs.append(x)
    return outputs


def gram(x):
    """Return the Gram matrix (C, C) of features (1, C, H, W): the mean products of channels over all positions."""
    _, C, H, W = x.shape
    rows = x.reshape(C, H * W)
    return rows @ rows.T / (H * W)


def roughness(x):
    """Return the mean squared difference of neighbouring pixels."""
    return ((x[:, :, 1:] - x[:, :, :-1]) ** 2).mean() + ((x[:, :, :, 1:] - x[:, :, :, :-1]) ** 2).mean()


def pixels(path):
    """Return a picture as an array (1, 3, H, W) of -1 to 1, its shorter side scaled to 192 pixels."""
    from PIL import Image

    picture = Image.open(path)
    size = tuple(round(192 * side / min(picture.size)) for side in picture.size)
    return Compose([Convert(), Resize(size, "bicubic"), ToArray(np.uint8), Normalize(127.0, 128.0)])(picture)[None]


def waves(shape):
    """Return curved stripes of blue, white and orange."""
    _, _, H, W = shape
    y, x = np.mgrid[:H, :W] / 5
    height = np.sin(x + 2 * np.sin(y / 2)) + np.sin(y + np.sin(x / 3))
    colors = np.array([[-0.8, -0.6, 0.4], [0.9, 0.9, 0.8], [0.9, 0.1, -0.7]])
    level = ((height + 2) / 4)[None]
    low, middle, high = colors[:, :, None, None]
    picture = np.where(level < 0.5, low + (middle - low) * 2 * level, middle + (high - middle) * (2 * level - 1))
    return picture[None].astype(np.float32)


def draw(pictures, folder):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(pictures), 3.2), dpi=110, layout="constrained")
    for axes, (title, x) in zip(figure.subplots(1, len(pictures)), pictures.items()):
        axes.imshow(((x[0].transpose(1, 2, 0) * 128 + 127).clip(0, 255)).astype(np.uint8))
        axes.set_title(title)
        axes.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "style_transfer.png")


if __name__ == "__main__":
    sys.exit(main())

"""Draw the effect of each random transform on a photo.

    python examples/augmentation.py --out runs/augmentation
    python examples/augmentation.py --image PHOTO

Without `--image` the photo is one of the two that come with scikit-learn; Mixup and CutMix mix it with the other one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
from passus.errors import DependencyError
from passus.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Convert,
    CutMix,
    Cutout,
    Mixup,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToArray,
)

SIZE = 160
COPIES = 6

TRANSFORMS = {
    "RandomHorizontalFlip()": RandomHorizontalFlip(),
    "RandomVerticalFlip()": RandomVerticalFlip(),
    "RandomCrop(160, padding=32, pad_mode='reflect')": RandomCrop(SIZE, padding=32, pad_mode="reflect"),
    "RandomResizedCrop(160, scale=(0.2, 1))": RandomResizedCrop(SIZE, scale=(0.2, 1)),
    "RandomRotation(30)": RandomRotation(30),
    "ColorJitter(0.5, 0.5, 0.5, hue=0.1)": ColorJitter(0.5, 0.5, 0.5, hue=0.1),
    "RandomErasing(p=1)": RandomErasing(p=1),
    "Cutout(60, fill=127)": Cutout(60, fill=127),
}


def photos(path):
    """Return two square images (2, 3, SIZE, SIZE): samples of scikit-learn, or the given photo and its mirror image."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    if path is None:
        pictures = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    else:
        pictures = [Image.open(path), Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    return np.stack([square(picture) for picture in pictures])


def square(picture):
    side = min(picture.size)
    return Compose([Convert("RGB"), CenterCrop(side), Resize(SIZE), ToArray(np.uint8)])(picture)


def rows(images):
    """Yield the title and the images of each row."""
    photo = np.repeat(images[:1], COPIES, axis=0)
    yield "Original", images[:1]
    for name, transform in TRANSFORMS.items():
        yield name, transform.batch(photo)
    pairs, labels = np.concatenate([images] * 4 * COPIES), np.arange(8 * COPIES) % 2
    for mix in (Mixup(classes=2, alpha=1.0), CutMix(classes=2)):
        mixed, t = mix(pairs, labels)
        mixtures = np.flatnonzero(t.min(axis=1) > 0.05)[:COPIES]  # Not a photo mixed with itself.
        weights = ", ".join(f"{weight:.0%}" for weight in t[mixtures, 0])
        yield f"{type(mix).__name__}, weight of the first label: {weights}", mixed[mixtures]


def draw(images, path):
    """Draw all rows, one below the other."""
    from matplotlib.figure import Figure

    titled = list(rows(images))
    figure = Figure(figsize=(COPIES * 1.5, len(titled) * 1.75), dpi=90, layout="constrained")
    for axes, (title, copies) in zip(figure.subplots(len(titled)), titled):
        row = np.full((COPIES, 3, SIZE, SIZE + 8), 255, np.uint8)
        row[: len(copies), ..., :SIZE] = copies
        axes.imshow(row.transpose(2, 0, 3, 1).reshape(SIZE, -1, 3))
        axes.set_title(title, loc="left", fontsize=10)
        axes.axis("off")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="photo to transform")
    parser.add_argument("--out", type=Path, default=Path("runs/augmentation"), help="folder for the picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    passus.random.seed(0)
    draw(photos(arguments.image), arguments.out / "augmentation.png")
    print(f"Picture saved in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (DependencyError, ModuleNotFoundError) as error:
        sys.exit(f"{error}\nThis example needs the extras plot and data: pip install '.[plot,data]'")

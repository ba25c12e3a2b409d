"""Draw what each random transform makes of a photograph.

    python examples/augmentation.py --out runs/augmentation
    python examples/augmentation.py --image PHOTO

Without a photograph of yours, it is one of the two that come with scikit-learn; the other is mixed in by Mixup and CutMix.
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


def photographs(path):
    """Two squares of bytes (3, SIZE, SIZE); of a photograph of one's own, the second is the same the other way round."""
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
    """Pictures to lay side by side, by what was done with them."""
    photograph = np.repeat(images[:1], COPIES, axis=0)
    yield "As it is", images[:1]
    for name, transform in TRANSFORMS.items():
        yield name, transform.batch(photograph)
    both, labels = np.concatenate([images] * 4 * COPIES), np.arange(8 * COPIES) % 2
    for mix in (Mixup(classes=2, alpha=1.0), CutMix(classes=2)):
        mixed, t = mix(both, labels)
        of_both = np.flatnonzero(t.min(axis=1) > 0.05)[:COPIES]  # Not a photograph mixed with itself.
        shares = ", ".join(f"{share:.0%}" for share in t[of_both, 0])
        yield f"{type(mix).__name__}, labels: the first to {shares}", mixed[of_both]


def draw(images, path):
    """All rows, one below the other."""
    from matplotlib.figure import Figure

    drawn = list(rows(images))
    figure = Figure(figsize=(COPIES * 1.5, len(drawn) * 1.75), dpi=90, layout="constrained")
    for axes, (title, copies) in zip(figure.subplots(len(drawn)), drawn):
        wide = np.full((COPIES, 3, SIZE, SIZE + 8), 255, np.uint8)
        wide[: len(copies), ..., :SIZE] = copies
        axes.imshow(wide.transpose(2, 0, 3, 1).reshape(SIZE, -1, 3))
        axes.set_title(title, loc="left", fontsize=10)
        axes.axis("off")
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photograph")
    parser.add_argument("--out", type=Path, default=Path("runs/augmentation"), help="folder for the picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    passus.random.seed(0)
    draw(photographs(arguments.image), arguments.out / "augmentation.png")
    print(f"The picture is in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (DependencyError, ModuleNotFoundError) as error:
        sys.exit(f"{error}\nThis example needs the extras plot and data: pip install '.[plot,data]'")

"""Show which regions of a photo determine its class: Grad-CAM (Selvaraju et al., 2017) with EfficientNet-Lite0.

    python examples/gradcam.py --out FOLDER

`scripts/fetch-data` downloads the default photo, of a cat, and the weights into the cache folder.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.datasets import cache_folder
from passus.errors import MissingWeightsError
from passus.grad import grad
from passus.models import EfficientNetLite0
from passus.transforms import Compose, Convert, Normalize, Resize, ToArray

NAMES = {281: "tabby cat", 282: "tiger cat", 283: "Persian cat", 284: "Siamese cat", 285: "Egyptian cat", 287: "lynx"}
"""Some of the 1,000 classes of ImageNet."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=cache_folder() / "efficientnet-lite0.pth")
    parser.add_argument("--photo", type=Path, default=cache_folder() / "chelsea.png")
    parser.add_argument("--out", type=Path, default=Path("runs/gradcam"), help="folder for the picture")
    arguments = parser.parse_args()
    try:
        model, x = EfficientNetLite0(weights=arguments.weights), pixels(arguments.photo)
    except (MissingWeightsError, FileNotFoundError) as error:
        print(f"{error}\nRun scripts/fetch-data to download the photo and the weights", file=sys.stderr)
        return 2

    with passus.test_mode(), passus.no_grad():
        features = model.features(x).data
        probabilities = F.softmax(model.classify(features).data)[0]
        classes = probabilities.argsort()[::-1]
        maps = {name_of(c): resized(grad_cam(model, features, c), x.shape[2:]) for c in classes[:2]}
    for c in classes[:5]:
        print(f"{probabilities[c]:6.1%}  {name_of(c)}")
    for name, heat in maps.items():
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        print(f"{name}: maximum at {row / heat.shape[0]:.0%} of the height, {column / heat.shape[1]:.0%} of the width")
    draw(x[0], maps, arguments.out)
    return 0


def pixels(path):
    """Return the whole photo (1, 3, H, W), its shorter side scaled to the 224 pixels of the training images."""
    from PIL import Image

    photo = Image.open(path)
    size = tuple(round(224 * side / min(photo.size)) for side in photo.size)
    return Compose([Convert(), Resize(size, "bicubic"), ToArray(np.uint8), Normalize(127.0, 128.0)])(photo)[None]


def name_of(c):
    return NAMES.get(int(c), f"class {c}")


def grad_cam(model, features, c):
    """Return the contribution (H, W) of each position of the features (1, C, H, W) to class c.

    The channels are weighted by the mean gradient of the score of the class.
    """
    weights = grad(lambda features: model.classify(features)[0, c])(features).mean(axis=(2, 3), keepdims=True)
    return F.relu((weights * features).sum(axis=1)[0])


def resized(heat, size):
    return F.resize(heat[None, None], size, "bilinear")[0, 0]


def draw(x, maps, folder):
    """Draw the photo, and each map over it, from blue (zero) to red."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    photo = (x.transpose(1, 2, 0) * 128 + 127).clip(0, 255).astype(np.uint8)
    figure, axes = pyplot.subplots(1, 1 + len(maps), figsize=(4 * (1 + len(maps)), 3), layout="constrained")
    for axis, (name, heat) in zip(axes, {"the photo": None, **maps}.items()):
        axis.imshow(photo)
        if heat is not None:
            axis.imshow(heat, cmap="jet", alpha=0.5)
        axis.set_title(name)
        axis.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "gradcam.png", dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())

"""Teach a trained network something new: EfficientNet-Lite0, trained on ImageNet, learns what a face is.

    python examples/finetune_faces.py

`scripts/fetch-data` puts the weights and the pictures into the cache folder: 100 small grey faces from "Labeled faces
in the wild" (Huang et al., 2007), and 100 pictures of what was around them. Half of them are for training.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import ArrayDataset, cache_folder
from passus.errors import MissingWeightsError
from passus.layers import Dropout, Linear, Sequential
from passus.models import EfficientNetLite0
from passus.optimizers import AdamW
from passus.random import get_rng

SIZE = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=cache_folder() / "efficientnet-lite0.pth")
    parser.add_argument("--faces", type=Path, default=cache_folder() / "lfw_subset.npy")
    parser.add_argument("--epochs", type=int, default=10, help="how often to go through the 100 pictures")
    arguments = parser.parse_args()
    try:
        trained, pictures = EfficientNetLite0(weights=arguments.weights), np.load(arguments.faces)
    except (MissingWeightsError, FileNotFoundError) as error:
        print(f"{error}\nscripts/fetch-data fetches the weights and the pictures", file=sys.stderr)
        return 2

    passus.random.seed(0)
    t = np.repeat([1, 0], 100)  # The faces come first.
    train, test = np.split(get_rng().permutation(200), 2)
    print(f"{'what learns':43} {'numbers learnt':>14} {'right of 100 seen':>18} {'of 100 new':>11}")
    for name, model, layers in [
        ("the last layer of an untrained network", EfficientNetLite0(), 1),
        ("the last layer of the trained network", trained, 1),
        ("the last two layers of the trained network", trained, 2),
    ]:
        x = seen(model, pictures)
        net = last_layers(model, layers)
        tune(net, ArrayDataset(x[train], t[train]), arguments.epochs)
        learnt = sum(p.size for p in net.params() if p.requires_grad)
        right = [accuracy(net, x[part], t[part]) for part in (train, test)]
        print(f"{name:43} {learnt:14,} {right[0]:18.0%} {right[1]:11.0%}")
    print(f"Test accuracy: {right[1]:.1%}")
    return 0


def seen(model, pictures):
    """What all layers but the last two make of grey pictures (N, 25, 25), once and for all: (N, 320, 4, 4)."""
    x = F.resize(pictures[:, np.newaxis].astype(np.float32), SIZE, "bilinear")
    x = np.repeat((x * 255 - 127) / 128, 3, axis=1)
    with passus.test_mode(), passus.no_grad():
        return np.concatenate([middle(model, x[start : start + 20]).data for start in range(0, len(x), 20)])


def middle(model, x):
    y = model.stem(x)
    for block in model.blocks:
        y = block(y)
    return y


def last_layers(model, count):
    """The end of a network, with a new last layer for two classes; with ``count`` 2, the layer before learns too."""
    model.head.norm.frozen = True  # 20 pictures say less about means and variances than the million that it has seen.
    model.head.freeze()
    if count == 2:
        model.head.unfreeze()
    return Sequential(model.head, F.global_average_pooling, Dropout(0.2), Linear(2, in_size=1280))


def tune(net, pictures, epochs):
    optimizer = AdamW(lr=1e-3, weight_decay=0.05).setup(net)
    for _ in range(epochs):
        for x, t in DataLoader(pictures, 20):
            loss = F.softmax_cross_entropy(net(x), t)
            net.cleargrads()
            loss.backward()
            optimizer.update()


def accuracy(net, x, t):
    with passus.test_mode(), passus.no_grad():
        return (net(x).data.argmax(axis=1) == t).mean()


if __name__ == "__main__":
    sys.exit(main())

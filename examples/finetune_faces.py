"""Fine-tune EfficientNet-Lite0, trained on ImageNet, to recognize faces.

    python examples/finetune_faces.py

`scripts/fetch-data` downloads the weights and the images into the cache folder: 100 small grey faces from "Labeled
faces in the wild" (Huang et al., 2007) and 100 crops of their backgrounds. Half of them are for training.
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
    parser.add_argument("--epochs", type=int, default=10, help="number of passes over the 100 images")
    arguments = parser.parse_args()
    try:
        trained, images = EfficientNetLite0(weights=arguments.weights), np.load(arguments.faces)
    except (MissingWeightsError, FileNotFoundError) as error:
        print(f"{error}\nRun scripts/fetch-data to download the weights and the images", file=sys.stderr)
        return 2

    passus.random.seed(0)
    t = np.repeat([1, 0], 100)  # The faces come first.
    train, test = np.split(get_rng().permutation(200), 2)
    print(f"{'trainable layers':43} {'parameters':>14} {'train accuracy':>18} {'test':>11}")
    for name, model, layers in [
        ("the last layer of an untrained network", EfficientNetLite0(), 1),
        ("the last layer of the trained network", trained, 1),
        ("the last two layers of the trained network", trained, 2),
    ]:
        x = features(model, images)
        net = last_layers(model, layers)
        tune(net, ArrayDataset(x[train], t[train]), arguments.epochs)
        parameters = sum(p.size for p in net.params() if p.requires_grad)
        accuracies = [accuracy(net, x[rows], t[rows]) for rows in (train, test)]
        print(f"{name:43} {parameters:14,} {accuracies[0]:18.0%} {accuracies[1]:11.0%}")
    print(f"Test accuracy: {accuracies[1]:.1%}")
    return 0


def features(model, images):
    """Return the features (N, 320, 4, 4) of grey images (N, 25, 25) that enter the last two layers."""
    x = F.resize(images[:, np.newaxis].astype(np.float32), SIZE, "bilinear")
    x = np.repeat((x * 255 - 127) / 128, 3, axis=1)
    with passus.test_mode(), passus.no_grad():
        return np.concatenate([middle(model, x[start : start + 20]).data for start in range(0, len(x), 20)])


def middle(model, x):
    y = model.stem(x)
    for block in model.blocks:
        y = block(y)
    return y


def last_layers(model, count):
    """Return the last layers, with a new one for two classes; ``count`` 2: the layer before it is trained, too."""
    model.head.norm.frozen = True  # Batches of 20 images give worse statistics than ImageNet did.
    model.head.freeze()
    if count == 2:
        model.head.unfreeze()
    return Sequential(model.head, F.global_average_pooling, Dropout(0.2), Linear(2, in_size=1280))


def tune(net, data, epochs):
    optimizer = AdamW(lr=1e-3, weight_decay=0.05).setup(net)
    for _ in range(epochs):
        for x, t in DataLoader(data, 20):
            loss = F.softmax_cross_entropy(net(x), t)
            net.cleargrads()
            loss.backward()
            optimizer.update()


def accuracy(net, x, t):
    with passus.test_mode(), passus.no_grad():
        return (net(x).data.argmax(axis=1) == t).mean()


if __name__ == "__main__":
    sys.exit(main())

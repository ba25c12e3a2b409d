"""Transforms of examples: of Pillow pictures first, then of arrays.

A transform is a function of one example. Transforms of arrays also have ``batch``, the same function for many examples
along a new first axis, so a `DataLoader` can transform whole batches.

An image is an array (C, H, W), or (H, W) in greyscale. Its pixels are 0 to 255 as bytes (uint8), and 0 to 1 as
floating-point numbers; `ToArray` converts a picture to such numbers, and `Normalize` comes last. Arrays with channels last
raise, and so do values that are out of range, as far as that can be detected.

Random transforms take ``rng``, a seed or a generator, and draw from ``passus.random.get_rng(rng)``; by default from the
current generator. A `DataLoader` replaces both for each batch, so the images depend neither on threads nor on
interruptions. Transforms that never draw random numbers may set ``is_random = False``.

>>> import numpy as np
>>> augmented = Compose([RandomHorizontalFlip(), RandomCrop(32, padding=4), ToFloat(), Normalize(0.0, 255.0)])
>>> augmented(np.zeros((3, 32, 32), np.uint8)).shape
(3, 32, 32)
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.transforms.arrays import AsType as AsType
from passus.transforms.arrays import Flatten as Flatten
from passus.transforms.arrays import Normalize as Normalize
from passus.transforms.arrays import ToFloat as ToFloat
from passus.transforms.arrays import ToInt as ToInt
from passus.transforms.base import Compose as Compose
from passus.transforms.base import Transform as Transform
from passus.transforms.colors import ColorJitter as ColorJitter
from passus.transforms.crops import RandomCrop as RandomCrop
from passus.transforms.crops import RandomResizedCrop as RandomResizedCrop
from passus.transforms.erasing import Cutout as Cutout
from passus.transforms.erasing import RandomErasing as RandomErasing
from passus.transforms.flips import RandomHorizontalFlip as RandomHorizontalFlip
from passus.transforms.flips import RandomVerticalFlip as RandomVerticalFlip
from passus.transforms.mixing import CutMix as CutMix
from passus.transforms.mixing import Mixup as Mixup
from passus.transforms.pictures import CenterCrop as CenterCrop
from passus.transforms.pictures import Convert as Convert
from passus.transforms.pictures import Resize as Resize
from passus.transforms.pictures import ToArray as ToArray
from passus.transforms.pictures import ToPIL as ToPIL
from passus.transforms.rotation import RandomRotation as RandomRotation

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.TRANSFORMS)

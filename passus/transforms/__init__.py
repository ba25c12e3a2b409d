"""What happens to an example on its way out of a dataset: to pictures of Pillow first, then to arrays.

A transform is a function of one example. Those for arrays also have ``batch``, the same function for many examples at
once along a new first axis; a `DataLoader` then need not go through them one by one.

An image is an array (C, H, W), or (H, W) in grey. Its pixels are 0 to 255 as bytes (uint8), and 0 to 1 as floating-point
numbers; `ToArray` makes such numbers of a picture, and `Normalize` comes last. What has its channels last, or is out of
range where that can be seen, raises.

Those that draw random numbers take ``rng``, a seed or a generator, and draw from `passus.random.get_rng` of it; without
one from the current generator. A `DataLoader` puts another one in the place of either for each batch, so that the
images depend neither on threads nor on an interruption. Those that never draw may say ``is_random = False``.

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

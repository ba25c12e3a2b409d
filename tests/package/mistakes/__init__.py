"""A catalogue of mistakes that new users make, and the response of passus to each.

An entry has a title, the library whose users have the habit, the code as a user would write it, and the outcome. The
outcome is an error or one warning with a message that suggests the fix; or silence, with the reason why a check would
be a cost for every correct program.
"""

from tests.package.mistakes.data import DATA
from tests.package.mistakes.entry import Mistake
from tests.package.mistakes.images import IMAGES
from tests.package.mistakes.layers import LAYERS
from tests.package.mistakes.losses import LOSSES
from tests.package.mistakes.names import NAMES
from tests.package.mistakes.training import TRAINING

__all__ = ["MISTAKES", "SETUP", "Mistake"]

SETUP = """
import numpy as np
import passus
import passus.functions as F
import passus.layers as L
import passus.optimizers as O
import passus.transforms as T
from passus import Model, Parameter, Variable
from passus.models import MLP
from passus.training import Callback, Trainer

rng = np.random.default_rng(0)
x = rng.normal(size=(8, 4)).astype(np.float32)
t = np.array([0, 1, 2, 0, 1, 2, 0, 1])
v = Variable(x)
image = rng.random((3, 32, 32), np.float32)
images = rng.random((8, 3, 32, 32), np.float32)
photo = rng.integers(0, 256, (32, 32, 3), np.uint8)
model = MLP((5, 3), in_size=4)
optimizer = O.SGD(lr=0.1).setup(model)
"""
"""Code that is executed before each mistake."""

MISTAKES = [*LAYERS, *DATA, *LOSSES, *TRAINING, *NAMES, *IMAGES]

"""Bad input of every kind: the error belongs to passus, suggests a fix, and leaves everything unchanged.

Each call is made in the middle of a training run. Model, optimizer, loader and random state must be unchanged after
the error, and the next valid step must succeed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.package.bad_input import (
    ARRAYS,
    GRADIENTS,
    INDICES,
    LAYERS,
    LOADERS,
    LOSSES,
    NAN,
    OPTIMIZERS,
    TRAINERS,
)
from tests.package.running import Training, check_harmless


@pytest.mark.parametrize(
    ("call", "builtin", "match"), [*ARRAYS, *GRADIENTS, *INDICES, *LOSSES, *LAYERS, *OPTIMIZERS, *TRAINERS, *LOADERS]
)
def test_bad_input_raises_and_changes_nothing(
    call: Callable[[Training], Any], builtin: type[Exception], match: str
) -> None:
    training = Training()
    check_harmless(training, lambda: call(training), builtin, match)


def test_nan_learning_rate_changes_no_parameter() -> None:
    training = Training()
    training.optimizer.lr = lambda t: NAN
    before = training.state()
    with pytest.raises(ValueError, match="Adam: lr is nan"):
        training.optimizer.update()
    np.testing.assert_equal(training.state(), before)
    training.optimizer.lr = 0.01
    training.step()

"""Groups of parameters with separate options."""

from __future__ import annotations

import numpy as np
import pytest

from passus import optimizers as O
from passus.errors import ArgumentError
from tests.helpers.bare import Model


def test_groups_have_separate_options() -> None:
    model = Model(encoder_W=np.ones(1), encoder_b=np.ones(1), encoder2_W=np.ones(1), head_W=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(model)
    optimizer.add_group("encoder", lr=0.5)
    optimizer.add_group(lambda path, p: path.startswith("head") and p.ndim == 1, lr=lambda t: 0.25)
    for p in model.params.values():
        p.grad = np.ones(1)
    optimizer.update()
    assert [float(p.data[0]) for p in model.params.values()] == [0.5, 0.5, 0.0, 0.75]
    optimizer.lr = 0.125  # For parameters in no group.
    optimizer.update()
    assert [float(p.data[0]) for p in model.params.values()] == [0.0, 0.0, -0.125, 0.5]


def test_setup_with_another_model_resolves_groups_again() -> None:
    first, second = Model(W=np.ones(1)), Model(W=np.ones(1))
    optimizer = O.SGD(lr=1.0).setup(first)
    optimizer.add_group(lambda path, p: p is first["W"], lr=0.5)
    for model in (first, second):
        model["W"].grad = np.ones(1)
        optimizer.setup(model).update()
    assert [float(model["W"].data[0]) for model in (first, second)] == [0.5, 0.0]


def test_invalid_groups_raise() -> None:
    optimizer = O.AdamW().setup(Model(a_W=np.ones(1), a_b=np.ones(1)))
    optimizer.add_group("a.W", weight_decay=0.0)
    with pytest.raises(ArgumentError, match=r"a\.W is in a group already"):
        optimizer.add_group("a", lr=1.0)
    with pytest.raises(ArgumentError, match=r"no parameter is at 'c'; there are a\.W, a\.b"):
        optimizer.add_group("c", lr=1.0)
    with pytest.raises(ArgumentError, match="no option momentum; it has lr, betas, eps, weight_decay"):
        optimizer.add_group("a.b", momentum=1.0)
    with pytest.raises(ArgumentError, match="lr is nan"):
        optimizer.add_group("a.b", lr=np.nan)
    assert len(optimizer.groups) == 1

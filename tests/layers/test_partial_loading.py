"""Partial loading of a state, tied weights, and frozen layers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import passus.functions as F
from passus import Parameter
from passus.errors import DTypeError, WeightsError
from passus.layers import BatchNorm, Dropout, Layer, LayerNorm, Linear, Sequential
from passus.optimizers import SGD
from passus.serializers import read_weights, save_checkpoint, write_weights

SUFFIXES = pytest.mark.parametrize("suffix", ["npz", "safetensors"])


def classifier(classes: int, dtype: Any = np.float32, seed: int = 0) -> Sequential:
    return Sequential(
        Linear(4, in_size=3, dtype=dtype, rng=seed),
        BatchNorm(in_size=4, dtype=dtype),
        Linear(classes, in_size=4, rng=seed),
    )


def saved(tmp_path: Any, model: Layer, suffix: str = "safetensors") -> Any:
    path = tmp_path / f"weights.{suffix}"
    model.save_weights(path)
    return path


def assert_unchanged(model: Layer, before: dict[str, Any]) -> None:
    after = model.state_dict()
    assert after.keys() == before.keys()
    for path, x in before.items():
        np.testing.assert_array_equal(after[path], x, err_msg=path)


@SUFFIXES
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_non_strict_loading_reports_missing_unexpected_and_mismatched(tmp_path, suffix, dtype):
    old, new = classifier(10, dtype), classifier(2, dtype, seed=1)
    new.extra = Linear(1, in_size=1)
    arrays = read_weights(saved(tmp_path, old, suffix))
    path = tmp_path / f"more.{suffix}"
    write_weights(path, arrays | {"step": np.array(3)})
    head = new.l2.W.data.copy()
    for _ in range(2):
        report = new.load_weights(path, strict=False)
        assert report.taken == ["l0.W", "l0.b", "l1.gamma", "l1.beta", "l1.avg_mean", "l1.avg_var"]
        assert report.missing == ["extra.W", "extra.b"]
        assert report.unexpected == ["step"]
        assert report.misfits == ["l2.W", "l2.b"]
    np.testing.assert_array_equal(new.l0.W.data, old.l0.W.data)
    np.testing.assert_array_equal(new.l2.W.data, head)
    assert new.load_state_dict(arrays, strict=False) == report._replace(unexpected=[])
    with pytest.raises(WeightsError, match=r"extra\.W.*l2\.W \(4, 10\) instead of"):
        new.load_weights(path)
    assert old.load_weights(saved(tmp_path, old, suffix)) is None, "strict loading returns no report"


def test_another_dtype_is_a_mismatch_without_cast():
    old, new = classifier(2, np.float64), classifier(2)
    state = old.state_dict()
    report = new.load_state_dict(state, strict=False)
    assert (report.taken, report.misfits[:2]) == (["l2.W", "l2.b"], ["l0.W", "l0.b"])
    assert new.load_state_dict(state, True, strict=False).misfits == []
    assert new.l0.W.dtype == np.float32


@SUFFIXES
def test_prefix_and_rename(tmp_path, suffix):
    old = Layer()
    old.body, old.head = classifier(2), Linear(1, in_size=2)
    path = saved(tmp_path, old, suffix)
    new = classifier(2, seed=1)
    new.load_weights(path, strict=True, prefix="body")
    np.testing.assert_array_equal(new.l0.W.data, old.body.l0.W.data)

    names = [
        {"body": "backbone", "head": "neck"},
        {"body.l0.W": "backbone.l0.W", "body": "backbone", "head": "neck"},
        lambda name: name.replace("body", "backbone").replace("head", "neck"),
    ]
    for rename in names:
        other = Layer()
        other.backbone, other.neck = classifier(2, seed=1), Linear(1, in_size=2)
        other.load_weights(path, strict=True, rename=rename)
        np.testing.assert_array_equal(other.backbone.l0.W.data, old.body.l0.W.data)
        np.testing.assert_array_equal(other.neck.W.data, old.head.W.data)
    wrapped = {f"module.{name}": x for name, x in old.body.state_dict().items()}
    new.load_state_dict(wrapped, strict=True, rename={"module": ""})
    new.load_state_dict(wrapped, strict=True, prefix="module")
    report = new.load_state_dict(wrapped, strict=False, rename=lambda name: None if "l2" in name else name[7:])
    assert report.missing == ["l2.W", "l2.b"]
    assert report.unexpected == []


def test_a_checkpoint_is_loaded_with_the_prefix_that_the_error_names(tmp_path):
    old, new = classifier(2), classifier(2, seed=1)
    path, before = tmp_path / "best.safetensors", new.state_dict()
    save_checkpoint(path, model=old, optimizer=SGD().setup(old))
    for options in ({}, {"strict": False}):
        with pytest.raises(
            WeightsError, match=r"best.*names begin with 'model\.', as in a checkpoint; write prefix='model'"
        ):
            new.load_weights(path, **options)
    assert_unchanged(new, before)
    for prefix in ("model", "model."):
        new.load_state_dict(before)
        new.load_weights(path, prefix=prefix)
        assert_unchanged(new, old.state_dict())


def test_the_advised_prefix_contains_the_given_one():
    state = {f"trainer.module.{name}": x for name, x in classifier(2).state_dict().items()}
    for prefix in ("trainer", "trainer."):
        with pytest.raises(WeightsError, match=r"write prefix='trainer\.module'"):
            classifier(2).load_state_dict(state, prefix=prefix)
    with pytest.raises(WeightsError, match="missing"):
        classifier(2).load_state_dict({name: state[name] for name in list(state)[1:]})


def test_renamed_prefixes_may_end_with_a_dot():
    old, new = classifier(2), classifier(2, seed=1)
    new.load_state_dict({f"net.{name}": x for name, x in old.state_dict().items()}, rename={"net.": ""})
    assert_unchanged(new, old.state_dict())
    other = Layer()
    other.body = new
    other.load_state_dict({f"net.{name}": x for name, x in old.state_dict().items()}, rename={"net.": "body."})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"prefix": "encoder"}, WeightsError, r"nothing is named 'encoder'; there are l0\.W, l0\.b"),
        ({"prefix": "l"}, WeightsError, "nothing is named 'l'"),
        ({"strict": False, "rename": {"l0": "a", "l1": "b", "l2": "c"}}, WeightsError, r"nothing fits.*a\.W.*l0\.W"),
        ({"rename": {"l2": "l0"}}, WeightsError, r"l0\.W and l2\.W are both renamed to l0\.W"),
        ({"rename": 3}, DTypeError, "rename is an int"),
        ({"rename": {"l0": "a"}}, WeightsError, r"missing: l0\.W, l0\.b; extra: a\.W, a\.b"),
    ],
)
def test_rejected_options_leave_the_model_unchanged(options, error, words):
    model = classifier(2, seed=1)
    before = model.state_dict()
    with pytest.raises(error, match=words):
        model.load_state_dict(classifier(2).state_dict(), **{"strict": True} | options)
    assert_unchanged(model, before)


def test_empty_state():
    with pytest.raises(WeightsError, match=r"nothing fits\. The state has nothing"):
        classifier(2).load_state_dict({}, strict=False)
    Sequential(F.relu).load_state_dict({})


def test_repr_of_a_long_report_is_shortened():
    model = Layer()
    model.layers = [Linear(1, in_size=1) for _ in range(20)]
    report = model.load_state_dict({"layers.0.W": np.ones((1, 1), np.float32)}, strict=False)
    assert len(report.missing) == 39
    assert repr(report).endswith("layers.6.W, and 27 more)")


@pytest.mark.parametrize(
    "make", [lambda: Sequential(Linear(3), BatchNorm()), lambda: Sequential(Linear(3), LayerNorm())]
)
def test_first_call_keeps_partially_loaded_arrays(make):
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    full = make()
    full(x)
    for left_out in full.state_dict():
        model = make()
        state = {path: a + 1 for path, a in full.state_dict().items() if path != left_out}
        assert model.load_state_dict(state, strict=False).missing == [left_out]
        model.freeze()(x)
        for path, a in state.items():
            np.testing.assert_array_equal(model.state_dict()[path], a, err_msg=f"{path}, without {left_out}")


def test_non_strict_loading_of_generators():
    model, other = Sequential(Linear(2, in_size=2), Dropout(rng=0)), Sequential(Linear(2, in_size=2), Dropout(rng=1))
    arrays = {path: x for path, x in model.state_dict().items() if "rng" not in path}
    with pytest.raises(WeightsError, match=r"missing: l1\.rng"):
        other.load_state_dict(arrays)
    before = other.state_dict()["l1.rng"]
    assert other.load_state_dict(arrays, strict=False).taken == ["l0.W", "l0.b"]
    assert other.state_dict()["l1.rng"] == before
    other.load_state_dict(model.state_dict(), strict=False)
    assert other.state_dict()["l1.rng"] == model.state_dict()["l1.rng"]


# Tied weights.


class Tied(Layer):
    """A matrix and a layer that are each registered under two names."""

    def __init__(self, seed: int = 0, tied: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.embed, self.head = Layer(), Layer()
        self.embed.W = Parameter(rng.standard_normal((3, 3)).astype(np.float32))
        self.head.W = self.embed.W if tied else Parameter(rng.standard_normal((3, 3)).astype(np.float32))
        self.norm = BatchNorm(in_size=3)
        self.blocks = (
            [self.norm, Linear(3, in_size=3, rng=seed)] if tied else [BatchNorm(in_size=3), Linear(3, in_size=3)]
        )

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return (x @ self.embed.W + self.norm(x)) @ self.head.W.T


ALIASES = {"head.W": "embed.W"} | {
    f"blocks.0.{name}": f"norm.{name}" for name in ("gamma", "beta", "avg_mean", "avg_var")
}
X = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)


@SUFFIXES
@pytest.mark.parametrize("names", ["first", "second", "both"])
def test_tied_weights_load_under_either_name_and_stay_tied(tmp_path, suffix, names):
    model, path = Tied(), tmp_path / f"tied.{suffix}"
    model(X)
    model.save_weights(path)
    once = read_weights(path)
    assert not ALIASES.keys() & once.keys(), "written once"
    twice = {alias: once[first] for alias, first in ALIASES.items()}
    saved_names = {name: x for name, x in once.items() if names != "second" or name not in ALIASES.values()}
    write_weights(path, saved_names | (twice if names != "first" else {}))
    other = Tied(seed=7)
    for strict in (True, False, True):
        other.load_weights(path, strict=strict)
        assert other.head.W is other.embed.W
        assert_unchanged(other, model.state_dict())
    other.load_state_dict(saved_names | (twice if names != "first" else {}))
    SGD(lr=0.1).setup(other)
    before = other.embed.W.data.copy()
    loss = F.mean(other(X) ** 2)
    loss.backward()
    SGD(lr=0.1).setup(other).update()
    assert not np.array_equal(other.head.W.data, before)
    assert other.head.W is other.embed.W


def test_conflicting_values_for_tied_weights_raise():
    model = Tied()
    before = model.state_dict()
    for strict in (True, False):
        with pytest.raises(WeightsError, match=r"head\.W and embed\.W are one parameter"):
            model.load_state_dict(before | {"head.W": before["embed.W"] + 1}, strict=strict)
        assert_unchanged(model, before)
    nan = before | {"embed.W": np.full((3, 3), np.nan, np.float32), "head.W": np.full((3, 3), np.nan, np.float32)}
    model.load_state_dict(nan)


def test_tied_and_untied_models_exchange_weights():
    tied, untied = Tied(), Tied(tied=False)
    report = untied.load_state_dict(tied.state_dict(), strict=False)
    assert set(report.missing) == set(ALIASES)
    with pytest.raises(WeightsError, match=r"missing: head\.W"):
        untied.load_state_dict(tied.state_dict())
    untied.head.W.data = untied.embed.W.data.copy()
    tied.load_state_dict(untied.state_dict())
    np.testing.assert_array_equal(tied.head.W.data, untied.head.W.data)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_tied_weights_stay_tied_in_copies(duplicate):
    other = duplicate(Tied())
    assert other.head.W is other.embed.W
    assert other.blocks[0] is other.norm
    assert len(list(other.params())) == 5


def test_layer_with_a_reference_to_its_parent():
    model = Tied()
    model.norm.owner = model
    model.load_state_dict(model.state_dict())
    assert model.load_state_dict(model.state_dict(), strict=False).unexpected == []


# Frozen layers.


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("lazy", [False, True])
def test_frozen_layer_does_not_update_running_statistics(dtype, lazy):
    x = np.random.default_rng(0).standard_normal((6, 4)).astype(dtype)
    model = Sequential(Linear(4, dtype=dtype, in_size=4), BatchNorm(dtype=dtype, in_size=None if lazy else 4))
    if not lazy:
        model(x)
    assert model.freeze().freeze() is model
    if lazy:
        model(x)
    before = model.state_dict()
    y = model(x)
    assert_unchanged(model, before)
    np.testing.assert_array_equal(model.predict(x), y.data)
    model.unfreeze()
    model(x)
    assert not np.array_equal(model.state_dict()["l1.avg_mean"], before["l1.avg_mean"])


def test_unfreeze_does_not_affect_layers_frozen_by_option():
    model = Sequential(BatchNorm(in_size=2), BatchNorm(in_size=2, frozen=True))
    x = np.array([[1.0, 5.0], [3.0, 0.0]], np.float32)
    model.l0.freeze()
    before = model.state_dict()
    model(x)
    assert_unchanged(model, before)
    model.freeze().unfreeze()
    assert (model.l0.frozen, model.l1.frozen) == (False, True)
    model.l1.unfreeze()
    assert model.l1.frozen


def test_freeze_statistics_of_a_user_defined_layer():
    class Centred(Layer):
        def __init__(self) -> None:
            self.stopped = False
            self.register_buffer("mean", np.zeros(2))

        def forward(self, x: Any) -> Any:
            if not self.stopped:
                self.mean = 0.5 * self.mean + 0.5 * x.mean(axis=0)
            return x - self.mean

        def freeze_statistics(self, frozen: bool) -> None:
            self.stopped = frozen

    model = Sequential(Centred()).freeze()
    model(np.ones((3, 2)))
    assert not model.l0.mean.any()
    model.unfreeze()(np.ones((3, 2)))
    assert model.l0.mean.all()

"""Calls with bad input: the built-in class of the error, a pattern of its message, and the call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import DataLoader, SeqDataLoader, Variable, no_grad, optimizers
from passus.datasets import ArrayDataset
from passus.models import MLP, Model
from passus.training import Trainer
from tests.package.running import Training

NAN = float("nan")


class Encoder(L.Layer):
    def __init__(self) -> None:
        self.l1 = L.Linear(3, in_size=4, rng=0)
        self.l2 = L.Linear(2, in_size=5, rng=0)  # Does not match the output of l1.

    def forward(self, x: Any) -> Any:
        return self.l2(self.l1(x))


class Nested(Model):
    def __init__(self) -> None:
        self.encoder = Encoder()

    def forward(self, x: Any) -> Any:
        return self.encoder(x)


def bad(builtin: type[Exception], match: str, call: Callable[[Training], Any]) -> Any:
    return pytest.param(call, builtin, match, id=re.sub(r"\W+", "-", match))


ARRAYS = [
    bad(TypeError, "Variable: str is not supported; pass a NumPy array", lambda s: Variable("a")),
    bad(TypeError, r"Variable: list is not supported; write np.array\(\[1, 2\]\)", lambda s: Variable([1, 2])),
    bad(TypeError, "Variable: an array of <U1 is not supported", lambda s: Variable(np.array(["a"]))),
    bad(TypeError, "Variable: an array of object is not", lambda s: Variable(np.array([None, 1], object))),
    bad(TypeError, "Variable: an array of complex128.*astype", lambda s: Variable(np.ones(2, complex))),
    bad(TypeError, r"Variable: a masked array.*filled\(", lambda s: Variable(np.ma.ones(2))),
    bad(TypeError, "add: None is not supported", lambda s: s.x + None),
    bad(TypeError, r"add: list is not supported; write np.array", lambda s: [1, 2, 3] + s.x),
    bad(TypeError, "mul: an array of <U1", lambda s: np.array(["a"] * 3) * s.x),
    bad(TypeError, "add: input 0 holds no data yet", lambda s: Variable(None) + 1.0),
    bad(TypeError, "exp: Table is not supported", lambda s: F.exp(type("Table", (), {"values": np.ones(2)})())),
    bad(ValueError, r"add\(float64\[2, 3\], float64\[4, 5\]\)", lambda s: s.x + np.ones((4, 5))),
    bad(ValueError, r"matmul\(float64\[2, 3\], float64\[2, 3\]\).*swapaxes", lambda s: s.x @ s.x),
    bad(ValueError, r"linear\(float64\[2, 3\].*passed as W.T", lambda s: F.linear(s.x, np.ones((5, 3)))),
    bad(TypeError, "cannot be assigned.*F.where", lambda s: s.x.__setitem__(0, 1.0)),
]
GRADIENTS = [
    bad(
        RuntimeError,
        "bool, through which no gradient flows.*np.float32",
        lambda s: Variable(np.ones(2, bool)).backward(),
    ),
    bad(TypeError, r"x.data -= lr \* x.grad", lambda s: setattr(s.x, "data", s.x * 2)),
    bad(RuntimeError, r"no graph behind it.*no_grad\(\)", lambda s: no_grad()(lambda: s.x * 2)().backward()),
    bad(ValueError, r"shape \(4,\) does not fit.*\(2, 3\)", lambda s: setattr(s.x * 2, "grad", np.ones(4))),
    bad(TypeError, "gradient of int64 was given; use floating", lambda s: setattr(s.x, "grad", np.ones((2, 3), int))),
    bad(TypeError, r"Variable.grad: float is not.*np.array\(1.0\)", lambda s: setattr(s.x, "grad", 1.0)),
]
INDICES = [
    bad(IndexError, r"get_item\(float64\[2, 3\]\): index 5 is out of bounds", lambda s: s.x[5]),
    bad(IndexError, "get_item.*only integers, slices", lambda s: s.x["a"]),
    bad(IndexError, "get_item: the rows of the index.*unequal lengths", lambda s: s.x[[[1, 0], [1]]]),
    bad(ValueError, r"sum\(float64\[2, 3\]\): axis 2 is out of bounds", lambda s: F.sum(s.x, axis=2)),
    bad(ValueError, "sum.*duplicate value in 'axis'", lambda s: F.sum(s.x, axis=(0, 0))),
    bad(TypeError, "max.*'str' object", lambda s: F.max(s.x, axis="a")),
    bad(TypeError, "glu: axis is a str.*give an integer", lambda s: F.glu(s.x, axis="a")),
    bad(TypeError, "diagonal: axis2 is a str", lambda s: F.diagonal(s.x, axis2="a")),
    bad(TypeError, "cosine_similarity: axis is a float", lambda s: F.cosine_similarity(s.x, s.x, axis=0.5)),
    bad(ValueError, "concatenate.*at least one array", lambda s: F.concatenate([])),
    bad(TypeError, r"concatenate: a float is not a list of arrays; write concatenate\(", lambda s: F.concatenate(3.0)),
    bad(TypeError, "stack: None is not a list of arrays", lambda s: F.stack(None)),
    bad(TypeError, "split: sections must be integers, not 1.5", lambda s: F.split(s.x, 1.5)),
    bad(TypeError, "roll: shift must be integers, not 1.5", lambda s: F.roll(s.x, 1.5)),
    bad(TypeError, r"roll: shift must be integers, not \[1, 2.5\]", lambda s: F.roll(s.x, [1, 2.5], (0, 1))),
    bad(TypeError, r"pad: pad_width must be integers, not \[\[1, 2\], \[3\]\]", lambda s: F.pad(s.x, [[1, 2], [3]])),
    bad(TypeError, "tile: reps must be integers, not 'a'", lambda s: F.tile(s.x, "a")),
    bad(TypeError, "tril: k is a float", lambda s: F.tril(s.x, 1.5)),
    bad(TypeError, "topk: k is a str", lambda s: F.topk(s.x, "a")),
    bad(TypeError, "broadcast_to: shape is None", lambda s: F.broadcast_to(s.x, None)),
    bad(TypeError, "sum_to: shape is a str", lambda s: F.sum_to(s.x, "a")),
    bad(ValueError, "tensordot: axes = -1 does not pair", lambda s: F.tensordot(s.x, s.x, -1)),
    bad(TypeError, "norm: ord is a str", lambda s: F.norm(s.x, ord="fro")),
    bad(TypeError, "astype: 'number' is not a dtype", lambda s: s.x.astype("number")),
    bad(TypeError, "one_hot: num_classes is a float", lambda s: F.one_hot(s.labels, 3.0)),
    bad(TypeError, "elu: alpha is None", lambda s: F.elu(s.x, None)),
]
LOSSES = [
    bad(
        IndexError,
        "label 3 is out of range: the 3 classes are 0 to 2",
        lambda s: F.softmax_cross_entropy(s.x, s.labels + 1),
    ),
    bad(ValueError, "label -1 is out of range", lambda s: F.softmax_cross_entropy(s.x, s.labels - 1)),
    bad(TypeError, "label values must be integers.*astype", lambda s: F.softmax_cross_entropy(s.x, s.labels / 1)),
    bad(
        ValueError,
        r"labels \(2, 1\) do not match x \(2, 3\)",
        lambda s: F.softmax_cross_entropy(s.x, s.labels[:, None]),
    ),
    bad(TypeError, "softmax_cross_entropy: list is not", lambda s: F.softmax_cross_entropy(s.x, [0, 1])),
    bad(
        TypeError,
        "softmax_cross_entropy: an array of <U1",
        lambda s: F.softmax_cross_entropy(s.x, np.array(["a", "b"])),
    ),
    bad(
        ValueError,
        "mean over an empty batch.*skip such batches",
        lambda s: F.softmax_cross_entropy(s.x[:0], s.labels[:0]),
    ),
    bad(TypeError, "label_smoothing is a str", lambda s: F.softmax_cross_entropy(s.x, s.labels, label_smoothing="a")),
    bad(
        ValueError,
        "label_smoothing is nan; it must lie",
        lambda s: F.softmax_cross_entropy(s.x, s.labels, label_smoothing=NAN),
    ),
    bad(TypeError, "ignore_index is a float", lambda s: F.softmax_cross_entropy(s.x, s.labels, ignore_index=0.5)),
    bad(
        ValueError,
        r"binary_cross_entropy: weight \(2, 2, 3\) does not broadcast to x \(2, 3\)",
        lambda s: F.binary_cross_entropy(np.ones((2, 3)), np.ones((2, 3)), weight=np.ones((2, 2, 3))),
    ),
    bad(TypeError, "pos_weight: str is not", lambda s: F.sigmoid_cross_entropy(s.x, s.x.data, pos_weight="a")),
    bad(ValueError, r"mean_squared_error: x \(2, 3\) and t \(3,\)", lambda s: F.mean_squared_error(s.x, np.ones(3))),
    bad(ValueError, "reduction must be.*'average'", lambda s: F.mean_squared_error(s.x, s.x, reduction="average")),
    bad(TypeError, r"dropout: dropout_ratio is a str \('a'\); give a number", lambda s: F.dropout(s.x, "a")),
    bad(ValueError, "dropout: dropout_ratio is 1.5; it must lie between 0 and 1", lambda s: F.dropout(s.x, 1.5)),
    bad(ValueError, "dropout_ratio is nan; it must lie between 0 and 1", lambda s: F.dropout(s.x, NAN)),
    bad(TypeError, "rng: str is neither a seed", lambda s: F.dropout(s.x, 0.5, rng="a")),
    bad(ValueError, "layer_norm: eps is -1", lambda s: F.layer_norm(s.x, np.ones(3), np.ones(3), eps=-1)),
    bad(IndexError, "embed_id: index 2 is out of range.*2 rows", lambda s: F.embed_id(s.labels, s.x)),
]
LAYERS = [
    bad(
        ValueError, r"sequential.l0: linear\(float32\[2, 5\], float32\[4, 3\]", lambda s: s.model(np.ones((2, 5), "f4"))
    ),
    bad(ValueError, "nested.encoder.l2: linear", lambda s: Nested()(np.ones((2, 4), "f4"))),
    bad(TypeError, "sequential.l0: linear: None is not", lambda s: s.model(None)),
    bad(TypeError, "sequential.l0: linear: list is not", lambda s: s.model([[1.0] * 4])),
    bad(ValueError, r"sequential.l1: batch_norm: x \(0, 3\)", lambda s: s.model(np.ones((0, 4), "f4"))),
    bad(ValueError, "Linear: out_size is 0", lambda s: L.Linear(0)),
    bad(TypeError, "Linear: out_size is a float", lambda s: L.Linear(2.5)),
    bad(TypeError, "W: int64 is not supported; give a floating", lambda s: L.Linear(2, dtype=int)),
    bad(TypeError, "W: initializer is a str.*give a function", lambda s: L.Linear(2, initializer="he")),
    bad(ValueError, "Dropout: dropout_ratio is 2", lambda s: L.Dropout(2)),
    bad(TypeError, "Sequential: 3 is neither a layer nor a function", lambda s: L.Sequential(3)),
    bad(TypeError, r"MLP: give the sizes.*MLP\(\(3,\)\)", lambda s: MLP(3)),
    bad(TypeError, "MLP: activation is a str", lambda s: MLP((3, 2), activation="relu")),
    bad(
        TypeError, r"linear.W is a parameter.*assign it to W.data", lambda s: setattr(s.model[0], "W", np.ones((4, 3)))
    ),
    bad(TypeError, "None is not a state; give the dict", lambda s: s.model.load_state_dict(None)),
    bad(ValueError, "missing: l0.W.*Nothing was changed", lambda s: s.model.load_state_dict({})),
]
OPTIMIZERS = [
    bad(ValueError, "SGD: lr is nan", lambda s: optimizers.SGD(lr=NAN)),
    bad(ValueError, "Adam: lr is nan", lambda s: setattr(s.optimizer, "lr", NAN)),
    bad(ValueError, "SGD: lr is -1", lambda s: optimizers.SGD(lr=-1)),
    bad(TypeError, r"SGD: lr is a str \('a'\); give a number", lambda s: optimizers.SGD(lr="a")),
    bad(TypeError, "SGD: lr is None", lambda s: optimizers.SGD(lr=None)),
    bad(ValueError, r"SGD: no model to update; call setup\(model\)", lambda s: optimizers.SGD().update()),
    bad(TypeError, r"SGD.setup: the target is an int; give a layer", lambda s: optimizers.SGD().setup(3)),
    bad(TypeError, "FreezeParam: the target is a str", lambda s: optimizers.FreezeParam("l0")),
    bad(TypeError, "EMA: the target is an int", lambda s: optimizers.EMA(3)),
    bad(TypeError, "GradientAccumulation: an int is not an optimizer", lambda s: optimizers.GradientAccumulation(3, 2)),
    bad(TypeError, "Adam.load_state_dict: None is not a state", lambda s: s.optimizer.load_state_dict(None)),
    bad(ValueError, "missing: step.*Nothing was changed", lambda s: s.optimizer.load_state_dict({})),
    bad(ValueError, "no parameter is at 'l9'; there are l0.W", lambda s: s.optimizer.add_group("l9", lr=0.1)),
]
TRAINERS = [
    bad(TypeError, "Trainer: model is an int", lambda s: Trainer(3, s.optimizer, s.loader, F.l1_loss)),
    bad(
        TypeError,
        r"Trainer: optimizer is an int, which has no update",
        lambda s: Trainer(s.model, 3, s.loader, F.l1_loss),
    ),
    bad(TypeError, "Trainer: loader is an int", lambda s: Trainer(s.model, s.optimizer, 3, F.l1_loss)),
    bad(TypeError, "Trainer: loss is a str", lambda s: Trainer(s.model, s.optimizer, s.loader, "l1_loss")),
    bad(TypeError, "Trainer: a callback is an int", lambda s: s.trainer(callbacks=[3])),
    bad(ValueError, "Trainer.fit: epochs is 0", lambda s: s.trainer().fit(0)),
    bad(ValueError, "Trainer: loader has no batches", lambda s: s.trainer(loader=[]).fit(1)),
    bad(ValueError, "Trainer: a batch must be \\(x, t\\)", lambda s: s.trainer(loader=[3]).fit(1)),
    bad(ValueError, "load_state_dict: missing: epoch", lambda s: s.trainer().load_state_dict({})),
]
LOADERS = [
    bad(ValueError, "DataLoader: batch_size is 0", lambda s: DataLoader(np.ones(3), 0)),
    bad(ValueError, "DataLoader: batch_size is -1", lambda s: DataLoader(np.ones(3), -1)),
    bad(TypeError, "DataLoader: batch_size is a float", lambda s: DataLoader(np.ones(3), 2.5)),
    bad(TypeError, "DataLoader: batch_size is a str", lambda s: DataLoader(np.ones(3), "a")),
    bad(TypeError, "DataLoader: batch_size is a bool", lambda s: DataLoader(np.ones(3), True)),
    bad(ValueError, r"DataLoader: len\(dataset\) is 0", lambda s: DataLoader([], 2)),
    bad(TypeError, "SeqDataLoader: None has no length", lambda s: SeqDataLoader(None, 2)),
    bad(TypeError, "DataLoader: an ndarray has no length", lambda s: DataLoader(np.array(3.0), 1)),
    bad(ValueError, r"DataLoader: shard is 3; give a pair", lambda s: DataLoader(np.ones(3), 2, rng=0, shard=3)),
    bad(TypeError, "DataLoader: collate is an int", lambda s: DataLoader(np.ones(3), 2, collate=3)),
    bad(TypeError, "DataLoader.load_state_dict: None is not a state", lambda s: s.loader.load_state_dict(None)),
    bad(ValueError, "this is the state of a different loader", lambda s: s.loader.load_state_dict({})),
    bad(ValueError, r"collate: .*shape \(2,\).*\(3,\)", lambda s: list(DataLoader([np.ones(2), np.ones(3)], 2, rng=0))),
    bad(ValueError, "collate: .*length 2, example 1 None", lambda s: list(DataLoader([(1, 2), 3], 2, False, rng=0))),
    bad(ValueError, "collate: .*type int.*1 str", lambda s: list(DataLoader([1, "a"], 2, False, rng=0))),
    bad(
        TypeError,
        "collate: cannot stack values of type object",
        lambda s: list(DataLoader([object()], 2, False, rng=0)),
    ),
    bad(IndexError, "ArrayDataset: index 5 is out of range", lambda s: ArrayDataset(np.ones(3))[5]),
]

"""Bad input of every kind: the error belongs to passus, suggests a fix, and leaves everything unchanged.

Each call is made in the middle of a training run. Model, optimizer, loader and random state must be unchanged after
the error, and the next valid step must succeed.
"""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Config, DataLoader, Function, SeqDataLoader, Variable, no_grad, optimizers
from passus.datasets import ArrayDataset
from passus.errors import DTypeError, PassusError, WeightsError
from passus.models import MLP, Model, Sequential
from passus.random import rng_state
from passus.serializers import load_checkpoint, save_checkpoint, write_weights
from passus.training import Trainer

NAN = float("nan")
KINDS = ("npz", "safetensors")


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


class Training:
    """A training run after its first step, inside an epoch."""

    def __init__(self) -> None:
        self.model = Sequential(L.Linear(3, in_size=4, rng=0), L.BatchNorm(in_size=3), L.Linear(2, in_size=3, rng=1))
        self.optimizer = optimizers.Adam(lr=0.01).setup(self.model)
        self.loader = DataLoader(ArrayDataset(np.eye(8, 4, dtype=np.float32), np.arange(8) % 2), 2, rng=0)
        self.batches: Iterator[Any] = iter(self.loader)
        self.x = Variable(np.ones((2, 3)))
        self.labels = np.array([0, 2])
        self.step()

    def step(self) -> None:
        x, t = next(self.batches)
        loss = F.softmax_cross_entropy(self.model(x), t)
        self.model.cleargrads()
        loss.backward()
        self.optimizer.update()

    def trainer(self, **options: Any) -> Trainer:
        given = {"loader": self.loader, "loss": F.l1_loss, "progress": False} | options
        return Trainer(self.model, self.optimizer, **given)

    def state(self) -> Any:
        components = {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}
        grads = {path: p.grad if p.grad is None else p.grad.data.copy() for path, p in self.model.named_params()}
        states = {name: pickle.dumps(component.state_dict()) for name, component in components.items()}
        return states, rng_state(), grads, repr(Config)


def check_harmless(training: Training, call: Callable[[], Any], builtin: type[Exception], match: str) -> PassusError:
    """Check that the call raises and that training continues unaffected; return the error."""
    steps, before = training.optimizer.step, training.state()
    with pytest.raises(builtin, match=match) as caught:
        call()
    assert isinstance(caught.value, PassusError)
    np.testing.assert_equal(training.state(), before)
    training.step()
    assert training.optimizer.step == steps + 1
    return caught.value


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


# Files.


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_weights_file_raises(kind: str, tmp_path: Path) -> None:
    path, layer = tmp_path / f"weights.{kind}", L.Linear(2, in_size=3, rng=0)
    layer.save_weights(path)
    content, before = path.read_bytes(), layer.state_dict()
    for end in range(0, len(content), 1 if kind == "safetensors" else 3):
        path.write_bytes(content[:end])
        with pytest.raises(WeightsError, match="not a readable"):
            layer.load_weights(path)
    np.testing.assert_equal(layer.state_dict(), before)
    path.write_bytes(content)
    layer.load_weights(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [b"", b"epoch,loss\n1,0.5\n", pickle.dumps({"l0.W": 1}), b"\x80" * 64])
def test_file_of_another_format_raises(kind: str, content: bytes, tmp_path: Path) -> None:
    training, path = Training(), tmp_path / f"other.{kind}"
    path.write_bytes(content)
    check_harmless(training, lambda: training.model.load_weights(path), ValueError, f"other.{kind}: not a readable")
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", KINDS)
def test_missing_file_folder_and_wrong_suffix_have_separate_errors(kind: str, tmp_path: Path) -> None:
    training, load = Training(), L.Linear(2).load_weights
    error = check_harmless(training, lambda: load(tmp_path / f"no.{kind}"), FileNotFoundError, "no such file")
    assert isinstance(error, WeightsError)
    (tmp_path / f"folder.{kind}").mkdir()
    with pytest.raises(WeightsError, match="this is a folder; give the path of a file in it"):
        load(tmp_path / f"folder.{kind}")
    check_harmless(
        training,
        lambda: training.model.save_weights(tmp_path / f"folder.{kind}"),
        OSError,
        "give the path of a file in",
    )
    check_harmless(
        training, lambda: training.model.save_weights(tmp_path / "a" / f"b.{kind}"), OSError, "create it first"
    )
    with pytest.raises(PassusError, match=r"must end in \.safetensors or \.npz"):
        load(tmp_path / "weights.pkl")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        (MLP((5, 2), in_size=4).state_dict(), "missing: l1.gamma.*extra: l1.W.*shape: l0.W"),
        ({"l0.W": np.ones((4, 3), np.int32)}, "l0.W int32 instead of float32"),
        ({}, "missing: l0.W"),
    ],
    ids=["another model", "another dtype", "nothing"],
)
def test_weights_of_another_model_raise_and_list_the_differences(
    kind: str, arrays: Any, match: str, tmp_path: Path
) -> None:
    training, path = Training(), tmp_path / f"weights.{kind}"
    write_weights(path, arrays)
    check_harmless(training, lambda: training.model.load_weights(path), ValueError, f"{match}.*Nothing was changed")


@pytest.mark.parametrize("kind", KINDS)
def test_non_arrays_are_not_written(kind: str, tmp_path: Path) -> None:
    for wrong in ([1.0], "a", np.array(["a"]), np.array([None])):
        with pytest.raises(DTypeError, match="not written: W is not a numeric array"):
            write_weights(tmp_path / f"weights.{kind}", {"W": wrong})
    with pytest.raises(DTypeError, match="is not a path; give a string"):
        L.Linear(2, in_size=3).save_weights(None)
    assert not list(tmp_path.iterdir())


def test_objects_in_an_archive_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", W=np.array([None, 1], object))
    with pytest.raises(WeightsError, match="not a readable npz file of numbers"):
        L.Linear(2).load_weights(tmp_path / "objects.npz")


def test_checkpoint_with_missing_or_extra_components_raises(tmp_path: Path) -> None:
    training, path = Training(), tmp_path / "run.safetensors"
    save_checkpoint(path, model=training.model)
    components = {"model": training.model, "optimizer": training.optimizer}
    check_harmless(
        training, lambda: load_checkpoint(path, **components), ValueError, "holds model, not model, optimizer"
    )
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors", model=training.model)
    with pytest.raises(WeightsError, match=r"model: .*extra: l1\.gamma.*Nothing was changed"):
        load_checkpoint(path, model=MLP((2,), in_size=3))


# Interrupted calls.


def interrupt(*args: Any) -> Any:
    raise KeyboardInterrupt


class Interrupted(Function):
    """An identity with an interrupted backward pass."""

    def forward(self, x: Any) -> Any:
        return x + 0

    def backward(self, gy: Any) -> Any:
        raise KeyboardInterrupt


def check_interrupted(training: Training, call: Callable[[], Any]) -> None:
    before = training.state()
    with pytest.raises(KeyboardInterrupt):
        call()
    np.testing.assert_equal(training.state(), before)


def test_interrupted_forward_pass_changes_nothing() -> None:
    training = Training()
    model = Sequential(training.model[0], interrupt)
    check_interrupted(training, lambda: no_grad()(model)(np.ones((2, 4), np.float32)))
    training.step()


@pytest.mark.parametrize("create_graph", [False, True])
def test_interrupted_backward_pass_changes_nothing(create_graph: bool) -> None:
    training = Training()
    y = F.sum(training.model[2](Interrupted()(training.model[0](np.ones((2, 4), np.float32)))))
    check_interrupted(training, lambda: y.backward(create_graph=create_graph))
    training.step()


def test_interrupted_hook_prevents_the_update() -> None:
    training = Training()
    training.optimizer.add_hook(interrupt)
    check_interrupted(training, training.optimizer.update)
    training.optimizer.hooks.clear()
    training.step()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_interrupted_save_keeps_the_old_file(
    kind: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, path = Training(), tmp_path / f"weights.{kind}"
    training.model.save_weights(path)
    content = path.read_bytes()
    training.step()
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": ("os.fsync", interrupt), "replace": ("pathlib.Path.replace", interrupt)}[moment])
        check_interrupted(training, lambda: training.model.save_weights(path))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    training.model.save_weights(path)
    assert path.read_bytes() != content


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupted_loader_can_restart(workers: int) -> None:
    class Examples(list[float]):
        broken = True

        def __getitem__(self, i: Any) -> Any:
            return interrupt() if self.broken and i == 3 else super().__getitem__(i)

    examples = Examples([0.0, 1.0, 2.0, 3.0])
    loader = DataLoader(examples, 2, shuffle=False, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        list(loader)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("passus-loader")]
    examples.broken = False
    assert [batch.tolist() for batch in loader] == [[0.0, 1.0], [2.0, 3.0]]


def test_leaving_an_epoch_stops_its_threads() -> None:
    batches = iter(DataLoader(np.arange(20.0), 2, workers=2, rng=0))
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("passus-loader")]

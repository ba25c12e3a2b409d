"""The class Layer: parameters, buffers and children by their paths, calls, and errors that name the layer."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable
from passus.core import Parameter
from passus.errors import ArgumentError, DTypeError, ShapeError, WeightsError
from passus.layers import Layer, Linear, Sequential
from tests.layers.block import Block, X, loss, parameter, paths


def test_parameters_have_paths_in_the_order_of_assignment() -> None:
    assert paths(Block()) == [
        "first.W",
        "first.b",
        "scale",
        "many.0.W",
        "many.0.b",
        "many.2.gate.W",
        "many.2.gate.b",
        "many.2.bias",
        "pair.0",
        "last.W",
    ]


def test_named_layers_lists_parents_before_children() -> None:
    block = Block()
    named = dict(block.named_layers())
    assert list(named) == ["", "first", "many.0", "many.2.gate", "last"]
    assert named[""] is block
    assert named["many.2.gate"] is block.many[2]["gate"]


def test_params_equals_named_params() -> None:
    block = Block()
    assert [id(p) for p in block.params()] == [id(p) for _, p in block.named_params()]


def test_reassigned_deleted_and_appended_children_are_listed() -> None:
    block = Block()
    block.first = Linear(3, nobias=True, in_size=4)
    del block.scale
    block.many.append(parameter(1))
    assert paths(block)[:2] == ["first.W", "many.0.W"], "a new layer has the position of the old one"
    assert "many.3" in paths(block)
    block.first = None
    assert "first.W" not in paths(block)


def append(block: Block) -> None:
    block.many.append(parameter(1))


def replace_in_dict(block: Block) -> None:
    block.many[2]["gate"] = Linear(3, in_size=3)


def rename_in_dict(block: Block) -> None:
    block.many[2]["door"] = block.many[2].pop("gate")


def assign_below(block: Block) -> None:
    block.many[0].W = parameter(3, 3)


def add_below(block: Block) -> None:
    block.first.extra = [Linear(3, in_size=3)]


def delete_below(block: Block) -> None:
    del block.many[2]["gate"].b


def hide(block: Block) -> None:
    block.last = None


@pytest.mark.parametrize(
    "change", [append, replace_in_dict, rename_in_dict, assign_below, add_below, delete_below, hide]
)
def test_cached_walk_is_invalidated_by_any_change(change: Any) -> None:
    block, fresh = Block(), Block()
    before = list(block.named_params())
    assert all(p is q for (_, p), (_, q) in zip(block.named_params(), before, strict=True))
    change(block)
    change(fresh)
    assert paths(block) == paths(fresh)
    now = [(path, id(p)) for path, p in block.named_params()]
    assert now == [(path, id(p)) for path, p in copy.copy(block).named_params()], "a copy has no cached walk"
    assert now != [(path, id(p)) for path, p in before]


def test_set_of_layers_raises() -> None:
    root = Layer()
    root.inner = Layer()
    root.inner.blocks = [{Linear(3)}]
    with pytest.raises(DTypeError, match=r"layer\.inner\.blocks\.0: a set has no order .*; use a list"):
        list(root.params())
    root.inner.blocks = [{"a", "set", "of", "strings"}]
    assert paths(root) == []


def test_duplicate_paths_raise() -> None:
    layer = Layer()
    layer.blocks = {1: parameter(1), "1": parameter(1)}
    with pytest.raises(WeightsError, match=r"layer: two parts are called blocks\.1; rename one of them"):
        list(layer.params())


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_inputs_and_outputs_are_reserved_names(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"layer\.{name}: .*choose another name"):
        setattr(Layer(), name, Linear(3))


def test_shared_layer_is_listed_once_under_its_first_path() -> None:
    root = Layer()
    root.encoder = Linear(3, in_size=3)
    root.tied = [root.encoder, Linear(3, in_size=3)]
    root.weight = root.tied[1].W
    root.itself = root
    assert paths(root) == ["encoder.W", "encoder.b", "tied.1.W", "tied.1.b"]


def test_recursive_list_is_walked_once() -> None:
    root = Layer()
    root.blocks = [parameter(1)]
    root.blocks.append(root.blocks)
    assert paths(root) == ["blocks.0"]


def test_subclass_without_super_init_works() -> None:
    class Plain(Layer):
        def __init__(self) -> None:
            self.W = parameter(2)
            self.register_buffer("count", np.zeros(()))

    assert paths(Plain()) == ["W"]
    assert list(Plain().state_dict()) == ["W", "count"]


def test_attributes_can_be_assigned_during_iteration() -> None:
    block = Block()
    for _, layer in block.named_layers():
        layer.mark = 1
    assert block.last.mark == 1


def test_assigning_an_array_to_a_parameter_raises() -> None:
    layer = Linear(3, in_size=4)
    with pytest.raises(DTypeError, match=r"linear\.W is a parameter, .* assign it to W\.data"):
        layer.W = np.zeros((4, 3))
    with pytest.raises(DTypeError, match=r"linear\.W is a parameter, .* to W\.data, or give Parameter"):
        layer.W = Variable(np.zeros((4, 3)))
    with pytest.raises(DTypeError, match="delete the attribute first"):
        layer.W = layer.W - 0.1
    del layer.W
    layer.W = Variable(np.ones((4, 3)))  # As in meta-learning: deliberately not a parameter any more.
    layer.W = np.ones((4, 3))


def test_buffers_are_saved_but_are_not_parameters() -> None:
    layer = Layer()
    layer.W = parameter(1)
    layer.register_buffer("steps", np.array(3))
    layer.steps = layer.steps + 1
    layer.register_buffer("steps", layer.steps)
    layer.inner = L.BatchNorm(in_size=2)
    assert paths(layer) == ["W", "inner.gamma", "inner.beta"]
    assert [(path, a.tolist()) for path, a in layer.named_buffers()] == [
        ("steps", 4),
        ("inner.avg_mean", [0, 0]),
        ("inner.avg_var", [1, 1]),
    ]
    assert list(layer.state_dict()) == ["W", "steps", *[f"inner.{n}" for n in ("gamma", "beta", "avg_mean", "avg_var")]]


@pytest.mark.parametrize(
    ("name", "array", "error", "match"),
    [
        ("steps", "many", DTypeError, r"layer\.register_buffer\('steps'\): str is not supported"),
        ("steps", np.array(["a"]), DTypeError, "an array of <U1 is not supported"),
        ("l1.steps", np.zeros(1), ArgumentError, r"'l1\.steps' is no name for an attribute"),
        (3, np.zeros(1), ArgumentError, "3 is no name"),
    ],
)
def test_invalid_buffers_raise(name: Any, array: Any, error: Any, match: str) -> None:
    layer = Layer()
    with pytest.raises(error, match=match):
        layer.register_buffer(name, array)
    assert not layer.state_dict()


def test_count_params() -> None:
    assert Linear(3, in_size=4).count_params() == 15
    assert L.BatchNorm(in_size=4).count_params() == 8, "buffers are not counted"
    with pytest.raises(WeightsError, match=r"sequential: l0\.W will get a shape from the first call; call it once"):
        Sequential(Linear(3)).count_params()


def test_frozen_parameters_get_no_gradient() -> None:
    block = Block()
    assert block.first.freeze() is block.first
    loss(block).backward()
    assert all(p.grad is None for p in block.first.params())
    assert block.scale.grad is not None
    block.cleargrads()
    assert all(p.grad is None for p in block.params())
    assert block.unfreeze() is block
    loss(block).backward()
    assert block.first.W.grad is not None


def test_a_lazy_layer_can_be_frozen() -> None:
    layer = Linear(3).freeze()
    layer(X)
    assert not layer.W.requires_grad


def test_unfreezing_integer_parameters_keeps_requires_grad_false() -> None:
    layer = Layer()
    layer.shift = Parameter(np.array([1, 2]))
    assert not layer.freeze().unfreeze().shift.requires_grad


def test_repr_shows_the_tree_of_layers() -> None:
    model = Layer()
    model.encoder = Sequential(Linear(3, in_size=4), F.relu, L.Dropout(0.1))
    model.heads = [Linear(2, nobias=True), L.BatchNorm()]
    model.encoder.l0.extra = L.LayerNorm(in_size=1000)
    assert repr(model).splitlines() == [
        "Layer()",
        "  encoder: Sequential()  2,015 parameters",
        "    l0: Linear(out_size=3)  W (4, 3), b (3,)  2,015 parameters",
        "      extra: LayerNorm(eps=1e-05)  gamma (1000,), beta (1000,)  2,000 parameters",
        "    l2: Dropout(dropout_ratio=0.1)",
        "  heads.0: Linear(out_size=2)  W (?, 2)",
        "  heads.1: BatchNorm(decay=0.9, eps=2e-05, frozen=False)  gamma (?,), beta (?,)",
    ]
    plain = Layer()
    plain.W = Parameter(None)
    assert repr(plain) == "Layer()  W ?"


def test_last_call_is_stored_as_weak_references() -> None:
    layer, x = Linear(3, in_size=4), Variable(X)
    y = layer(x)
    assert layer.inputs[0]() is x
    assert layer.outputs[0]() is y
    gone = weakref.ref(y)
    del y
    assert gone() is None, "the layer keeps no graph alive"
    assert layer.outputs[0]() is None


def test_inputs_and_outputs_of_any_type() -> None:
    class Anything(Layer):
        def forward(self, x: Any, n: int, *, flag: bool = False) -> Any:
            return [x[0], x[1]] if flag else (x[0], n, None)

    layer, x = Anything(), [Variable(X), Variable(X)]
    assert layer(x, 3)[1] == 3
    assert layer.inputs[0][1]() is x[1]
    assert layer.inputs[1]() == 3
    assert layer.outputs[0]() is x[0]
    assert layer(x, 3, flag=True)[0] is x[0]


def test_missing_forward_raises() -> None:
    with pytest.raises(NotImplementedError, match=r"Layer\.forward is not implemented"):
        Layer()(X)


class Encoder(Layer):
    def __init__(self, last: Layer) -> None:
        self.l1 = Linear(3, in_size=4)
        self.l2 = last

    def forward(self, x: Any) -> Any:
        return self.l2(self.l1(x))


class Net(Layer):
    def __init__(self, last: Layer) -> None:
        self.blocks = [Encoder(last)]

    def forward(self, x: Any) -> Any:
        return self.blocks[0](x)


def test_error_message_starts_with_the_layer_path() -> None:
    with pytest.raises(ShapeError, match=r"^net\.blocks\.0\.l2: linear.*5, 3.*7, 2"):
        Net(Linear(2, in_size=7))(X)
    with pytest.raises(ShapeError, match=r"^linear\("):
        Linear(2, in_size=7)(X)


def test_error_message_contains_one_path() -> None:
    net = Net(Linear(2, in_size=7))
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"^net\.blocks\.0\.l2: linear"):
            net(X)
    with pytest.raises(ShapeError, match=r"^encoder\.l2: linear"):
        net.blocks[0](X)


def test_error_path_of_an_unregistered_layer_is_its_class() -> None:
    class Loose(Layer):
        def forward(self, x: Any) -> Any:
            return Linear(2, in_size=7)(x)

    with pytest.raises(ShapeError, match=r"^loose\.linear: linear"):
        Loose()(X)


def test_recursive_layer_is_named_once_in_errors() -> None:
    class Again(Layer):
        def forward(self, x: Any, depth: int = 2) -> Any:
            if depth:
                return self(x, depth - 1)
            raise ShapeError("too deep")

    with pytest.raises(ShapeError, match=r"^again: too deep$"):
        Again()(X)


def test_errors_of_user_code_are_not_changed() -> None:
    class Broken(Layer):
        def forward(self, x: Any) -> Any:
            return {}["gone"]

    with pytest.raises(KeyError, match=r"^'gone'$"):
        Broken()(X)

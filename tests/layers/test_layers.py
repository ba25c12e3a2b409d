"""Layers: what they hold, what they compute, and what they say when something does not fit."""

from __future__ import annotations

import copy
import pickle
import sys
import weakref
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus import Variable, cuda
from passus.config import no_grad, test_mode
from passus.core import Parameter
from passus.errors import ArgumentError, DependencyError, DTypeError, PassusError, ShapeError, WeightsError
from passus.initializers import constant, orthogonal
from passus.layers import Layer, LazyParameter, Linear, Sequential
from passus.random import rng_state
from passus.testing import check_grads

X = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def parameter(*shape: int) -> Parameter:
    return Parameter(np.zeros(shape))


def paths(layer: Layer) -> list[str]:
    return [path for path, _ in layer.named_params()]


def loss(layer: Layer, x: Any = X) -> Variable:
    return F.sum(F.square(layer(x)))


# What a layer holds.


class Block(Layer):
    def __init__(self) -> None:
        self.first = Linear(3, in_size=4)
        self.scale = Parameter(np.zeros(3, np.float32))
        self.many = [Linear(3, in_size=3), F.relu, {"gate": Linear(3, in_size=3), "bias": parameter(1)}]
        self.pair = (parameter(1), 2.0)
        self.last = Linear(2, nobias=True, in_size=3)

    def forward(self, x: Any) -> Any:
        return self.last(self.many[1](self.many[0](self.first(x) + self.scale)))


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


def test_layers_have_paths_holders_first() -> None:
    block = Block()
    named = dict(block.named_layers())
    assert list(named) == ["", "first", "many.0", "many.2.gate", "last"]
    assert named[""] is block
    assert named["many.2.gate"] is block.many[2]["gate"]


def test_params_are_those_with_names() -> None:
    block = Block()
    assert [id(p) for p in block.params()] == [id(p) for _, p in block.named_params()]


def test_reassigned_deleted_and_appended_parts_are_seen() -> None:
    block = Block()
    block.first = Linear(3, nobias=True, in_size=4)
    del block.scale
    block.many.append(parameter(1))
    assert paths(block)[:2] == ["first.W", "many.0.W"], "a new layer takes the place of the old"
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
def test_what_was_remembered_of_a_walk_is_forgotten_with_any_change(change: Any) -> None:
    block, fresh = Block(), Block()
    before = list(block.named_params())
    assert all(p is q for (_, p), (_, q) in zip(block.named_params(), before, strict=True))
    change(block)
    change(fresh)
    assert paths(block) == paths(fresh)
    now = [(path, id(p)) for path, p in block.named_params()]
    assert now == [(path, id(p)) for path, p in copy.copy(block).named_params()], "a copy has not walked yet"
    assert now != [(path, id(p)) for path, p in before]


def test_a_set_of_layers_is_refused() -> None:
    root = Layer()
    root.inner = Layer()
    root.inner.parts = [{Linear(3)}]
    with pytest.raises(DTypeError, match=r"layer\.inner\.parts\.0: a set has no order .*; use a list"):
        list(root.params())
    root.inner.parts = [{"names", "of", "things"}]
    assert paths(root) == []


def test_two_parts_of_one_path_would_share_what_an_optimizer_remembers() -> None:
    layer = Layer()
    layer.parts = {1: parameter(1), "1": parameter(1)}
    with pytest.raises(WeightsError, match=r"layer: two parts are called parts\.1; rename one of them"):
        list(layer.params())


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_where_a_call_is_remembered_nothing_else_can_be(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"layer\.{name}: .*choose another name"):
        setattr(Layer(), name, Linear(3))


def test_a_shared_layer_is_visited_once_under_its_first_path() -> None:
    root = Layer()
    root.encoder = Linear(3, in_size=3)
    root.tied = [root.encoder, Linear(3, in_size=3)]
    root.weight = root.tied[1].W
    root.self_again = root
    assert paths(root) == ["encoder.W", "encoder.b", "tied.1.W", "tied.1.b"]


def test_a_list_that_holds_itself_ends() -> None:
    root = Layer()
    root.parts = [parameter(1)]
    root.parts.append(root.parts)
    assert paths(root) == ["parts.0"]


def test_a_subclass_may_forget_to_call_the_constructor_of_the_base() -> None:
    class Plain(Layer):
        def __init__(self) -> None:
            self.W = parameter(2)
            self.register_buffer("count", np.zeros(()))

    assert paths(Plain()) == ["W"]
    assert list(Plain().state_dict()) == ["W", "count"]


def test_attributes_may_change_while_layers_are_listed() -> None:
    block = Block()
    for _, layer in block.named_layers():
        layer.mark = 1
    assert block.last.mark == 1


def test_an_array_cannot_take_the_place_of_a_parameter() -> None:
    layer = Linear(3, in_size=4)
    with pytest.raises(DTypeError, match=r"linear\.W is a parameter, .* assign it to W\.data"):
        layer.W = np.zeros((4, 3))
    with pytest.raises(DTypeError, match=r"linear\.W is a parameter, .* to W\.data, or give Parameter"):
        layer.W = Variable(np.zeros((4, 3)))
    with pytest.raises(DTypeError, match="delete the attribute first"):
        layer.W = layer.W - 0.1
    del layer.W
    layer.W = Variable(np.ones((4, 3)))  # As in meta-learning: not a parameter any more, and the user knows.
    layer.W = np.ones((4, 3))


def test_buffers_are_saved_but_not_learnt() -> None:
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
def test_a_buffer_is_an_array_with_a_name(name: Any, array: Any, error: Any, match: str) -> None:
    layer = Layer()
    with pytest.raises(error, match=match):
        layer.register_buffer(name, array)
    assert not layer.state_dict()


def test_counting() -> None:
    assert Linear(3, in_size=4).count_params() == 15
    assert L.BatchNorm(in_size=4).count_params() == 8, "buffers are not learnt"
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


def test_integers_stay_without_a_gradient() -> None:
    layer = Layer()
    layer.shift = Parameter(np.array([1, 2]))
    assert not layer.freeze().unfreeze().shift.requires_grad


def test_a_tree_is_printed() -> None:
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


# Calling.


def test_a_call_is_remembered_weakly() -> None:
    layer, x = Linear(3, in_size=4), Variable(X)
    y = layer(x)
    assert layer.inputs[0]() is x
    assert layer.outputs[0]() is y
    gone = weakref.ref(y)
    del y
    assert gone() is None, "the layer keeps no graph alive"
    assert layer.outputs[0]() is None


def test_inputs_and_outputs_may_be_anything() -> None:
    class Anything(Layer):
        def forward(self, x: Any, n: int, *, flag: bool = False) -> Any:
            return [x[0], x[1]] if flag else (x[0], n, None)

    layer, x = Anything(), [Variable(X), Variable(X)]
    assert layer(x, 3)[1] == 3
    assert layer.inputs[0][1]() is x[1]
    assert layer.inputs[1]() == 3
    assert layer.outputs[0]() is x[0]
    assert layer(x, 3, flag=True)[0] is x[0]


def test_a_layer_that_is_not_written_says_so() -> None:
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


def test_an_error_begins_with_the_path_of_the_layer() -> None:
    with pytest.raises(ShapeError, match=r"^net\.blocks\.0\.l2: linear.*5, 3.*7, 2"):
        Net(Linear(2, in_size=7))(X)
    with pytest.raises(ShapeError, match=r"^linear\("):
        Linear(2, in_size=7)(X)


def test_each_error_begins_with_one_path() -> None:
    net = Net(Linear(2, in_size=7))
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"^net\.blocks\.0\.l2: linear"):
            net(X)
    with pytest.raises(ShapeError, match=r"^encoder\.l2: linear"):
        net.blocks[0](X)


def test_an_error_from_a_layer_that_is_not_held_begins_with_its_class() -> None:
    class Loose(Layer):
        def forward(self, x: Any) -> Any:
            return Linear(2, in_size=7)(x)

    with pytest.raises(ShapeError, match=r"^loose\.linear: linear"):
        Loose()(X)


def test_a_layer_that_calls_itself_names_itself_once() -> None:
    class Again(Layer):
        def forward(self, x: Any, depth: int = 2) -> Any:
            if depth:
                return self(x, depth - 1)
            raise ShapeError("too deep")

    with pytest.raises(ShapeError, match=r"^again: too deep$"):
        Again()(X)


def test_other_errors_pass_as_they_are() -> None:
    class Broken(Layer):
        def forward(self, x: Any) -> Any:
            return {}["gone"]

    with pytest.raises(KeyError, match=r"^'gone'$"):
        Broken()(X)


# State.


def test_state_goes_there_and_back() -> None:
    block, other = Block(), Block()
    state = block.state_dict()
    other.load_state_dict(state)
    np.testing.assert_equal(other.state_dict(), state)
    state["scale"][...] = 5
    assert not block.scale.data.any(), "the state is a copy"
    assert not other.scale.data.any(), "and is copied again"


def test_the_state_of_a_lazy_layer_is_lazy() -> None:
    model = Sequential(Linear(3), L.BatchNorm())
    state = model.state_dict()
    assert state["l0.W"] is None
    model.load_state_dict(state)
    assert model.l0.W.data is None
    assert model.l1.avg_mean is None
    assert model(X).shape == (5, 3)
    before = model.state_dict()
    with pytest.raises(WeightsError, match=r"not an array: l0\.W, l1\.gamma.*Nothing was changed"):
        model.load_state_dict(state)  # It would forget what was learnt.
    np.testing.assert_equal(model.state_dict(), before)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    block = Block()
    before = block.state_dict()
    wrong = {**{name: a + 1 for name, a in before.items()}, "last.W": np.zeros((3, 3), np.float32), "more": None}
    with pytest.raises(WeightsError, match=r"block\.load_state_dict: .*extra: more; .*last\.W \(3, 3\) instead of"):
        block.load_state_dict(wrong)
    np.testing.assert_equal(block.state_dict(), before)


def test_a_graph_notices_that_weights_were_loaded() -> None:
    layer = Linear(3, in_size=4)
    y = F.sum(layer(Variable(X)))
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(PassusError, match="edited after the forward pass"):
        y.backward()


def test_a_parameter_of_unknown_shape_takes_any() -> None:
    layer = Layer()
    layer.W = Parameter(None)
    layer.load_state_dict({"W": np.ones((2, 5))})
    assert layer.W.shape == (2, 5)


def test_averages_not_there_yet_take_the_precision_of_the_layer() -> None:
    given = L.BatchNorm(dtype=np.float64, in_size=3).state_dict()
    layer = L.BatchNorm()
    with pytest.raises(WeightsError, match="avg_mean float64 instead of float32"):
        layer.load_state_dict(given)
    layer.load_state_dict(given, cast=True)
    assert layer.avg_mean.dtype == layer.avg_var.dtype == np.float32


def test_generators_are_part_of_the_state() -> None:
    x = np.ones(100)
    layer, other = Sequential(L.Dropout(rng=0), L.Dropout()), Sequential(L.Dropout(rng=9), L.Dropout())
    layer(x)
    state = layer.state_dict()
    assert list(state) == ["l0.rng"], "the current generator belongs to no layer"
    other.load_state_dict(pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(other.l0(x), layer.l0(x))


@pytest.mark.parametrize(
    ("spoilt", "match"),
    [({"l1.rng": {"bit_generator": "MT19937"}}, "not a state of PCG64"), ({"l2.W": np.ones(5)}, r"l2\.W \(5,\)")],
)
def test_a_state_with_one_fault_moves_no_generator(spoilt: Any, match: str) -> None:
    model = Sequential(L.Dropout(rng=0), L.Dropout(rng=1), Linear(3, in_size=4))
    before = model.state_dict()
    model.l0(X)
    after = model.state_dict()
    with pytest.raises(PassusError, match=match):
        model.load_state_dict(before | spoilt)
    np.testing.assert_equal(model.state_dict(), after)
    del before["l1.rng"]
    with pytest.raises(WeightsError, match=r"sequential\.load_state_dict: .*missing: l1\.rng"):
        model.load_state_dict(before)
    np.testing.assert_equal(model.state_dict(), after)


# Copies and devices.


def test_a_copy_shares_nothing() -> None:
    model = Sequential(Linear(3, rng=np.random.default_rng(0)), L.BatchNorm(), L.Dropout(0.5, rng=1))
    lazy = copy.deepcopy(model)
    model(X)
    assert lazy.l0.W.data is None
    generator = rng_state(model.l2.rng)
    lazy(X)
    np.testing.assert_array_equal(lazy.l0.W.data, model.l0.W.data, err_msg="each has a generator of its own")
    assert rng_state(model.l2.rng) == generator
    twin = copy.deepcopy(model)
    for (name, a), (_, b) in zip(model._state_refs().items(), twin._state_refs().items()):
        assert not np.shares_memory(a.array, b.array), name
    loss(twin).backward()
    assert all(p.grad is None for p in model.params())


def test_ties_survive_a_copy() -> None:
    model = Sequential(Linear(3, in_size=3), Linear(3, in_size=3))
    model.l1.W = model.l0.W
    twin = copy.deepcopy(model)
    assert twin.l1.W is twin.l0.W
    assert twin.l1.W is not model.l0.W


def test_a_layer_that_was_called_can_be_pickled() -> None:
    model = Sequential(Linear(3, initializer=constant(0.5)), F.relu, L.BatchNorm())
    with no_grad():
        model(X)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_equal(twin.state_dict(), model.state_dict())


def test_devices() -> None:
    model = Sequential(Linear(3, in_size=4), Linear(2))
    before = model.l0.W.data
    assert model.to_cpu() is model
    assert model.l0.W.data is before, "nothing to move"
    with pytest.raises(DependencyError, match=r"CuPy cannot be loaded.*gpu_enable"):
        model.to_gpu()
    assert not cuda.gpu_enable
    assert cuda.get_array_module(model.l0.W) is np
    assert cuda.as_numpy(model.l0.W) is before


def test_arrays_go_to_the_gpu_through_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(asarray=lambda x: ("on the GPU", x)))
    x = Variable(X)
    assert cuda.as_cupy(x) == ("on the GPU", x.data)


def test_arrays_are_moved_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "as_cupy", lambda x: x + 1)  # Another device, as far as can be told here.
    model = Sequential(L.BatchNorm(in_size=2), Linear(3))
    model.to_gpu()
    assert model.l0.avg_mean.tolist() == [1, 1]
    assert model.l0.gamma.data.tolist() == [2, 2]
    assert model.l1.W.data is None


# The layers themselves.


def test_linear() -> None:
    layer = Linear(3, rng=0)
    y = layer(X)
    assert (layer.W.shape, layer.W.dtype, layer.b.dtype, y.dtype) == ((4, 3), np.float32, np.float32, np.float32)
    np.testing.assert_allclose(y.data, X @ layer.W.data + layer.b.data, rtol=1e-6)
    y.backward()
    assert layer.W.grad.dtype == np.float32
    assert (layer.W.name, layer.b.name) == ("W", "b")
    np.testing.assert_array_equal(Linear(3, in_size=4, rng=0).W.data, layer.W.data, err_msg="lazy or not")
    assert Linear(3, nobias=True, in_size=4).b is None
    assert Linear(3, dtype=np.float64, in_size=4).W.dtype == np.float64


def test_linear_keeps_leading_axes_and_takes_empty_batches() -> None:
    layer = Linear(3)
    assert layer(np.zeros((2, 5, 4), np.float32)).shape == (2, 5, 3)
    assert layer(np.zeros((0, 4), np.float32)).shape == (0, 3)
    assert layer(X).shape == (5, 3), "a second call"


def test_linear_draws_as_it_is_told() -> None:
    W = Linear(4, in_size=4, dtype=np.float64, initializer=partial(orthogonal, gain=2.0), rng=0).W.data
    np.testing.assert_allclose(W @ W.T, 4 * np.eye(4), atol=1e-12)


def test_two_layers_of_one_generator_differ_and_of_one_seed_do_not() -> None:
    generator = np.random.default_rng(0)
    a, b, c, d = (Linear(3, in_size=4, rng=r).W.data for r in (generator, generator, 5, 5))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(c, d)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Linear(0), r"Linear: out_size is 0"),
        (lambda: Linear(3, in_size=-1), r"Linear: in_size is -1"),
        (lambda: L.Embedding(0, 3), r"Embedding: in_size is 0"),
        (lambda: L.Dropout(1.0), r"Dropout: dropout_ratio is 1\.0"),
        (lambda: L.BatchNorm(decay=2.0), r"BatchNorm: decay is 2\.0"),
        (lambda: L.BatchNorm(in_size=0), r"BatchNorm: in_size is 0"),
        (lambda: L.LayerNorm(eps=-1.0), r"LayerNorm: eps is -1\.0"),
        (lambda: L.RMSNorm(0), r"RMSNorm: in_size is 0"),
        (lambda: L.GroupNorm(0), r"GroupNorm: groups is 0"),
        (lambda: L.InstanceNorm(eps=np.nan), r"InstanceNorm: eps is nan"),
        (lambda: L.LocalResponseNorm(k=0.0), r"LocalResponseNorm: k is 0\.0"),
        (lambda: L.Dropout2d(-0.5), r"Dropout2d: dropout_ratio is -0\.5"),
        (lambda: L.StochasticDepth(1.0), r"StochasticDepth: dropout_ratio is 1\.0"),
        (lambda: L.PReLU(0), r"PReLU: channels is 0"),
        (lambda: L.PReLU(slope=np.nan), r"PReLU: slope is nan"),
        (lambda: L.LeakyReLU(np.nan), r"leaky_relu: slope is nan"),
        (lambda: L.ELU(np.inf), r"elu: alpha is inf"),
        (lambda: L.CELU(0.0), r"celu: alpha is 0"),
        (lambda: L.GELU("erf"), r"gelu: approximate must be 'none' or 'tanh', not 'erf'"),
    ],
)
def test_options_out_of_range_raise(make: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: L.PReLU(slope="a"), "PReLU: slope is a str"),
        (lambda: L.PReLU(dtype=np.int64), "slope: int64 is not supported"),
        (lambda: L.LeakyReLU("a"), "leaky_relu: slope is a str"),
        (lambda: L.Softmax(1.5), "Softmax: axis is a float"),
        (lambda: L.LogSoftmax(None), "LogSoftmax: axis is None"),
        (lambda: L.GLU("a"), "GLU: axis is a str"),
    ],
)
def test_options_of_another_kind_raise(make: Any, match: str) -> None:
    with pytest.raises(DTypeError, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "error", "match"),
    [
        (Linear(3), np.array(1.0), ShapeError, r"linear: x \(\) has no axis -1"),
        (Linear(3), [1.0, 2.0], DTypeError, r"^linear: list is not supported"),
        (L.BatchNorm(), np.ones(3), ShapeError, r"^batch_norm: x \(3,\) has no axis 1"),
        (L.LayerNorm(), np.array(1.0), ShapeError, r"^layer_norm: x \(\) has no axis -1"),
        (L.RMSNorm(), np.array(1.0), ShapeError, r"^rms_norm: x \(\) has no axis -1"),
        (L.GroupNorm(1), np.ones(3), ShapeError, r"^group_norm: x \(3,\) has no axis 1"),
        (L.InstanceNorm(), [1.0], DTypeError, r"^instance_norm: list is not supported"),
    ],
)
def test_a_first_input_that_tells_no_size_leaves_a_layer_lazy(layer: Layer, x: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        layer(x)
    assert all(p.data is None or p.name == "b" for p in layer.params())


def test_a_lazy_parameter_draws_once_its_lengths_are_known() -> None:
    W = LazyParameter((None, 3, None), constant(2.0), np.float64)
    assert W.data is None
    W.resolve(4, 5)
    np.testing.assert_array_equal(W.data, np.full((4, 3, 5), 2.0))
    for lengths in [(4,), (4, 5, 6)]:
        with pytest.raises(ArgumentError, match=rf"lacks 2 lengths, and {len(lengths)} were given"):
            LazyParameter((None, 3, None), constant(2.0)).resolve(*lengths)


def test_an_initializer_may_return_an_array_that_is_kept_elsewhere() -> None:
    kept = np.ones((4, 3))
    layer = Linear(3, in_size=4, initializer=lambda shape, dtype, rng: kept)
    assert layer.W.dtype == np.float32
    layer = Linear(3, in_size=4, dtype=np.float64, initializer=lambda shape, dtype, rng: kept)
    layer.W.data[...] = 5
    assert kept.max() == 1


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (np.ones((3, 4)), ShapeError, r"W: the initializer returned an array of \(3, 4\), not of \(4, 3\)"),
        (None, DTypeError, "W, its initializer: None is not supported"),
    ],
)
def test_an_initializer_that_returns_something_else_is_refused(returned: Any, error: Any, match: str) -> None:
    layer = Linear(3, initializer=lambda shape, dtype, rng: returned)
    with pytest.raises(error, match=match):
        layer(X)
    assert layer.W.data is None


def test_batch_norm_follows_the_batches_and_uses_the_averages_in_test_mode() -> None:
    layer = L.BatchNorm(decay=0.5)
    y = layer(X)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(y.data.var(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(layer.avg_mean, X.mean(axis=0) / 2, rtol=1e-5)
    np.testing.assert_allclose(layer.avg_var, (1 + X.var(axis=0, ddof=1)) / 2, rtol=1e-5)
    mean, var = layer.avg_mean.copy(), layer.avg_var.copy()
    with test_mode():
        y = layer(X)
    np.testing.assert_allclose(y.data, (X - mean) / np.sqrt(var + layer.eps), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(layer.avg_mean, mean)
    assert layer.avg_mean.dtype == layer.avg_var.dtype == np.float32


def test_batch_norm_of_pictures() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 6))
    layer = L.BatchNorm(dtype=np.float64)
    np.testing.assert_allclose(layer(x).data.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    assert layer.gamma.shape == (3,)


def test_layer_norm() -> None:
    layer = L.LayerNorm()
    np.testing.assert_allclose(layer(X).data.mean(axis=1), 0, atol=1e-6)
    assert layer.gamma.shape == layer.beta.shape == (4,)


def test_dropout() -> None:
    x = np.ones(10_000, np.float32)
    layer = L.Dropout(0.25, rng=0)
    y = layer(x)
    assert abs(float((y == 0).mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / x.size)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert not np.array_equal(y, layer(x)), "a seed means a sequence of masks"
    with test_mode():
        np.testing.assert_array_equal(layer(x), x)


def test_embedding() -> None:
    layer = L.EmbedID(10, 3, rng=0)
    x = np.array([[1, 1], [7, 9]])
    y = layer(x)
    assert layer.W.dtype == np.float32
    np.testing.assert_array_equal(y.data, layer.W.data[x])
    y.backward()
    assert layer.W.grad.data[1].tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"^embedding: embed_id: .*10"):
        layer(np.array([10]))


def test_sequential_is_a_sequence() -> None:
    layers = [Linear(3), F.relu, Linear(2)]
    model = Sequential(*layers)
    assert len(model) == 3
    assert list(model) == model.layers == layers
    assert model[0] is model.l0 is layers[0]
    assert model[-1] is layers[2]
    assert type(model[:2]) is Sequential
    assert model[:2].layers == layers[:2]
    model.append(np.negative)
    assert model(X).shape == (5, 2)
    assert paths(model) == ["l0.W", "l0.b", "l2.W", "l2.b"]
    model.l1 = L.Tanh()
    assert model[1] is model.l1, "one truth"
    with pytest.raises(DTypeError, match="3 is neither a layer nor a function"):
        model.append(3)  # type: ignore[arg-type]


PLAIN = {
    L.Sigmoid: F.sigmoid,
    L.Tanh: F.tanh,
    L.ReLU: F.relu,
    L.ReLU6: F.relu6,
    L.SELU: F.selu,
    L.SiLU: F.silu,
    L.Mish: F.mish,
    L.Softplus: F.softplus,
    L.Softsign: F.softsign,
    L.HardSigmoid: F.hard_sigmoid,
    L.HardSwish: F.hard_swish,
    L.Flatten: F.flatten,
    L.LeakyReLU: F.leaky_relu,
    L.ELU: F.elu,
    L.CELU: F.celu,
    L.GELU: F.gelu,
    L.Softmax: F.softmax,
    L.LogSoftmax: F.log_softmax,
    L.GLU: F.glu,
}


@pytest.mark.parametrize("kind", PLAIN)
def test_activations_are_their_functions(kind: type[Layer]) -> None:
    np.testing.assert_array_equal(kind()(X), PLAIN[kind](X))
    assert not list(kind().params())
    assert type(copy.deepcopy(kind())) is kind


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (L.LeakyReLU(0.5), partial(F.leaky_relu, slope=0.5)),
        (L.ELU(2.0), partial(F.elu, alpha=2.0)),
        (L.CELU(2.0), partial(F.celu, alpha=2.0)),
        (L.GELU("tanh"), partial(F.gelu, approximate="tanh")),
        (L.Softmax(0), partial(F.softmax, axis=0)),
        (L.LogSoftmax(axis=0), partial(F.log_softmax, axis=0)),
        (L.GLU(1), partial(F.glu, axis=1)),
    ],
)
def test_options_of_activations_are_passed_on(layer: Layer, function: Any) -> None:
    np.testing.assert_array_equal(layer(X), function(X))


def test_prelu_learns_its_slope() -> None:
    one, each = L.PReLU(), L.PReLU(4, slope=0.5)
    np.testing.assert_array_equal(one(X).data, np.where(X > 0, X, X * np.float32(0.25)))
    loss(each).backward()
    assert each.slope.grad.shape == (4,)
    assert each.slope.grad.dtype == np.float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(3, dtype=np.float64, in_size=4),
        lambda: L.BatchNorm(dtype=np.float64, in_size=4),
        lambda: L.LayerNorm(dtype=np.float64, in_size=4),
        lambda: L.BatchNorm(dtype=np.float64, in_size=4, frozen=True),
        lambda: L.RMSNorm(dtype=np.float64, in_size=4),
        lambda: L.GroupNorm(1, dtype=np.float64, in_size=4),
        lambda: L.LocalResponseNorm(alpha=0.5),
        lambda: Sequential(Linear(3, dtype=np.float64, in_size=4), F.tanh, Linear(2, dtype=np.float64, in_size=3)),
    ],
)
def test_gradients_flow_through_layers_to_the_second_order(make: Any) -> None:
    layer = make()
    parameters = dict(layer.named_params())

    def f(x: Any, *values: Any) -> Any:
        twin = copy.deepcopy(layer)
        for path, value in zip(parameters, values):
            *way, name = path.split(".")
            holder = twin
            for step in way:
                holder = getattr(holder, step)
            delattr(holder, name)
            setattr(holder, name, value)
        return twin(x)

    check_grads(f, X.astype(np.float64), *[p.data for p in parameters.values()], order=2)


def test_no_reference_cycles() -> None:
    model = Sequential(Linear(3), L.BatchNorm(), L.ReLU(), L.Dropout(0.5), Linear(2))
    loss(model).backward()
    with np.testing.assert_no_gc_cycles():
        model.cleargrads()
        loss(model).backward()


@pytest.mark.parametrize("nobias", [False, True])
@pytest.mark.parametrize(
    ("make", "x"),
    [(partial(L.Linear, 5), np.ones((4, 3), np.float32)), (partial(L.Conv2d, 5, 3), np.ones((2, 3, 6, 6), np.float32))],
)
def test_a_layer_applies_its_activation(make, x, nobias):
    plain, fused = make(nobias=nobias, rng=0), make(nobias=nobias, rng=0, activation="tanh")
    np.testing.assert_allclose(fused(x).data, np.tanh(plain(x).data), rtol=1e-6)
    assert fused.count_params() == plain.count_params()
    with pytest.raises(ArgumentError, match=f"{type(fused).__name__}: activation must be one of celu, elu.*not 'sine'"):
        make(activation="sine")

"""What is silently something else in other libraries, or was here, and is now an error or one warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

import passus
import passus.functions as F
import passus.layers as L
import passus.transforms as T
from passus import Parameter, Variable, optimizers
from passus.errors import ArgumentError, DTypeError, PassusWarning, ShapeError
from passus.models import MLP, LeNet, MobileNetV2, Sequential, SqueezeNet
from passus.training import Callback


@contextmanager
def noted() -> Iterator[list[str]]:
    """The messages of all warnings in the block."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    assert all(warning.category is PassusWarning for warning in caught)
    messages += [str(warning.message) for warning in caught]


# The dtype of data.

PARAMETERISED: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "Linear": (lambda **o: L.Linear(3, **o), (5, 4)),
    "Linear with an activation": (lambda **o: L.Linear(3, activation="relu", **o), (5, 4)),
    "Conv1d": (lambda **o: L.Conv1d(3, 3, **o), (5, 4, 9)),
    "Conv2d": (lambda **o: L.Conv2d(3, 3, **o), (5, 4, 9, 9)),
    "Conv3d": (lambda **o: L.Conv3d(3, 3, **o), (5, 4, 5, 5, 5)),
    "Deconv1d": (lambda **o: L.Deconv1d(3, 3, **o), (5, 4, 9)),
    "Deconv2d": (lambda **o: L.Deconv2d(3, 3, **o), (5, 4, 5, 5)),
    "Deconv3d": (lambda **o: L.Deconv3d(3, 3, **o), (5, 4, 3, 3, 3)),
    "BatchNorm": (L.BatchNorm, (5, 4)),
    "frozen BatchNorm": (lambda **o: L.BatchNorm(frozen=True, **o), (5, 4)),
    "LayerNorm": (L.LayerNorm, (5, 4)),
    "RMSNorm": (L.RMSNorm, (5, 4)),
    "GroupNorm": (lambda **o: L.GroupNorm(2, **o), (5, 4)),
    "InstanceNorm": (L.InstanceNorm, (5, 4, 6)),
    "PReLU": (L.PReLU, (5, 4)),
    "RNN": (lambda **o: L.RNN(3, **o), (5, 4, 2)),
    "LSTM": (lambda **o: L.LSTM(3, **o), (5, 4, 2)),
    "GRU": (lambda **o: L.GRU(3, **o), (5, 4, 2)),
    "RNNCell": (lambda **o: L.RNNCell(3, **o), (5, 4)),
    "GRUCell": (lambda **o: L.GRUCell(3, **o), (5, 4)),
}
"""All layers with floating-point parameters and floating-point inputs, but for those below."""

COMPOSED = {
    "FeedForward",
    "LSTMCell",  # It returns a pair, and is that of the layer LSTM.
    "MultiHeadAttention",
    "SwiGLU",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
}
"""Layers whose parameters belong to others."""

NOT_CONVERTING = {"Embedding", "EmbedID", "Layer", "MaxUnpooling", "PositionEmbedding", "Sequential"}
"""Layers without parameters of their own, or whose parameters are not multiplied with the input."""

layers = pytest.mark.parametrize(("make", "shape"), PARAMETERISED.values(), ids=PARAMETERISED)


def test_the_table_of_layers_is_complete() -> None:
    def having_parameters(name: str) -> bool:
        cls = getattr(L, name)
        layer = None
        for sizes in ((3, 3), (3,), (), (4, 2), (2, 4, 2)):
            try:
                layer = cls(*sizes)
            except Exception:
                continue
            break
        return isinstance(layer, L.Layer) and bool(list(layer.params()))

    names = [name for name in L.__all__ if isinstance(getattr(L, name), type) and issubclass(getattr(L, name), L.Layer)]
    found = {*names} - NOT_CONVERTING - COMPOSED
    assert {name for name in found if having_parameters(name)} <= {name.split()[0] for name in PARAMETERISED} | {
        "BatchNorm"
    }


@layers
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8, np.int16])
@pytest.mark.parametrize("box", [np.asarray, lambda a: Variable(a).detach()], ids=["array", "constant"])
def test_constants_are_computed_in_the_dtype_of_the_parameters(
    make: Any, shape: tuple[int, ...], dtype: Any, box: Any, rng: np.random.Generator
) -> None:
    layer, x = make(), (rng.random(shape) * 100).astype(dtype)
    with noted() as messages:
        ys = [layer(box(x)) for _ in range(3)]
    assert all(y.dtype == np.float32 for y in ys)
    assert len(messages) == 1
    assert messages[0].startswith((f"{type(layer).__name__} with ", f"{type(layer).__name__}Cell with "))
    assert f"x is {np.dtype(dtype)}" in messages[0]
    assert "x.astype(np.float32)" in messages[0]
    F.sum(ys[-1] * ys[-1]).backward()
    assert all(p.grad.dtype == np.float32 for p in layer.params())
    expected = layer(x.astype(np.float32))
    np.testing.assert_allclose(ys[-1].data, expected.data, rtol=1e-5, atol=1e-5)


@layers
def test_what_needs_no_conversion_is_not_converted(make: Any, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.random(shape)
    for parameters, data in ((np.float64, np.float64), (np.float64, np.float32), (np.float32, np.float32)):
        assert make(dtype=parameters)(x.astype(data)).dtype == parameters
    assert make()(x.astype(np.float16)).dtype == np.float32


@layers
def test_what_gradients_flow_to_keeps_its_precision_and_is_warned_of_once(
    make: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    layer, x = make(), Variable(rng.random(shape))
    with noted() as messages:
        for _ in range(2):
            y = layer(x)
    assert y.dtype == np.float64
    assert len(messages) == 1
    assert "computes in float64" in messages[0]
    x.cleargrad()
    F.sum(y * y).backward()
    assert x.grad.dtype == np.float64
    twin = make(dtype=np.float64)
    twin(x.data)
    twin.load_state_dict(layer.state_dict(), cast=True)
    z = Variable(x.data.copy())
    F.sum(twin(z) ** 2).backward()
    np.testing.assert_allclose(x.grad.data, z.grad.data, rtol=1e-5, atol=1e-6)


def test_a_whole_training_warns_once_and_stays_in_float32(rng: np.random.Generator) -> None:
    x, t = rng.normal(size=(32, 4)), rng.integers(0, 3, 32)
    model = Sequential(L.Linear(8), L.BatchNorm(), L.ReLU(), L.Linear(3))
    optimizer = optimizers.Adam().setup(model)
    with noted() as messages:
        for _ in range(5):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
    assert loss.dtype == np.float32
    assert len(messages) == 1


def test_masks_and_words_are_no_data() -> None:
    assert L.Linear(3)(np.ones((2, 4), bool)).dtype == np.float32
    assert L.Embedding(5, 3)(np.array([1, 2], np.uint8)).dtype == np.float32


# The order of arguments.

TORCH = [
    (L.Linear, (5, 16)),
    (L.Linear, (784, 1)),
    (L.Conv2d, (3, 16, 3)),
    (L.Conv2d, (1, 6, 5)),
    (L.Conv2d, (6, 16, 5)),
    (L.Conv2d, (1, 32, 3, 1)),
    (L.Conv2d, (3, 64, 7, 2, 3)),
    (L.Conv2d, (64, 128, 1)),
    (L.Conv2d, (512, 10, 1)),
    (L.Conv2d, (3, 6, 3)),
    (L.Conv2d, (4, 32, 8, 4)),
    (L.Conv1d, (1, 32, 80, 16)),
    (L.Conv3d, (1, 8, 3)),
    (L.Deconv2d, (128, 64, 2, 2)),
    (L.Deconv2d, (64, 32, 4, 2, 1)),
    (L.Deconv1d, (16, 33, 3, 2)),
    (L.BatchNorm, (16,)),
    (L.BatchNorm, (np.int64(64),)),
    (L.LayerNorm, ([16],)),
    (L.LocalResponseNorm, (5, 1e-4)),
    (L.MaxPooling, (2, 2, 0, 1)),
    (L.AveragePooling, (3, 2, 1, 1)),
]
OURS = [
    (L.Linear, (16, True, np.float64, 5)),
    (L.Conv2d, (64, 3, 1, 1)),
    (L.Conv2d, (64, 7, 2, 3)),
    (L.Conv2d, (64, 1, 2, 0, True)),
    (L.Conv2d, (96, 11, 4)),
    (L.Conv2d, (32, 8, 4)),
    (L.Conv2d, (768, 16, 16)),
    (L.Conv2d, (256, 5, 1, 2, True, np.float32, 3)),
    (L.Conv2d, (16, (3, 5), 3)),
    (L.Conv1d, (512, 10, 5)),
    (L.Conv1d, (8, 31, 1, 15)),
    (L.Deconv2d, (3, 4, 2, 1)),
    (L.Deconv2d, (1, 4, 2, 1, True)),
    (L.Deconv2d, (512, 4, 1, 0)),
]


@pytest.mark.parametrize(("cls", "arguments"), TORCH, ids=str)
def test_the_order_of_pytorch_is_recognised(cls: Any, arguments: Any) -> None:
    with pytest.raises((ArgumentError, DTypeError), match=cls.__name__):
        cls(*arguments)


@pytest.mark.parametrize(("cls", "arguments"), OURS, ids=str)
def test_the_order_of_dezero_works(cls: Any, arguments: Any) -> None:
    cls(*arguments)


def test_a_name_makes_any_stride_unambiguous() -> None:
    assert L.Conv2d(3, 16, stride=3).stride == 3


def test_a_subclass_has_an_order_of_its_own() -> None:
    class Torch(L.Conv2d):
        def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
            super().__init__(out_channels, kernel_size, in_channels=in_channels)

    assert Torch(3, 16, 3).W.shape == (16, 3, 3, 3)


@pytest.mark.parametrize("model", [MobileNetV2, LeNet, SqueezeNet, passus.models.ResNet18, passus.models.VGG16])
def test_known_models_say_where_the_number_of_classes_belongs(model: Any) -> None:
    if model is LeNet:
        assert LeNet(10).fc5.out_size == 10
    else:
        with pytest.raises((ArgumentError, DTypeError), match=r"num_classes=10|width"):
            model(-10 if model is MobileNetV2 else 10)


# The order of axes.


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 28, 28, 1), (2, 16, 16, 16, 3), (2, 480, 640, 4)])
def test_channels_last_are_seen_in_a_first_call(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    axes = {4: (L.Conv2d, L.Deconv2d), 5: (L.Conv3d, L.Deconv3d)}[len(shape)]
    for make in (lambda: axes[0](2, 1), lambda: axes[1](2, 1), L.BatchNorm, L.InstanceNorm, lambda: L.GroupNorm(1)):
        layer = make()
        with noted() as messages:
            layer(x)
            layer(x)
        assert len(messages) == 1
        assert f"x.transpose{(0, len(shape) - 1, *range(1, len(shape) - 1))}" in messages[0]


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 512, 4, 4), (2, 64, 1, 1), (2, 64, 200, 1), (2, 4, 8, 3)])
def test_channels_second_are_not_suspected(shape: tuple[int, ...]) -> None:
    L.Conv2d(2, 1)(np.zeros(shape, np.float32))


def test_results_of_other_layers_are_not_suspected() -> None:
    model = Sequential(L.Conv2d(16, 1), L.Conv2d(4, 1))
    x = np.zeros((2, 3, 16, 4), np.float32)
    model(x)
    with passus.no_grad():
        Sequential(L.Conv2d(16, 1), L.Conv2d(4, 1))(x)


# Pictures.

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
IMAGE = np.ascontiguousarray(PHOTO.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "white"), [("RGB", 255), ("L", 255), ("RGBA", 255), ("CMYK", 255), ("1", 1), ("I;16", 65535)]
)
def test_a_picture_becomes_numbers_from_0_to_1(mode: str, white: int) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 5), white, np.uint16))
    else:
        picture = Image.new(mode, (5, 4), white if mode in ("L", "1") else (white,) * len(mode))
    for dtype in (np.float32, np.float64, np.float16):
        x = T.ToArray(dtype)(picture)
        assert x.dtype == dtype
        assert x.shape == (np.asarray(picture).shape[2] if picture.getbands()[1:] else 1, 4, 5)
        assert (x == 1).all()


@pytest.mark.parametrize("mode", ["P", "I", "F"])
def test_a_picture_without_a_white_is_refused(mode: str) -> None:
    picture = Image.new(mode, (5, 4), 200)
    with pytest.raises((DTypeError, ArgumentError), match="ToArray"):
        T.ToArray()(picture)


def test_to_array_and_to_pil_are_inverse() -> None:
    picture = Image.fromarray(PHOTO)
    np.testing.assert_array_equal(np.asarray(T.ToPIL()(T.ToArray()(picture))), PHOTO)
    np.testing.assert_array_equal(T.ToArray()(IMAGE), T.ToArray()(picture))
    np.testing.assert_array_equal(T.ToArray()(PHOTO[:, :, 0]), IMAGE[:1] / np.float32(255))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: T.ToArray()(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ToArray()(IMAGE.astype(np.int64)), "no defined white"),
        (lambda: T.ToArray()(PHOTO), r"transpose\(2, 0, 1\)"),
        (lambda: T.ToArray(np.uint8)(IMAGE / 255), "ToPIL"),
        (lambda: T.ToPIL()(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ColorJitter(0.1)(IMAGE.astype(np.float32)), "divide them by 255"),
        (lambda: T.ColorJitter(0.1).batch(IMAGE[None] / 127.5 - 1), "put Normalize"),
        (lambda: T.ColorJitter(0.1)(np.full((3, 4, 4), np.nan)), "between 0 and 1"),
        (lambda: T.Normalize(0, 255)(T.ToArray()(IMAGE)), r"remove Normalize\(0, 255\)"),
        (lambda: T.Normalize(127.0, 128.0).batch(T.ToArray()(IMAGE)[None]), "divide mean and std by 255"),
        (lambda: T.Normalize(0.5, 0.5)(IMAGE), r"put ToArray\(\) first"),
        (lambda: T.Normalize([0.4, 0.4, 0.4], 0.2)(IMAGE.astype(np.float32)), r"put ToArray\(\) first"),
        (lambda: T.RandomErasing(1.0, fill=127)(IMAGE / 255), "fill=127/255"),
        (lambda: T.RandomRotation(10, fill=255)(IMAGE / 255), "fill=255/255"),
        *[
            (lambda f=f: f(PHOTO), r"channels last.*transpose\(2, 0, 1\)")
            for f in (
                T.RandomCrop(8),
                T.RandomResizedCrop(8),
                T.RandomRotation(10),
                T.RandomErasing(),
                T.Cutout(3),
                T.RandomHorizontalFlip(),
                T.RandomVerticalFlip(),
                T.ColorJitter(0.1),
            )
        ],
        (lambda: T.RandomCrop(8).batch(PHOTO[None]), "channels last"),
        (lambda: T.RandomHorizontalFlip().batch(PHOTO[None]), "channels last"),
    ],
)
def test_a_range_or_layout_that_does_not_fit_is_an_error(call: Any, message: str) -> None:
    with pytest.raises((ArgumentError, DTypeError, ShapeError), match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: T.Normalize(0, 255)(IMAGE),
        lambda: T.Normalize(0, 255)(IMAGE.astype(np.float32)),
        lambda: T.Normalize(0, 255)(np.zeros((3, 4, 4), np.float32)),
        lambda: T.Normalize(0.5, 0.5)(T.ToArray()(IMAGE)),
        lambda: T.Normalize(20.0, 15.0)(np.array([0.2, 0.3])),
        lambda: T.Normalize()(IMAGE),
        lambda: T.Cutout(3, fill=127)(IMAGE),
        lambda: T.ColorJitter(0.5)(T.RandomRotation(20, rng=0)(T.ToArray()(IMAGE))),
    ],
)
def test_what_fits_is_let_through(call: Any) -> None:
    call()


# Training loops.


def test_an_update_without_gradients_warns_once() -> None:
    model = MLP((3,), in_size=2)
    optimizer = optimizers.Adam().setup(model)
    before = model.state_dict()
    with noted() as messages:
        for _ in range(3):
            optimizer.update()
    assert len(messages) == 1
    assert "MLP" in messages[0]
    np.testing.assert_equal(model.state_dict(), before)


def test_a_wrapped_optimizer_warns_too() -> None:
    model = MLP((3,), in_size=2)
    optimizer = optimizers.GradientAccumulation(optimizers.SGD(), every=2).setup(model)
    with noted() as messages:
        for _ in range(4):
            optimizer.update()
    assert len(messages) == 1


def test_the_number_of_updates_is_a_number() -> None:
    optimizer = optimizers.SGD().setup(MLP((3,), in_size=2))
    F.sum(optimizer.target(np.ones((1, 2), np.float32))).backward()
    optimizer.update()
    assert (optimizer.step, optimizer.step + 1, f"{optimizer.step}", repr(optimizer.step)) == (1, 2, "1", "1")
    other = optimizers.SGD().setup(optimizer.target)
    other.load_state_dict(optimizer.state_dict())
    assert other.step == 1
    with pytest.raises(AttributeError, match=r"write update\(\)"):
        other.step()


def test_a_key_error_of_ones_own_stays_what_it_is() -> None:
    class Mine(optimizers.Optimizer):
        slots = ("v",)

        def update_one(self, p: Any, g: Any, slots: Any, o: Any) -> None:
            {}[("some", "key")]

    model = MLP((3,), in_size=2)
    F.sum(model(np.ones((1, 2), np.float32))).backward()
    with pytest.raises(KeyError):
        Mine(lr=0.1).setup(model).update()


def test_moments_of_ones_own_bases_are_known_to_subclasses() -> None:
    with pytest.warns(PassusWarning, match="Base.on_validation is never called"):

        class Base(Callback):
            def on_validation(self, run: Any) -> None: ...

    class Derived(Base):
        def on_validation(self, run: Any) -> None: ...
        def on_epoch(self, run: Any, row: Any) -> None: ...
        def _on_epoch_end(self) -> None: ...


@pytest.mark.parametrize(
    "scores",
    [
        lambda y: y,
        lambda y: y / 2.0,
        lambda y: F.exp(y),
        lambda y: F.log_softmax(y),
        lambda y: F.relu(y),
        lambda y: F.softmax(y) * 4.0,
    ],
)
def test_scores_are_not_taken_for_probabilities(scores: Any, rng: np.random.Generator) -> None:
    F.softmax_cross_entropy(scores(Variable(rng.normal(size=(4, 3)))), np.array([0, 1, 2, 0]))


def test_a_fused_sigmoid_is_seen() -> None:
    with pytest.warns(PassusWarning, match="Leave out the last activation"):
        F.sigmoid_cross_entropy(L.Linear(2, activation="sigmoid")(np.ones((3, 4), np.float32)), np.ones((3, 2)))


def test_warnings_point_at_the_caller() -> None:
    with pytest.warns(PassusWarning) as caught:
        L.Linear(3)(np.ones((2, 4)))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("shape", "target", "advice"),
    [
        ((4, 1), (4,), r"t.reshape\(\(4, 1\)\)"),
        ((4,), (4, 1), r"t.reshape\(\(4,\)\)"),
        ((4, 3), (4, 2), "make the last layer's output size match t"),
        ((4, 3), (4, 1), r"np.broadcast_to\(t, \(4, 3\)\)"),
        ((4, 3), (3,), r"np.broadcast_to\(t, \(4, 3\)\)"),
        ((4, 1, 8, 3), (4, 3), "F.flatten"),
        ((4, 3), (5, 3), "output size match t"),
    ],
)
@pytest.mark.parametrize(
    "loss",
    [
        F.mean_squared_error,
        F.mean_squared_error_simple,
        F.l1_loss,
        F.huber,
    ],
)
def test_advice_is_possible(loss: Any, shape: tuple[int, ...], target: tuple[int, ...], advice: str) -> None:
    with pytest.raises(ShapeError, match=advice) as caught:
        loss(np.full(shape, 0.5), np.zeros(target))
    if "reshape" in str(caught.value):
        np.zeros(target).reshape(shape)


def test_parameters_stay_parameters() -> None:
    layer = L.Linear(3, in_size=2)
    for value in (np.zeros((2, 3)), Variable(np.zeros((2, 3))), layer.W * 2.0):
        with pytest.raises(DTypeError, match=r"linear\.W is a parameter"):
            layer.W = value
    layer.W = Parameter(np.zeros((2, 3)))
    layer.b = None
    assert [path for path, _ in layer.named_params()] == ["W"]


def test_flatten_of_a_variable_is_numpys_and_that_of_functions_keeps_the_batch(rng: np.random.Generator) -> None:
    x = Variable(rng.normal(size=(2, 3, 4)))
    y = x.flatten()
    assert (y.shape, F.flatten(x).shape) == ((24,), (2, 12))
    np.testing.assert_array_equal(y.data, x.data.flatten())
    F.sum(y * y).backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data)


@pytest.mark.parametrize(
    ("shapes", "helps"),
    [(((2, 3), (2, 3)), True), (((2, 3), (4, 3)), True), (((2, 3), (4, 5)), False), (((3,), (2, 4)), False)],
)
def test_transposing_is_advised_only_where_it_helps(shapes: Any, helps: bool) -> None:
    x, W = (np.ones(shape) for shape in shapes)
    with pytest.raises(ShapeError, match="x0") as caught:
        F.matmul(x, W)
    assert ("swapaxes" in str(caught.value)) == helps
    if shapes != ((2, 3), (2, 3)):
        with pytest.raises(ShapeError, match="needs W") as caught:
            F.linear(x, W)
        assert (".T" in str(caught.value)) == (x.shape[-1] == W.shape[1])

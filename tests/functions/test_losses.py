"""Losses: agreement with PyTorch and with simple formulas, extreme values, labels and targets of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import passus.functions as F
from passus import Variable, using_config
from passus.core.backward import gradients
from passus.errors import LabelError, ShapeError
from passus.testing import check_grads

T = torch.nn.functional
RNG = np.random.default_rng(7)
X = RNG.standard_normal((6, 4)) * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
IMAGES, IMAGE_LABELS = RNG.standard_normal((2, 3, 4, 5)), RNG.integers(3, size=(2, 4, 5))
WEIGHT = np.array([0.5, 1.0, 3.0, 0.1])
SOFT = np.exp(X[::-1]) / np.exp(X[::-1]).sum(axis=1, keepdims=True)
SIGNS = np.array([1, -1, 1, 1, -1, -1])
Y, Z = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4))
P = RNG.uniform(0.0, 1.0, (6, 4))
REDUCTIONS = ["mean", "sum", "none"]


def tensor(x: Any) -> Any:
    return torch.tensor(x.copy()) if isinstance(x, np.ndarray) else x


# Our function, PyTorch's, prediction, other arguments, options; arrays are converted to tensors for PyTorch.
PEERS: list[tuple[Any, Any, np.ndarray, tuple[Any, ...], dict[str, Any]]] = [
    (F.mean_squared_error, T.mse_loss, X, (Y,), {}),
    (F.l1_loss, T.l1_loss, X, (Y,), {}),
    (F.huber, T.huber_loss, X, (Y,), {"delta": 0.7}),
    (F.softmax_cross_entropy, T.cross_entropy, X, (LABELS,), {}),
    (F.softmax_cross_entropy, T.cross_entropy, IMAGES, (IMAGE_LABELS,), {}),
    (F.softmax_cross_entropy, T.cross_entropy, X, (LABELS,), {"weight": WEIGHT}),
    (F.softmax_cross_entropy, T.cross_entropy, X, (LABELS,), {"ignore_index": 1}),
    (F.softmax_cross_entropy, T.cross_entropy, IMAGES, (IMAGE_LABELS,), {"ignore_index": 2, "weight": WEIGHT[:3]}),
    (F.softmax_cross_entropy, T.cross_entropy, X, (LABELS,), {"label_smoothing": 0.2}),
    (
        F.softmax_cross_entropy,
        T.cross_entropy,
        X,
        (LABELS,),
        {"label_smoothing": 0.2, "ignore_index": 1, "weight": WEIGHT},
    ),
    (F.softmax_cross_entropy, T.cross_entropy, X, (SOFT,), {}),
    (F.softmax_cross_entropy, T.cross_entropy, X, (SOFT,), {"label_smoothing": 0.2, "weight": WEIGHT}),
    (F.nll_loss, T.nll_loss, X, (LABELS,), {"weight": WEIGHT, "ignore_index": 3}),
    (F.nll_loss, T.nll_loss, IMAGES, (IMAGE_LABELS,), {}),
    (F.sigmoid_cross_entropy, T.binary_cross_entropy_with_logits, X, (P,), {}),
    (F.sigmoid_cross_entropy, T.binary_cross_entropy_with_logits, X, (P,), {"weight": WEIGHT, "pos_weight": WEIGHT}),
    (F.binary_cross_entropy, T.binary_cross_entropy, P, (SOFT,), {"weight": WEIGHT}),
    (F.cosine_embedding_loss, T.cosine_embedding_loss, X, (Y, SIGNS), {"margin": 0.1}),
    (F.triplet_loss, T.triplet_margin_loss, X, (Y, Z), {"margin": 2.0}),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("ours", "theirs", "x", "others", "options"), PEERS, ids=[f"{p[0].__name__}-{i}" for i, p in enumerate(PEERS)]
)
def test_values_and_gradients_agree_with_pytorch(
    ours: Any, theirs: Any, x: np.ndarray, others: Any, options: dict[str, Any], reduction: str
) -> None:
    v, w = Variable(x), torch.tensor(x, requires_grad=True)
    y = ours(v, *others, **options, reduction=reduction)
    their_options = {name: tensor(value) for name, value in options.items()}
    expected = theirs(w, *map(tensor, others), **their_options, reduction=reduction)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-9, atol=1e-10)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    assert v.grad is not None
    assert w.grad is not None
    np.testing.assert_allclose(v.grad.data, w.grad.numpy(), rtol=1e-8, atol=1e-9)


def test_kl_divergence_agrees_with_batchmean_of_pytorch() -> None:
    log_q = F.log_softmax(X)
    theirs = T.kl_div(tensor(log_q), tensor(SOFT), reduction="batchmean")
    np.testing.assert_allclose(F.kl_divergence(log_q, SOFT), theirs.numpy(), rtol=1e-10)


def test_class_of_probability_zero_adds_nothing_to_a_divergence() -> None:
    log_q, p = Variable(np.log([[0.5, 0.5]])), Variable(np.array([[1.0, 0.0]]))
    loss = F.kl_divergence(log_q, p)
    np.testing.assert_allclose(loss.data, np.log(2))
    loss.backward()
    assert p.grad is not None
    assert np.isfinite(p.grad.data).all()


# Large numbers.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_cross_entropy_far_from_zero(dtype: Any) -> None:
    x = Variable(np.array([[1e4, -1e4], [-1e4, 1e4]], dtype))
    losses = F.softmax_cross_entropy(x, np.array([0, 0]), reduction="none")
    np.testing.assert_array_equal(losses.data, [0, 2e4])
    loss = F.softmax_cross_entropy(x, np.array([0, 0]))
    loss.backward()
    assert x.grad is not None
    assert loss == 1e4
    np.testing.assert_array_equal(x.grad.data, [[0, 0], [-0.5, 0.5]])


def test_sigmoid_cross_entropy_far_from_zero() -> None:
    x, t = Variable(np.float32([-1e4, 1e4, -1e4, 1e4, 20.0])), np.array([0, 1, 1, 0, 1])
    losses = F.sigmoid_cross_entropy(x, t, reduction="none")
    assert losses.dtype == np.float32, "integer labels keep float32"
    np.testing.assert_allclose(losses.data, [0, 0, 1e4, 1e4, np.exp(-20.0)], rtol=1e-6)
    losses.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, [0, 0, -1, 1, 0], atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_at_0_and_1(dtype: Any) -> None:
    p, t = np.array([0.0, 1.0, 0.0, 1.0, 0.5], dtype), np.array([0, 1, 1, 0, 1])
    x, peer = Variable(p), torch.tensor(p, requires_grad=True)
    losses = F.binary_cross_entropy(x, t, reduction="none")
    theirs = T.binary_cross_entropy(peer, torch.tensor(t, dtype=peer.dtype), reduction="none")
    np.testing.assert_allclose(losses.data, theirs.detach().numpy(), rtol=1e-6)
    losses.backward()
    theirs.sum().backward()
    assert x.grad is not None
    assert peer.grad is not None
    np.testing.assert_allclose(x.grad.data, peer.grad.numpy(), rtol=1e-5)
    assert x.grad.data[2] < 0 < x.grad.data[3], "a confident error has a gradient"


def test_binary_cross_entropy_near_0_and_1() -> None:
    p = Variable(np.array([1e-4, 0.9999]))
    F.binary_cross_entropy(p, np.array([1, 0]), reduction="sum").backward()
    assert p.grad is not None
    np.testing.assert_allclose(p.grad.data, [-1e4, 1e4], rtol=1e-9)


# Labels and targets.


def test_probabilities_on_another_axis_than_that_of_the_classes_raise_errors() -> None:
    x = np.zeros((2, 7, 5))
    p = np.moveaxis(np.tile(np.eye(5)[2], (2, 7, 1)), 2, 1)  # (N, C, T)
    F.softmax_cross_entropy(np.zeros((2, 5, 7)), p), F.kl_divergence(np.zeros((2, 5, 7)), p)
    with pytest.raises(
        ShapeError, match=r"softmax_cross_entropy: t \(2, 5, 7\) sums to 1 along axis 1, .* pass axis=1"
    ):
        F.softmax_cross_entropy(np.zeros((2, 5, 7)), p, axis=2)
    p = p.swapaxes(1, 2)
    F.softmax_cross_entropy(x, p, axis=-1)
    with pytest.raises(ShapeError, match=r"t \(2, 7, 5\) sums to 1 along axis 2, .* axis 1; .* pass axis=2"):
        F.softmax_cross_entropy(x, p)
    with pytest.raises(ShapeError, match=r"kl_divergence: p \(2, 7, 5\) sums to 1 .* write F.moveaxis\(p, 2, 1\)"):
        F.kl_divergence(x, p)
    F.kl_divergence(x, 2 * p)  # Not normalized along any axis.


@pytest.mark.parametrize("function", [F.softmax_cross_entropy, F.nll_loss, F.accuracy, F.one_hot])
def test_label_out_of_range_raises(function: Any) -> None:
    labels = np.array([0, 7, 1])
    args = (labels, 3) if function is F.one_hot else (np.ones((3, 3)), labels)
    with pytest.raises(LabelError, match="label 7 is out of range: the 3 classes are 0 to 2"):
        function(*args)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.uint64])
def test_labels_of_any_integer_dtype(dtype: Any) -> None:
    t = LABELS.astype(dtype)
    expected = F.softmax_cross_entropy(X, LABELS)
    np.testing.assert_array_equal(F.softmax_cross_entropy(X, t), expected)
    np.testing.assert_array_equal(F.softmax_cross_entropy(X, Variable(t)), expected)
    np.testing.assert_array_equal(F.one_hot(t, 4), F.one_hot(LABELS, 4))


def test_ignore_index_can_be_out_of_range() -> None:
    t = np.where(LABELS == 1, 255, LABELS).astype(np.uint8)
    used = LABELS != 1
    np.testing.assert_allclose(
        F.softmax_cross_entropy(X, t, ignore_index=255), F.softmax_cross_entropy(X[used], LABELS[used]), rtol=1e-12
    )


@pytest.mark.parametrize(
    "loss", [F.mean_squared_error, F.l1_loss, F.huber, F.hinge, F.sigmoid_cross_entropy, F.binary_cross_entropy]
)
def test_integer_targets_keep_float32(loss: Any) -> None:
    p, t = Variable(np.float32([0.25, 0.75])), np.array([-1, 1] if loss is F.hinge else [0, 1])
    y = loss(p, t)
    y.backward()
    assert p.grad is not None
    assert y.dtype == p.grad.dtype == np.float32
    np.testing.assert_allclose(y.data, loss(np.array([0.25, 0.75]), t.astype(float)), rtol=1e-6)


def test_float64_weights_keep_float32() -> None:
    x = Variable(np.float32(X))
    for options in ({"weight": WEIGHT}, {"weight": WEIGHT, "label_smoothing": 0.1}, {"ignore_index": 1}):
        assert F.softmax_cross_entropy(x, LABELS, **options).dtype == np.float32
    assert F.sigmoid_cross_entropy(x, LABELS[:, None] * [1] > 1 * np.ones((6, 4)), weight=WEIGHT).dtype == np.float32


def test_hinge_labels_take_no_gradient() -> None:
    x, t = Variable(np.array([0.5, -0.5])), Variable(np.array([-1.0, -1.0]))
    F.hinge(x, t, reduction="sum").backward()
    assert t.grad is None
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, [1.0, 1.0])


def test_soft_targets_are_differentiable() -> None:
    check_grads(lambda t: F.softmax_cross_entropy(X, t, weight=WEIGHT, label_smoothing=0.1), SOFT)


# Fused functions and their simple formulas.


@pytest.mark.parametrize(
    ("fused", "simple", "args"),
    [
        (F.sigmoid, F.sigmoid_simple, (X,)),
        (F.softmax, F.softmax_simple, (X,)),
        (F.mean_squared_error, F.mean_squared_error_simple, (X, Y)),
        (F.softmax_cross_entropy, F.softmax_cross_entropy_simple, (X, LABELS)),
    ],
)
def test_simple_functions_agree_with_fused_functions(fused: Any, simple: Any, args: Any) -> None:
    def derivatives(f: Any) -> list[np.ndarray]:
        x = Variable(args[0])
        y = (f(x, *args[1:]) ** 2).sum()
        y.backward(create_graph=True)
        gx = x.grad
        assert gx is not None
        x.cleargrad()
        (gx**3).sum().backward()
        assert x.grad is not None
        return [y.data, gx.data, x.grad.data]

    for a, b in zip(derivatives(fused), derivatives(simple)):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_cross_entropy_equals_nll_of_log_softmax() -> None:
    expected = F.nll_loss(F.log_softmax(X), LABELS)
    np.testing.assert_allclose(F.softmax_cross_entropy(X, LABELS), expected, rtol=1e-12)
    hot = F.one_hot(LABELS, 4, np.float64)
    np.testing.assert_allclose(F.softmax_cross_entropy(X, hot), expected, rtol=1e-12)
    np.testing.assert_allclose(F.kl_divergence(F.log_softmax(X), hot), expected, rtol=1e-12)


def test_loss_leaves_no_reference_cycle() -> None:
    def step() -> None:
        x = Variable(X)
        y = F.batch_norm(F.gelu(x), np.ones(4), np.zeros(4), np.zeros(4), np.ones(4))
        F.softmax_cross_entropy(y, LABELS).backward()

    np.testing.assert_no_gc_cycles(step)


def test_second_backward_pass_adds_the_same_gradient() -> None:
    x = Variable(X)
    loss = F.softmax_cross_entropy(x, LABELS)
    loss.backward()
    assert x.grad is not None
    first = x.grad.data.copy()
    loss.backward()
    np.testing.assert_allclose(x.grad.data, 2 * first, rtol=1e-12)


def test_cosine_similarity_of_zero_vectors_is_zero() -> None:
    x = Variable(np.zeros((1, 3)))
    y = F.cosine_similarity(x, np.ones((1, 3)))
    y.backward()
    assert x.grad is not None
    assert y == 0
    assert np.isfinite(x.grad.data).all()


def test_accuracy_has_no_gradient() -> None:
    y = F.accuracy(Variable(X), LABELS)
    assert isinstance(y, Variable)
    assert not y.requires_grad
    assert float(y.data) == np.mean(X.argmax(axis=1) == LABELS)


def test_embedding_sums_gradients_of_equal_indices() -> None:
    W = Variable(np.zeros((4, 2), np.float32))
    F.embed_id(np.array([[1, 1], [3, 1]]), W).sum().backward()
    assert W.grad is not None
    np.testing.assert_array_equal(W.grad.data, [[0, 0], [3, 3], [0, 0], [1, 1]])


@pytest.mark.parametrize("loss", [F.mean_squared_error, F.l1_loss, F.huber, F.sigmoid_cross_entropy])
def test_losses_of_unsigned_integers_do_not_wrap_around(loss: Any) -> None:
    """Unsigned integers would wrap around: 1 - 2 is 255."""
    x, t = np.array([0, 1, 200], np.uint8), np.array([1, 0, 1], np.uint8)
    np.testing.assert_array_equal(
        loss(x, t, reduction="none"), loss(x.astype(np.float64), t.astype(np.float64), reduction="none")
    )
    assert loss(x > 0, t.astype(np.float32), reduction="none").dtype == np.float32


def test_binary_cross_entropy_in_float16_stays_finite() -> None:
    p = Variable(np.array([0.0, 1.0], np.float16))
    F.binary_cross_entropy(p, np.array([1, 0])).backward()
    assert p.grad is not None
    assert np.isfinite(p.grad.data).all()
    assert (abs(p.grad.data) > 1000).all()


@pytest.mark.parametrize(("f", "worst"), [(F.max, np.nan), (F.min, np.nan), (F.logsumexp, np.inf)])
def test_undefined_gradients_are_nan_without_a_warning(f: Any, worst: float) -> None:
    x = Variable(np.array([worst, 1.0]))
    f(x).backward()
    assert x.grad is not None
    assert np.isnan(x.grad.data[0])


INF = np.inf
LOG_2, NOT_FINITE = np.log(2.0), np.array([[0.0, 0.0], [-INF, -INF], [np.nan, INF], [INF, 0.0]])
ONE_LABEL = np.array([1, -1, -1, -1])


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda x: F.softmax_cross_entropy(x, ONE_LABEL, ignore_index=-1), LOG_2),
        (lambda x: F.softmax_cross_entropy(x, ONE_LABEL, ignore_index=-1, reduction="sum"), LOG_2),
        (lambda x: F.softmax_cross_entropy(x, ONE_LABEL, ignore_index=-1, weight=np.array([3.0, 2.0])), LOG_2),
        (lambda x: F.softmax_cross_entropy(x, ONE_LABEL, ignore_index=-1, label_smoothing=0.5), LOG_2),
        (lambda x: F.softmax_cross_entropy(x, np.maximum(ONE_LABEL, 0), weight=np.array([0.0, 2.0])), LOG_2),
        (lambda x: F.nll_loss(-x - 1, ONE_LABEL, ignore_index=-1), 1.0),
        (lambda x: F.nll_loss(-x - 1, np.maximum(ONE_LABEL, 0), weight=np.array([0.0, 2.0])), 1.0),
        (
            lambda x: F.sigmoid_cross_entropy(x, np.zeros((4, 2)), weight=1.0 * (NOT_FINITE == 0), reduction="sum"),
            3 * LOG_2,
        ),
        (
            lambda x: F.sigmoid_cross_entropy(
                x, np.ones((4, 2)), weight=1.0 * (NOT_FINITE == 0), pos_weight=2.0, reduction="sum"
            ),
            6 * LOG_2,
        ),
        (lambda x: F.binary_cross_entropy(x, np.zeros((4, 2)), weight=1.0 * (NOT_FINITE == 0), reduction="sum"), 0.0),
    ],
)
def test_terms_of_weight_zero_add_nothing_even_if_not_finite(loss: Any, expected: float, native: bool) -> None:
    """Neither to the loss nor to gradients of any order; only ``x[0]`` and zeros have a weight."""
    with np.errstate(invalid="ignore"), using_config("native", native):
        for create_graph in (False, True):
            x = Variable(NOT_FINITE)
            y = loss(x)
            np.testing.assert_allclose(y.data, expected, rtol=1e-12)
            y.backward(create_graph=create_graph)
            first = x.grad
            assert np.isfinite(first.data).all()
            np.testing.assert_array_equal(first.data[NOT_FINITE != 0], 0)
        x.cleargrad()
        if first.requires_grad:
            (first * first).sum().backward()
            assert x.grad is None or np.isfinite(x.grad.data).all()


def test_infinite_terms_of_probability_zero_add_nothing() -> None:
    """A probability of 0, predicted exactly, and its logarithm."""
    log_p = np.array([[0.0, -INF], [np.log(0.25), np.log(0.75)]])
    p = np.exp(log_p)
    cases = [
        (F.kl_divergence, (log_p, p), 0.0),
        (F.softmax_cross_entropy, (log_p, p), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 2),
        (F.softmax_cross_entropy, (log_p, np.array([0, 0])), -np.log(0.25) / 2),
        (F.nll_loss, (log_p, np.array([0, 0])), -np.log(0.25) / 2),
        (F.binary_cross_entropy, (np.array([0.0, 1.0]), np.array([0.0, 1.0])), 0.0),
        (F.sigmoid_cross_entropy, (np.array([-INF, INF]), np.array([0, 1])), 0.0),
        (F.hinge, (np.array([INF, -INF]), np.array([1, -1])), 0.0),
    ]
    for f, (x, t), expected in cases:
        boxed = Variable(x)
        y = f(boxed, t)
        np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-15)
        y.backward()
        assert np.isfinite(boxed.grad.data).all(), f
    (gt,) = gradients([F.softmax_cross_entropy(log_p[1:], t := Variable(p[1:] * [0, 1]))], [t])
    np.testing.assert_allclose(gt.data, -log_p[1:])  # Also for a probability of 0.


@pytest.mark.parametrize("kind", ["weight", "t"])
def test_differentiable_weight_of_zero_has_a_gradient(kind: str) -> None:
    x, w = Variable(np.array([2.0, -1.0])), Variable(np.array([0.0, 1.0]))
    options = {"t": np.ones(2), "weight": w, "reduction": "sum"} if kind == "weight" else {"t": w, "reduction": "sum"}
    check_grads(lambda x, w: F.sigmoid_cross_entropy(x, **{**options, kind: w}), x.data, w.data, order=2)

"""Arguments that suit each kernel, for the tests of its boundary. A new kernel needs an entry here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np

import passus
import passus.functions as F
import passus.kernels
from passus.kernels.attention import Settings, attention
from passus.kernels.convolution import convolve
from passus.kernels.dispatch import Kernel
from passus.kernels.pooling import max_pooling
from passus.kernels.recurrent import History, State, Weights, recurrence, results_before

rng = np.random.default_rng(7)


def drawn(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def channels_last(*shape: int) -> np.ndarray:
    return np.moveaxis(drawn(shape[0], *shape[2:], shape[1]), -1, 1)


def all_kernels() -> dict[str, Kernel[Any, Any]]:
    found = {}
    for info in pkgutil.iter_modules(passus.kernels.__path__):
        if not info.ispkg:
            module = importlib.import_module(f"passus.kernels.{info.name}")
            found |= {name: x for name, x in vars(module).items() if isinstance(x, Kernel)}
    return found


KERNELS = all_kernels()

IMAGES = channels_last(2, 5, 9, 8)

WINDOW = ((2, 1), ((1, 1), (0, 1)), (1, 2))

POOLED = (3, 2), (2, 2), ((1, 1), (0, 1))


def arguments() -> dict[str, tuple[Any, ...]]:
    x, W, b = IMAGES, drawn(6, 5, 3, 2), drawn(6)
    y = convolve.reference(x, W, b, *WINDOW, 1)
    wide, of_channels = channels_last(3, 20, 9, 8), [drawn(20) for _ in range(5)]
    pooled, places = max_pooling.reference(wide, *POOLED)
    rows, groups = drawn(30, 100), np.moveaxis(drawn(3, 6, 6, 4, 5), (-2, -1), (1, 2))
    statistics = [drawn(30, 1), drawn(30, 1)]
    long, labels = drawn(256, 256), rng.integers(0, 100, 30)
    p, slots = drawn(70, 30), [abs(drawn(70, 30)) for _ in range(3)]
    limits, betas = (0.0, 6.0), (0.9, 0.99)
    qkv, mask, causal = (
        (drawn(2, 6, 20, 7), drawn(2, 6, 50, 7), drawn(2, 6, 50, 9)),
        drawn(2, 1, 20, 50),
        Settings(0.3, True),
    )
    attended = attention.reference(*qkv, mask, causal)

    steps = {
        "lstm": (
            drawn(3, 9, 56),
            State(drawn(3, 9), drawn(3, 14)),
            Weights(drawn(9, 56) / 8, None, drawn(14, 9)),
        ),
        "gru": (drawn(3, 9, 42), State(drawn(3, 14), None), Weights(drawn(14, 42) / 8, drawn(14), None)),
    }
    ends = np.array([9, 0, 2])

    def of_gradient(cell: str, lengths: np.ndarray | None, reverse: bool) -> tuple[Any, ...]:
        xs, state, weights = steps[cell]
        y, final, saved = recurrence.reference(cell, xs, state, weights, lengths, reverse)
        gstate = State(drawn(*final.h.shape), None if final.c is None else drawn(*final.c.shape))
        before = results_before(y, state.h, lengths, reverse)
        history = History(y, before, state.c, saved.gates, saved.cells)
        return cell, drawn(*y.shape), gstate, history, weights, lengths, reverse

    def scratch(x: np.ndarray, index: int = 0) -> np.ndarray:
        return np.empty_like(x)

    return {
        "convolve": (x, W, b, *WINDOW, 1),
        "convolve_input_gradient": (y, W, (9, 8), *WINDOW, 1),
        "convolve_weight_gradient": (x, y, (3, 2), *WINDOW, 1),
        "max_pooling": (wide, *POOLED),
        "max_pooling_gradient": (channels_last(*pooled.shape), places, (9, 8), *POOLED),
        "average_pooling": (wide, *POOLED, 6.0),
        "average_pooling_gradient": (channels_last(*pooled.shape), (9, 8), *POOLED, 6.0),
        "channel_moments": (wide,),
        "channel_sums": (wide,),
        "scaled_channels": (wide, *of_channels[:3], limits),
        "channel_products": (channels_last(*wide.shape), wide, *of_channels[:3], limits),
        "scaled_gradient": (channels_last(*wide.shape), wide, *of_channels, limits),
        "sloped_channels": (wide, of_channels[0].reshape(-1, 1, 1)),
        "sloped_gradient": (channels_last(*wide.shape), wide, of_channels[0].reshape(-1, 1, 1)),
        "sloped_channels by one slope": (wide, drawn(1)),
        "biased_activation": (wide, of_channels[0], "mish", 1, np),
        "biased_gradient": (channels_last(*wide.shape), wide, of_channels[0], "tanh", 1, np),
        "normalized": (rows, drawn(100), drawn(100), (-1,), 1e-5),
        "normalized_gradients": (drawn(30, 100), rows, drawn(100), *statistics, (-1,)),
        "rms_normalized": (rows, drawn(100), (-1,), 1e-5),
        "rms_normalized_gradients": (drawn(30, 100), rows, drawn(100), statistics[0], (-1,)),
        "normalized in groups": (groups, drawn(4, 5, 1, 1), drawn(4, 5, 1, 1), (2, 3, 4), 1e-5),
        "normalized_gradients in groups": (
            drawn(*groups.shape),
            groups,
            drawn(4, 5, 1, 1),
            *[drawn(3, 4, 1, 1, 1) for _ in range(2)],
            (2, 3, 4),
        ),
        "attention": (*qkv, mask, causal),
        "attention of few queries": (qkv[0][..., :2, :], *qkv[1:], mask[..., :2, :] > 0, Settings(0.3)),
        "attention_gradients": (drawn(2, 6, 20, 9), *qkv, mask, *attended, causal),
        "softmax": (rows, 1),
        "softmax_gradient": (drawn(30, 100), rows, 1),
        "log_softmax": (rows, 1),
        "log_softmax_gradient": (drawn(30, 100), rows, -1),
        "cross_entropy": (rows, labels, 0.1),
        "cross_entropy_gradient": (drawn(30), rows, labels, rows.max(axis=1), 1 + abs(drawn(30)), None, 0.1),
        "recurrence": ("lstm", *steps["lstm"], ends, True),
        "recurrence of gru": ("gru", *steps["gru"], None, False),
        "recurrence_gradient": of_gradient("lstm", ends, True),
        "recurrence_gradient of gru": of_gradient("gru", None, False),
        "scatter_add": ((40, 25), rng.integers(-40, 40, 100), drawn(100, 25)),
        "product": (drawn(80, 70), drawn(70, 60), drawn(60)),
        "dropped_out": (long, rng.integers(0, 9, long.shape, np.uint32), 4, 2.0),
        "limited": (long, *limits),
        "limited_sum": (long, drawn(256, 256), *limits),
        "limited_gradient": (long, drawn(256, 256), *limits),
        "activation": (drawn(64, 70), "mish", (), np),
        "activation_gradient": (drawn(64, 70), None, drawn(64, 70), "sigmoid", (), np),
        "activation_gradient of mish": (drawn(64, 70), drawn(64, 70), None, "mish", (), np),
        "ordered": (channels_last(300, 250)[:, :, None].transpose(1, 0, 2),),
        "sgd": (p, drawn(70, 30), 0.1, scratch),
        "momentum_sgd": (p, drawn(70, 30), slots[0], 0.1, 0.9, scratch),
        "nesterov": (p, drawn(70, 30), slots[0], 0.1, 0.9, scratch),
        "adam": (p, drawn(70, 30), *slots[:2], 0.1, betas, 1e-8, 0.99, scratch),
        "amsgrad": (p, drawn(70, 30), *slots, 0.1, betas, 1e-8, scratch),
        "rmsprop": (p, drawn(70, 30), slots[0], 0.1, 0.99, 1e-8, scratch),
        "adagrad": (p, drawn(70, 30), slots[0], 0.1, 1e-8, scratch),
        "lion": (p, drawn(70, 30), slots[0], 0.1, betas, 0.99, scratch),
    }


ARGUMENTS = arguments()

SLOPES, BIAS = drawn(20), drawn(20)

ON_CHANNELS = channels_last(3, 20, 9, 8)

FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    **{
        name: (getattr(F, name), (drawn(64, 70),))
        for name in ("relu", "sigmoid", "tanh", "gelu", "elu", "mish", "relu6")
    },
    "bias_activation": (lambda x, b: F.bias_activation(x, b, "gelu"), (drawn(300, 20), BIAS)),
    "bias_activation of channels": (lambda x, b: F.bias_activation(x, b, "relu", axis=1), (ON_CHANNELS, BIAS)),
    "prelu": (F.prelu, (ON_CHANNELS, SLOPES)),
    "batch_norm": (lambda x, gamma, beta: F.batch_norm(x, gamma, beta, None, None), (ON_CHANNELS, SLOPES, BIAS)),
    "layer_norm": (F.layer_norm, (drawn(300, 20), SLOPES, BIAS)),
    "rms_norm": (F.rms_norm, (drawn(300, 20), SLOPES)),
    "group_norm": (lambda x, gamma, beta: F.group_norm(x, gamma, beta, 4), (ON_CHANNELS, SLOPES, BIAS)),
    "conv2d": (lambda x, W: F.conv2d(x, W, pad=1), (ON_CHANNELS, drawn(7, 20, 3, 3))),
    "deconv2d": (lambda x, W: F.deconv2d(x, W, stride=2), (ON_CHANNELS, drawn(20, 7, 3, 3))),
    "pooling": (lambda x: F.pooling(x, 2, stride=2), (ON_CHANNELS,)),
    "average_pooling": (lambda x: F.average_pooling(x, 2, stride=2), (ON_CHANNELS,)),
    "attention": (F.scaled_dot_product_attention, (drawn(3, 20, 8), drawn(3, 30, 8), drawn(3, 30, 9))),
    "softmax": (F.softmax, (drawn(300, 20),)),
    "log_softmax": (F.log_softmax, (drawn(300, 20),)),
    "linear": (F.linear, (drawn(80, 70), drawn(70, 60), drawn(60))),
    "embed_id": (lambda W: F.embed_id(np.arange(300) % 40, W), (drawn(40, 30),)),
}

"""The networks on images in JAX: plain functions that take their weights from a scope, with channels last."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.networks.jax_scope import Array, Network, Scope
from benchmarks.networks.rows import CLASSES, HEAD, STEM, blocks_of
from benchmarks.problems import Images


def network_of(problem: Images) -> Network:
    makers = {
        "lenet": lenet,
        "cnn": cnn_of(problem.width),
        "resnet20": resnet20,
        "mobile": mobile,
        "wide": wide,
        "mobilenetv2": partial(inverted_residuals, network="mobilenetv2", unit=convolved),
        "efficientnet": partial(inverted_residuals, network="efficientnet", unit=convolved_as_in_tensorflow),
    }
    return makers[problem.network]


def conv(
    scope: Scope, x: Array, o: int, size: int, stride: int = 1, pad: int | str = 0, groups: int = 1, bias: bool = False
) -> Array:
    W = scope.weight((size, size, x.shape[-1] // groups, o))
    y = lax.conv_general_dilated(
        x,
        W,
        (stride, stride),
        pad if isinstance(pad, str) else [(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )
    return y + scope.vector(o) if bias else y


def norm(scope: Scope, x: Array, eps: float = 1e-5, decay: float = 0.9) -> Array:
    C = x.shape[-1]
    gamma, beta = scope.vector(C, 1.0), scope.vector(C)
    mean, var = scope.average(C, 0.0), scope.average(C, 1.0)
    if scope.training:
        batch_mean, batch_var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        scope.new_averages += [decay * mean + (1 - decay) * batch_mean, decay * var + (1 - decay) * batch_var]
        mean, var = batch_mean, batch_var
    return (x - mean) * (gamma * lax.rsqrt(var + eps)) + beta


def pool(x: Array) -> Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def linear(scope: Scope, x: Array, o: int) -> Array:
    W = scope.weight((x.shape[1], o))
    return x @ W + scope.vector(o)


def flat(x: Array) -> Array:
    """Flatten to (N, C * H * W), the order of the other frameworks."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def lenet(scope: Scope, x: Array) -> Array:
    x = pool(jax.nn.relu(conv(scope, x, 6, 5, pad=2, bias=True)))
    x = flat(pool(jax.nn.relu(conv(scope, x, 16, 5, bias=True))))
    for o in (120, 84):
        x = jax.nn.relu(linear(scope, x, o))
    return linear(scope, x, 10)


def cnn_of(width: int) -> Network:
    def cnn(scope: Scope, x: Array) -> Array:
        for o in (width, 2 * width, 2 * width):
            x = pool(jax.nn.relu(conv(scope, x, o, 3, pad=1, bias=True)))
        return linear(scope, flat(x), 10)

    return cnn


def wide(scope: Scope, x: Array) -> Array:
    for widths in ((128,), (128, 256), (256, 256)):
        for o in widths:
            x = jax.nn.relu(conv(scope, x, o, 3, pad=1, bias=True))
        x = pool(x)
    return linear(scope, flat(x), 10)


def resnet20(scope: Scope, x: Array) -> Array:
    x = jax.nn.relu(norm(scope, conv(scope, x, 16, 3, pad=1)))
    for c, o in pairwise([16] * 4 + [32] * 3 + [64] * 3):
        x = block(scope, x, o, 2 if c < o else 1)
    return linear(scope, x.mean((1, 2)), 10)


def block(scope: Scope, x: Array, o: int, stride: int) -> Array:
    y = jax.nn.relu(norm(scope, conv(scope, x, o, 3, stride, 1)))
    y = norm(scope, conv(scope, y, o, 3, 1, 1))
    return jax.nn.relu(y + (conv(scope, x, o, 1, stride) if stride > 1 else x))


def mobile(scope: Scope, x: Array) -> Array:
    x = convolved(scope, x, 32, 3, 2)
    for o, stride, expansion in [(16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6)]:
        x = inverted_residual(scope, x, o, stride, expansion)
    return linear(scope, x.mean((1, 2)), 10)


def convolved(
    scope: Scope, x: Array, o: int, size: int, stride: int = 1, groups: int = 1, linear: bool = False
) -> Array:
    y = norm(scope, conv(scope, x, o, size, stride, size // 2, groups))
    return y if linear else jax.nn.relu6(y)


def convolved_as_in_tensorflow(
    scope: Scope, x: Array, o: int, size: int, stride: int = 1, groups: int = 1, linear: bool = False
) -> Array:
    y = norm(scope, conv(scope, x, o, size, stride, "SAME", groups), eps=1e-3)
    return y if linear else jax.nn.relu6(y)


def inverted_residual(
    scope: Scope,
    x: Array,
    o: int,
    stride: int,
    expansion: int,
    size: int = 3,
    unit: Callable[..., Array] = convolved,
    expand: bool = True,
) -> Array:
    inner = x.shape[-1] * expansion
    y = unit(scope, x, inner, 1) if expand else x
    y = unit(scope, unit(scope, y, inner, size, stride, inner), o, 1, linear=True)
    return x + y if stride == 1 and x.shape == y.shape else y


def inverted_residuals(scope: Scope, x: Array, network: str, unit: Callable[..., Array]) -> Array:
    x = unit(scope, x, STEM, 3, 2)
    for block in blocks_of(network):
        x = inverted_residual(scope, x, *block[1:], unit, expand=block.expansion > 1)
    return linear(scope, unit(scope, x, HEAD, 1).mean((1, 2)), CLASSES)

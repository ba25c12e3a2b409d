"""The networks on sequences in JAX: functions of named weights."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.sequences.problems import Transformer

Array = jax.Array
Weights = dict[str, Array]
Attend = Callable[[int, Array, Array, Array], Array]
"""Attention in a block, given its index and queries, keys and values (N, T, heads, width)."""


def linear(w: Weights, name: str, x: Array) -> Array:
    return x @ w[f"{name}.weight"] + w[f"{name}.bias"]


def norm(w: Weights, name: str, x: Array, eps: float) -> Array:
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def lstm(w: Weights, x: Array) -> Array:
    """Return the class scores after the last step; the input projections of all steps are one product."""

    def step(state: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], None]:
        h, c = state
        i, f, g, o = jnp.split(a + h @ w["hidden.weight"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((len(x), len(w["hidden.weight"])), x.dtype)
    (h, _), _ = lax.scan(step, (zero, zero), linear(w, "input", x.swapaxes(0, 1)))
    return linear(w, "out", h)


def gru(w: Weights, x: Array) -> Array:
    def step(h: Array, a: Array) -> tuple[Array, None]:
        (r, z, n), (hr, hz, hn) = jnp.split(a, 3, axis=1), jnp.split(h @ w["hidden.weight"], 3, axis=1)
        r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
        return (1 - z) * jnp.tanh(n + r * (hn + w["hidden.bias"])) + z * h, None

    zero = jnp.zeros((len(x), len(w["hidden.weight"])), x.dtype)
    h, _ = lax.scan(step, zero, linear(w, "input", x.swapaxes(0, 1)))
    return linear(w, "out", h)


def causal(i: int, q: Array, k: Array, v: Array) -> Array:
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


def attention(w: Weights, i: int, sizes: Transformer, x: Array, attend: Attend) -> Array:
    N, T, D = x.shape
    q, k, v = jnp.split(linear(w, f"blocks.{i}.qkv", x).reshape(N, T, 3 * sizes.heads, -1), 3, axis=2)
    return linear(w, f"blocks.{i}.project", attend(i, q, k, v).reshape(N, T, D))


def inner(w: Weights, i: int, x: Array, approximate: bool) -> Array:
    return linear(w, f"blocks.{i}.down", jax.nn.gelu(linear(w, f"blocks.{i}.up", x), approximate))


def gpt(w: Weights, sizes: Transformer, x: Array, positions: Array, attend: Attend = causal) -> Array:
    """Return the logits of tokens ``x`` (N, T) at ``positions`` (T) of the sequence."""
    h = w["tokens"][x] + w["positions"][positions]
    for i in range(sizes.layers):
        h = h + attention(w, i, sizes, norm(w, f"blocks.{i}.norm1", h, 1e-5), attend)
        h = h + inner(w, i, norm(w, f"blocks.{i}.norm2", h, 1e-5), approximate=True)
    return norm(w, "norm", h, 1e-5) @ w["tokens"].T


def bert(w: Weights, sizes: Transformer, x: Array, mask: Array) -> Array:
    """Return the outputs (N, T, D) of tokens ``x`` (N, T); the mask is False for padding."""

    def attend(i: int, q: Array, k: Array, v: Array) -> Array:
        return jax.nn.dot_product_attention(q, k, v, mask=mask[:, None, None])

    h = norm(w, "norm", w["tokens"][x] + w["types"][0] + w["positions"][: x.shape[1]], 1e-12)
    for i in range(sizes.layers):
        h = norm(w, f"blocks.{i}.norm1", h + attention(w, i, sizes, h, attend), 1e-12)
        h = norm(w, f"blocks.{i}.norm2", h + inner(w, i, h, approximate=False), 1e-12)
    return h

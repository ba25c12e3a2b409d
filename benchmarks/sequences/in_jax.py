"""The problems on sequences in JAX: a training step is one compiled function, and so is a whole generation."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.sequences import weights
from benchmarks.sequences.models_in_jax import Array, Weights, bert, gpt, gru, lstm
from benchmarks.sequences.problems import Attention, Encoding, Generation, Language, Recurrent, Training
from benchmarks.with_jax import cross_entropy, optimizer_of, training

Step = Callable[[], object]


def recurrent(problem: Recurrent) -> Step:
    network = {"LSTM": lstm, "GRU": gru}[problem.cell]
    return minimizing(lambda w, x, t: cross_entropy(network(w, x), t), problem, weights.of_recurrent(problem))


def language(problem: Language) -> Step:
    positions = np.arange(problem.gpt.T)

    def loss(w: Weights, x: Array, t: Array) -> Array:
        return cross_entropy(gpt(w, problem.gpt, x, positions).reshape(t.size, -1), t.ravel())

    return minimizing(loss, problem, weights.of_gpt(problem.gpt))


def minimizing(loss: Callable, problem: Training, start: weights.Weights) -> Step:
    """Return a training step, in which the weights are a list."""

    def loss_of_list(values: list[Array], averages: None, x: Array, t: Array) -> tuple[Array, None]:
        return loss(dict(zip(start, values)), x, t), None

    values = [*start.values()]
    return training(loss_of_list, *optimizer_of(problem, values), values, None, *problem.batch())


def generation(problem: Generation) -> Step:
    sizes, T = problem.gpt, problem.prompt + problem.new
    w, prompt = jax.device_put((weights.of_gpt(sizes), problem.tokens()))

    @jax.jit
    def generate(w: Weights, prompt: Array) -> Array:
        empty = jnp.zeros((1, T, sizes.heads, sizes.width // sizes.heads), jnp.float32)
        cache = [(empty, empty)] * sizes.layers

        def next_token(cache: list, tokens: Array, start: Array) -> tuple[list, Array]:
            """Return the cache and the token after ``tokens`` (1, t), which begin at position ``start``."""
            positions, new_cache = start + jnp.arange(tokens.shape[1]), [*cache]

            def attend(i: int, q: Array, k: Array, v: Array) -> Array:
                keys, values = (
                    lax.dynamic_update_slice(old, new, (0, start, 0, 0)) for old, new in zip(cache[i], (k, v))
                )
                new_cache[i] = keys, values
                mask = (jnp.arange(T) <= positions[:, None])[None, None]
                return jax.nn.dot_product_attention(q, keys, values, mask=mask)

            return new_cache, gpt(w, sizes, tokens, positions, attend)[:, -1].argmax(1)[:, None]

        def step(state: tuple, position: Array) -> tuple[tuple, Array]:
            cache, token = next_token(*state, position)
            return (cache, token), token[0, 0]

        state = next_token(cache, prompt, 0)
        _, rest = lax.scan(step, state, jnp.arange(problem.prompt, T - 1))
        return jnp.concatenate([state[1][0], rest])

    return lambda: generate(w, prompt).block_until_ready()


def encoding(problem: Encoding) -> Step:
    @jax.jit
    def encode(w: Weights, x: Array, mask: Array) -> Array:
        h, valid = bert(w, problem.bert, x, mask), mask[:, :, None]
        mean = (h * valid).sum(1) / valid.sum(1)
        return mean / jnp.linalg.norm(mean, axis=1, keepdims=True)

    arguments = jax.device_put((weights.of_bert(problem.bert), *problem.batch()))
    return lambda: encode(*arguments).block_until_ready()


def attention(problem: Attention) -> Step:
    """Attention is written out, which takes 0.7 to 0.85 of the time of `jax.nn.dot_product_attention` on the CPU."""

    def causal(q: Array, k: Array, v: Array) -> Array:
        mask = jnp.tri(problem.T, dtype=bool)
        scores = q @ k.swapaxes(2, 3) * problem.width**-0.5
        return jax.nn.softmax(jnp.where(mask, scores, -jnp.inf)) @ v

    @jax.jit
    def both(q: Array, k: Array, v: Array, gy: Array) -> tuple[Array, ...]:
        y, back = jax.vjp(causal, q, k, v)
        return y, *back(gy)

    arguments = jax.device_put(tuple(problem.arrays()))
    return lambda: jax.block_until_ready(both(*arguments))

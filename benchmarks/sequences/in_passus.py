"""The problems on sequences in passus; each function returns a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import passus
import passus.functions as F
from benchmarks.preparing import Prepare, eagerly
from benchmarks.sequences import weights
from benchmarks.sequences.models_in_passus import Classifier, SentenceEncoder, load_recurrent, load_transformer
from benchmarks.sequences.problems import Attention, Encoding, Generation, Language, Recurrent, Transformer
from benchmarks.with_passus import in_test_mode, optimizer_of, steps
from passus.core.backward import gradients

Step = Callable[[], object]


def recurrent(problem: Recurrent, prepared: Prepare = eagerly) -> Step:
    model = Classifier(problem)
    load_recurrent(model, weights.of_recurrent(problem))
    return steps(model, F.softmax_cross_entropy, optimizer_of(problem), *problem.batch(), prepared)


def language(problem: Language, prepared: Prepare = eagerly) -> Step:
    x, t = problem.batch()

    def loss(y: passus.Variable, t: np.ndarray) -> passus.Variable:
        return F.softmax_cross_entropy(y.reshape(-1, problem.gpt.vocabulary), t.ravel())

    return steps(gpt_of(problem.gpt), loss, optimizer_of(problem), x, t, prepared)


def gpt_of(sizes: Transformer) -> passus.models.GPT:
    model = passus.models.GPT(sizes.vocabulary, sizes.layers, sizes.heads, sizes.width, max_len=sizes.T)
    load_transformer(model, weights.of_gpt(sizes))
    return model


def generation(problem: Generation, compile: bool = False) -> Step:
    model, prompt = gpt_of(problem.gpt), problem.tokens()
    passus.kernels.start_using()  # One line for the user: single tokens use kernels, too.
    return lambda: model.generate(prompt, problem.new, temperature=0, compile=compile)[0, problem.prompt :]


def encoding(problem: Encoding, prepared: Prepare = in_test_mode) -> Step:
    model = SentenceEncoder(problem.bert)
    load_transformer(model, weights.of_bert(problem.bert))
    encode, batch = prepared(model), problem.batch()
    return lambda: encode(*batch).data


def attention(problem: Attention, prepared: Prepare = eagerly) -> Step:
    passus.kernels.start_using()  # Otherwise a larger array would do so.

    @prepared
    def step(q: passus.Variable, k: passus.Variable, v: passus.Variable, gy: passus.Variable) -> list[passus.Variable]:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return [y, *gradients([y], [q, k, v], [gy])]

    return partial(step, *map(passus.Variable, problem.arrays()))

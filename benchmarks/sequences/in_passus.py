"""The problems on sequences in passus; each function returns a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import passus
import passus.functions as F
from benchmarks.sequences import weights
from benchmarks.sequences.models_in_passus import Classifier, SentenceEncoder, load_recurrent, load_transformer
from benchmarks.sequences.problems import Attention, Encoding, Generation, Language, Recurrent, Transformer
from benchmarks.with_passus import steps
from passus.core.backward import gradients
from passus.optimizers import Adam

Step = Callable[[], object]


def recurrent(problem: Recurrent) -> Step:
    model = Classifier(problem)
    load_recurrent(model, weights.of_recurrent(problem))
    return steps(model, F.softmax_cross_entropy, Adam(lr=1e-3), *problem.batch())


def language(problem: Language) -> Step:
    x, t = problem.batch()

    def loss(y: passus.Variable, t: np.ndarray) -> passus.Variable:
        return F.softmax_cross_entropy(y.reshape(-1, problem.gpt.vocabulary), t.ravel())

    return steps(gpt_of(problem.gpt), loss, Adam(lr=1e-3), x, t)


def gpt_of(sizes: Transformer) -> passus.models.GPT:
    model = passus.models.GPT(sizes.vocabulary, sizes.layers, sizes.heads, sizes.width, max_len=sizes.T)
    load_transformer(model, weights.of_gpt(sizes))
    return model


def generation(problem: Generation) -> Step:
    model, prompt = gpt_of(problem.gpt), problem.tokens()
    passus.kernels.start_using()  # One line for the user: single tokens use kernels, too.
    return lambda: model.generate(prompt, problem.new, temperature=0)[0, problem.prompt :]


def encoding(problem: Encoding) -> Step:
    model = SentenceEncoder(problem.bert)
    load_transformer(model, weights.of_bert(problem.bert))
    tokens, mask = problem.batch()

    def step() -> np.ndarray:
        with passus.no_grad(), passus.test_mode():
            return model(tokens, mask).data

    return step


def attention(problem: Attention) -> Step:
    *qkv, gy = map(passus.Variable, problem.arrays())
    passus.kernels.start_using()  # Otherwise a larger array would do so.

    def step() -> list[passus.Variable]:
        y = F.scaled_dot_product_attention(*qkv, is_causal=True)
        return [y, *gradients([y], qkv, [gy])]

    return step

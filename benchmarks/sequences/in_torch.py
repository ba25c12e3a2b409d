"""The problems on sequences in PyTorch, eager; each function returns a step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.preparing import Prepare, eagerly
from benchmarks.sequences import weights
from benchmarks.sequences.models_in_torch import GPT, Cache, Classifier, SentenceEncoder, causal, load, load_recurrent
from benchmarks.sequences.problems import Attention, Encoding, Generation, Language, Recurrent, Training

Step = Callable[[], object]


def recurrent(problem: Recurrent, prepared: Prepare = eagerly) -> Step:
    model = Classifier(problem)
    load_recurrent(model, weights.of_recurrent(problem))
    return minimizing(prepared(lambda x, t: functional.cross_entropy(model(x), t)), model, problem)


def language(problem: Language, prepared: Prepare = eagerly) -> Step:
    model = GPT(problem.gpt)
    load(model, weights.of_gpt(problem.gpt))
    loss = prepared(lambda x, t: functional.cross_entropy(model(x).flatten(0, 1), t.flatten()))
    return minimizing(loss, model, problem)


def minimizing(loss: Callable, model: nn.Module, problem: Training) -> Step:
    """Return a training step with the fused Adam, the fastest one: one option for the user."""
    x, t = map(torch.from_numpy, problem.batch())
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.lr, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        y = loss(x, t)
        y.backward()
        optimizer.step()
        return y.detach()

    return step


def generation(problem: Generation, prepared: Prepare = eagerly) -> Step:
    model = GPT(problem.gpt)
    load(model, weights.of_gpt(problem.gpt))
    next_logits = prepared(model.cached)
    prompt, T = torch.from_numpy(problem.tokens()), problem.prompt + problem.new

    @torch.inference_mode()
    def step() -> list[int]:
        cache, tokens = Cache(problem.gpt, T), prompt
        positions, new = torch.arange(problem.prompt), []
        while len(new) < problem.new:
            tokens = next_logits(tokens, positions, cache).argmax(1, keepdim=True)
            new.append(tokens.item())
            positions = positions[-1:] + 1
        return new

    return step


def encoding(problem: Encoding, prepared: Prepare = eagerly) -> Step:
    model = SentenceEncoder(problem.bert).eval()
    load(model, weights.of_bert(problem.bert))
    function = prepared(model)
    tokens, mask = map(torch.from_numpy, problem.batch())

    @torch.inference_mode()
    def step() -> Tensor:
        return function(tokens, mask)

    return step


def attention(problem: Attention, prepared: Prepare = eagerly) -> Step:
    *qkv, gy = map(torch.from_numpy, problem.arrays())
    for x in qkv:
        x.requires_grad_()
    function = prepared(causal)

    def step() -> list[Tensor]:
        y = function(*qkv)
        return [y.detach(), *torch.autograd.grad(y, qkv, gy)]

    return step

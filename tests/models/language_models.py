"""GPT-2 and Llama in plain PyTorch, with the names and conventions of published files."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn


class Conv1D(nn.Module):
    """A linear layer with a matrix (inputs, outputs)."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.randn(inputs, outputs) * 0.2),
            nn.Parameter(torch.randn(outputs) * 0.2),
        )

    def forward(self, x: Any) -> Any:
        return x @ self.weight + self.bias


class Attention2(nn.Module):
    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = Conv1D(3 * width, width), Conv1D(width, width)
        self.register_buffer("bias", torch.tril(torch.ones(1, 1, length, length)))

    def forward(self, x: Any) -> Any:
        N, T, C = x.shape
        q, k, v = (m.view(N, T, self.heads, -1).transpose(1, 2) for m in self.c_attn(x).split(C, dim=2))
        scores = q @ k.transpose(2, 3) / math.sqrt(C // self.heads)
        scores = scores.masked_fill(self.bias[:, :, :T, :T] == 0, -math.inf)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(N, T, C))


class MLP2(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(4 * width, width), Conv1D(width, 4 * width)

    def forward(self, x: Any) -> Any:
        return self.c_proj(nn.functional.gelu(self.c_fc(x), approximate="tanh"))


class Block2(nn.Module):
    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = Attention2(width, heads, length), MLP2(width)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer2(nn.Module):
    def __init__(self, vocab: int, blocks: int, heads: int, width: int, length: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(length, width)
        self.h = nn.ModuleList([Block2(width, heads, length) for _ in range(blocks)])
        self.ln_f = nn.LayerNorm(width)

    def forward(self, ids: Any) -> Any:
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class GPT2(nn.Module):
    """GPT-2; the logits use the matrix of the embedding."""

    def __init__(self, vocab: int, blocks: int, heads: int, width: int, length: int) -> None:
        super().__init__()
        self.transformer = Transformer2(vocab, blocks, heads, width, length)
        self.lm_head = nn.Linear(width, vocab, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.3)

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.transformer(ids))


class Norm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Any) -> Any:
        return self.weight * (x * torch.rsqrt((x**2).mean(-1, keepdim=True) + self.eps))


def frequencies(size: int, base: float, scaling: dict[str, Any] | None) -> Any:
    """Frequencies of rotary positions, scaled according to ``rope_scaling`` of a configuration."""
    inverse = base ** (-torch.arange(0, size, 2).double() / size)
    if scaling is None:
        return inverse
    factor, kind = scaling["factor"], scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":
        return inverse / factor
    assert kind == "llama3"
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    length = scaling["original_max_position_embeddings"]
    scaled = []
    for frequency in inverse.tolist():
        wavelength = 2 * math.pi / frequency
        if wavelength < length / high:
            scaled.append(frequency)
        elif wavelength > length / low:
            scaled.append(frequency / factor)
        else:
            share = (length / wavelength - low) / (high - low)
            scaled.append((1 - share) * frequency / factor + share * frequency)
    return torch.tensor(scaled, dtype=torch.float64)


def rotated_halves(x: Any, base: float, scaling: dict[str, Any] | None = None) -> Any:
    """Rotary positions on halves of each head (N, H, T, D)."""
    T, D = x.shape[-2:]
    angles = torch.outer(torch.arange(T).double(), frequencies(D, base, scaling)).float().repeat(1, 2)
    other = torch.cat([-x[..., D // 2 :], x[..., : D // 2]], dim=-1)
    return x * angles.cos() + other * angles.sin()


class AttentionL(nn.Module):
    def __init__(
        self,
        width: int,
        heads: int,
        shared: int,
        base: float,
        size: int | None = None,
        qkv_bias: bool = False,
        bias: bool = False,
        scaling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.shared, self.base, self.scaling = heads, shared, base, scaling
        self.size = width // heads if size is None else size
        self.q_proj = nn.Linear(width, heads * self.size, bias=qkv_bias or bias)
        self.k_proj, self.v_proj = (nn.Linear(width, shared * self.size, bias=qkv_bias or bias) for _ in range(2))
        self.o_proj = nn.Linear(heads * self.size, width, bias=bias)

    def forward(self, x: Any) -> Any:
        N, T, _ = x.shape
        q = self.q_proj(x).view(N, T, self.heads, -1).transpose(1, 2)
        k, v = (f(x).view(N, T, self.shared, -1).transpose(1, 2) for f in (self.k_proj, self.v_proj))
        q, k = rotated_halves(q, self.base, self.scaling), rotated_halves(k, self.base, self.scaling)
        k, v = (m.repeat_interleave(self.heads // self.shared, dim=1) for m in (k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.size)
        scores = scores + torch.full((T, T), -math.inf).triu(1)
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(N, T, -1))


class MLPL(nn.Module):
    def __init__(self, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(width, hidden, bias=bias) for _ in range(2))
        self.down_proj = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class BlockL(nn.Module):
    def __init__(
        self,
        width: int,
        heads: int,
        shared: int,
        hidden: int,
        base: float,
        eps: float,
        bias: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.self_attn = AttentionL(width, heads, shared, base, bias=bias, **options)
        self.mlp = MLPL(width, hidden, bias)
        self.input_layernorm, self.post_attention_layernorm = Norm(width, eps), Norm(width, eps)

    def forward(self, x: Any) -> Any:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class TransformerL(nn.Module):
    def __init__(self, vocab: int, blocks: int, width: int, eps: float, **options: Any) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList([BlockL(width, eps=eps, **options) for _ in range(blocks)])
        self.norm = Norm(width, eps)

    def forward(self, ids: Any) -> Any:
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class Llama(nn.Module):
    """Llama and related models by options of `AttentionL`; with ``tied`` the logits use the matrix of the embedding."""

    def __init__(
        self,
        vocab: int,
        blocks: int,
        heads: int,
        shared: int,
        width: int,
        hidden: int,
        base: float,
        eps: float,
        tied: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        options |= {"heads": heads, "shared": shared, "hidden": hidden, "base": base}
        self.model = TransformerL(vocab, blocks, width, eps, **options)
        self.lm_head = nn.Linear(width, vocab, bias=False)
        if tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.3)

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.model(ids))

import numpy as np

from mini.core import Parameter, no_grad
from mini.functions import embed_id, matmul, mean, relu, softmax
from mini.layers import Layer, Linear


class SelfAttention(Layer):
    def __init__(self, d_model, heads):
        self.heads = heads
        self.qkv, self.out = Linear(3 * d_model), Linear(d_model)

    def forward(self, x):
        N, T, D = x.shape
        width = D // self.heads
        qkv = self.qkv(x.reshape(N * T, D)).reshape(N, T, 3, self.heads, width)
        q, k, v = [qkv[:, :, n].transpose(0, 2, 1, 3) for n in range(3)]
        scores = matmul(q, k.transpose(0, 1, 3, 2)) / np.float32(np.sqrt(width))
        later = np.triu(np.full((T, T), -1e9, np.float32), 1)
        y = matmul(softmax(scores + later, axis=-1), v)
        return self.out(y.transpose(0, 2, 1, 3).reshape(N * T, D)).reshape(N, T, D)


class LayerNorm(Layer):
    def __init__(self, size):
        self.gamma = Parameter(np.ones(size, np.float32))
        self.beta = Parameter(np.zeros(size, np.float32))

    def forward(self, x):
        d = x - mean(x, axis=-1).reshape(*x.shape[:-1], 1)
        var = mean(d * d, axis=-1).reshape(*x.shape[:-1], 1)
        return d / (var + 1e-5) ** 0.5 * self.gamma + self.beta


class Block(Layer):
    def __init__(self, d_model, heads):
        self.norm1, self.attention = LayerNorm(d_model), SelfAttention(d_model, heads)
        self.norm2, self.up, self.down = LayerNorm(d_model), Linear(4 * d_model), Linear(d_model)

    def forward(self, x):
        N, T, D = x.shape
        x = x + self.attention(self.norm1(x))
        h = relu(self.up(self.norm2(x).reshape(N * T, D)))
        return x + self.down(h).reshape(N, T, D)


class GPT(Layer):
    def __init__(self, vocab_size, n_layers=2, heads=2, d_model=32, max_len=32):
        self.tokens = Parameter((0.02 * np.random.randn(vocab_size, d_model)).astype(np.float32))
        self.positions = Parameter((0.02 * np.random.randn(max_len, d_model)).astype(np.float32))
        self.n_layers = n_layers
        for n in range(n_layers):
            setattr(self, f"block{n}", Block(d_model, heads))
        self.norm, self.head = LayerNorm(d_model), Linear(vocab_size)

    def forward(self, t):
        N, T = t.shape
        x = embed_id(t, self.tokens) + self.positions[:T]
        for n in range(self.n_layers):
            x = getattr(self, f"block{n}")(x)
        x = self.norm(x)
        return self.head(x.reshape(N * T, -1)).reshape(N, T, -1)


def generate(model, ids, length, temperature=1.0):
    with no_grad():
        for _ in range(length):
            seen = ids[-len(model.positions) :]
            logits = model(seen[None]).data[0, -1].astype(np.float64) / temperature
            p = np.exp(logits - logits.max())
            ids = np.append(ids, np.random.choice(len(p), p=p / p.sum()))
    return ids

"""Train an LSTM on the source code of Python's standard library, character by character, and sample from it.

    python examples/char_lstm.py --minutes 5 --out runs/char_lstm

32 streams read the text in parallel, 64 characters per step. The state is carried from step to step, and gradients are
truncated at the start of each step (truncated backpropagation through time). Everything else is as in char_gpt.py.

After five minutes on two cores (AVX2) and 2,035 steps, the validation loss is 1.25 nats per character.
"""

import sys

import numpy as np
from char_gpt import TOKENIZER, parse_options, train

import passus
import passus.functions as F
from passus.dataloaders import SeqDataLoader
from passus.layers import LSTM, Embedding, Layer, Linear
from passus.random import get_rng
from passus.text import TokenWindows, standard_library

STREAMS, LENGTH = 32, 64


class CharLSTM(Layer):
    def __init__(self, vocab_size, width):
        self.embed, self.lstm, self.head = Embedding(vocab_size, 128), LSTM(width), Linear(vocab_size)

    def forward(self, x):
        """Return logits (N, T, V) for tokens (N, T). In training, x continues the sequences of the previous call."""
        if not passus.Config.train:
            return self.head(self.lstm(self.embed(x)))
        lstm = self.lstm
        y, state = lstm(self.embed(x), None if lstm.h is None else (lstm.h, lstm.c), return_state=True)
        lstm.h, lstm.c = (passus.Variable(value.data) for value in state)  # Without the graph.
        return self.head(y)

    @passus.no_grad()
    def generate(self, ids, count, temperature, rng):
        """Continue the tokens ``ids`` (T,) by ``count`` sampled tokens."""
        rng, ids, state, new = get_rng(rng), list(ids), None, list(ids)
        for _ in range(count):
            y, state = self.lstm(self.embed(np.array([new])), state, return_state=True)
            p = F.softmax(self.head(y[:, -1]) / temperature).data[0].astype(np.float64)
            new = [rng.choice(len(p), p=p / p.sum())]
            ids += new
        return np.array(ids)


def main():
    options = parse_options(__doc__, "runs/char_lstm")
    passus.random.seed(options.seed)
    tokens, test = (TOKENIZER.encode(standard_library(train)).astype(np.uint8) for train in (True, False))
    loader = SeqDataLoader(TokenWindows(tokens, LENGTH), STREAMS)
    return train(CharLSTM(TOKENIZER.vocab_size, 512), loader, 3e-3, test, options)


if __name__ == "__main__":
    sys.exit(main())

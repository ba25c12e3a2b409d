"""Recognize nine speakers by two vowels, with a bidirectional GRU over series of different lengths.

    python examples/japanese_vowels.py --data FILE

It recognizes 97.8 % of 370 test utterances, and with seeds 0 to 9 between 97.6 and 98.6 %, 98.2 % on average. Training takes
10 seconds on one core. Size, noise and number of epochs were chosen by cross-validation on the training data. Published for
comparison: 98.86 % by an ensemble of eleven LSTMs (https://github.com/postnubilaphoebus/Jap_Speak_Recog). The file is the
package aeon 1.6.0, which carries the data set; `scripts/fetch-data` puts it where it is found.
"""

import argparse
import sys
import time

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.datasets import JapaneseVowels
from passus.errors import DataError
from passus.layers import GRU, Dropout, Layer, Linear
from passus.metrics import ConfusionMatrix
from passus.optimizers import AdamW
from passus.random import get_rng
from passus.schedules import one_cycle
from passus.training import Trainer

NOISE = 0.3
"""The standard deviation of what is added to the standardized training series."""


class Speaker(Layer):
    """Scores (N, 9) of series x (N, T, 12) of ``lengths`` steps, from the mean of the states."""

    def __init__(self):
        self.gru = GRU(128, bidirectional=True)
        self.dropout = Dropout(0.5)
        self.fc = Linear(9)

    def forward(self, x, lengths):
        y = self.gru(x, lengths=lengths)  # 0 after the end of a series.
        return self.fc(self.dropout(F.sum(y, axis=1) / lengths[:, None].astype(np.float32)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the file; left out, it is looked for in the cache folder")
    parser.add_argument("--epochs", type=int, default=40, help="how often to go through the data")
    parser.add_argument("--seed", type=int, default=0, help="for the weights, the order and the noise")
    arguments = parser.parse_args()
    source = {} if arguments.data is None else {"path": arguments.data}
    try:
        train, test = JapaneseVowels(train=True, **source), JapaneseVowels(train=False, **source)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2

    passus.random.seed(arguments.seed)
    frames = np.concatenate(train.data)
    mean, std = frames.mean(axis=0), frames.std(axis=0)
    train.transform = lambda x: (x - mean) / std + NOISE * get_rng().standard_normal(x.shape, np.float32)
    test.transform = lambda x: (x - mean) / std
    batches, test_batches = DataLoader(train, 27, collate=padded), DataLoader(test, 74, shuffle=False, collate=padded)
    model = Speaker()
    optimizer = AdamW(lr=one_cycle(5e-3, steps=arguments.epochs * len(batches)), weight_decay=0.05).setup(model)
    started = time.perf_counter()
    Trainer(model, optimizer, batches, batch_loss=loss).fit(arguments.epochs)
    print(f"Trained in {time.perf_counter() - started:.0f} s")

    confusion = ConfusionMatrix(9)
    with passus.test_mode(), passus.no_grad():
        for x, lengths, t in test_batches:
            confusion.update(model(x, lengths), t)
    table = confusion.compute()
    print(f"Rows: the speaker; columns: the one that was recognized.\n{table}")
    print(f"Test accuracy: {np.trace(table) / table.sum():.1%}")
    return 0


def padded(examples):
    """A batch of series (N, T, 12) with zeros after the shorter ones, their lengths (N,), and the labels (N,)."""
    lengths = np.array([len(x) for x, _ in examples])
    batch = np.zeros((len(examples), lengths.max(), examples[0][0].shape[1]), np.float32)
    for row, (x, _) in zip(batch, examples):
        row[: len(x)] = x
    return batch, lengths, np.array([t for _, t in examples])


def loss(model, batch):
    x, lengths, t = batch
    return F.softmax_cross_entropy(model(x, lengths), t)


if __name__ == "__main__":
    sys.exit(main())

"""Identify nine speakers by two vowels, with a bidirectional GRU over series of different lengths.

    python examples/japanese_vowels.py --data FILE

The test accuracy on 370 utterances is 97.8 %; with seeds 0 to 9 it is 97.6 to 98.6 %, on average 98.2 %. Training takes
10 seconds on one core. Size, noise and number of epochs were chosen by cross-validation on the training data. For
comparison, an ensemble of eleven LSTMs reaches 98.86 % (https://github.com/postnubilaphoebus/Jap_Speak_Recog). The file
is the package aeon 1.6.0, which contains the data set; `scripts/fetch-data` downloads it into the cache folder.
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
"""Standard deviation of the noise added to the standardized training series."""


class Speaker(Layer):
    """Class scores (N, 9) of series x (N, T, 12) with ``lengths`` (N,), from the mean of the hidden states."""

    def __init__(self):
        self.gru = GRU(128, bidirectional=True)
        self.dropout = Dropout(0.5)
        self.fc = Linear(9)

    def forward(self, x, lengths):
        y = self.gru(x, lengths=lengths)  # Zero beyond the end of each series.
        return self.fc(self.dropout(F.sum(y, axis=1) / lengths[:, None].astype(np.float32)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="path of the file (default: in the cache folder)")
    parser.add_argument("--epochs", type=int, default=40, help="number of passes over the data")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, the order and the noise")
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
    print(f"Rows: true speaker; columns: predicted speaker.\n{table}")
    print(f"Test accuracy: {np.trace(table) / table.sum():.1%}")
    return 0


def padded(examples):
    """Return series padded with zeros (N, T, 12), their lengths (N,), and the labels (N,)."""
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

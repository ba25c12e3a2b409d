"""Train a GPT on the source code of Python's standard library, character by character, and let it write some.

    python examples/char_gpt.py --minutes 5 --out runs/char_gpt

Every 100 steps the loss on held-out files is measured, the curve is drawn, and a checkpoint is written; every 500 steps the model
writes a few lines. An interrupted run resumes with `--resume`, bit for bit where the length is given in `--steps`. With
`--minutes` the learning rate follows the clock.

After five minutes on two cores (AVX2), 1,924 steps, the loss on held-out files is 1.44 nats per character; the same model in
PyTorch, in turns with it, reaches 1.43 after 2,019 steps (`python -m benchmarks.char_gpt`).
"""

import argparse
import string
import sys
from pathlib import Path

import numpy as np

import passus
import passus.functions as F
from passus.dataloaders import DataLoader
from passus.models import GPT
from passus.optimizers import AdamW, ClipGrad
from passus.schedules import cosine, warmup
from passus.text import CharTokenizer, RandomWindows, TokenWindows, standard_library
from passus.training import Callback, Checkpoint, PlotCurves, TimeLimit, Trainer

TOKENIZER = CharTokenizer(string.printable, special=["<other>"], unknown="<other>")
LENGTH, BATCH = 128, 16
LAYERS, HEADS, WIDTH = 4, 4, 128
LR, BETAS, WEIGHT_DECAY, MAX_NORM = 2e-3, (0.9, 0.99), 0.1, 1.0
TICKS = 1000  # The length of the schedule that follows the clock.
PROMPT = "\ndef "


class Samples(Callback):
    """Prints what the model writes after every fifth epoch."""

    def on_epoch(self, run, row):
        if run.epoch % 5 == 0:
            print(f"\nStep {run.step}, validation loss {row['test_loss']:.3f}:{write(run.model)}\n", flush=True)


def write(model):
    """A text of ``LENGTH`` characters that begins with the prompt; the same model writes the same text."""
    ids = TOKENIZER.encode(PROMPT)
    return TOKENIZER.decode(model.generate(ids, LENGTH - len(ids), temperature=0.8, rng=0))


def train(model, loader, lr, test, options):
    """Train until the budget is used; return 0, or 2 if the folder is that of another run.

    ``loader``: batches (x, t) of tokens (N, T); ``test``: the tokens of held-out files.
    """
    limit = TimeLimit(options.minutes)
    rate = schedule(lr, options.steps or TICKS)
    optimizer = AdamW(
        lr=rate if options.steps else lambda step: rate(TICKS * limit.share), betas=BETAS, weight_decay=WEIGHT_DECAY
    )
    optimizer.setup(model).add_hook(ClipGrad(MAX_NORM))
    checkpoint = Checkpoint(options.out / "checkpoints", keep=2)
    trainer = Trainer(
        model,
        optimizer,
        loader,
        lambda y, t: F.softmax_cross_entropy(y, t, axis=-1),
        test_loader=windows(test, 128),
        callbacks=[PlotCurves(options.out / "curves.png"), Samples(), checkpoint] + [limit] * (not options.steps),
        steps_per_epoch=options.every,
    )
    if options.resume and checkpoint.resume(trainer):
        print(f"Resumed after {trainer.step} steps")
    elif checkpoint.folder.paths():
        print(f"{options.out} holds another run; resume it with --resume, or choose another --out", file=sys.stderr)
        return 2
    trainer.fit(steps=options.pause or options.steps)
    checkpoint.folder.save(trainer.step, **trainer.parts())
    if options.pause:
        print(f"Paused after {trainer.step} steps; continue with --resume")
        return 0

    loss = trainer.evaluate(windows(test, 2000))["loss"]
    print(write(model))
    print(f"Validation loss: {loss:.3f} nats per character after {trainer.step} steps")
    model.save_weights(options.out / "weights.safetensors")
    return 0


def schedule(lr, steps):
    return warmup(cosine(lr, steps, lr_end=lr / 10), max(steps // 20, 1))


def windows(tokens, count):
    """Batches of ``count`` windows that are spread evenly over the tokens."""
    return DataLoader(TokenWindows(tokens, LENGTH, stride=len(tokens) // (count + 1)), 32, shuffle=False)


def parsed(description, out):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="the budget of wall-clock time")
    parser.add_argument("--steps", type=int, help="train for so many steps instead")
    parser.add_argument("--pause", type=int, metavar="STEP", help="stop after this step, to be resumed later")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--every", type=int, default=100, help="steps between two evaluations")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--out", type=Path, default=Path(out), help="folder for the curve, checkpoints and weights")
    return parser.parse_args()


def main():
    options = parsed(__doc__, "runs/char_gpt")
    passus.random.seed(options.seed)
    tokens, test = (TOKENIZER.encode(standard_library(train)).astype(np.uint8) for train in (True, False))
    model = GPT(TOKENIZER.vocab_size, n_layers=LAYERS, n_heads=HEADS, d_model=WIDTH, max_len=LENGTH)
    loader = DataLoader(RandomWindows(tokens, LENGTH), BATCH, rng=options.seed)
    return train(model, loader, LR, test, options)


if __name__ == "__main__":
    sys.exit(main())

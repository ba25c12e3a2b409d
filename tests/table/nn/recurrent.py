"""Rows of recurrent networks; the reference computes one example and one step at a time."""

from __future__ import annotations

import numpy as np

from tests.table import Row, bad, case, normal


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_cell(x, h, W_x, W_h, b=None, activation="tanh"):
    h = np.zeros((len(x), W_h.shape[0])) if h is None else h
    z = x @ W_x + h @ W_h + (0 if b is None else b)
    return np.tanh(z) if activation == "tanh" else np.maximum(z, 0)


def lstm_cell(x, h, c, W_x, W_h, b=None, W_p=None):
    h = np.zeros((len(x), W_h.shape[0])) if h is None else h
    c = np.zeros((len(x), W_h.shape[1] // 4)) if c is None else c
    i, f, g, o = np.split(x @ W_x + h @ W_h + (0 if b is None else b), 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h if W_p is None else h @ W_p, c


def gru_cell(x, h, W_x, W_h, b=None, b_h=None):
    h = np.zeros((len(x), W_h.shape[0])) if h is None else h
    xr, xz, xn = np.split(x @ W_x + (0 if b is None else b), 3, axis=1)
    hr, hz, hn = np.split(h @ W_h, 3, axis=1)
    z = sigmoid(xz + hz)
    return (1 - z) * np.tanh(xn + sigmoid(xr + hr) * (hn + (0 if b_h is None else b_h))) + z * h


def run(cell, x, states, sizes, lengths, reverse):
    """Run each example separately; ``sizes`` are the sizes of the states."""
    N, T, _ = x.shape
    states = [np.zeros((N, size)) if s is None else np.array(s) for s, size in zip(states, sizes)]
    y = np.zeros((N, T, sizes[0]))
    for n in range(N):
        steps = range(T if lengths is None else lengths[n])
        for t in reversed(steps) if reverse else steps:
            new = cell(x[n : n + 1, t], *[s[n : n + 1] for s in states])
            for s, value in zip(states, new if isinstance(new, tuple) else (new,)):
                s[n] = value[0]
            y[n, t] = states[0][n]
    return (y, *states)


def rnn(x, h, W_x, W_h, b=None, activation="tanh", lengths=None, reverse=False):
    return run(lambda x, h: rnn_cell(x, h, W_x, W_h, b, activation), x, [h], W_h.shape[:1], lengths, reverse)


def lstm(x, h, c, W_x, W_h, b=None, W_p=None, lengths=None, reverse=False):
    sizes = W_h.shape[0], W_h.shape[1] // 4
    return run(lambda x, h, c: lstm_cell(x, h, c, W_x, W_h, b, W_p), x, [h, c], sizes, lengths, reverse)


def gru(x, h, W_x, W_h, b=None, b_h=None, lengths=None, reverse=False):
    return run(lambda x, h: gru_cell(x, h, W_x, W_h, b, b_h), x, [h], W_h.shape[:1], lengths, reverse)


def of_rnn(N, T, I, H):  # noqa: E741
    return normal(N, T, I), normal(N, H), normal(I, H), normal(H, H) / 2, normal(H)


def of_lstm(N, T, I, H):  # noqa: E741
    return normal(N, T, I), normal(N, H), normal(N, H), normal(I, 4 * H), normal(H, 4 * H) / 2, normal(4 * H)


def of_gru(N, T, I, H):  # noqa: E741
    return normal(N, T, I), normal(N, H), normal(I, 3 * H), normal(H, 3 * H) / 2, normal(3 * H), normal(H)


def step(arguments):
    x, *rest = arguments
    return (x[:, 0], *rest)


def without_state_and_bias(arguments, at):
    """Arguments without a state and without biases."""
    return (arguments[0], *[None] * (at - 1), *arguments[at : at + 2])


LENGTHS = [3, 0, 2]
FIXED = {
    "0-d": "it has sequences",
    "broadcast": "its shapes are fixed",
    "negative axis": "it has no axis",
}
HALF = {
    "rtol16": 2**-8,  # A gradient through several steps is a sum with cancellation.
    "atol16": 2**-8,
    "integers": (-2, 2),
    "integer_arguments": (0,),
    "non_finite_exempt": {
        "plain, no state and no bias": "the first h, which is 0, is multiplied",
        "plain, relu": "h is multiplied, and may be 0",
    },
}
X, W = np.ones((2, 3, 4)), np.ones((4, 5))

ROWS = [
    Row(
        "rnn",
        rnn,
        {
            "plain": case(*of_rnn(2, 3, 4, 3)),
            "plain, no state and no bias": case(*without_state_and_bias(of_rnn(2, 3, 2, 3), 2)),
            "plain, backward": case(*of_rnn(2, 3, 2, 3), reverse=True),
            "plain, lengths": case(*of_rnn(3, 4, 2, 3), lengths=LENGTHS),
            "plain, lengths backward": case(*of_rnn(3, 4, 2, 3), lengths=LENGTHS, reverse=True),
            "plain, relu": case(*of_rnn(2, 3, 2, 3), activation="relu"),
            "plain, one step of one": case(*of_rnn(1, 1, 1, 1)),
            "empty": case(*of_rnn(0, 3, 2, 2)),
            "empty, no steps": case(*of_rnn(2, 0, 2, 2)),
        },
        (
            bad(ValueError, r"rnn: x \(3, 4\) must be \(N, T, I\)", X[0], None, W, np.ones((5, 5))),
            bad(ValueError, r"rnn: W_x \(5, 4\) must be \(4, 5\).*transpose", X, None, W.T, np.ones((5, 5))),
            bad(ValueError, r"rnn: W_h \(4, 5\) must be \(5, 5\)", X, None, W, np.ones((4, 5))),
            bad(ValueError, r"rnn: h \(5,\) must be \(2, 5\)", X, np.ones(5), W, np.ones((5, 5))),
            bad(ValueError, r"rnn: W_h \(5,\) must be", X, None, W, np.ones(5)),
            bad(ValueError, "rnn: activation must be 'tanh' or 'relu'", X, None, W, np.ones((5, 5)), activation="elu"),
            bad(ValueError, "rnn: length 4 is out of range; x has 3", X, None, W, np.ones((5, 5)), lengths=[4, 1]),
            bad(ValueError, "rnn: length -1 is out of range", X, None, W, np.ones((5, 5)), lengths=[-1, 1]),
            bad(ValueError, r"rnn: lengths \(1,\) must be \(2,\)", X, None, W, np.ones((5, 5)), lengths=[1]),
            bad(TypeError, "rnn: lengths must be integers", X, None, W, np.ones((5, 5)), lengths=[1.0, 2.0]),
            bad(TypeError, "rnn: reverse is an int", X, None, W, np.ones((5, 5)), reverse=1),
            bad(TypeError, "rnn: list is not supported", [[[1.0]]], None, W, np.ones((5, 5))),
            bad(TypeError, "rnn: None is not supported", X, None, None, np.ones((5, 5))),
        ),
        FIXED,
        **HALF,
    ),
    Row(
        "lstm",
        lstm,
        {
            "plain": case(*of_lstm(2, 3, 4, 3)),
            "plain, no state and no bias": case(*without_state_and_bias(of_lstm(2, 3, 2, 3), 3)),
            "plain, backward": case(*of_lstm(2, 3, 2, 2), reverse=True),
            "plain, lengths": case(*of_lstm(3, 4, 2, 2), lengths=LENGTHS),
            "plain, lengths backward": case(*of_lstm(3, 4, 2, 2), lengths=LENGTHS, reverse=True),
            "plain, projection": case(
                normal(2, 3, 4), normal(2, 2), normal(2, 3), normal(4, 12), normal(2, 12), normal(12), normal(3, 2)
            ),
            "plain, projection and lengths": case(
                *[normal(*s) for s in ((3, 4, 2), (3, 1), (3, 2), (2, 8), (1, 8), (8,), (2, 1))], lengths=LENGTHS
            ),
            "plain, one step of one": case(*of_lstm(1, 1, 1, 1)),
            "empty": case(*of_lstm(0, 3, 2, 2)),
            "empty, no steps": case(*of_lstm(2, 0, 2, 2)),
        },
        (
            bad(
                ValueError, r"lstm: x \(3, 4\) must be \(N, T, I\)", X[0], None, None, np.ones((4, 8)), np.ones((2, 8))
            ),
            bad(ValueError, r"lstm: W_h \(3, 8\) must be \(2, 8\)", X, None, None, np.ones((4, 8)), np.ones((3, 8))),
            bad(ValueError, r"lstm: W_x \(4, 9\) must be \(4, 8\)", X, None, None, np.ones((4, 9)), np.ones((2, 8))),
            bad(ValueError, r"lstm: c \(2, 4\) must be \(2, 2\)", X, None, X[:, 0], np.ones((4, 8)), np.ones((2, 8))),
        ),
        FIXED,
        **HALF,
    ),
    Row(
        "gru",
        gru,
        {
            "plain": case(*of_gru(2, 3, 4, 3)),
            "plain, no state and no bias": case(*without_state_and_bias(of_gru(2, 3, 2, 3), 2)),
            "plain, backward": case(*of_gru(2, 3, 2, 2), reverse=True),
            "plain, lengths": case(*of_gru(3, 4, 2, 2), lengths=LENGTHS),
            "plain, lengths backward": case(*of_gru(3, 4, 2, 2), lengths=LENGTHS, reverse=True),
            "plain, one step of one": case(*of_gru(1, 1, 1, 1)),
            "empty": case(*of_gru(0, 3, 2, 2)),
            "empty, no steps": case(*of_gru(2, 0, 2, 2)),
        },
        (
            bad(ValueError, r"gru: x \(3, 4\) must be \(N, T, I\)", X[0], None, np.ones((4, 6)), np.ones((2, 6))),
            bad(ValueError, r"gru: b_h \(6,\).*\(2,\)", X, None, np.ones((4, 6)), np.ones((2, 6)), None, np.ones(6)),
        ),
        FIXED,
        **HALF,
    ),
    Row(
        "rnn_cell",
        rnn_cell,
        {
            "plain": case(*step(of_rnn(3, 1, 4, 3))),
            "plain, relu": case(*step(of_rnn(2, 1, 2, 3)), activation="relu"),
            "plain, no state and no bias": case(*without_state_and_bias(step(of_rnn(2, 1, 2, 3)), 2)),
            "empty": case(*step(of_rnn(0, 1, 2, 2))),
        },
        (
            bad(ValueError, r"rnn_cell: x \(2, 3, 4\) must be \(N, I\), one step", X, None, W, np.ones((5, 5))),
            bad(ValueError, "rnn_cell: activation must be", X[0], None, W, np.ones((5, 5)), activation=None),
        ),
        FIXED,
        **HALF,
    ),
    Row(
        "lstm_cell",
        lstm_cell,
        {
            "plain": case(*step(of_lstm(3, 1, 4, 3))),
            "plain, no state and no bias": case(*without_state_and_bias(step(of_lstm(2, 1, 2, 3)), 3)),
            "plain, projection": case(*[normal(*s) for s in ((2, 4), (2, 2), (2, 3), (4, 12), (2, 12), (12,), (3, 2))]),
            "empty": case(*step(of_lstm(0, 1, 2, 2))),
        },
        (
            bad(
                ValueError,
                r"lstm_cell: x \(2, 3, 4\) must be \(N, I\)",
                X,
                None,
                None,
                np.ones((4, 8)),
                np.ones((2, 8)),
            ),
        ),
        FIXED,
        **HALF,
    ),
    Row(
        "gru_cell",
        gru_cell,
        {
            "plain": case(*step(of_gru(3, 1, 4, 3))),
            "plain, no state and no bias": case(*without_state_and_bias(step(of_gru(2, 1, 2, 3)), 2)),
            "empty": case(*step(of_gru(0, 1, 2, 2))),
        },
        (bad(ValueError, r"gru_cell: x \(2, 3, 4\) must be \(N, I\)", X, None, np.ones((4, 6)), np.ones((2, 6))),),
        FIXED,
        **HALF,
    ),
]

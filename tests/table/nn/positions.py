import math

import numpy as np

from passus.errors import DTypeError
from passus.functions import RotaryScaling
from tests.table import NO_AXIS, ONE_OPERAND, Row, bad, case, integers, normal


def lowered(frequency, scaling):
    """A scaled frequency of rotary positions."""
    if scaling is None:
        return frequency
    if scaling.original_max_len is None:
        return frequency / scaling.factor
    wavelength = 2 * math.pi / frequency
    longest, shortest = (scaling.original_max_len / f for f in (scaling.low_freq_factor, scaling.high_freq_factor))
    if wavelength < shortest:
        return frequency
    if wavelength > longest:
        return frequency / scaling.factor
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = (scaling.original_max_len / wavelength - low) / (high - low)
    return (1 - share) * frequency / scaling.factor + share * frequency


def rotary(x, positions=0, base=10000.0, scaling=None, interleaved=False):
    *_, T, D = x.shape
    if isinstance(positions, int):
        positions = np.arange(positions, positions + T)
    positions, y = np.broadcast_to(positions, x.shape[:-1]), np.empty_like(x)
    for index in np.ndindex(*x.shape[:-1]):
        for i in range(D // 2):
            angle = positions[index] * lowered(base ** (-2 * i / D), scaling)
            j, k = (2 * i, 2 * i + 1) if interleaved else (i, i + D // 2)
            a = complex(x[(*index, j)], x[(*index, k)]) * complex(math.cos(angle), math.sin(angle))
            y[(*index, j)], y[(*index, k)] = a.real, a.imag
    return y


def sinusoidal_positions(positions, size, base=10000.0, dtype=np.float32):
    indices = np.arange(positions) if isinstance(positions, int) else positions
    y = np.empty((*indices.shape, size), dtype)
    for *index, j in np.ndindex(*y.shape):
        wave = math.cos if j % 2 else math.sin
        y[(*index, j)] = wave(indices[tuple(index)] / base ** (j // 2 * 2 / size))
    return y


SLOPES = {1: [2**-8], 2: [2**-4, 2**-8], 3: [2**-4, 2**-8, 2**-2]}
"""Slopes computed by the program of the authors."""


def alibi_bias(n_heads, queries, keys=None, dtype=np.float32, start=None):
    keys = queries if keys is None else keys
    start = keys - queries if start is None else int(start)
    y = np.zeros((n_heads, queries, keys), dtype)
    for h, i, j in np.ndindex(*y.shape):
        y[h, i, j] = -SLOPES[n_heads][h] * abs(start + i - j)
    return y


ARRAYS = {**NO_AXIS, "broadcast": "it takes numbers", "0-d": "it takes lengths"}

LLAMA3 = RotaryScaling(8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_len=64)

ROWS = [
    Row(
        "rotary",
        rotary,
        {
            "plain": case(normal(3, 4)),
            "plain, heads": case(normal(2, 2, 3, 6), 5),
            "plain, interleaved": case(normal(2, 3, 4), 1, 100.0, interleaved=True),
            "plain, positions": case(normal(2, 3, 4), np.array([7, 0, 2])),
            "plain, lower frequencies": case(normal(2, 3, 4), 5, scaling=RotaryScaling(4)),
            # Wavelengths of 6, 44, 308 and 2155 positions: one unscaled, one interpolated, two divided.
            "plain, as in Llama 3": case(normal(3, 8), 20, 2401.0, scaling=LLAMA3),
            "plain, as in Llama 3, positions": case(
                normal(2, 3, 8), np.array([700, 0, 12]), scaling=LLAMA3, interleaved=True
            ),
            "plain, positions of each example": case(normal(2, 2, 3, 4), integers(9, 2, 1, 3)),
            "empty": case(normal(0, 3, 4)),
            "empty, no sequence": case(normal(2, 0, 4)),
            "empty, no features": case(normal(2, 3, 0)),
        },
        (
            bad(ValueError, r"rotary: x \(2, 3\) .* even", np.ones((2, 3))),
            bad(ValueError, r"rotary: x \(4,\) must be", np.ones(4)),
            bad(ValueError, r"rotary: positions \(2,\) must broadcast to \(3,\)", np.ones((3, 4)), np.arange(2)),
            bad(ValueError, "rotary: positions is -1", np.ones((3, 4)), -1),
            bad(ValueError, "rotary: base is 0", np.ones((3, 4)), base=0),
            bad(
                TypeError,
                "rotary: scaling is a float; give a passus.functions.RotaryScaling",
                np.ones((3, 4)),
                scaling=2.0,
            ),
            bad(TypeError, "rotary: positions is a list", np.ones((3, 4)), [0, 1, 2]),
            bad(TypeError, "rotary: interleaved is an int", np.ones((3, 4)), interleaved=1),
        ),
        {**NO_AXIS, **ONE_OPERAND, "0-d": "it has no sequence"},
        non_finite_exempt={0: "each output is a sum of both features of a pair"},
    ),
    Row(
        "sinusoidal_positions",
        sinusoidal_positions,
        {
            "plain": case(3, 4),
            "plain, odd size": case(3, 5, 100.0, np.float64),
            "plain, positions": case(integers(9, 2, 3), 4),
            "empty": case(0, 4),
            "empty, positions": case(integers(9, 2, 0), 4),
            "0-d": case(np.array(3), 4),
        },
        (
            bad(ValueError, "sinusoidal_positions: size is 0", 3, 0),
            bad(ValueError, "sinusoidal_positions: positions is -1", -1, 4),
            bad(TypeError, "sinusoidal_positions: positions is a list", [0, 1], 4),
            bad(TypeError, "sinusoidal_positions: int64 is not supported", 3, 4, dtype=np.int64),
        ),
        {**NO_AXIS, "broadcast": "it takes numbers"},
        order=0,
        rtol=1e-6,
        atol=1e-7,
    ),
    Row(
        "alibi_bias",
        alibi_bias,
        {
            "plain": case(2, 3),
            "plain, more keys": case(3, 2, 4, np.float64),
            "plain, one head": case(1, 3),
            "plain, start": case(2, 2, 6, start=3),
            "plain, start as an array": case(2, 1, 6, start=np.array(4)),
            "empty": case(2, 0),
        },
        (
            bad(ValueError, "alibi_bias: n_heads is 0", 0, 2),
            bad(ValueError, "alibi_bias: keys is 1; it must be at least 2", 2, 2, 1),
            bad(DTypeError, "alibi_bias: start is a float", 2, 2, 4, start=1.5),
        ),
        ARRAYS,
        order=0,
    ),
]

"""Silero VAD, a speech detector, and its published weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

import passus.functions as F
from passus.arguments import checked_flag
from passus.backend import Array
from passus.config import no_grad, test_mode
from passus.core import Operand
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.files import FilePath, checked_path
from passus.functions.checks import array_of
from passus.layers import LSTM, Conv1d, Linear
from passus.models.model import Model
from passus.models.speech import CHUNK, SAMPLE_RATE, SpeechSegment, speech_segments
from passus.notices import notice
from passus.random import RNG, get_rng
from passus.serializers import load_onnx_weights, recurrent_from_torch

__all__ = ["SileroVAD"]

CONTEXT = 64
"""Number of samples before a chunk that are part of its window."""
BINS = 129
"""Number of frequencies of a Fourier transform of 256 samples."""
HIDDEN = 128

PIECE = 1000 * CHUNK
"""Number of samples of a long signal that are processed at once: 32 seconds."""
TRANSFORMS = ("stft_conv.weight", "model.stft.forward_basis_buffer")
CELL = re.compile(r"^(lstm_cell|model\.decoder\.rnn)\.")
ARRAYS = {"weight": "W", "bias": "b"}
"""Our array names by those of the published files."""
MAX_PEAK = 100.0
"""Peaks above this indicate 16-bit samples that were not scaled to [-1, 1]."""


class SileroVAD(Model):
    """Silero VAD: the probability of speech in each chunk of 512 samples, at 16,000 samples per second.

    A convolution computes the Fourier transforms of four overlapping frames of 256 samples, four more convolutions encode
    their magnitudes (129 frequencies) into one vector of 128, an LSTM processes these vectors, and a linear layer with a
    sigmoid maps its states to probabilities. It has 309,121 parameters.

    ``weights``: a file for `load_weights`, of passus or from the package ``silero-vad``: ``silero_vad_16k_op15.onnx`` or
    ``silero_vad_16k.safetensors``; in version 6.2.3 these two differ. ``rng``: a seed or generator for the initial weights.

    Called with signals x (N, 512 T) in [-1, 1], it returns probabilities (N, T). Signals start from silence, or from
    ``state``; ``model(x, state)`` and ``model(x, return_state=True)`` return the probabilities and the final state, with which
    the signals can be continued: the last 64 samples (N, 64), and h and c of the LSTM (N, 128). For recordings use
    `segments` or `probabilities`, for live audio `stream`.

    Raises `ShapeError` for signals and states of other shapes, and the errors of `load_weights`.
    Source: Silero Team, 2024, "Silero VAD: pre-trained enterprise-grade voice activity detector".

    >>> model = SileroVAD(rng=0)
    >>> p, state = model(np.zeros((2, 5 * 512), np.float32), return_state=True)
    >>> p.shape, [part.shape for part in state]
    ((2, 5), [(2, 64), (2, 128), (2, 128)])
    """

    sample_rate = SAMPLE_RATE
    chunk = CHUNK

    def __init__(self, weights: FilePath | None = None, rng: RNG = None) -> None:
        rng = None if rng is None else get_rng(rng)
        # Windowed cosines, then windowed sines.
        self.transform = Conv1d(
            2 * BINS, 256, stride=128, pad=((0, 64),), pad_mode="reflect", nobias=True, in_channels=1, rng=rng
        )
        self.conv1 = Conv1d(128, 3, pad=1, in_channels=BINS, rng=rng, activation="relu")
        self.conv2 = Conv1d(64, 3, stride=2, pad=1, in_channels=128, rng=rng, activation="relu")
        self.conv3 = Conv1d(64, 3, stride=2, pad=1, in_channels=64, rng=rng, activation="relu")
        self.conv4 = Conv1d(HIDDEN, 3, pad=1, in_channels=64, rng=rng, activation="relu")
        self.lstm = LSTM(HIDDEN, in_size=HIDDEN, rng=rng)
        self.fc = Linear(1, in_size=HIDDEN, rng=rng)
        if weights is not None:
            self.load_weights(weights)

    def forward(self, x: Operand, state: Any = None, return_state: bool = False) -> Any:
        returned = checked_flag("SileroVAD", "return_state", return_state) or state is not None
        N, T = _chunks(x)
        context, *lstm_state = [None] * 3 if state is None else _checked_state(state, N)
        chunks = F.reshape(x, (N, T, CHUNK))
        tails = chunks[:, :, CHUNK - CONTEXT :]
        if context is None:
            context = np.zeros((N, CONTEXT), tails.dtype)
        ends = F.concatenate([F.reshape(context, (N, 1, CONTEXT)), tails], axis=1)
        features = self._encoded(F.concatenate([ends[:, :T], chunks], axis=2))
        y, (h, c) = self.lstm(features, tuple(lstm_state), return_state=True)
        p = F.reshape(F.sigmoid(self.fc(F.relu(y))), (N, T))
        return (p, (ends[:, T], h, c)) if returned else p

    def _encoded(self, windows: Any) -> Any:
        """Features (N, T, 128) of windows (N, T, 576)."""
        N, T, width = windows.shape
        spectrum = self.transform(F.reshape(windows, (N * T, 1, width)))
        y: Any = F.hypot(spectrum[:, :BINS], spectrum[:, BINS:])
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = conv(y)
        return F.reshape(y, (N, T, HIDDEN))

    def stream(self, blocks: Iterable[Array]) -> Iterator[float]:
        """Yield the probability of each chunk of a signal that arrives in blocks of any length, once the chunk is complete.

        ``blocks``: arrays (L,) of floating-point numbers in [-1, 1]. An incomplete chunk at the end is padded with silence.
        The generator holds the state, so one model can process several streams.

        Raises `DTypeError` and `ShapeError` for other blocks, `ArgumentError` for samples that are not finite. Warns about
        samples far outside [-1, 1].

        >>> microphone = (np.zeros(400, np.float32) for _ in range(4))
        >>> [round(p, 1) for p in SileroVAD(rng=0).stream(microphone)]
        [0.5, 0.5, 0.5, 0.5]
        """
        rest, state = np.zeros(0, np.float32), None
        for block in blocks:
            rest = np.concatenate([rest, _samples(block)])
            complete = len(rest) // CHUNK * CHUNK
            for start in range(0, complete, PIECE):
                p, state = self._detected(rest[start : min(start + PIECE, complete)], state)
                yield from p
            rest = rest[complete:]
        if len(rest):
            yield from self._detected(np.pad(rest, (0, CHUNK - len(rest))), state)[0]

    def probabilities(self, samples: Array) -> Array:
        """The probabilities of speech (ceil(L / 512),) in the chunks of a recording (L,).

        Raises the errors of `stream`.

        >>> SileroVAD(rng=0).probabilities(np.zeros(16_000, np.float32)).shape
        (32,)
        """
        return np.fromiter(self.stream([samples]), np.float32)

    def segments(self, samples: Array, **options: Any) -> list[SpeechSegment]:
        """The segments of speech in a recording (L,), pairs of start and end: ``samples[start:end]`` is a segment.

        ``options``: those of `speech_segments`. Raises the errors of `stream` and `speech_segments`.

        >>> SileroVAD(rng=0).segments(np.zeros(16_000, np.float32), threshold=0.9)
        []
        """
        probabilities = self.probabilities(samples)
        return list(speech_segments(probabilities.tolist(), len(samples), **options))

    @test_mode()
    @no_grad()
    def _detected(self, samples: Array, state: Any) -> tuple[list[float], Any]:
        p, state = self(samples[np.newaxis], state, return_state=True)
        return p.data[0].tolist(), state

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        is_onnx = checked_path(path).suffix.lower() == ".onnx"
        arrays = load_onnx_weights(path) if is_onnx else super()._read_weights(path)
        return _renamed(arrays) if any(name in arrays for name in TRANSFORMS) else arrays


def _chunks(x: Operand) -> tuple[int, int]:
    """The number of signals, and the number of chunks in each."""
    shape = array_of("SileroVAD", x).shape
    if len(shape) != 2 or shape[1] % CHUNK:
        raise ShapeError(
            f"SileroVAD: x {shape} must be signals (N, L) with L a multiple of {CHUNK}; for a recording (L,) of any length "
            "write model.probabilities(samples)"
        )
    return shape[0], shape[1] // CHUNK


def _checked_state(state: Any, N: int) -> tuple[Any, Any, Any]:
    if not isinstance(state, (tuple, list)) or len(state) != 3:
        raise ShapeError("SileroVAD: state must be the three arrays that a call with return_state=True returned")
    shapes = [array_of("SileroVAD", x).shape for x in state]
    expected = [(N, CONTEXT), (N, HIDDEN), (N, HIDDEN)]
    if shapes != expected:
        raise ShapeError(
            f"SileroVAD: state {shapes} must be {expected} for {N} signals; start new signals without state"
        )
    return state[0], state[1], state[2]


def _samples(block: Any) -> Array:
    """Check a block, and convert it to float32."""
    name = "SileroVAD.stream"
    if not isinstance(block, np.ndarray) or block.dtype.kind != "f":
        given = f"an array of {block.dtype}" if isinstance(block, np.ndarray) else kind_of(block)
        raise DTypeError(
            f"{name}: samples must be an array of floating-point numbers in [-1, 1], not {given}; for samples of 16 bits write "
            "samples.astype(np.float32) / 32768"
        )
    if block.ndim != 1:
        raise ShapeError(f"{name}: samples {block.shape} must be one channel (L,); average the channels")
    peak = np.abs(block).max(initial=0)
    if not np.isfinite(peak):
        raise ArgumentError(f"{name}: samples contain NaN or infinity; replace them with np.nan_to_num(samples)")
    if peak > MAX_PEAK:
        notice(f"{name}: samples reach {peak:g}, but must lie in [-1, 1]; divide 16-bit samples by 32768")
    return block.astype(np.float32)


def _renamed(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Rename the arrays of a published file, in which the last layer is a convolution (1, 128, 1)."""
    cell = {name: a for name, a in arrays.items() if CELL.match(name)}
    state = {_path(name): a for name, a in arrays.items() if name not in cell}
    weights = recurrent_from_torch({CELL.sub("", name): a for name, a in cell.items()})
    state |= {f"lstm.l0.{name}": a for name, a in weights.items()}
    if state.get("fc.W", np.empty(0)).ndim == 3:
        state["fc.W"] = state["fc.W"][0]
    return state


def _path(name: str) -> str:
    """Our path of an array in a published file.

    >>> [_path(name) for name in ("stft_conv.weight", "conv1.bias", "model.encoder.0.reparam_conv.bias", "final_conv.bias")]
    ['transform.W', 'conv1.b', 'conv1.b', 'fc.b']
    """
    if name in TRANSFORMS:
        return "transform.W"
    layer, _, array = name.rpartition(".")
    layer = re.sub(r"^model\.encoder\.(\d)\.reparam_conv$", lambda match: f"conv{int(match[1]) + 1}", layer)
    layer = "fc" if layer in ("final_conv", "model.decoder.decoder.2") else layer
    return f"{layer}.{ARRAYS.get(array, array)}"

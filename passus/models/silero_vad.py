"""Silero VAD, which detects speech in audio, and its published weights."""

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
"""Samples before a chunk that belong to its window."""
BINS = 129
"""Frequencies of a Fourier transform of 256 samples."""
HIDDEN = 128

PIECE = 1000 * CHUNK
"""Samples of a long signal that are computed at once: 32 seconds."""
TRANSFORMS = ("stft_conv.weight", "model.stft.forward_basis_buffer")
CELL = re.compile(r"^(lstm_cell|model\.decoder\.rnn)\.")
ARRAYS = {"weight": "W", "bias": "b"}
"""What is called otherwise in the published files."""
LOUDEST = 100.0
"""What samples scaled to [-1, 1] do not reach, and samples of 16 bits do."""


class SileroVAD(Model):
    """Silero VAD: the probability of speech in each chunk of 512 samples, at 16,000 samples per second.

    A convolution computes the Fourier transforms of four overlapping frames of 256 samples, four more convolutions encode
    their magnitudes (129 frequencies) into one vector of 128, an LSTM reads these vectors, and a linear layer with a sigmoid its
    states. It has 309,121 parameters.

    ``weights``: a file that `load_weights` reads: of passus' own, or one of those in the package ``silero-vad``,
    ``silero_vad_16k_op15.onnx`` or ``silero_vad_16k.safetensors``; in its version 6.2.3 the latter holds other weights than the
    former. ``rng``: what the parameters are drawn with without a file.

    Called with signals x (N, 512 T) in [-1, 1] it returns probabilities (N, T). Signals start from silence, or at ``state``;
    ``model(x, state)`` and ``model(x, return_state=True)`` return the pair of probabilities and final state, which continues the
    signals: the last 64 samples (N, 64), and h and c of the LSTM (N, 128). For speech in a recording use `segments` or
    `probabilities`, for live audio `stream`.

    Raises `ShapeError` for signals and states of other shapes, and what `load_weights` raises.
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
        # Rows of cosines, then rows of sines, under a window.
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
        before, *lstm_state = [None] * 3 if state is None else _parts(state, N)
        chunks = F.reshape(x, (N, T, CHUNK))
        tails = chunks[:, :, CHUNK - CONTEXT :]
        if before is None:
            before = np.zeros((N, CONTEXT), tails.dtype)
        ends = F.concatenate([F.reshape(before, (N, 1, CONTEXT)), tails], axis=1)
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
        """The probability of each chunk of a signal that arrives in blocks of any length, as soon as the chunk is complete.

        ``blocks``: arrays (L,) of floating-point numbers in [-1, 1]. An incomplete chunk at the end is filled with silence. The
        state is that of the generator, so that one model may follow several signals.

        Raises `DTypeError` and `ShapeError` for blocks of other kinds, `ArgumentError` for samples that are not finite. Warns of
        samples far outside [-1, 1].

        >>> microphone = (np.zeros(400, np.float32) for _ in range(4))
        >>> [round(p, 1) for p in SileroVAD(rng=0).stream(microphone)]
        [0.5, 0.5, 0.5, 0.5]
        """
        rest, state = np.zeros(0, np.float32), None
        for block in blocks:
            rest = np.concatenate([rest, _samples(block)])
            whole = len(rest) // CHUNK * CHUNK
            for start in range(0, whole, PIECE):
                p, state = self._heard(rest[start : min(start + PIECE, whole)], state)
                yield from p
            rest = rest[whole:]
        if len(rest):
            yield from self._heard(np.pad(rest, (0, CHUNK - len(rest))), state)[0]

    def probabilities(self, samples: Array) -> Array:
        """The probabilities of speech (ceil(L / 512),) in the chunks of a recording (L,).

        Raises what `stream` raises.

        >>> SileroVAD(rng=0).probabilities(np.zeros(16_000, np.float32)).shape
        (32,)
        """
        return np.fromiter(self.stream([samples]), np.float32)

    def segments(self, samples: Array, **options: Any) -> list[SpeechSegment]:
        """Where speech is in a recording (L,): pairs of start and end, so that ``samples[start:end]`` is a segment.

        ``options``: those of `speech_segments`. Raises what `stream` and `speech_segments` raise.

        >>> SileroVAD(rng=0).segments(np.zeros(16_000, np.float32), threshold=0.9)
        []
        """
        probabilities = self.probabilities(samples)
        return list(speech_segments(probabilities.tolist(), len(samples), **options))

    @test_mode()
    @no_grad()
    def _heard(self, samples: Array, state: Any) -> tuple[list[float], Any]:
        p, state = self(samples[np.newaxis], state, return_state=True)
        return p.data[0].tolist(), state

    def _read_weights(self, path: FilePath) -> dict[str, Array]:
        is_onnx = checked_path(path).suffix.lower() == ".onnx"
        arrays = load_onnx_weights(path) if is_onnx else super()._read_weights(path)
        return _renamed(arrays) if any(name in arrays for name in TRANSFORMS) else arrays


def _chunks(x: Operand) -> tuple[int, int]:
    """The number of signals and of chunks in each."""
    shape = array_of("SileroVAD", x).shape
    if len(shape) != 2 or shape[1] % CHUNK:
        raise ShapeError(
            f"SileroVAD: x {shape} must be signals (N, L) with L a multiple of {CHUNK}; for a recording (L,) of any length "
            "write model.probabilities(samples)"
        )
    return shape[0], shape[1] // CHUNK


def _parts(state: Any, N: int) -> tuple[Any, Any, Any]:
    if not isinstance(state, (tuple, list)) or len(state) != 3:
        raise ShapeError("SileroVAD: state must be the three arrays that a call with return_state=True returned")
    shapes = [array_of("SileroVAD", part).shape for part in state]
    expected = [(N, CONTEXT), (N, HIDDEN), (N, HIDDEN)]
    if shapes != expected:
        raise ShapeError(f"SileroVAD: state {shapes} must be {expected} for {N} signals; start others without one")
    return state[0], state[1], state[2]


def _samples(block: Any) -> Array:
    """A block as float32."""
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
    if peak > LOUDEST:
        notice(f"{name}: samples reach {peak:g} and should lie in [-1, 1]; divide those of 16 bits by 32768")
    return block.astype(np.float32)


def _renamed(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a published file under our names; there, the last layer is a convolution (1, 128, 1)."""
    cell = {name: a for name, a in arrays.items() if CELL.match(name)}
    state = {_ours(name): a for name, a in arrays.items() if name not in cell}
    weights = recurrent_from_torch({CELL.sub("", name): a for name, a in cell.items()})
    state |= {f"lstm.l0.{name}": a for name, a in weights.items()}
    if state.get("fc.W", np.empty(0)).ndim == 3:
        state["fc.W"] = state["fc.W"][0]
    return state


def _ours(name: str) -> str:
    """What we call an array.

    >>> [_ours(name) for name in ("stft_conv.weight", "conv1.bias", "model.encoder.0.reparam_conv.bias", "final_conv.bias")]
    ['transform.W', 'conv1.b', 'conv1.b', 'fc.b']
    """
    if name in TRANSFORMS:
        return "transform.W"
    layer, _, array = name.rpartition(".")
    layer = re.sub(r"^model\.encoder\.(\d)\.reparam_conv$", lambda found: f"conv{int(found[1]) + 1}", layer)
    layer = "fc" if layer in ("final_conv", "model.decoder.decoder.2") else layer
    return f"{layer}.{ARRAYS.get(array, array)}"

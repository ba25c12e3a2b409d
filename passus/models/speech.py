"""Segments of speech from the probabilities of consecutive chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from passus.arguments import checked_count, checked_fraction, checked_number
from passus.errors import ArgumentError

__all__ = ["CHUNK", "SAMPLE_RATE", "SpeechSegment", "speech_segments"]

SAMPLE_RATE = 16_000
"""Samples per second."""
CHUNK = 512
"""Samples per chunk: 32 ms."""


class SpeechSegment(NamedTuple):
    """Speech in ``samples[start:end]``.

    >>> SpeechSegment(16_000, 24_000).seconds
    (1.0, 1.5)
    """

    start: int
    end: int

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end in seconds."""
        return self.start / SAMPLE_RATE, self.end / SAMPLE_RATE


def speech_segments(
    probabilities: Iterable[float],
    n_samples: int | None = None,
    threshold: float = 0.5,
    exit_threshold: float | None = None,
    min_speech: float = 0.25,
    min_silence: float = 0.1,
    margin: float = 0.03,
) -> Iterator[SpeechSegment]:
    """Yield segments of speech from the probabilities of consecutive chunks, each as soon as its end is known.

    A segment starts at the first chunk with a probability of at least ``threshold``. It ends at the first chunk below
    ``exit_threshold`` (by default ``threshold - 0.15``, at least 0.01) that is followed by ``min_silence`` seconds without a
    return to ``threshold``. Segments of at most ``min_speech`` seconds are dropped, and ``margin`` seconds are added at both
    ends. ``n_samples``: the length of the signal, the latest end of a segment; by default, all chunks are complete. The
    probabilities may come from a generator, as in ``speech_segments(vad.stream(blocks))``.

    Raises `ArgumentError` for options out of range, a margin of more than half of ``min_silence`` (segments would overlap), and
    numbers outside [0, 1].

    >>> list(speech_segments([0.1] * 10 + [0.9] * 20 + [0.2] * 10))
    [SpeechSegment(start=4640, end=15840)]
    """
    name = "speech_segments"
    threshold = checked_fraction(name, "threshold", threshold)
    leave = max(threshold - 0.15, 0.01) if exit_threshold is None else exit_threshold
    leave = checked_fraction(name, "exit_threshold", leave)
    if leave > threshold > 0.01:
        raise ArgumentError(f"{name}: exit_threshold {leave:g} is above threshold {threshold:g}; give a lower one")
    shortest = checked_number(name, "min_speech", min_speech) * SAMPLE_RATE
    silence = checked_number(name, "min_silence", min_silence) * SAMPLE_RATE
    added = round(checked_number(name, "margin", margin) * SAMPLE_RATE)
    if 2 * added > silence:
        raise ArgumentError(
            f"{name}: margin {margin:g} is more than half of min_silence {min_silence:g}, so segments would overlap; lower it"
        )
    length = None if n_samples is None else checked_count(name, "n_samples", n_samples, low=0)
    return _segments(probabilities, length, threshold, leave, shortest, silence, added)


def _segments(
    probabilities: Iterable[float],
    length: int | None,
    threshold: float,
    leave: float,
    shortest: float,
    silence: float,
    added: int,
) -> Iterator[SpeechSegment]:
    start: int | None = None
    end: int | None = None  # The end of the segment, if the silence after it lasts long enough.
    position = 0
    for p in probabilities:
        if not 0 <= p <= 1:
            raise ArgumentError(f"speech_segments: {p} is not a probability; give numbers from 0 to 1")
        if p >= threshold:
            start, end = position if start is None else start, None
        elif p < leave and start is not None:
            end = position if end is None else end
            if position - end >= silence:
                if end - start > shortest:
                    yield SpeechSegment(max(0, start - added), end + added)
                start = end = None
        position += CHUNK
    last = position if length is None else min(length, position)
    if start is not None and last - start > shortest:
        yield SpeechSegment(max(0, start - added), last)

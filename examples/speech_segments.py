"""Find the speech in a sound file with Silero VAD and its published weights.

    espeak-ng -m -w speech.wav 'This is spoken by a machine. <break time="2s"/> After two seconds, it continues.'
    python examples/speech_segments.py speech.wav --out runs/speech

The network computes the probability of speech in each chunk of 32 ms and carries the state of its LSTM from chunk to
chunk. In the file above it finds two segments, from 0.03 to 1.57 s and from 3.39 to 5.60 s. `scripts/fetch-data`
downloads the weights.
"""

import argparse
import sys
import time
import wave
from pathlib import Path

import numpy as np

from passus.datasets import cache_folder
from passus.errors import MissingWeightsError
from passus.models import SileroVAD, speech_segments


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="WAV file, any sample rate")
    parser.add_argument("--weights", type=Path, default=cache_folder() / "silero_vad_16k_op15.onnx")
    parser.add_argument("--threshold", type=float, default=0.5, help="probability at which a segment starts")
    parser.add_argument("--out", type=Path, default=Path("runs/speech"), help="folder for the picture")
    arguments = parser.parse_args()
    try:
        model = SileroVAD(arguments.weights)
        samples = resampled(*read_wav(arguments.audio), model.sample_rate)
    except MissingWeightsError as error:
        print(f"{error}\nRun scripts/fetch-data to download the weights", file=sys.stderr)
        return 2
    except (OSError, EOFError, wave.Error) as error:
        print(f"{arguments.audio}: {error}", file=sys.stderr)
        return 2

    started = time.perf_counter()
    probabilities = model.probabilities(samples)
    segments = list(speech_segments(probabilities, len(samples), threshold=arguments.threshold))
    elapsed = time.perf_counter() - started
    for segment in segments:
        print("speech from {:.2f} s to {:.2f} s".format(*segment.seconds))
    spoken, total = (n / model.sample_rate for n in (sum(s.end - s.start for s in segments), len(samples)))
    print(f"{len(segments)} segments, {spoken:.1f} s of {total:.1f} s, found in {elapsed:.2f} s")
    draw(samples, probabilities, segments, arguments.out)
    return 0


def read_wav(path):
    """Return the mean of all channels as float32 in [-1, 1], and the sample rate."""
    with wave.open(str(path)) as file:
        channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        content = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, width)
    # Each sample fills the upper bytes of an int32; 8-bit samples are unsigned.
    words = np.zeros((len(content), 4), np.uint8)
    words[:, 4 - width :] = content ^ 128 if width == 1 else content
    samples = words.view("<i4").reshape(-1, channels).mean(axis=1) / 2**31
    return samples.astype(np.float32), rate


def resampled(samples, rate, new_rate):
    """Return the signal at another sample rate; frequencies above its Nyquist limit are removed."""
    length = round(len(samples) * new_rate / rate)
    if length == 0 or rate == new_rate:
        return samples
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    return (np.fft.irfft(spectrum, length) * (length / len(samples))).astype(np.float32)


def draw(samples, probabilities, segments, folder):
    """Draw the signal and the probability of speech, with the segments highlighted."""
    from matplotlib.figure import Figure

    rate, chunk = SileroVAD.sample_rate, SileroVAD.chunk
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    signal, speech = figure.subplots(2, sharex=True)
    signal.plot(np.arange(len(samples)) / rate, samples, color="#4477aa", linewidth=0.4)
    signal.set_ylabel("signal")
    speech.step(np.arange(len(probabilities)) * chunk / rate, probabilities, where="post", color="#228833")
    speech.set_ylabel("probability of speech")
    speech.set_xlabel("seconds")
    speech.set_ylim(-0.03, 1.03)
    for axes in (signal, speech):
        for segment in segments:
            axes.axvspan(*segment.seconds, color="#ee6677", alpha=0.25, linewidth=0)
    signal.set_title(f"{len(segments)} speech segments")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "speech_segments.png")
    print(f"Picture saved in {folder}")


if __name__ == "__main__":
    sys.exit(main())

"""Silero VAD: agreement with ONNX Runtime and PyTorch, and of segments with its package."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import passus
import passus.functions as F
from passus.errors import ArgumentError, DTypeError, MissingWeightsError, PassusWarning, ShapeError, WeightsError
from passus.models import SileroVAD, SpeechSegment, speech_segments
from passus.optimizers import Adam
from passus.unpacking import member
from tests.helpers.against_torch import single_torch_thread  # noqa: F401 - a fixture
from tests.helpers.real_data import real

pytestmark = [pytest.mark.usefixtures("single_torch_thread"), pytest.mark.compiles]

CHUNK, CONTEXT = 512, 64
WEIGHTS = {"onnx": "silero_vad_16k_op15.onnx", "safetensors": "silero_vad_16k.safetensors"}
"""The published files, which contain different weights in version 6.2.3 of the package."""
THEIRS = {
    "transform.W": "stft.forward_basis_buffer",
    **{
        f"conv{i + 1}.{ours}": f"encoder.{i}.reparam_conv.{a}"
        for i in range(4)
        for ours, a in zip("Wb", ("weight", "bias"))
    },
    "fc.b": "decoder.decoder.2.bias",
}
"""Arrays of equal shape in PyTorch."""


def signal(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise, silence, and a voice of harmonics whose pitch and loudness vary."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * 16_000)) / 16_000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 3 * t)) / 16_000
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.clip(np.sin(2 * np.pi * 2 * t), 0, 1)
    x = 0.2 * voice + 0.01 * rng.standard_normal(len(t))
    x[len(x) // 3 : len(x) // 2] = 0
    return x.astype(np.float32)


def onnxruntime_probabilities(x: np.ndarray) -> list[float]:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(str(real(WEIGHTS["onnx"])), providers=["CPUExecutionProvider"])
    state, before, found = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), []
    for chunk in x[: len(x) // CHUNK * CHUNK].reshape(-1, CHUNK):
        given = {"input": np.concatenate([before, chunk])[None], "state": state, "sr": np.array(16_000)}
        p, state = session.run(None, given)
        found.append(float(p[0, 0]))
        before = chunk[-CONTEXT:]
    return found


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The network of the package in TorchScript."""
    path = tmp_path_factory.mktemp("silero") / "silero_vad.jit"
    path.write_bytes(member(real("silero_vad-6.2.3-*.whl"), "silero_vad/data/silero_vad.jit"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of torch.jit.
        return torch.jit.load(path).eval()


def pytorch_probabilities(network: Any, model: SileroVAD, x: np.ndarray) -> list[float]:
    """The probabilities of the package's network with the weights of ours."""
    state = model.state_dict()
    arrays = {theirs: state[ours] for ours, theirs in THEIRS.items()}
    rnn = {"weight_ih": state["lstm.l0.W_x"].T, "weight_hh": state["lstm.l0.W_h"].T, "bias_ih": state["lstm.l0.b"]}
    arrays |= {f"decoder.rnn.{name}": a for name, a in rnn.items()}
    arrays |= {
        "decoder.rnn.bias_hh": np.zeros(512, np.float32),
        "decoder.decoder.2.weight": state["fc.W"].T[:, :, None],
    }
    loaded = network._model.load_state_dict({name: torch.tensor(a) for name, a in arrays.items()}, strict=True)
    assert not loaded.missing_keys
    network.reset_states()
    with torch.no_grad():
        chunks = torch.tensor(x[: len(x) // CHUNK * CHUNK]).reshape(-1, CHUNK)
        return [network(chunk, 16_000).item() for chunk in chunks]


def test_published_weights_reproduce_onnxruntime():
    x = signal()
    p = SileroVAD(real(WEIGHTS["onnx"])).probabilities(x)
    assert p.dtype == np.float32
    assert p.min() < 0.1
    assert p.max() > 0.5
    np.testing.assert_allclose(p[: len(x) // CHUNK], onnxruntime_probabilities(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("release", WEIGHTS)
def test_with_its_weights_it_computes_what_pytorch_does(release, network):
    x = signal(1.5, seed=1)
    model = SileroVAD(real(WEIGHTS[release]))
    p = model.probabilities(x)
    assert p.max() > 0.5
    np.testing.assert_allclose(p[: len(x) // CHUNK], pytorch_probabilities(network, model, x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_random_weights_reproduce_pytorch(seed, network):
    model, x = SileroVAD(rng=seed), signal(0.5, seed)
    for parameter in model.params():
        parameter.data = parameter.data + np.float32(0.1) * np.random.default_rng(seed).standard_normal(
            parameter.shape
        ).astype(np.float32)
    p = model.probabilities(x)
    assert np.ptp(p) > 0.01
    np.testing.assert_allclose(p[: len(x) // CHUNK], pytorch_probabilities(network, model, x), rtol=0, atol=1e-4)


def in_blocks(x: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes)[np.cumsum(sizes) < len(x)])


@pytest.mark.parametrize("sizes", [[0, 1, 511, 512, 513, 0, 700], [160] * 300, [8000]])
def test_stream_of_blocks_equals_the_whole_signal(sizes):
    model, x = SileroVAD(rng=0), signal(1.0)
    whole = model.probabilities(x)
    assert len(whole) == -(-len(x) // CHUNK)
    np.testing.assert_allclose(list(model.stream(in_blocks(x, sizes))), whole, rtol=0, atol=1e-6)


def test_stream_yields_as_soon_as_a_chunk_is_complete():
    consumed = []

    def blocks():
        for block in in_blocks(signal(0.5), [256] * 40):
            consumed.append(len(block))
            yield block

    stream = SileroVAD(rng=0).stream(blocks())
    next(stream)
    assert sum(consumed) == 512
    next(stream)
    assert sum(consumed) == 1024


def test_streams_of_one_model_are_independent():
    model = SileroVAD(rng=0)
    x, y = signal(0.5), signal(0.5, seed=1)
    pairs = list(zip(model.stream(in_blocks(x, [512] * 15)), model.stream(in_blocks(y, [512] * 15))))
    np.testing.assert_allclose([p for p, _ in pairs], model.probabilities(x)[: len(pairs)], atol=1e-6)
    np.testing.assert_allclose([q for _, q in pairs], model.probabilities(y)[: len(pairs)], atol=1e-6)


def test_long_signal_in_pieces_equals_the_whole(monkeypatch):
    model, x = SileroVAD(rng=0), signal(1.0)
    whole = model.probabilities(x)
    monkeypatch.setattr("passus.models.silero_vad.PIECE", 3 * CHUNK)
    np.testing.assert_allclose(model.probabilities(x), whole, rtol=0, atol=1e-6)


def test_returned_state_continues_a_batch_of_signals():
    model = SileroVAD(rng=0)
    x = np.stack([signal(0.512), signal(0.512, seed=1)])
    with passus.no_grad():
        whole, last = model(x, return_state=True)
        first, state = model(x[:, : 5 * CHUNK], return_state=True)
        rest, end = model(x[:, 5 * CHUNK :], state)
        np.testing.assert_allclose(F.concatenate([first, rest], axis=1).data, whole.data, atol=1e-6)
        for found, expected in zip(end, last):
            np.testing.assert_allclose(found.data if hasattr(found, "data") else found, expected.data, atol=1e-6)
        np.testing.assert_allclose(model(x[1:]).data, whole.data[1:], atol=1e-6)  # The initial state is silence.
        assert model(x[:, :0]).shape == (2, 0)


def test_vad_learns():
    model = SileroVAD(rng=0)
    x = np.stack([signal(0.256), 0.01 * np.random.default_rng(0).standard_normal(4096).astype(np.float32)])
    t = np.repeat([[1.0], [0.0]], 8, axis=1).astype(np.float32)
    optimizer = Adam(lr=1e-3).setup(model)
    losses = []
    for _ in range(15):
        loss = F.mean_squared_error(model(x), t)
        model.cleargrads()
        loss.backward()
        assert all(np.isfinite(parameter.grad.data).all() for parameter in model.params())  # Also for digital silence.
        optimizer.update()
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]


def test_own_weights_round_trip(tmp_path):
    model = SileroVAD(rng=0)
    model.save_weights(tmp_path / "model.safetensors")
    other = SileroVAD(tmp_path / "model.safetensors", rng=1)
    np.testing.assert_equal(other.state_dict(), model.state_dict())


def test_weights_of_another_network_raise_and_change_nothing(tmp_path):
    model = SileroVAD(rng=0)
    before = model.state_dict()
    other = {"stft_conv.weight": np.zeros((258, 1, 256), np.float32), "conv9.weight": np.zeros(2, np.float32)}
    passus.serializers.write_weights(tmp_path / "other.safetensors", other)
    with pytest.raises(WeightsError, match=r"missing: conv1\.W, .*extra: conv9\.W"):
        model.load_weights(tmp_path / "other.safetensors")
    passus.serializers.write_weights(tmp_path / "part.safetensors", other | {"lstm_cell.weight_ih": np.zeros((4, 3))})
    with pytest.raises(WeightsError, match="weight_hh missing"):
        model.load_weights(tmp_path / "part.safetensors")
    np.testing.assert_equal(model.state_dict(), before)
    with pytest.raises(MissingWeightsError):
        SileroVAD("never-saved.onnx")


def test_invalid_signals_raise():
    model = SileroVAD(rng=0)
    x = np.zeros(1024, np.float32)
    with pytest.raises(ShapeError, match=r"x \(1024,\) must be signals .*probabilities\(samples\)"):
        model(x)
    with pytest.raises(ShapeError, match="multiple of 512"):
        model(x[None, :1000])
    with pytest.raises(ShapeError, match=r"must be \[\(1, 64\), \(1, 128\), \(1, 128\)\] for 1 signals"):
        model(x[None], model(np.stack([x, x]), return_state=True)[1])
    with pytest.raises(ShapeError, match="three arrays"):
        model(x[None], x)
    with pytest.raises(DTypeError, match=r"an array of int16; .*/ 32768"):
        model.probabilities(x.astype(np.int16))
    with pytest.raises(DTypeError, match="not a list"):
        model.probabilities([0.0])  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\(2, 512\) must be one channel"):
        model.probabilities(x.reshape(2, 512))
    for wrong in (np.nan, np.inf):
        with pytest.raises(ArgumentError, match="NaN or infinity"):
            model.probabilities(np.full(600, wrong, np.float32))
    with pytest.warns(PassusWarning, match="samples reach 20000"):
        model.probabilities(np.full(600, 20000.0))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_samples_of_any_precision_are_accepted(dtype):
    model, x = SileroVAD(rng=0), signal(0.3)
    x.setflags(write=False)
    p = model.probabilities(x.astype(dtype)[::-1])
    np.testing.assert_allclose(p, model.probabilities(x[::-1]), atol=1e-2)
    assert p.dtype == np.float32
    assert model.probabilities(x[:0]).shape == (0,)
    assert model.segments(x[:0]) == []


@pytest.fixture(scope="module")
def package() -> Any:
    """The functions of the package, imported from a wheel in the cache folder."""
    pytest.importorskip("packaging")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The package issues warnings on import.
        patch.syspath_prepend(real("silero_vad-6.2.3-*.whl"))
        module = pytest.importorskip("silero_vad.utils_vad")
    torch.set_num_threads(threads)
    return module


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(10))
def test_segments_agree_with_the_package(package, threshold, seed):
    rng = np.random.default_rng(seed)
    p = np.repeat(rng.random(300) ** 2, rng.integers(1, 12, 300)).tolist()
    n_samples = len(p) * CHUNK - int(rng.integers(CHUNK))
    theirs = package.get_speech_timestamps_from_probs(p, threshold=threshold, audio_length_samples=n_samples)
    found = list(speech_segments(p, n_samples, threshold))
    assert len(found) > 5
    assert [(s.start, s.end) for s in found] == [(s["start"], s["end"]) for s in theirs]


def test_segment_is_yielded_as_soon_as_it_ends():
    consumed = []

    def probabilities():
        for p in [0.0] * 5 + [0.9] * 10 + [0.1] * 20:
            consumed.append(p)
            yield p

    assert next(speech_segments(probabilities())) == SpeechSegment(5 * 512 - 480, 15 * 512 + 480)
    assert len(consumed) == 15 + 5  # The fifth chunk of silence begins 0.128 s after the first.


def test_short_pauses_and_short_speech_are_ignored():
    talk, pause, low = [0.9], [0.1], [0.4]
    options: dict[str, Any] = {"margin": 0.0}
    assert len(list(speech_segments(talk * 10 + pause * 4 + talk * 10 + pause * 10, **options))) == 1
    assert len(list(speech_segments(talk * 10 + pause * 5 + talk * 10 + pause * 10, **options))) == 2
    assert len(list(speech_segments(talk * 10 + pause * 5 + talk * 10 + pause * 10, min_silence=0.2, **options))) == 1
    assert list(speech_segments(talk * 7 + pause * 10, **options)) == []  # 0.224 s.
    assert len(list(speech_segments(talk * 7 + pause * 10, min_speech=0.2, **options))) == 1
    assert list(speech_segments(talk * 5 + low * 20 + pause * 10, **options)) == [SpeechSegment(0, 25 * 512)]
    assert list(speech_segments(talk * 20, **options)) == [SpeechSegment(0, 20 * 512)]
    assert list(speech_segments(talk * 20, n_samples=20 * 512 - 100)) == [SpeechSegment(0, 20 * 512 - 100)]
    assert list(speech_segments([])) == []


def test_invalid_segment_options_raise_immediately():
    for options, message in (
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"exit_threshold": 0.7}, "above threshold"),
        ({"margin": 0.06}, "more than half of min_silence"),
        ({"min_speech": -1.0}, "min_speech is -1.0"),
        ({"n_samples": -1}, "n_samples is -1"),
    ):
        with pytest.raises(ArgumentError, match=message):
            speech_segments([0.5], **options)  # type: ignore[arg-type]
    for wrong in (np.nan, -0.1, 1.1):
        with pytest.raises(ArgumentError, match="not a probability"):
            list(speech_segments([wrong]))


def test_weights_from_any_path(tmp_path):
    path: Path = tmp_path / "weights.ONNX"
    path.write_bytes(real(WEIGHTS["onnx"]).read_bytes())
    assert SileroVAD(path).count_params() == 309_121

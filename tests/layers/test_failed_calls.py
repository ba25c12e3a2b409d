"""A call of a model that fails leaves the model as it was."""

from __future__ import annotations

import numpy as np
import pytest

import passus
from passus import no_grad
from passus.errors import ShapeError
from passus.layers import (
    BatchNorm,
    DecoderCache,
    Dropout,
    KeyValueCache,
    Linear,
    Sequential,
    TransformerDecoder,
    TransformerEncoder,
)
from passus.layers.undo import changes, undoable
from passus.models import GPT, MLP

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


def arrays(model):
    return {path: None if x is None else x.copy() for path, x in model.state_dict().items()}


def assert_same(model, before):
    now = arrays(model)
    assert now.keys() == before.keys()
    for path, x in before.items():
        np.testing.assert_array_equal(now[path], x, err_msg=path)


def failing_model():
    """A model whose last layer rejects the output of the layers before it."""
    return Sequential(Linear(5), BatchNorm(), Dropout(), Linear(2, in_size=7))


def test_failed_first_call_leaves_parameters_lazy():
    passus.random.seed(0)
    model = failing_model()
    before, state = arrays(model), passus.random.rng_state()
    with pytest.raises(ValueError, match=r"sequential.l3: linear"):
        model(X)
    assert_same(model, before)
    assert model.l0.W.data is None
    assert model.l1.avg_mean is None
    model.l3 = Linear(2)
    passus.random.load_rng_state(state)
    y = model(X[:, :2])  # Differs from the size in the failed call.
    assert model.l0.W.shape == (2, 5)
    assert y.shape == (4, 2)


def test_failed_call_restores_the_random_state():
    passus.random.seed(0)
    model = MLP((5, 2))
    model.l1 = Linear(2, in_size=7)
    with pytest.raises(ValueError, match="linear"):
        model(X)
    model.l1 = Linear(2)
    model(X)
    passus.random.seed(0)
    again = MLP((5, 2))
    again.l1 = Linear(2, in_size=7)
    again.l1 = Linear(2)
    again(X)
    np.testing.assert_array_equal(model.l0.W.data, again.l0.W.data)


def test_failed_call_restores_running_statistics():
    model = Sequential(Linear(5), BatchNorm(), Linear(2))
    model(X)
    before = arrays(model)
    model.l2 = Linear(2, in_size=7)
    before |= {path: x for path, x in arrays(model).items() if path.startswith("l2")}
    with pytest.raises(ValueError, match="linear"):
        model(10 * X)
    assert_same(model, before)
    with passus.test_mode(), pytest.raises(ValueError, match="linear"):
        model(X)
    assert_same(model, before)


class Total(passus.Layer):
    """A user's layer with a carried state and a buffer."""

    def __init__(self):
        self.total = None
        self.register_state("total")
        self.register_buffer("average", np.zeros(3, np.float32))

    def forward(self, x):
        self.total = x if self.total is None else self.total + x
        self.average = 0.9 * self.average + 0.1 * x.data.mean(axis=0)
        return self.total


@pytest.mark.parametrize("calls", [0, 2])
def test_failed_call_restores_registered_state_and_buffers(calls):
    model = Sequential(Total(), Linear(2, in_size=3))
    for _ in range(calls):
        model(passus.Variable(X))
    before, fc = arrays(model), model.l1
    model.l1 = Linear(2, in_size=7)
    for _ in range(2):
        with pytest.raises(ValueError, match="linear"):
            model(passus.Variable(X))
    model.l1 = fc
    with undoable() as undo:
        model(passus.Variable(X))
        model(passus.Variable(X))
        undo()
    assert_same(model, before)


def test_keyboard_interrupt_restores_the_model():
    def interrupted(x):
        raise KeyboardInterrupt

    model = Sequential(Linear(5), BatchNorm(), interrupted)
    before = arrays(model)
    with pytest.raises(KeyboardInterrupt):
        model(X)
    assert_same(model, before)


def test_error_caught_inside_the_model_restores_nothing():
    class Careful(passus.Layer):
        def __init__(self):
            self.first, self.second = Linear(5), Linear(2, in_size=7)

        def forward(self, x):
            y = self.first(x)
            try:
                return self.second(y)
            except ValueError:
                return y

    model = Careful()
    assert model(X).shape == (4, 5)
    assert model.first.W.shape == (3, 5)


def test_successful_call_leaves_no_undo_records():
    model = Sequential(Linear(5), BatchNorm(), Linear(2))
    model(X)
    assert changes.get() is None
    np.testing.assert_no_gc_cycles(lambda: model(X))


def stacks():
    """Stacks of layers, each with the arguments of a call for a slice of positions and a new cache."""
    encoder, decoder = TransformerEncoder(2, 8, 2, rng=0), TransformerDecoder(2, 8, 2, rng=0)
    gpt = GPT(30, 2, 2, 8, 16, rng=0)
    x, context = (np.random.default_rng(1).standard_normal((1, n, 8)).astype(np.float32) for n in (5, 3))
    ids = np.arange(5)[None]
    return {
        "encoder": (
            encoder,
            lambda positions, cache: encoder(x[:, positions], is_causal=True, cache=cache),
            encoder.new_cache(8),
        ),
        "decoder": (
            decoder,
            lambda positions, cache: decoder(x[:, positions], context, cache=cache),
            decoder.new_cache(8, 3),
        ),
        "gpt": (gpt.transformer, lambda positions, cache: gpt(ids[:, positions], cache=cache), gpt.new_cache()),
    }


def lengths(cache):
    return [c.length for layer in cache for c in (layer if isinstance(layer, DecoderCache) else [layer])]


@pytest.mark.parametrize("earlier", [0, 3])
@pytest.mark.parametrize("kind", stacks())
def test_failed_call_restores_caches(kind, earlier, monkeypatch):
    def interrupted(x):
        raise KeyboardInterrupt

    stack, call, cache = stacks()[kind]
    whole = slice(0, 5)
    with no_grad():
        expected = call(whole, None).data[:, earlier:]
        if earlier:
            call(slice(0, earlier), cache)
        before = lengths(cache)
        for layer in stack.layers:
            with monkeypatch.context() as patch:
                patch.setattr(layer.feed_forward, "forward", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    call(slice(earlier, 5), cache)
            assert lengths(cache) == before
        np.testing.assert_allclose(call(slice(earlier, 5), cache).data, expected, rtol=1e-4, atol=1e-5)


def test_invalid_mask_leaves_caches_unchanged():
    decoder = TransformerDecoder(1, 8, 2, rng=0)
    x, context = (np.random.default_rng(0).standard_normal((1, n, 8)).astype(np.float32) for n in (4, 3))
    with no_grad():
        expected = decoder(x, context).data[:, 2:3]
        cache = decoder.new_cache(8, 3)
        decoder(x[:, :2], context, cache=cache)
        with pytest.raises(ShapeError, match="mask"):
            decoder(x[:, 2:3], context, context_key_mask=np.ones((1, 4), bool), cache=cache)
        assert lengths(cache) == [2, 3]
        np.testing.assert_allclose(decoder(x[:, 2:3], context, cache=cache).data, expected, rtol=1e-4, atol=1e-5)


def test_failed_call_restores_selected_and_cleared_cache():
    class Search(passus.Layer):
        def forward(self, x, cache):
            cache.append(x, x)
            cache.select([1, 1])
            cache.clear()
            cache.append(2 * x[:1], 2 * x[:1])
            raise ShapeError("interrupted")

    cache, x = KeyValueCache(4), np.arange(4.0).reshape(2, 1, 1, 2)
    cache.append(x, -x)
    with pytest.raises(ShapeError, match="interrupted"):
        Search()(x, cache)
    np.testing.assert_array_equal(cache.keys, x)
    np.testing.assert_array_equal(cache.values, -x)


@pytest.mark.parametrize("kind", stacks())
def test_caches_of_different_lengths_raise(kind):
    _, call, cache = stacks()[kind]
    with no_grad():
        call(slice(0, 3), cache)
        last = cache[-1].context if kind == "decoder" else cache[-1]
        last.clear()
        with pytest.raises(ShapeError, match=r"hold different numbers of positions, .*Start with a new cache"):
            call(slice(3, 5), cache)

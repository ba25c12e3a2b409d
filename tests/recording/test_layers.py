"""Recorded steps of layers with state: running statistics, random generators, carried state, and attributes that change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import passus.functions as F
import passus.layers as L
from passus.config import no_grad, test_mode, using_config
from passus.core import Parameter
from passus.optimizers import SGD, Adam
from passus.random import get_rng
from tests.recording.comparing import World, compared, exactly, images, numbers


def training(
    make_model: Callable[[], Any], loss_of: Callable[[Any, Any], Any] = F.mean_squared_error
) -> Callable[[], World]:
    def make() -> World:
        model = make_model()
        optimizer = Adam(lr=0.01).setup(model)

        def step(x: Any, t: Any) -> Any:
            y = model(x)
            loss = loss_of(y, t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            return loss, y

        return World(step, model, optimizer, model=model, optimizer=optimizer)

    return make


CALLS = numbers(6, (4, 3), (4, 2))


class TestBatchNorm:
    def model(self) -> Any:
        return L.Sequential(L.Linear(5, in_size=3, rng=0), L.BatchNorm(), L.Linear(2, in_size=5, rng=1))

    def test_running_statistics(self) -> None:
        compared(training(self.model), CALLS, exact_only=True)

    def test_lazy(self) -> None:
        def make() -> Any:
            return L.Sequential(L.Linear(5, rng=0), L.BatchNorm(), L.ReLU(), L.Linear(2, rng=1))

        compared(training(make), CALLS, exact_only=True)

    def test_images(self) -> None:
        def make() -> Any:
            # The gradient of a bias before the layer is rounding errors, which Adam enlarges.
            convolution = L.Conv2d(4, 3, pad=1, nobias=True, rng=0)
            return L.Sequential(convolution, L.BatchNorm(), L.GlobalAveragePooling(), L.Linear(2, rng=1))

        compared(training(make), numbers(5, (4, 3, 6, 6), (4, 2)))

    def test_used_twice_in_a_step(self) -> None:
        def make() -> World:
            norm = L.BatchNorm(in_size=3)

            def step(x: Any) -> Any:
                return norm(norm(x) * 2.0)

            return World(step, norm)

        compared(make, numbers(5, (4, 3)))

    def test_frozen_between_calls(self) -> None:
        def make() -> Any:
            # The gradient of a bias before the layer is rounding errors, which Adam enlarges.
            return L.Sequential(
                L.Linear(5, nobias=True, in_size=3, rng=0), L.BatchNorm(), L.Linear(2, in_size=5, rng=1)
            )

        compared(
            training(make),
            CALLS,
            {2: lambda world: world.model[1].freeze(), 5: lambda world: world.model[1].unfreeze()},
            programs=None,
        )

    def test_statistics_are_replaced_and_edited_between_calls(self) -> None:
        def replace(world: World) -> None:
            world.model[1].avg_mean = np.ones(5, np.float32)

        def edit(world: World) -> None:
            world.model[1].avg_mean[...] = 3.0

        compared(training(self.model), CALLS, {3: replace, 5: edit}, exact_only=True)

    def test_train_and_test_mode_alternate(self) -> None:
        def make() -> World:
            model = self.model()

            def step(x: Any, evaluating: bool) -> Any:
                with using_config("train", not evaluating):
                    return model(x)

            return World(step, model)

        calls = [(x, i % 2 == 1) for i, (x, _) in enumerate(numbers(10, (4, 3), (4, 2)))]
        compared(make, calls, programs=2)


class TestDropout:
    def test_generator_of_the_layer(self) -> None:
        compared(
            training(
                lambda: L.Sequential(
                    L.Linear(5, in_size=3, rng=0), L.Dropout(0.5, rng=3), L.Linear(2, in_size=5, rng=1)
                )
            ),
            CALLS,
        )

    def test_current_generator(self) -> None:
        compared(
            training(
                lambda: L.Sequential(L.Linear(5, in_size=3, rng=0), L.Dropout(0.5), L.Linear(2, in_size=5, rng=1))
            ),
            CALLS,
        )

    def test_one_generator_for_two_layers(self) -> None:
        def make() -> Any:
            rng = np.random.default_rng(0)
            return L.Sequential(
                L.Linear(5, in_size=3, rng=0),
                L.Dropout(0.5, rng=rng),
                L.Linear(2, in_size=5, rng=1),
                L.Dropout(0.2, rng=rng),
            )

        compared(training(make), CALLS)

    def test_given_seed(self) -> None:
        def make() -> World:
            return World(lambda x: F.dropout(x, 0.5, rng=3))

        compared(make, numbers(4, (4, 3)))

    def test_generator_is_replaced_or_reset_between_calls(self) -> None:
        make = training(lambda: L.Sequential(L.Linear(2, in_size=3, rng=0), L.Dropout(0.5, rng=3)))

        def replace(world: World) -> None:
            world.model[1].rng = np.random.default_rng(9)

        def reset(world: World) -> None:
            world.model[1].rng.bit_generator.state = np.random.default_rng(1).bit_generator.state

        compared(make, numbers(9, (4, 3), (4, 2)), {2: reset, 4: replace, 7: reset}, programs=None)

    def test_ratio_changes_between_calls(self) -> None:
        make = training(lambda: L.Sequential(L.Linear(2, in_size=3, rng=0), L.Dropout(0.5, rng=3)))

        def change(ratio: Any) -> Any:
            return lambda world: setattr(world.model[1], "dropout_ratio", ratio)

        compared(make, numbers(9, (4, 3), (4, 2)), {3: change(0.1), 6: change(0.5)}, programs=2)

    def test_two_current_generators(self) -> None:
        def make() -> World:
            return World(lambda x: F.dropout(x, 0.5))

        def change(world: World) -> None:
            world.rng = np.random.default_rng(11)

        compared(make, numbers(5, (4, 3)), {1: change, 3: change})

    @pytest.mark.parametrize("draw", ["random", "normal", "integers", "permutation", "uniform", "choice"])
    def test_numbers_drawn_by_the_step(self, draw: str) -> None:
        def make() -> World:
            def step(x: Any) -> Any:
                rng = get_rng()
                if draw in ("random", "normal", "uniform"):
                    return x + getattr(rng, draw)(size=x.shape)
                if draw == "integers":
                    return x * rng.integers(0, 5, size=x.shape)
                if draw == "permutation":
                    return x[rng.permutation(4)]
                return x + rng.choice([1.0, 2.0, 3.0], size=x.shape)

            return World(step)

        compared(make, numbers(5, (4, 3), dtype=float))

    def test_shuffle_in_place(self) -> None:
        def make() -> World:
            def step(x: Any) -> Any:
                y = x * 1.0
                get_rng().shuffle(y)
                return y

            return World(step)

        compared(make, numbers(4, (6, 2), dtype=float))

    def test_condition_after_a_draw_restores_the_generator(self) -> None:
        def make() -> World:
            def step(x: Any) -> Any:
                y = F.dropout(x, 0.5)
                return y * 2.0 if x.sum() > 0 else y - 1.0

            return World(step)

        calls = [np.full(4, sign, float) for sign in (1, 1, -1, -1, 1, -1, 1, -1)]
        compared(make, calls, programs=2)

    @pytest.mark.parametrize("layer", [L.Dropout2d, L.StochasticDepth])
    def test_other_layers(self, layer: Any) -> None:
        compared(lambda: World(layer(0.4).forward), numbers(4, (4, 3, 2, 2)))


RECURRENT = {
    "RNN": lambda **o: L.RNN(4, in_size=3, rng=0, **o),
    "LSTM": lambda **o: L.LSTM(4, in_size=3, rng=0, **o),
    "GRU": lambda **o: L.GRU(4, in_size=3, rng=0, **o),
}


class Forecast(L.Layer):
    def __init__(self, kind: str, **options: Any) -> None:
        self.rnn, self.out = RECURRENT[kind](**options), L.Linear(2, in_size=4, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out(self.rnn(x))


@pytest.mark.parametrize("kind", RECURRENT)
class TestRecurrent:
    def training(self, kind: str, steps: int = 2, reset: bool = False, **options: Any) -> Callable[[], World]:
        def make() -> World:
            model = Forecast(kind, **options)
            optimizer = SGD(lr=0.1).setup(model)

            def step(xs: Any, ts: Any) -> Any:
                if reset:
                    model.rnn.reset_state()
                loss: Any = 0.0
                for i in range(steps):
                    loss = loss + F.mean_squared_error(model(xs[:, i]), ts[:, i])
                model.cleargrads()
                loss.backward()
                loss.unchain_backward()
                optimizer.update()
                return loss

            return World(step, model, optimizer, model=model, optimizer=optimizer)

        return make

    def test_carried_state(self, kind: str) -> None:
        compared(self.training(kind), numbers(7, (4, 2, 3), (4, 2, 2)), exact_only=kind != "LSTM")

    def test_reset_between_calls(self, kind: str) -> None:
        def reset(world: Any) -> Any:
            return world.model.rnn.reset_state()

        compared(
            self.training(kind),
            numbers(10, (4, 2, 3), (4, 2, 2)),
            {3: reset, 6: reset, 7: reset},
            programs=2,
            exact_only=kind != "LSTM",
        )

    def test_reset_in_the_step(self, kind: str) -> None:
        compared(
            self.training(kind, reset=True), numbers(5, (4, 2, 3), (4, 2, 2)), programs=None, exact_only=kind != "LSTM"
        )

    def test_stacked_with_dropout(self, kind: str) -> None:
        compared(
            self.training(kind, num_layers=2, dropout=0.3), numbers(7, (4, 2, 3), (4, 2, 2)), exact_only=kind != "LSTM"
        )

    def test_sequences(self, kind: str) -> None:
        def make() -> World:
            model = RECURRENT[kind](bidirectional=True)
            optimizer = SGD(lr=0.1).setup(model)

            def step(x: Any) -> Any:
                y, state = model(x, return_state=True)
                loss = (y * y).mean()
                model.cleargrads()
                loss.backward()
                optimizer.update()
                return loss, state

            return World(step, model, optimizer)

        compared(make, numbers(4, (4, 5, 3)))

    def test_state_is_loaded_between_calls(self, kind: str) -> None:
        other = self.training(kind)()
        for args in numbers(2, (4, 2, 3), (4, 2, 2), seed=3):
            other.step(*args)

        def load(world: World) -> None:
            world.model.load_state_dict(other.model.state_dict())

        compared(self.training(kind), numbers(7, (4, 2, 3), (4, 2, 2)), {4: load})

    def test_state_is_carried_by_inference(self, kind: str) -> None:
        def make() -> World:
            model = Forecast(kind)
            return World(model, model, model=model)

        first, second = make(), make()
        recorded = exactly(second.step, exact=True)
        for x, _ in numbers(6, (4, 3), (1,)):
            with no_grad(), test_mode():
                expected = first.step(x)
            assert (np.asarray(recorded(x)) == np.asarray(expected)).all()
        assert (second.model.rnn.h.data == first.model.rnn.h.data).all()


class Attending(L.Layer):
    def __init__(self) -> None:
        self.attention_layer = L.MultiHeadAttention(8, 2, rng=0)
        self.out = L.Linear(2, in_size=8, rng=1)

    def forward(self, x: Any) -> Any:
        return self.out(self.attention_layer(x)).mean(axis=1)


def test_attention() -> None:
    compared(training(Attending), numbers(5, (4, 5, 8), (4, 2)), exact_only=True)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_transformer(dropout: float) -> None:
    class Model(L.Layer):
        def __init__(self) -> None:
            self.block = L.TransformerEncoderLayer(8, 2, 16, dropout_ratio=dropout, rng=0)
            self.out = L.Linear(2, in_size=8, rng=1)

        def forward(self, x: Any) -> Any:
            return self.out(self.block(x)).mean(axis=1)

    compared(training(Model), numbers(4, (4, 5, 8), (4, 2)), exact_only=True)


def test_embedding() -> None:
    rng = np.random.default_rng(0)
    calls = [(rng.integers(0, 10, (4, 3)), rng.integers(0, 5, 4)) for _ in range(5)]

    def make() -> Any:
        return L.Sequential(L.Embedding(10, 6, rng=0), L.Flatten(), L.Linear(5, in_size=18, rng=1))

    compared(training(make, F.softmax_cross_entropy), calls)


@pytest.mark.parametrize("layer", ["LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm", "LocalResponseNorm"])
def test_normalizations(layer: str) -> None:
    args = {"LayerNorm": (8,), "RMSNorm": (8,), "GroupNorm": (2,)}.get(layer, ())

    def make() -> Any:
        return L.Sequential(getattr(L, layer)(*args), L.Conv2d(2, 1, rng=0), L.Flatten(), L.Linear(2, rng=1))

    compared(training(make), numbers(4, (4, 4, 2, 8), (4, 2)))


class Chosen(L.Layer):
    """A layer with layers in a list and in a dict, and options that change."""

    def __init__(self) -> None:
        self.parts: Any = [L.Linear(3, in_size=3, rng=i) for i in range(2)]
        self.heads: Any = {"a": L.Linear(2, in_size=3, rng=5), "b": L.Linear(2, in_size=3, rng=6)}
        self.head, self.scale = "a", 1.0

    def forward(self, x: Any) -> Any:
        for part in self.parts:
            x = F.tanh(part(x))
        return self.heads[self.head](x) * self.scale


class TestStructure:
    def events(self, **changes: Any) -> Any:
        return {int(name[1:]): change for name, change in changes.items()}

    def test_layers_in_lists_and_dicts(self) -> None:
        compared(training(Chosen), CALLS)

    def test_layer_is_appended_and_removed(self) -> None:
        def append(world: Any) -> Any:
            return world.model.parts.append(L.Linear(3, in_size=3, rng=8))

        def remove(world: Any) -> Any:
            return world.model.parts.pop()

        compared(training(Chosen), numbers(9, (4, 3), (4, 2)), {3: append, 6: remove}, programs=None)

    def test_layer_in_a_list_is_replaced(self) -> None:
        def replace(world: World) -> None:
            world.model.parts[0] = L.Linear(3, in_size=3, rng=9)

        compared(training(Chosen), CALLS, {3: replace}, programs=2)

    def test_layer_in_a_dict_is_replaced(self) -> None:
        def replace(world: World) -> None:
            world.model.heads["a"] = L.Linear(2, in_size=3, rng=9)

        compared(training(Chosen), CALLS, {3: replace}, programs=2)

    def test_option_changes(self) -> None:
        def choose(head: Any) -> Any:
            return lambda world: setattr(world.model, "head", head)

        compared(
            training(Chosen),
            numbers(10, (4, 3), (4, 2)),
            {3: choose("b"), 6: choose("a"), 8: choose("b")},
            programs=2,
        )

    def test_number_changes(self) -> None:
        def scale(number: Any) -> Any:
            return lambda world: setattr(world.model, "scale", number)

        compared(training(Chosen), numbers(9, (4, 3), (4, 2)), {3: scale(2.0), 6: scale(1.0)}, programs=2)

    def test_eps_changes(self) -> None:
        def make() -> Any:
            return L.Sequential(L.Linear(2, in_size=3, rng=0), L.LayerNorm(2))

        compared(
            training(make),
            numbers(7, (4, 3), (4, 2)),
            {3: lambda world: setattr(world.model[1], "eps", 0.1)},
            programs=2,
        )

    def test_array_among_the_attributes_changes(self) -> None:
        class Masked(L.Layer):
            def __init__(self) -> None:
                self.l1, self.mask = L.Linear(2, in_size=3, rng=0), np.ones(2, np.float32)

            def forward(self, x: Any) -> Any:
                return self.l1(x) * self.mask

        def replace(world: World) -> None:
            world.model.mask = np.array([1, 0], np.float32)

        def edit(world: World) -> None:
            world.model.mask[0] = 0.5

        compared(training(Masked), numbers(9, (4, 3), (4, 2)), {3: replace, 6: edit}, programs=None)

    def test_forward_is_replaced(self) -> None:
        def replace(world: World) -> None:
            world.model.forward = lambda x: world.model.heads["b"](x)

        compared(training(Chosen), CALLS, {3: replace}, programs=2)

    def test_plain_layer_beside_the_model(self) -> None:
        def make() -> World:
            first, second = L.Linear(3, in_size=3, rng=0), L.Linear(2, in_size=3, rng=1)

            def step(x: Any) -> Any:
                return second(first(x))

            return World(step, first, second, first=first)

        compared(make, numbers(4, (4, 3)), {2: lambda world: world.first.W.data.fill(0.5)})


class TestStoredAttributes:
    def test_variable(self) -> None:
        class Attention(L.Layer):
            def __init__(self) -> None:
                self.l1, self.attention = L.Linear(2, in_size=3, rng=0), None

            def forward(self, x: Any) -> Any:
                y = self.l1(x)
                self.attention = F.softmax(y)
                return y * self.attention

        compared(training(Attention), CALLS, programs=None)

    def test_array(self) -> None:
        class Attention(L.Layer):
            def __init__(self) -> None:
                self.l1, self.attention = L.Linear(2, in_size=3, rng=0), None

            def forward(self, x: Any) -> Any:
                y = self.l1(x)
                self.attention = F.softmax(y).data
                return y * self.attention

        compared(training(Attention), CALLS, programs=None)

    def test_statistics_by_hand(self) -> None:
        class Centred(L.Layer):
            def __init__(self) -> None:
                self.l1 = L.Linear(2, in_size=3, rng=0)
                self.register_buffer("mean", np.zeros(2, np.float32))
                self.register_buffer("count", np.array(0.0, np.float32))

            def forward(self, x: Any) -> Any:
                y = self.l1(x)
                self.mean = 0.9 * self.mean + 0.1 * y.data.mean(axis=0)
                self.count += 1
                return y - self.mean / self.count

        compared(training(Centred), CALLS)

    def test_statistics_in_place(self) -> None:
        class Centred(L.Layer):
            def __init__(self) -> None:
                self.l1 = L.Linear(2, in_size=3, rng=0)
                self.register_buffer("mean", np.zeros(2, np.float32))

            def forward(self, x: Any) -> Any:
                y = self.l1(x)
                self.mean *= 0.9
                self.mean += 0.1 * y.data.mean(axis=0)
                self.mean[0] = 0.0
                np.multiply(self.mean, 2, out=self.mean)
                return y - self.mean

        compared(training(Centred), CALLS)

    def test_carried_sum(self) -> None:
        class Sum(L.Layer):
            def __init__(self) -> None:
                self.total: Any = None
                self.register_state("total")

            def forward(self, x: Any) -> Any:
                self.total = x if self.total is None else self.total + x
                return self.total * 1.0

        compared(lambda: (lambda layer: World(layer.__call__, layer))(Sum()), numbers(6, (3,)), programs=None)

    def test_equal_option_is_assigned_in_the_step(self) -> None:
        class Noting(L.Layer):
            def __init__(self) -> None:
                self.l1, self.size = L.Linear(2, in_size=3, rng=0), None

            def forward(self, x: Any) -> Any:
                self.size = x.shape
                return self.l1(x)

        compared(training(Noting), [*CALLS[:4], *numbers(4, (2, 3), (2, 2)), *CALLS[:2]], programs=None)

    def test_parameter_is_created_in_the_step(self) -> None:
        class Late(L.Layer):
            def forward(self, x: Any) -> Any:
                if not hasattr(self, "W"):
                    self.W = Parameter(np.ones((3, 2), np.float32))
                return F.matmul(x, self.W)

        compared(training(Late), CALLS, programs=None)


class TestSeveralModels:
    def test_adversaries(self) -> None:
        def make() -> World:
            rng = np.random.default_rng(0)
            G = L.Sequential(L.Linear(4, in_size=2, rng=rng), L.ReLU(), L.Linear(3, in_size=4, rng=rng))
            D = L.Sequential(L.Linear(4, in_size=3, rng=rng), L.LeakyReLU(), L.Linear(1, in_size=4, rng=rng))
            of_G, of_D = Adam(lr=0.01).setup(G), Adam(lr=0.02).setup(D)

            def step(real: Any) -> Any:
                z = get_rng().normal(size=(len(real), 2)).astype(np.float32)
                fake = G(z)
                loss_D = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
                D.cleargrads()
                loss_D.backward()
                of_D.update()
                loss_G = F.softplus(-D(fake)).mean()
                G.cleargrads()
                D.cleargrads()
                loss_G.backward()
                of_G.update()
                return loss_D, loss_G

            return World(step, G, D, of_G, of_D)

        compared(make, numbers(5, (4, 3)))

    def test_teacher_and_average(self) -> None:
        def make() -> World:
            student, teacher = Chosen(), Chosen()
            optimizer = SGD(lr=0.1).setup(student)

            def step(x: Any) -> Any:
                with no_grad():
                    target = teacher(x)
                loss = F.mean_squared_error(student(x), target.data + 1)
                student.cleargrads()
                loss.backward()
                optimizer.update()
                for p, q in zip(teacher.params(), student.params()):
                    p.data *= 0.9
                    p.data += 0.1 * q.data
                return loss

            return World(step, student, teacher, optimizer)

        compared(make, numbers(5, (4, 3)))

    def test_weights_are_copied_from_one_model_to_the_other(self) -> None:
        def make() -> World:
            online, target = Chosen(), Chosen()

            def step(x: Any) -> Any:
                for p, q in zip(target.params(), online.params()):
                    p.data = q.data.copy()
                for q in online.params():
                    q.data += 1
                return target(x)

            return World(step, online, target)

        compared(make, numbers(4, (4, 3)))


def test_convolutions_and_pooling() -> None:
    def make() -> Any:
        return L.Sequential(
            L.Conv2d(4, 3, pad=1, rng=0),
            L.ReLU(),
            L.MaxPooling(2),
            L.Deconv2d(3, 2, stride=2, rng=1),
            L.AveragePooling(2),
            L.Flatten(),
            L.Linear(4, rng=2),
        )

    compared(training(make, F.softmax_cross_entropy), images(4, (4, 3, 8, 8), 4))

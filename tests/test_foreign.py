"""Names from other libraries: each raises with advice, the advice names existing objects, and introspection is unaffected."""

from __future__ import annotations

import copy
import importlib
import pickle
import re
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
import passus.layers as L
from passus import Function, Variable, foreign, optimizers
from passus.errors import DTypeError, MissingAttributeError, MissingImportError, ShapeError
from passus.training import Trainer

MODULES = {
    "passus": foreign.PACKAGE,
    "passus.cuda": foreign.CUDA,
    "passus.dezero": foreign.DEZERO,
    "passus.functions": foreign.FUNCTIONS,
    "passus.layers": foreign.LAYERS,
    "passus.optimizers": foreign.OPTIMIZERS,
    "passus.transforms": foreign.TRANSFORMS,
    "passus.datasets": foreign.DATASETS,
    "passus.models": foreign.MODELS,
}
OBJECTS = [
    (Variable(np.ones((2, 3))), foreign.VARIABLE),
    (F.Add(), foreign.FUNCTION),
    (L.Layer(), foreign.LAYER),
    (optimizers.Adam(), foreign.OPTIMIZER),
]

IN_MODULES = [(module, name, advice) for module, names in MODULES.items() for name, advice in names.items()]
IN_OBJECTS = [
    pytest.param(x, name, advice, id=f"{type(x).__name__}.{name}")
    for x, names in OBJECTS
    for name, advice in names.items()
]


def check_names_exist(advice: str, module: str = "passus") -> None:
    """Check that every name in the advice exists."""
    modules = {"F": "passus.functions", "L": "passus.layers"}
    for alias, name in re.findall(r"\b([FL])\.(\w+)", advice):
        assert hasattr(importlib.import_module(modules[alias]), name), f"{alias}.{name}"
    for path in re.findall(r"\bpassus((?:\.\w+)+)", advice):
        value: Any = passus
        for name in path.split(".")[1:]:
            value = getattr(value, name)
    subjects = {"x": Variable(np.ones(2)), "y": Variable(np.ones(2)), "model": passus.models.MLP((2,))}
    for subject, name in re.findall(r"\b(x|y|model)\.(\w+)", advice):
        assert hasattr(subjects[subject], name), f"{subject}.{name}"
    for name in re.findall(r"write (?:.*\()?([A-Z][A-Za-z0-9]+)\b(?!\.)", advice):
        if not hasattr(importlib.import_module(module), name):
            assert name in ("Variable", "ArrayDataset", "AdamW"), name


@pytest.mark.parametrize(("module", "name", "advice"), IN_MODULES)
def test_module_attribute_of_another_library_raises_with_advice(module: str, name: str, advice: str) -> None:
    namespace = importlib.import_module(module)
    with pytest.raises(MissingAttributeError, match=re.escape(f"{module} has no {name}; {advice}")):
        getattr(namespace, name)
    assert not hasattr(namespace, name)
    assert name not in dir(namespace)
    check_names_exist(advice, module)


@pytest.mark.parametrize("module", MODULES)
def test_imports_of_names_of_another_library_raise_with_advice(module: str) -> None:
    for name, advice in MODULES[module].items():
        message = re.escape(f"{module} has no {name}; {advice}")
        for statement in (f"from {module} import {name}", f"from {module} import {name} as other"):
            with pytest.raises(MissingImportError, match=message):
                exec(statement)
        for statement in (f"import {module}.{name}", f"from {module}.{name} import Linear"):
            with pytest.raises(ImportError, match=f"{message}|{module} is not a package|'{module}' is not a package"):
                exec(statement)


def test_imports_of_unknown_names_raise_the_error_of_python() -> None:
    for statement in ("from passus.layers import no_such", "from passus.cuda import no_such", "import passus.no_such"):
        with pytest.raises(ImportError, match="no_such") as caught:
            exec(statement)
        assert not isinstance(caught.value, MissingImportError)


@pytest.mark.parametrize(("x", "name", "advice"), IN_OBJECTS)
def test_object_attribute_of_another_library_raises_with_advice(x: Any, name: str, advice: str) -> None:
    with pytest.raises(MissingAttributeError, match=re.escape(f"{type(x).__name__} has no {name}; {advice}")):
        getattr(x, name)
    assert not hasattr(x, name)
    assert not hasattr(type(x), name)
    assert name not in dir(x)
    check_names_exist(advice)


def test_unknown_attribute_raises_plain_attribute_error() -> None:
    for namespace in (passus, F, L, Variable(np.ones(1)), L.Linear(3), optimizers.SGD()):
        with pytest.raises(AttributeError, match="has no attribute 'no_such_name'") as caught:
            namespace.no_such_name  # noqa: B018
        assert not isinstance(caught.value, MissingAttributeError)
        assert caught.value.name == "no_such_name"


def test_user_defined_attribute_takes_precedence() -> None:
    class Net(L.Layer):
        def __init__(self) -> None:
            self.weight = passus.Parameter(np.ones(2))
            self.to = "value"

        def predict(self, x: Any) -> Any:
            return x

    class Traced(Variable):
        def numpy(self) -> Any:
            return self.data

    net = Net()
    assert net.predict(3) == 3
    assert (net.to, [path for path, _ in net.named_params()]) == ("value", ["weight"])
    assert {"weight", "predict", "to"} <= set(dir(net))
    assert Traced(np.ones(1)).numpy() == 1


@pytest.mark.parametrize(
    "x", [Variable(np.ones(3)), L.Linear(3, in_size=2), optimizers.Adam()], ids=lambda x: type(x).__name__
)
def test_copies_and_pickles_work(x: Any) -> None:
    for again in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(again) is type(x)
        assert set(dir(again)) == set(dir(x))


def test_attribute_protocols_of_other_libraries_are_absent() -> None:
    v = Variable(np.ones(3))
    assert np.asarray(v.data).sum() == np.sum(v).data == 3
    assert not any(hasattr(v, name) for name in ("numpy", "cpu", "__cuda_array_interface__", "__dlpack__"))


CALLS = [
    (lambda: L.Linear(3, bias=True), "Linear has no option bias; it is called nobias here"),
    (lambda: L.Linear(3, nothing=True), "Linear has no option nothing; it has out_size, nobias, dtype"),
    (lambda: L.Tanh(3), r"Tanh takes no arguments.*Tanh\(\)\(x\)"),
    (lambda: L.Dropout(0.5, dropout_ratio=0.3), "Dropout got dropout_ratio twice"),
    (lambda: L.Flatten(start_dim=1), "Flatten has no option start_dim; it has none"),
    (lambda: optimizers.SGD(0.1, 0.9), "SGD takes lr by position, but 2 arguments were given"),
    (lambda: optimizers.SGD(L.Linear(3).params()), r"SGD\(lr=0.001\).setup\(model\)"),
    (lambda: optimizers.AdaDelta(L.Linear(3)), r"AdaDelta\(lr=0.001\).setup\(model\)"),
    (lambda: passus.DataLoader([1, 2], 1, num_workers=3), "DataLoader has no option num_workers; it is called workers"),
    (lambda: passus.transforms.RandomCrop(3, fill=0), "RandomCrop has no option fill; it has size, padding"),
    (lambda: Trainer(None, None, None, epochs=3), r"Trainer has no option epochs; write Trainer\(...\).fit"),
]


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_unknown_options_raise_with_advice(call: Any, message: str) -> None:
    with pytest.raises(DTypeError, match=message):
        call()


def test_user_defined_classes_accept_any_option() -> None:
    class Net(L.Layer):
        def __init__(self, *sizes: int, padding: int = 0, **others: Any) -> None:
            self.sizes, self.padding, self.others = sizes, padding, others

    class Custom(optimizers.Optimizer):
        def __init__(self, model: Any, learning_rate: float) -> None:
            super().__init__(learning_rate)
            self.setup(model)

    net = Net(1, 2, padding=3, bias=False)
    assert (net.sizes, net.padding, net.others) == ((1, 2), 3, {"bias": False})
    assert Custom(net, learning_rate=0.5).lr == 0.5


def test_functions_of_other_libraries_raise_with_advice() -> None:
    import scipy.special

    for name, advice in foreign.UFUNCS.items():
        check_names_exist(advice)
        f = getattr(scipy.special, name, None)
        if f is not None:
            with pytest.raises(DTypeError, match=re.escape(advice)):
                f(*[Variable(np.ones(2))] * f.nin)
    with pytest.raises(DTypeError, match="gammaln of another library"):
        scipy.special.gammaln(Variable(np.ones(2)))


ENCODER = {"d_model": 4, "n_heads": 2}
OPTIONS = [
    (L.RNN, {"hidden_size": 3}, "nonlinearity", "activation"),
    (L.LSTM, {"hidden_size": 3}, "input_size", "in_size"),
    (L.LSTM, {"hidden_size": 3}, "batch_first", "leave it out"),
    (L.GRU, {"hidden_size": 3}, "dropout_ratio", "dropout"),
    (L.LSTM, {"hidden_size": 3}, "n_layers", "num_layers"),
    (L.MultiHeadAttention, {}, "embed_dim", "d_model"),
    (L.MultiHeadAttention, {}, "num_heads", "n_heads"),
    (L.MultiHeadAttention, ENCODER, "dropout", "dropout_ratio"),
    (L.MultiHeadAttention, ENCODER, "kdim", "context_size"),
    (L.TransformerEncoderLayer, {}, "nhead", "n_heads"),
    (L.TransformerEncoderLayer, ENCODER, "dim_feedforward", "d_hidden"),
    (L.TransformerDecoderLayer, ENCODER, "norm_first", "pre_norm"),
    (L.TransformerDecoderLayer, ENCODER, "dropout", "dropout_ratio"),
    (L.TransformerEncoder, {"n_layers": 1, **ENCODER}, "dropout", "dropout_ratio"),
    *[
        (passus.models.GPT, {}, theirs, ours)
        for theirs, ours in (
            ("n_layer", "n_layers"),
            ("n_head", "n_heads"),
            ("n_embd", "d_model"),
            ("block_size", "max_len"),
            ("num_layers", "n_layers"),
        )
    ],
]


@pytest.mark.parametrize(("cls", "given", "theirs", "ours"), OPTIONS)
def test_options_of_sequence_layers_raise_with_advice(cls: Any, given: dict[str, Any], theirs: str, ours: str) -> None:
    with pytest.raises(DTypeError, match=rf"has no option {theirs}; .*\b{ours}\b") as caught:
        cls(**given, **{theirs: 2})
    assert "; it has " not in str(caught.value)


@pytest.mark.parametrize("name", foreign.CALL_ARGUMENTS)
def test_unknown_call_arguments_raise_with_advice(name: str) -> None:
    x, advice = np.ones((1, 3, 4), np.float32), re.escape(foreign.CALL_ARGUMENTS[name])
    inner = L.Sequential(L.Linear(4), L.MultiHeadAttention(4, 2))
    with pytest.raises(DTypeError, match=rf"^multiheadattention: there is no argument {name}; {advice}"):
        inner.l1(x, **{name: None})
    model = passus.models.GPT(10, 1, 2, 4, 8)
    with pytest.raises(DTypeError, match=rf"^generate: there is no argument {name}; {advice}"):
        model.generate([1], 2, **{name: None})
    with pytest.raises(DTypeError, match=rf"^scaled_dot_product_attention: there is no argument {name}; {advice}"):
        F.scaled_dot_product_attention(x, x, x, **{name: None})
    check_names_exist(foreign.CALL_ARGUMENTS[name])


def test_type_errors_of_user_code_are_not_changed() -> None:
    class Net(L.Layer):
        def forward(self, x: Any, attn_mask: Any = None, **options: Any) -> Any:
            if attn_mask is None:
                raise TypeError("of the user")
            return x

    x = np.ones((1, 3, 4), np.float32)
    assert Net()(x, attn_mask=1, seed=3) is x
    for call in (lambda: L.Linear(3)(x, colour=1), lambda: Net()(x, seed=3)):
        with pytest.raises(TypeError, match=r"colour|of the user") as caught:
            call()
        assert not isinstance(caught.value, DTypeError)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_sizes_in_pytorch_order_raise_with_advice(kind: str) -> None:
    cls = getattr(L, kind)
    for x in (np.ones((2, 3, 4), np.float32), np.ones((2, 4), np.float32)):
        with pytest.raises(ShapeError, match=rf"{kind.lower()}: .* PyTorch's {kind}\(4, 6\) is {kind}\(6, 4\) here"):
            cls(4, 6)(x)
        cls(6, 4)(x)
    with pytest.raises(ShapeError, match=r"W_x .* must be"):
        cls(4, 6)(np.ones((2, 3, 5), np.float32))


def test_class_attribute_of_functions_raises_with_advice() -> None:
    class Square(Function):
        def forward(self, x: Any) -> Any:
            return x * x

    with pytest.raises(MissingAttributeError, match="make an instance"):
        Square.apply(Variable(np.ones(1)))


@pytest.mark.parametrize("module", ["passus.functions", "passus.layers", "passus.grad", "passus.functions.nn.losses"])
def test_modules_are_pickled_and_copied_by_name(module: str) -> None:
    namespace = importlib.import_module(module)
    for again in (pickle.loads(pickle.dumps(namespace)), copy.copy(namespace), copy.deepcopy(namespace)):
        assert again is namespace


def test_functions_with_all_public_names_are_sent_to_other_processes() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    sent = pickle.loads(
        cloudpickle.dumps(lambda x: F.relu(L.Linear(2, in_size=3)(x)) + passus.grad.grad(F.sum)(x).sum())
    )
    assert sent(Variable(np.ones((1, 3), np.float32))).shape == (1, 2)
    for namespace in [passus, *[getattr(passus, name) for name in passus.__all__]]:
        for name in getattr(namespace, "__all__", []):
            pickle.loads(cloudpickle.dumps(getattr(namespace, name)))

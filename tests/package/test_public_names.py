"""Every public name is declared and documented, and every public function has an example."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import passus
from passus import Function

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(passus.__path__, "passus.")
    if not any(part.startswith("_") for part in found.name.split("."))
]
PUBLIC = [passus, *[module for module in MODULES if module.__name__.count(".") == 1]]
"""Modules that users import; modules inside the packages share internal helpers."""


def name_of(module: ModuleType) -> str:
    return module.__name__


every_module = pytest.mark.parametrize("module", [passus, *MODULES], ids=name_of)

NO_EXAMPLE = {
    "passus.backend.backend_of": "shown in the docstring of the module",
    "passus.backend.jax_backend": "imports JAX for the whole process",
    "passus.cuda.as_cupy": "needs a GPU",
    "passus.kernels.warm_up": "compiles for minutes",
    "passus.training.plot_history": "writes an image; examples/digits.py calls it",
}
"""Public functions without an example in their docstrings, and why."""

DEZERO = (  # noqa: SIM905 - a long list of words
    "Variable Parameter Function using_config no_grad test_mode as_array as_variable setup_variable Config Layer Model "
    "Dataset DataLoader SeqDataLoader datasets dataloaders optimizers functions layers models utils cuda transforms "
    "functions.sin functions.cos functions.tanh functions.exp functions.log functions.clip functions.reshape "
    "functions.transpose functions.get_item functions.expand_dims functions.flatten functions.sum functions.sum_to "
    "functions.broadcast_to functions.average functions.mean functions.max functions.min functions.matmul "
    "functions.Sin functions.Cos functions.Tanh functions.Exp functions.Log functions.Clip functions.Reshape "
    "functions.Transpose functions.GetItem functions.Sum functions.SumTo functions.BroadcastTo functions.Max functions.Min "
    "functions.MatMul functions.Linear functions.Sigmoid functions.ReLU functions.LeakyReLU functions.Softmax "
    "functions.LogSoftmax functions.MeanSquaredError functions.SoftmaxCrossEntropy functions.BatchNorm "
    "functions_conv.Conv2d functions_conv.Deconv2d functions_conv.Im2col functions_conv.Col2im "
    "functions_conv.get_conv_outsize functions_conv.get_deconv_outsize functions_conv.pair "
    "core.Variable core.Function core.Parameter core.Config core.using_config core.no_grad core.as_variable core.as_array "
    "core.setup_variable core_simple.Variable core_simple.Function core_simple.as_variable core_simple.as_array "
    "functions.linear functions.linear_simple functions.sigmoid functions.sigmoid_simple functions.relu "
    "functions.leaky_relu functions.softmax functions.softmax_simple functions.log_softmax "
    "functions.mean_squared_error functions.mean_squared_error_simple functions.softmax_cross_entropy "
    "functions.softmax_cross_entropy_simple functions.sigmoid_cross_entropy functions.binary_cross_entropy "
    "functions.dropout functions.embed_id functions.accuracy functions.batch_norm functions.batch_nrom "
    "functions.conv2d functions.conv2d_simple functions.deconv2d functions.im2col functions.col2im "
    "functions.pooling functions.pooling_simple functions.average_pooling "
    "functions_conv.pooling functions_conv.pooling_simple functions_conv.average_pooling functions_conv.Pooling "
    "functions_conv.Pooling2DGrad functions_conv.Pooling2DWithIndexes functions_conv.AveragePooling "
    "functions_conv.AveragePooling2DGrad "
    "functions_conv.conv2d functions_conv.conv2d_simple functions_conv.deconv2d functions_conv.Conv2DGradW "
    "functions_conv.im2col functions_conv.col2im functions_conv.im2col_array functions_conv.col2im_array "
    "layers.Conv2d layers.Deconv2d "
    "functions.add functions.mul functions.neg functions.sub functions.rsub functions.div functions.rdiv functions.pow "
    "functions.Add functions.Mul functions.Neg functions.Sub functions.Div functions.Pow functions.GetItemGrad "
    "layers.Layer layers.Linear layers.EmbedID layers.BatchNorm layers.RNN layers.LSTM models.Model models.Sequential models.MLP "
    "models.VGG16 models.ResNet models.ResNet50 models.ResNet101 models.ResNet152 models.SqueezeNet models.BuildingBlock "
    "models.BottleneckA models.BottleneckB "
    "optimizers.Optimizer optimizers.WeightDecay optimizers.ClipGrad optimizers.FreezeParam optimizers.SGD "
    "optimizers.MomentumSGD optimizers.AdaGrad optimizers.AdaDelta optimizers.Adam "
    "dataloaders.DataLoader dataloaders.SeqDataLoader datasets.Dataset datasets.get_spiral datasets.Spiral "
    "datasets.MNIST datasets.CIFAR10 datasets.CIFAR100 datasets.SinCurve datasets.load_cache_npz datasets.save_cache_npz "
    "transforms.Compose transforms.Convert transforms.Resize transforms.CenterCrop transforms.ToArray transforms.ToPIL "
    "transforms.RandomHorizontalFlip transforms.Normalize transforms.Flatten transforms.AsType transforms.ToFloat "
    "transforms.ToInt utils.get_dot_graph utils.plot_dot_graph utils.sum_to utils.reshape_sum_backward utils.logsumexp "
    "utils.max_backward_shape utils.gradient_check utils.numerical_grad utils.array_equal utils.array_allclose "
    "utils.show_progress utils.get_file utils.cache_dir utils.get_deconv_outsize utils.get_conv_outsize utils.pair "
    "cuda.gpu_enable cuda.get_array_module cuda.as_numpy cuda.as_cupy"
).split()
"""Names of DeZero."""


def is_callable(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def belongs_to(module: ModuleType, value: Any) -> bool:
    return is_callable(value) and f"{value.__module__}.".startswith(f"{module.__name__}.")


def public_objects() -> list[Any]:
    """The functions and classes that `passus` and the modules in it export."""
    found = {f"{module.__name__}.{name}": getattr(module, name) for module in PUBLIC for name in module.__all__}
    return [pytest.param(name, value, id=name) for name, value in found.items() if is_callable(value)]


@every_module
def test_all_contains_existing_names_once(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("module", PUBLIC, ids=name_of)
def test_all_contains_every_public_function_and_class(module: ModuleType) -> None:
    own = {name for name, value in vars(module).items() if belongs_to(module, value) and not name.startswith("_")}
    assert own == {name for name in module.__all__ if belongs_to(module, getattr(module, name))}


@every_module
def test_modules_have_docstrings(module: ModuleType) -> None:
    assert module.__doc__


@pytest.mark.parametrize(("name", "value"), public_objects())
def test_public_names_are_documented(name: str, value: Any) -> None:
    if inspect.isclass(value) and issubclass(value, Function):
        return  # The docstring belongs to the public function of the class.
    assert vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__


@pytest.mark.parametrize(("name", "value"), [p for p in public_objects() if inspect.isfunction(p.values[1])])
def test_public_functions_have_examples(name: str, value: Any) -> None:
    assert (">>>" in (value.__doc__ or "")) != (name in NO_EXAMPLE), (
        "an example is missing, or the exemption is obsolete"
    )


@pytest.mark.parametrize("path", DEZERO)
def test_dezero_names_exist(path: str) -> None:
    value: Any = passus
    for name in path.split("."):
        value = getattr(value, name)


def test_simple_core_is_not_used() -> None:
    assert passus.is_simple_core is False


def test_version_has_three_components() -> None:
    assert passus.__version__.count(".") == 2

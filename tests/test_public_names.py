"""Each name that users see is declared, documented and shown at work."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import passus

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(passus.__path__, "passus.")
    if not any(part.startswith("_") for part in found.name.split("."))
]
PACKAGES = [module for module in [passus, *MODULES] if hasattr(module, "__path__")]
FILES = [module for module in MODULES if not hasattr(module, "__path__")]
DUNDERS = {"__version__"}
INSIDE = ("passus.core.", "passus.backend.")
"""Packages whose modules share helpers; what is public is what the package exports."""


def name_of(module: ModuleType) -> str:
    return module.__name__


every_module = pytest.mark.parametrize("module", [passus, *MODULES], ids=name_of)

NO_EXAMPLE: dict[str, str] = {}
"""Public functions without an example in their docstrings, and why."""

DEZERO = (  # noqa: SIM905 - a long list of words
    "Variable Parameter Function using_config no_grad test_mode as_array as_variable setup_variable Config Layer Model "
    "Dataset DataLoader SeqDataLoader datasets dataloaders optimizers functions layers models utils cuda transforms "
    "functions.sin functions.cos functions.tanh functions.exp functions.log functions.clip functions.reshape "
    "functions.transpose functions.get_item functions.expand_dims functions.flatten functions.sum functions.sum_to "
    "functions.broadcast_to functions.average functions.mean functions.max functions.min functions.matmul "
    "functions.linear functions.linear_simple functions.sigmoid functions.sigmoid_simple functions.relu "
    "functions.leaky_relu functions.softmax functions.softmax_simple functions.log_softmax "
    "functions.mean_squared_error functions.mean_squared_error_simple functions.softmax_cross_entropy "
    "functions.softmax_cross_entropy_simple functions.sigmoid_cross_entropy functions.binary_cross_entropy "
    "functions.dropout functions.embed_id functions.accuracy functions.batch_norm "
    "functions.add functions.mul functions.neg functions.sub functions.rsub functions.div functions.rdiv functions.pow "
    "functions.Add functions.Mul functions.Neg functions.Sub functions.Div functions.Pow functions.GetItemGrad "
    "layers.Layer layers.Linear layers.EmbedID layers.BatchNorm models.Model models.Sequential models.MLP "
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
"""Where a DeZero user looks; convolution, recurrent layers and pretrained models are yet to come."""


def defined_in(module: ModuleType) -> set[str]:
    """The public functions and classes that a module itself defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def public_callables() -> list[Any]:
    found = {}
    for module in FILES:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and getattr(value, "__module__", None) == module.__name__:
                found[f"{module.__name__}.{name}"] = value
    return [pytest.param(name, value, id=name) for name, value in found.items()]


@every_module
def test_all_holds_what_exists_once(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("module", [m for m in FILES if not m.__name__.startswith(INSIDE)], ids=name_of)
def test_all_is_what_a_module_defines(module: ModuleType) -> None:
    declared = {name for name in module.__all__ if getattr(getattr(module, name), "__module__", "") == module.__name__}
    assert declared == defined_in(module)


@pytest.mark.parametrize("module", PACKAGES, ids=name_of)
def test_all_is_what_a_package_exports(module: ModuleType) -> None:
    imported = {n for n, value in vars(module).items() if not n.startswith("_") and not inspect.ismodule(value)}
    assert (
        imported - {"annotations"} == {n for n in module.__all__ if not inspect.ismodule(getattr(module, n))} - DUNDERS
    )


@every_module
def test_a_module_says_what_it_is_for(module: ModuleType) -> None:
    assert module.__doc__


@pytest.mark.parametrize(("name", "value"), public_callables())
def test_public_names_are_documented(name: str, value: Any) -> None:
    if inspect.isfunction(value):
        assert value.__doc__, f"{name} has no docstring"
        assert (">>>" in value.__doc__) != (name in NO_EXAMPLE), (
            f"{name}: an example is missing, or its excuse is stale"
        )


@pytest.mark.parametrize("path", DEZERO)
def test_what_a_dezero_user_looks_for_is_there(path: str) -> None:
    value: Any = passus
    for name in path.split("."):
        value = getattr(value, name)


def test_the_simple_core_is_not_in_use() -> None:
    assert passus.is_simple_core is False


def test_the_version_is_one() -> None:
    assert passus.__version__.count(".") == 2

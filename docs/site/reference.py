"""Pages of all public functions and classes, by family, from their docstrings.

A family is a module: its docstring is the title of the page. The index lists each name with the first sentence of its
docstring, which has the formula.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from docs.site.markup import Linker, first_sentence, markdown
from passus.core import Function

__all__ = ["pages"]

PACKAGES = {
    "functions": "F",
    "layers": "L",
    "models": "passus.models",
    "optimizers": "passus.optimizers",
    "schedules": "passus.schedules",
    "initializers": "passus.initializers",
    "metrics": "passus.metrics",
    "datasets": "passus.datasets",
    "dataloaders": "passus.dataloaders",
    "transforms": "passus.transforms",
    "text": "passus.text",
    "training": "passus.training",
    "sklearn": "passus.sklearn",
    "serializers": "passus.serializers",
    "core": "passus",
    "grad": "passus.grad",
    "recompute": "passus.recompute",
    "recording": "passus.recording",
    "random": "passus.random",
    "summary": "passus.summary",
    "visualize": "passus.visualize",
    "display": "passus.display",
    "testing": "passus.testing",
    "kernels": "passus.kernels",
    "cuda": "passus.cuda",
    "errors": "passus.errors",
}
"""Documented packages, and how programs call them. The names of the engine are those that `passus` itself exports."""

ACRONYMS = {"cifar", "ctc", "ema", "f1", "gpt", "lamb", "mlp", "mnist", "sgd", "vgg"}
"""Modules whose names are written in capitals."""

Family = dict[str, Callable[..., Any]]


def families(package: str) -> dict[str, Family]:
    """The public functions and classes of a package, by the module that defines them.

    The subclasses of `Function` in `passus.functions` are the rules of its functions, and have no entries.
    """
    module = importlib.import_module("passus" if package == "core" else f"passus.{package}")
    result: dict[str, Family] = {}
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if not isinstance(value, ModuleType) and callable(value) and value.__doc__ and is_documented(package, value):
            result.setdefault(value.__module__, {})[name] = value
    return dict(sorted(result.items()))


def is_documented(package: str, value: Any) -> bool:
    """Whether a name of a package has an entry among those of the package."""
    top, _, inside = value.__module__.partition(".")
    if package == "core":
        return top == "passus" and inside.partition(".")[0] not in set(PACKAGES) - {"core"}
    return top == "passus" and not (package == "functions" and inspect.isclass(value) and issubclass(value, Function))


def page_of_family(package: str, module: str) -> str:
    """The path of the page: ``passus.functions.nn.losses`` is on ``reference/functions/nn-losses.md``."""
    inside = module.removeprefix("passus.").removeprefix(package).lstrip(".")
    return f"reference/{package}/{inside.replace('.', '-') or package}.md"


def pages() -> dict[str, str]:
    """All pages, by path in the site."""
    found = {package: families(package) for package in PACKAGES}
    places = {
        f"{package}.{name}": (page_of_family(package, module), name)
        for package, modules in found.items()
        for module, family in modules.items()
        for name in family
    }
    result = {"reference/index.md": index(found, Linker(places, "reference/index.md"))}
    for package, modules in found.items():
        for module, family in modules.items():
            path = page_of_family(package, module)
            result[path] = family_page(package, importlib.import_module(module), family, Linker(places, path, package))
    return result


def family_title(module: ModuleType) -> str:
    """The first sentence of the docstring of a module, without its full stop."""
    return first_sentence(inspect.getdoc(module) or module.__name__).rstrip(".")


def short_title(module: ModuleType) -> str:
    """The title for navigation: the name of the module as words."""
    words = module.__name__.rpartition(".")[2].replace("_", " ")
    return words.upper() if words in ACRONYMS else words[0].upper() + words[1:]


def family_page(package: str, module: ModuleType, family: Family, linker: Linker) -> str:
    """The page of a family: the docstring of its module, and an entry for each name."""
    about = markdown(inspect.getdoc(module) or "", linker)
    entries = "\n".join(entry(PACKAGES[package], name, value, linker) for name, value in family.items())
    return f"# {short_title(module)}\n\n{about}\n\nModule: `{module.__name__}`\n\n{entries}"


def entry(prefix: str, name: str, value: Callable[..., Any], linker: Linker) -> str:
    """The heading, signature and docstring of a function or class, and the methods of a class."""
    text = f"## `{name}` {{ #{name} }}\n\n``` {{ .python .signature }}\n{prefix}.{name}{signature(value)}\n```\n\n"
    text += markdown(inspect.getdoc(value) or "", linker) + "\n"
    rows = [
        f"| `{method}{signature(function)}` | {first_sentence(markdown(inspect.getdoc(function) or '', linker))} |"
        for method, function in methods(value)
    ]
    return text + ("\n| method | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else "")


def methods(value: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public, documented methods that a class itself defines."""
    if inspect.isclass(value):
        for name, member in vars(value).items():
            function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
            if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
                yield name, function


def signature(value: Callable[..., Any]) -> str:
    """The signature without annotations; a default that is a function is shown by its name."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else Named(p.default))
        for p in found.parameters.values()
        if p.name not in {"self", "cls"}
    ]
    return str(found.replace(parameters=parameters, return_annotation=found.empty))


class Named:
    """A default value whose representation has no address."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return re.sub(r" at 0x[0-9a-f]+", "", getattr(self.value, "__name__", None) or repr(self.value))


def index(found: dict[str, dict[str, Family]], linker: Linker) -> str:
    """A table of all names by family, with formulas."""
    lines = [
        "# All functions and classes",
        "",
        "By family, with the first sentence of each docstring. `F` is `passus.functions`, `L` is `passus.layers`.",
        "",
    ]
    for package, modules in found.items():
        lines += [f"## passus.{package}", ""]
        for module, family in modules.items():
            title = family_title(importlib.import_module(module))
            lines += [f"**{markdown(title, linker)}**", "", "| name | |", "|---|---|"]
            lines += [
                f"| {linker.link(f'{package}.{name}', name)} | {row(value, linker)} |" for name, value in family.items()
            ]
            lines.append("")
    return "\n".join(lines)


def row(value: Callable[..., Any], linker: Linker) -> str:
    return first_sentence(markdown(inspect.getdoc(value) or "", linker))

"""`import passus` loads NumPy and few other modules; the rest is loaded on first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

THIRD_PARTY = {"numpy", "passus"}


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def added() -> set[str]:
    # `import numpy` does not load numpy.random, which every generator needs.
    return modules_after("import passus") - modules_after("import numpy.random")


def test_only_numpy_and_the_standard_library_are_loaded(added: set[str]) -> None:
    tops = {name.partition(".")[0] for name in added}
    foreign = {top for top in tops - THIRD_PARTY if top not in sys.stdlib_module_names and not top.startswith("__")}
    assert foreign == set()


def test_no_slow_modules_of_the_standard_library_are_loaded(added: set[str]) -> None:
    slow = {
        "asyncio",
        "concurrent.futures.process",
        "ctypes.util",
        "http",
        "multiprocessing",
        "sqlite3",
        "ssl",
        "unittest",
    }
    assert added & slow == set()


def test_few_modules_are_loaded(added: set[str]) -> None:
    assert len([name for name in added if not name.startswith("passus")]) < 60


def test_submodules_are_attributes() -> None:
    assert "passus.functions" in modules_after("import passus; passus.functions.exp")


@pytest.mark.parametrize(
    "name", ["cuda", "dataloaders", "datasets", "functions", "layers", "models", "optimizers", "transforms", "utils"]
)
def test_each_module_can_be_imported_first(name: str) -> None:
    assert f"passus.{name}" in modules_after(f"import passus.{name}")

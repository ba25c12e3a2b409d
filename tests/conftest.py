"""Fixtures and hooks of all tests: fixed random numbers, temporary folders, time limits."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import settings

import passus.random
from passus.kernels import notices
from tests.helpers.tracing import import_all, is_traced, untraced, untraced_compiler

# In background jobs of a shell, SIGINT is ignored, also in child processes; restore the default handler.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("PASSUS_TRACEBACK", "full")  # A failing test shows the frames inside passus.
os.environ.pop("PASSUS_QUIET", None)  # Tests check the output of child processes.

COMPILING = 900
"""Time limit in seconds of tests that start processes which compile kernels."""

# The same examples in every run, so that failures are reproducible.
settings.register_profile("passus", derandomize=True, deadline=None, database=None)
settings.load_profile("passus")


def pytest_collection(session: pytest.Session) -> bool | None:
    """Under coverage, kernels are compiled, and all tests are collected, without its tracer."""
    config = session.config
    if not is_traced() or config.getoption("numprocesses", None):  # Workers have no such option.
        return None
    untraced_compiler()
    if config.getoption("file_or_dir"):  # A selection of tests may need few kernels; import_all would import all.
        return None
    worker = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    import_all(int(worker["workerid"].removeprefix("gw")), worker["workercount"])
    untraced(session.perform_collect)
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Extend the time limit of tests marked ``compiles``."""
    for item in items:
        if item.get_closest_marker("compiles") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(COMPILING))


def pytest_runtest_setup() -> None:
    """Reset the random state, and record the time limit of the test.

    A hook costs a fraction of a fixture, and there are 30,000 tests.
    """
    passus.random.seed(0)
    _limit.seconds = signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0


_limit = SimpleNamespace(seconds=0.0)
_notify = notices.compiling


def _compiling() -> None:
    """Restart the time limit of a test whenever a kernel is compiled."""
    _notify()
    if _limit.seconds:
        signal.setitimer(signal.ITIMER_REAL, _limit.seconds)


notices.compiling = _compiling


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the id of the test, independent of other tests."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture(autouse=True, scope="session")
def _outside_of_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Redirect downloads and drawings of tests from the home directory to a temporary folder."""
    os.environ |= {"PASSUS_CACHE": str(tmp_path_factory.getbasetemp() / "cache"), "MPLBACKEND": "agg"}

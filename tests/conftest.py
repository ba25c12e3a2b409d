"""What holds for every test: no random number is left to chance, nothing is written but into temporary folders."""

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

# Where the tests run in the background of a shell, Ctrl-C is ignored, in all processes that they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("PASSUS_QUIET", None)  # Tests read what processes say that they start.

COMPILING = 900
"""Seconds that a test has which starts processes that compile kernels."""

# The same examples in every run; a failure anywhere is a failure everywhere.
settings.register_profile("passus", derandomize=True, deadline=None, database=None)
settings.load_profile("passus")


def pytest_collection(session: pytest.Session) -> bool | None:
    """Under coverage, kernels are compiled, and all tests are collected, without its tracer."""
    config = session.config
    if not is_traced() or config.getoption("numprocesses", None):  # Which workers do not have.
        return None
    untraced_compiler()
    if config.getoption("file_or_dir"):  # Some of the tests may need few kernels; collecting all of them imports all.
        return None
    worker = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    import_all(int(worker["workerid"].removeprefix("gw")), worker["workercount"])
    untraced(session.perform_collect)
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked as ``compiles`` have more time."""
    for item in items:
        if item.get_closest_marker("compiles") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(COMPILING))


def pytest_runtest_setup() -> None:
    """Each test begins with the same random numbers, and its time limit is recorded_warnings.

    A hook costs a fraction of a fixture, and there are 30,000 tests.
    """
    passus.random.seed(0)
    _limit.seconds = signal.getitimer(signal.ITIMER_REAL)[0] if hasattr(signal, "getitimer") else 0.0


_limit = SimpleNamespace(seconds=0.0)
_notify = notices.compiling


def _compiling() -> None:
    """The time limit of a test begins again with each kernel that is compiled."""
    _notify()
    if _limit.seconds:
        signal.setitimer(signal.ITIMER_REAL, _limit.seconds)


notices.compiling = _compiling


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on the id of the test alone, not on the tests that ran before."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture(autouse=True, scope="session")
def _outside_of_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Downloads and drawings of tests are kept out of the user's home."""
    os.environ |= {"PASSUS_CACHE": str(tmp_path_factory.getbasetemp() / "cache"), "MPLBACKEND": "agg"}

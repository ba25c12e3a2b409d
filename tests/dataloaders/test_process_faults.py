"""Worker processes that fail: each error is clear, comes in time, and leaves no process behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus.dataloaders import DataLoader, processes, starting
from passus.errors import (
    ArgumentError,
    DataError,
    LoaderTimeoutError,
    LoaderWorkerError,
    PassusError,
    ShapeError,
)
from tests.dataloaders import sent
from tests.dataloaders.sent import METHODS

GENEROUS = 60
"""Seconds in which an error must come on a busy machine."""


def failing(how: str, method: str = "forkserver", **options: Any) -> DataLoader:
    return DataLoader(sent.Broken(how), 2, shuffle=False, workers=2, processes=method, **options)


def check_fails(loader: DataLoader, error: type[BaseException], words: str) -> BaseException:
    """Check that batch 6 fails, after all batches before it, and leaves nothing behind; return the error."""
    started, got = time.monotonic(), []
    with pytest.raises(error, match=words) as caught:
        got.extend(x[:, 0].tolist() for x, _ in loader)
    assert got == [[2 * i, 2 * i + 1] for i in range(6)]
    assert time.monotonic() - started < GENEROUS
    loader.close()
    assert multiprocessing.active_children() == []
    assert [*Path("/dev/shm").glob("passus*"), *Path("/dev/shm").glob("psm_*")] == []
    return caught.value


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("ShapeError", ShapeError, "crop: too small"),
        ("os._exit", LoaderWorkerError, "worker process 0 exited with status 3 before batch 6 was ready"),
        ("SIGKILL", LoaderWorkerError, r"killed by signal 9 \(SIGKILL\) before batch 6 .* ran out of memory"),
        ("hang", LoaderTimeoutError, "batch 6 was not ready after 1 s"),
    ],
)
def test_failures_with_each_start_method(method: str, how: str, error: Any, words: str) -> None:
    check_fails(failing(how, method, timeout=1 if how == "hang" else None), error, words)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("KeyError", KeyError, "no such file"),
        ("StopIteration", DataError, "StopIteration for batch 6 of 10"),
        ("TimeoutError", TimeoutError, "no answer"),
        ("FarAway", LoaderWorkerError, r"cannot be sent to this one: FarAway: Oslo is 3\.5 km away"),
    ],
)
def test_errors_have_the_traceback_of_the_worker(how: str, error: Any, words: str) -> None:
    raised = check_fails(failing(how, timeout=GENEROUS), error, words)
    assert raised.__notes__ == ["Raised by example 13: Broken[13]"]
    assert "in fail" in str(raised.__cause__)
    assert str(Path(sent.__file__)) in str(raised.__cause__)


def test_tracebacks_of_workers_are_short_for_errors_of_passus() -> None:
    raised = check_fails(failing("ShapeError"), ShapeError, "crop")
    assert "in fail" in str(raised.__cause__)
    assert "serving.py" not in str(raised.__cause__)
    assert "frames inside passus are hidden" in str(raised.__cause__)


def test_sys_exit_in_a_worker_ends_the_program_as_in_a_thread() -> None:
    assert check_fails(failing("sys.exit"), SystemExit, "3").code == 3


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGTERM"])
def test_other_signals_are_named(how: str) -> None:
    check_fails(failing(how), LoaderWorkerError, rf"\({how}\) before batch 6 was ready")


@pytest.mark.parametrize("how", ["ignore", "SIGSTOP"])
def test_a_worker_that_ignores_its_end_is_killed(how: str) -> None:
    check_fails(failing(how, timeout=1), LoaderTimeoutError, "not ready after 1 s")


def test_the_next_epoch_starts_other_processes_after_a_failure() -> None:
    dataset = sent.Broken("SIGKILL")
    with DataLoader(dataset, 2, shuffle=False, workers=2, processes="forkserver") as loader:
        with pytest.raises(LoaderWorkerError):
            list(loader)
        dataset.how = "nothing"
        assert len(list(loader)) == 10


def test_an_error_of_a_dataset_does_not_stop_the_processes() -> None:
    dataset = sent.Broken("KeyError")
    with DataLoader(dataset, 2, shuffle=False, workers=2, processes="forkserver") as loader:
        with pytest.raises(KeyError):
            list(loader)
        pids = [worker.process.pid for worker in loader._processes._workers]
        dataset.how = "nothing"
        assert len(list(loader)) == 10
        assert pids == [worker.process.pid for worker in loader._processes._workers]


def test_an_abandoned_batch_that_hangs_does_not_delay_the_end() -> None:
    loader, started = failing("hang"), time.monotonic()
    for _ in loader:
        if loader.iteration == 6:
            break
    loader.close()
    assert time.monotonic() - started < GENEROUS
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_while_a_batch_is_awaited(method: str) -> None:
    """The program may go on afterwards, as in a notebook."""
    loader = failing("hang", method)
    got = []

    def interrupt() -> None:
        while len(got) < 6:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        got.extend(iter(loader))
    thread.join()
    assert len(got) == 6
    loader.dataset.how = "nothing"
    loader.timeout = 1  # One of the workers still hangs.
    with pytest.raises(LoaderTimeoutError):
        list(loader)
    assert len(list(loader)) == 10
    loader.close()
    assert multiprocessing.active_children() == []


def test_ctrl_c_inside_of_a_message_stops_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the message would be taken for another one."""

    def interrupted(connection: Any) -> Any:
        connection.recv()
        raise KeyboardInterrupt

    with DataLoader(sent.Examples(), 2, shuffle=False, workers=2, processes="forkserver") as loader:
        batches = iter(loader)
        next(batches)
        monkeypatch.setattr(processes, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        monkeypatch.undo()
        assert loader._processes._workers == []
        assert len(list(loader)) == 10


def test_an_error_of_the_consumer_leaves_the_processes_to_the_loader() -> None:
    loader = failing("nothing")

    def consume(batches: Any) -> None:
        for _ in batches:
            raise ValueError("the consumer's")

    with pytest.raises(ValueError, match="the consumer's"):
        consume(loader)
    assert len(list(loader)) == 10
    del loader
    gc.collect()
    assert multiprocessing.active_children() == []


def test_batches_that_cannot_be_sent() -> None:
    with (
        DataLoader(sent.Unsendable(), 2, workers=2, processes="forkserver", collate=sent.as_list) as loader,
        pytest.raises(LoaderWorkerError, match=r"batch cannot be sent by its process: .*lambda.* Return arrays"),
    ):
        list(loader)


def test_batches_that_cannot_be_loaded() -> None:
    with (
        DataLoader(sent.Examples(), 2, workers=2, processes="forkserver", collate=sent.unloadable) as loader,
        pytest.raises(LoaderWorkerError, match="has prepared cannot be loaded: there is no such library"),
    ):
        list(loader)


def test_datasets_that_cannot_be_loaded() -> None:
    loader = DataLoader(sent.Unloadable(), 2, workers=2, processes="forkserver")
    with pytest.raises(LoaderWorkerError, match="cannot load the dataset or collate: ImportError: there is") as caught:
        list(loader)
    assert "in raise_error" in str(caught.value.__cause__)
    assert multiprocessing.active_children() == []


def test_no_space_for_a_batch() -> None:
    with (
        DataLoader(sent.Greedy(), 2, workers=2, processes="forkserver") as loader,
        pytest.raises(LoaderWorkerError, match=r"no shared memory for 8\.0 MiB.*use smaller batches or fewer workers"),
    ):
        list(loader)


def test_a_worker_that_is_not_ready_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_TIMEOUT", 0.0)
    loader = failing("nothing")
    with pytest.raises(LoaderWorkerError, match="not ready after 0 s; check what the program does"):
        list(loader)
    assert multiprocessing.active_children() == []


def test_a_process_that_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(context: Any, i: int) -> Any:
        if i:
            raise BlockingIOError("Resource temporarily unavailable")
        return start(context, i)

    start = starting.start_worker
    monkeypatch.setattr(processes, "start_worker", refused)
    with pytest.raises(
        LoaderWorkerError, match=r"could not start: Resource temporarily unavailable\. Use fewer workers"
    ):
        list(failing("nothing"))
    assert multiprocessing.active_children() == []


def test_a_loader_inside_of_a_worker_uses_threads_only() -> None:
    with DataLoader(sent.Nested(), 1, workers=1, processes="forkserver") as loader:
        with pytest.raises(ArgumentError, match="of another loader cannot start processes; use threads"):
            list(loader)
        loader.dataset.processes = None
        assert len(list(loader)) == 2


def test_errors_of_workers_are_errors_of_passus_and_of_python() -> None:
    assert issubclass(LoaderWorkerError, PassusError)
    assert issubclass(LoaderWorkerError, RuntimeError)


def test_a_fork_does_not_end_the_processes_of_its_parent() -> None:
    with DataLoader(np.arange(8), 2, shuffle=False, workers=2, processes="forkserver") as loader:
        expected = [batch.tolist() for batch in loader]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Other threads may hold locks; the child needs none.
            child = os.fork()
        if not child:
            loader.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert [batch.tolist() for batch in loader] == expected

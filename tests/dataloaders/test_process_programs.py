"""Programs that load in processes: their ends, Ctrl-C, and programs that processes cannot import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.dataloaders.sent import METHODS

ROOT = Path(__file__).parents[2]

PROGRAM = """
import gc, os, signal, sys, time
import numpy as np
from passus import DataLoader

class Arrays:
    def __len__(self):
        return 40
    def __getitem__(self, i):
        if i == 30:
            time.sleep(600)
        return np.full(100_000, i)

def main(method, ending):
    loader = DataLoader(Arrays(), 2, shuffle=False, workers=2, processes=method)
    batches = iter(loader)
    kept = next(batches)
    print(*[worker.process.pid for worker in loader._processes._workers], flush=True)
    exec(ending)

if __name__ == "__main__":
    main(*sys.argv[1:])
"""

UNGUARDED = """
import sys
import numpy as np
from passus import DataLoader

class Numbers:
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return i

print(sum(len(batch) for batch in DataLoader(Numbers(), 2, workers=2, processes=sys.argv[1])))
"""


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a group of its own, which is killed after the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    environment.pop("PASSUS_TRACEBACK", None)
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
        **options,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def running(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, fields = (folder / "stat").read_text().rpartition(")")
        except OSError:  # It has ended meanwhile.
            continue
        state, _, pgrp, *_ = fields.split()
        if int(pgrp) == group and state not in "ZX":
            found.append(name)
    return found


def check_all_end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Check that a program ends with all processes that it has started; return its output."""
    output = process.communicate(timeout=60)  # Workers have the same pipes.
    end = time.monotonic() + 60
    while running(process.pid):
        assert time.monotonic() < end, running(process.pid)
        time.sleep(0.01)
    return output


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        ("pass", 0, ""),
        ("del loader, batches; gc.collect()", 0, ""),
        ("sys.exit(5)", 5, ""),
        ("os._exit(6)", 6, ""),
        ("raise ValueError('of the program')", 1, "ValueError: of the program"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("next(batches); os.kill(0, signal.SIGINT); time.sleep(60)", -signal.SIGINT, "KeyboardInterrupt"),
        ("[os.kill(0, signal.SIGINT) for batch in batches if batch[0][0] == 28]", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_nothing_is_left_of_a_program(ending: str, status: int, error: str, method: str, tmp_path: Path) -> None:
    """The last two send Ctrl-C to all processes of the terminal."""
    (tmp_path / "program.py").write_text(PROGRAM)
    with started([str(tmp_path / "program.py"), method, ending]) as process:
        assert len(process.stdout.readline().split()) == 2
        _, errors = check_all_end(process)
    assert process.returncode == status
    assert errors.count("Traceback") == bool(error)
    assert errors.strip().endswith(error)
    assert "resource_tracker" not in errors


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("delay", [0.0, 0.2, 0.5, 1.0])
def test_ctrl_c_while_processes_start(method: str, delay: float, tmp_path: Path) -> None:
    """Neither workers nor a fork server print a traceback, whatever they are importing."""
    program = PROGRAM.replace("batches = iter", "print('starting', flush=True); batches = iter")
    (tmp_path / "program.py").write_text(program)
    with started([str(tmp_path / "program.py"), method, "time.sleep(60)"]) as process:
        assert process.stdout.readline() == "starting\n"
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = check_all_end(process)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert "forkserver" not in errors.partition("Traceback")[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_program_without_a_guard(method: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(UNGUARDED)
    with started([str(tmp_path / "program.py"), method]) as process:
        output, errors = check_all_end(process)
    assert process.returncode == 1
    assert output == ""
    assert 'put the lines that run the program under if __name__ == "__main__":' in errors
    assert errors.count("Traceback") == 1


def test_a_program_from_standard_input() -> None:
    with started(["-", "spawn"], stdin=subprocess.PIPE) as process:
        _, errors = process.communicate(UNGUARDED, timeout=60)
    assert "it was read from <stdin>; write it to a file" in errors
    assert errors.count("Traceback") == 1


def test_a_class_that_processes_cannot_import() -> None:
    """As in a notebook, and in ``python -c``."""
    with started(["-c", UNGUARDED, "forkserver"]) as process:
        _, errors = check_all_end(process)
    assert "cannot load the dataset or collate: AttributeError: Can't get attribute 'Numbers'" in errors
    assert "write them to a module, or leave out processes" in errors


def test_a_program_that_fails_when_it_is_imported(tmp_path: Path) -> None:
    broken = PROGRAM.replace("def main", "assert __name__ == '__main__', 'not twice'\ndef main")
    (tmp_path / "program.py").write_text(broken)
    with started([str(tmp_path / "program.py"), "spawn", "pass"]) as process:
        _, errors = check_all_end(process)
    assert "AssertionError: not twice" in errors
    assert "exited with status 1 before it was ready: importing the program failed, with the error above" in errors


def test_other_processes_of_a_fork_server_handle_ctrl_c_as_usual(tmp_path: Path) -> None:
    program = PROGRAM.replace(
        "def main",
        "def wait(connection):\n"
        "    try:\n"
        "        connection.send('ready')\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        connection.send('interrupted')\n\n"
        "def main",
    )
    ending = (
        "import multiprocessing; context = multiprocessing.get_context('forkserver'); ours, theirs = context.Pipe(); "
        "process = context.Process(target=wait, args=(theirs,)); process.start(); ours.recv(); "
        "os.kill(process.pid, signal.SIGINT); print(ours.recv())"
    )
    (tmp_path / "program.py").write_text(program)
    with started([str(tmp_path / "program.py"), "forkserver", ending]) as process:
        output, errors = check_all_end(process)
    assert errors == ""
    assert output.splitlines()[1:] == ["interrupted"]

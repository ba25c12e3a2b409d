"""Atomic writing of files: concurrent processes, owner and permissions of the replaced file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passus.datasets import save_cache_npz
from passus.errors import ArgumentError, DTypeError, PathError
from passus.files import checked_path, ensured_folder, replacing
from passus.layers import Linear
from passus.serializers import save_checkpoint, write_weights
from passus.training import CheckpointFolder, CSVLog, plot_history

WRITERS: dict[str, Callable[[Path], Any]] = {
    "w.npz": lambda p: write_weights(p, {"W": np.ones(3)}),
    "w.safetensors": lambda p: write_weights(p, {"W": np.ones(3)}),
    "run.safetensors": lambda p: save_checkpoint(p, model=Linear(1, in_size=2)),
    "cache.npz": lambda p: save_cache_npz(np.ones(3), np.ones(3), p),
    "curves.png": lambda p: plot_history([{"epoch": 1, "loss": 1.0}], p),
    "log.csv": lambda p: CSVLog(p).on_start(Run()),
}


class Run:
    """A run before its first epoch."""

    history: Any = ()


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Callable[[], Any]]:
    return tmp_path / request.param, lambda: WRITERS[request.param](tmp_path / request.param)


posix = pytest.mark.skipif(os.name != "posix", reason="permissions, owners and pipes of POSIX")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_of_the_old_file_are_preserved(written: tuple[Path, Callable[[], Any]], mode: int) -> None:
    path, write = written
    write()
    path.chmod(mode)
    before = path.stat().st_ino
    write()
    assert path.stat().st_mode & 0o777 == mode
    assert path.stat().st_ino != before, "a new file, not modified in place"


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can change the owner")
def test_owner_of_the_old_file_is_preserved(written: tuple[Path, Callable[[], Any]]) -> None:
    path, write = written
    write()
    os.chown(path, 1234, 2345)
    path.chmod(0o640)
    write()
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o640)


@posix
def test_temporary_file_has_the_permissions_of_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.touch(0o600)
    with replacing(path):
        (part,) = tmp_path.glob(".*.part")
        assert part.stat().st_mode & 0o777 == 0o600


@posix
def test_pipe_or_device_raises_and_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path / "link.npz"):
        if path != pipe:
            path.symlink_to("/dev/null")
        with pytest.raises(PathError, match="a pipe or a device, which cannot be replaced"):
            write_weights(path, {"W": np.ones(3)})
    assert pipe.is_fifo()


def test_file_names_of_maximal_length(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".npz", "ä" * 120 + ".npz"):
        write_weights(tmp_path / name, {"W": np.ones(3)})
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


@pytest.mark.parametrize("path", [None, 3, b"bytes", ["a"]])
def test_invalid_paths_raise(path: Any) -> None:
    with pytest.raises(DTypeError, match="is not a path"):
        checked_path(path)
    with pytest.raises(ArgumentError, match="a character that file names cannot have"):
        checked_path("a\0")


# Other processes.


def run(script: str, *arguments: Any) -> subprocess.Popen[str]:
    code = "import os, signal, sys, time\nfrom pathlib import Path\n" + textwrap.dedent(script)
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


WRITING = """
    from passus.files import replacing
    with replacing(sys.argv[1]) as file:
        file.write(b"of another process")
        file.flush()
        print("writing", flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["step-00000007.safetensors", "best.safetensors", "w.npz"])
def test_temporary_files_are_removed_only_after_their_process_ended(tmp_path: Path, name: str) -> None:
    code = "import sys\n" + textwrap.dedent(WRITING)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(tmp_path / name)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        folder, model = CheckpointFolder(tmp_path, keep=1), Linear(1, in_size=2)
        for step in (1, 2):
            folder.save(step, model=model)
            folder.save_best(model=model)
            write_weights(tmp_path / name.replace("step-00000007", "step"), {"W": np.ones(3)})
        assert len(list(tmp_path.glob(".*.part"))) == 1
        other.kill()
    for step in (3, 4):
        folder.save(step, model=model)
        folder.save_best(model=model)
    if name == "w.npz":
        write_weights(tmp_path / name, {"W": np.ones(3)})
    assert list(tmp_path.glob(".*.part")) == []


def test_concurrent_writes_of_one_file_in_threads(tmp_path: Path) -> None:
    path, together = tmp_path / "w.npz", threading.Barrier(8)

    def write(i: int) -> None:
        together.wait()
        for _ in range(20):
            write_weights(path, {"W": np.full(1000, i)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert list(tmp_path.iterdir()) == [path]


TWO = """
    import numpy as np
    from passus.layers import Linear
    from passus.training import CheckpointFolder
    folder, model = CheckpointFolder(sys.argv[1], keep=2), Linear(200, in_size=300)
    for i in range(30):
        folder.save(max([i, *(int(p.stem[5:]) for p in folder.paths())]) + 1, model=model)
        folder.save_best(model=model)
    print("done")
"""


def test_two_processes_share_one_checkpoint_folder(tmp_path: Path) -> None:
    both = [run(TWO.replace("folder.save(max", "save(max").replace("for i", RETRY + "for i"), tmp_path) for _ in "ab"]
    assert [process.communicate(timeout=100)[0] for process in both] == ["done\n", "done\n"]
    folder = CheckpointFolder(tmp_path)
    assert folder.resume(model=Linear(200, in_size=300))
    assert list(tmp_path.glob(".*.part")) == []


RETRY = """def save(step, **components):
        try:
            folder.save(step, **components)
        except ValueError:
            pass  # The other process has saved a later step.
    """


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_temporary_files_of_killed_processes_are_removed_by_the_next_write(tmp_path: Path, number: int) -> None:
    for name, write in WRITERS.items():
        script = f"""
            from tests.test_files import WRITERS
            os.fsync = lambda descriptor: os.kill(os.getpid(), {int(number)})
            WRITERS[{name!r}](Path(sys.argv[1]) / {name!r})
        """
        with run(script, tmp_path) as killed:
            killed.wait(timeout=60)
        assert len(list(tmp_path.glob(f".{name}.*.part"))) == 1
        write(tmp_path / name)
        assert not list(tmp_path.glob(f".{name}.*.part"))


# New folders.


def test_new_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux maps descriptors to folders")
    monkeypatch.setattr(os, "fsync", fsync)
    ensured_folder(tmp_path / "a" / "b" / "c")
    assert synced == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    synced.clear()
    ensured_folder(tmp_path / "a" / "b" / "c")
    assert synced == []
    for make in (
        lambda folder: CheckpointFolder(folder).save(1, model=Linear(1, in_size=1)),
        lambda folder: save_cache_npz(np.ones(1), np.ones(1), folder / "x.npz"),
        lambda folder: CSVLog(folder / "log.csv").on_start(Run()),
    ):
        folder = tmp_path / str(len(synced)) / "new"
        make(folder)
        assert {str(tmp_path), str(folder.parent), str(folder)} <= set(synced)

"""Kernels on the disk: what is damaged, outdated or cannot be written costs a compilation and nothing else."""

from __future__ import annotations

import ast
import ctypes
import errno
import gc
import io
import itertools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from benchmarks import compiling
from passus.kernels import notices
from passus.kernels.native import keeping
from passus.kernels.native.compiling import FLAT, INTEGER, READ, compiled, inlined
from passus.kernels.native.keeping import stamp

pytestmark = pytest.mark.compiles


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))
    notices.print_once.cache_clear()
    monkeypatch.setattr(notices, "_progress", notices._Progress())
    keeping._clear.cache_clear()
    return tmp_path / "kernels"


def doubled() -> Any:
    """A kernel, compiled or from the disk."""

    @compiled(numba.void(READ, FLAT, INTEGER))
    def kernel(x: Any, y: Any, n: Any) -> None:
        for i in range(n):
            y[i] = x[i] + x[i]

    y = np.zeros(3, np.float32)
    kernel(np.arange(3, dtype=np.float32), y, 3)
    assert y.tolist() == [0, 2, 4]
    return kernel


def was_kept(kernel: Any) -> bool:
    return sum(kernel.stats.cache_hits.values()) == 1


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_kernel_is_compiled_when_it_is_called_and_for_no_other_types(folder: Path) -> None:
    @compiled(numba.void(FLAT, INTEGER))
    def kernel(x: Any, i: Any) -> None:
        x[i] = 5

    assert not kernel.overloads
    assert not files(folder)
    x = np.zeros(3, np.float32)
    kernel(x, 1)
    assert x.tolist() == [0, 5, 0]
    for arguments in ((x.astype(np.float64), 1), (x[::2], 1), (x,)):
        with pytest.raises(TypeError):
            kernel(*arguments)
    assert len(kernel.overloads) == len(files(folder)) == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_rests_while_a_kernel_is_compiled(
    enabled: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(notices, "compiling", lambda: seen.append(gc.isenabled()))
    if not enabled:
        gc.disable()
    try:
        doubled()
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        gc.enable()


more: Any = None


def test_a_kernel_that_another_one_calls_is_compiled_for_its_own_types(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @compiled(numba.float64(numba.float64))
    def called(x: Any) -> Any:
        return x + 0.5

    @compiled(numba.float64(INTEGER))
    def calling(x: Any) -> Any:
        return more(x)

    monkeypatch.setitem(globals(), "more", called)
    assert calling(2) == 2.5
    assert [*called.overloads] == [(numba.float64,)]


def test_threads_that_call_a_kernel_for_the_first_time_compile_it_once(folder: Path) -> None:
    @compiled(numba.int64(INTEGER))
    def kernel(x: Any) -> Any:
        return x + 1

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(kernel(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 4
    assert sum(kernel.stats.cache_misses.values()) == 1


def test_a_kernel_that_another_thread_builds_while_types_are_determined_converts_arguments(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @compiled(numba.float32(READ, numba.types.UniTuple(numba.float32, 11)))
    def kernel(x: Any, numbers: Any) -> Any:
        return x[0] + numbers[10]

    def typeof(value: Any) -> Any:
        kernel.build()
        return determined(value)

    determined = kernel.typeof_pyval
    monkeypatch.setattr(kernel, "typeof_pyval", typeof)
    assert kernel(np.ones(1, np.float32), (0.5,) * 11) == 1.5


def test_threads_that_pass_the_first_arguments_of_a_type_agree_on_its_number(folder: Path) -> None:
    @compiled(INTEGER(INTEGER))
    def kernel(x: Any) -> Any:
        return x

    def determine(numbers: list[int]) -> None:
        for values in arguments:
            together.wait()
            numbers.append(kernel.typeof_pyval(values)._code)

    # No kernel has these types.
    arguments = [*itertools.product((1, 1.0, True, 1j, np.float32(1), np.zeros(1)), repeat=5)]
    together = threading.Barrier(2)
    numbers: tuple[list[int], list[int]] = ([], [])
    threads = [threading.Thread(target=determine, args=(found,)) for found in numbers]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(numbers[0]) == len(arguments)
    assert numbers[0] == numbers[1]


def test_a_function_is_called_at_its_address(folder: Path) -> None:
    @compiled(numba.int64(INTEGER))
    def kernel(x: Any) -> Any:
        return x + 1

    result, error = ctypes.c_int64(), ctypes.c_void_p()
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(kernel.address)
    assert function(ctypes.addressof(result), ctypes.addressof(error), 41) == 0
    assert result.value == 42


def test_a_kernel_is_compiled_once(folder: Path) -> None:
    assert not was_kept(doubled())
    assert was_kept(doubled())
    assert len(files(folder)) == 1


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 1000, -1])
def test_a_truncated_file(folder: Path, length: int) -> None:
    doubled()
    (file,) = files(folder)
    file.write_bytes(file.read_bytes()[:length])
    assert not was_kept(doubled())
    assert was_kept(doubled())


@pytest.mark.parametrize(
    "damage", ["garbage", "one bit", "another format", "a folder", "a broken link", "unpickled error"]
)
def test_a_damaged_file(folder: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    doubled()
    (file,) = files(folder)
    content = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(os.urandom(5000))
    elif damage == "one bit":
        file.write_bytes(content[:900] + bytes([content[900] ^ 4]) + content[901:])
    elif damage == "another format":
        file.write_bytes(keeping.hashlib.sha256(b"\x80\x04N.").digest() + b"\x80\x04N.")
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    elif damage == "a broken link":
        file.unlink()
        file.symlink_to("nowhere")
    else:
        monkeypatch.setattr(keeping, "loads", lambda content: {"no": "result"})
    assert not was_kept(doubled())
    monkeypatch.undo()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_nothing(
    folder: Path, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = Path.write_bytes

    def partly(path: Path, content: bytes) -> int:
        write(path, content[:100])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", partly)
        doubled()
        doubled()
    assert files(folder) == []
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert os.strerror(code) in said[1]
    doubled()
    assert was_kept(doubled())


def test_no_folder_at_all(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EACCES, "no")

    with monkeypatch.context() as patch:
        patch.setattr(numba.core.caching.os, "makedirs", refused)
        assert not was_kept(doubled())
    assert files(folder) == []


@pytest.mark.parametrize("where", ["loads", "write_bytes", "compile"])
def test_ctrl_c(where: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    if where == "loads":
        doubled()
    with monkeypatch.context() as patch:
        if where == "loads":
            patch.setattr(keeping, "loads", interrupted)
        elif where == "write_bytes":
            patch.setattr(Path, "replace", interrupted)
        else:
            patch.setattr(numba.core.compiler, "compile_extra", interrupted)
        with pytest.raises(KeyboardInterrupt):
            doubled()
    assert len(files(folder)) == (where == "loads")
    doubled()
    assert was_kept(doubled())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_names_each_kernel_and_is_erased(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "300")
    with notices.position(3, 8):
        doubled()
    before, shown, after = sys.stderr.getvalue().split("\r\033[K")
    assert (before, after) == ("", "")
    assert shown.startswith("passus: compiling kernels, once for this machine: 3 of 8, test_keeping.kernel (hide")
    monkeypatch.setattr(sys, "stderr", Terminal())
    doubled()
    assert sys.stderr.getvalue() == ""  # It is on the disk.


def test_the_line_is_not_longer_than_the_terminal_is_wide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "30")
    doubled()
    assert sys.stderr.getvalue().split("\r\033[K")[1] == "passus: compiling kernels, on"


def test_the_kernel_for_which_another_one_is_compiled_is_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "300")
    with notices.kernel("outer"):
        notices.compiling()
        with notices.kernel("inner"):
            notices.compiling()
        with notices.kernel("found on the disk"):
            pass
    named = [text.split(" (")[0].rpartition(": ")[2] for text in sys.stderr.getvalue().split("\r\033[K")]
    assert named == ["", "outer", "inner", "", "outer", "outer", ""]


def test_elsewhere_a_line_follows_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(notices.time, "monotonic", lambda: now[0])
    for name, seconds in (("first", 9), ("second", 2), ("third", 1)):
        with notices.kernel(name):
            notices.compiling()
        now[0] += seconds
    assert [line.split(": ")[2].split(" ")[0] for line in capsys.readouterr().err.splitlines()] == ["first", "third"]


def test_two_kernels_of_one_name_do_not_meet(folder: Path) -> None:
    def times(number: int) -> Any:
        @compiled(numba.void(FLAT))
        def kernel(x: Any) -> None:
            x[0] = number

        return kernel

    for _ in range(2):
        for number in (3, 4):
            x = np.zeros(1, np.float32)
            kernel = times(number)
            kernel(x)
            assert x == number
    assert was_kept(kernel)
    assert len(files(folder)) == 2


def test_a_kernel_that_no_other_process_would_find_is_refused(folder: Path) -> None:
    piece = inlined(lambda x: x + x)
    with pytest.raises(TypeError, match="closes over piece, which is neither a number nor a name"):

        @compiled(numba.float64(numba.float64))
        def kernel(x: Any) -> Any:
            return piece(x)

    assert not files(folder)


def test_the_stamp_follows_what_a_module_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "HERE", tmp_path)

    def digest(**texts: str) -> str:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        stamp.cache_clear()
        return stamp(tmp_path / "rows.py")

    first = digest(
        rows="from passus.kernels.native.sums import (\n    sum_of,\n)\n",
        sums="from passus.kernels.native.simd import load\nfrom passus.kernels.native.rows import softmax\n",
        simd="",
        other="",
    )
    assert digest(other="x = 1") == first
    changed = {digest(simd="x = 1"), digest(sums="from passus.kernels.native.simd import load"), digest(rows="")}
    assert len({first, *changed}) == 4
    assert digest(sums="x = 1") == digest(rows="")


def test_no_syntax_tree_is_built_for_a_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any thread may need a stamp, and Python 3.11 raises SystemError if two threads build syntax trees at once."""

    def parse(*args: Any, **options: Any) -> Any:
        raise AssertionError("a syntax tree")

    monkeypatch.setattr(ast, "parse", parse)
    names = {file.name for file in keeping.imported((keeping.HERE / "machine.py").read_text())}
    assert {"updates.py", "tile.py", "simd.py", "loops.py"} <= names


def test_all_native_sources_are_known_to_a_stamp() -> None:
    for file in Path(keeping.__file__).parent.glob("*.py"):
        code = file.read_text()
        names = set(re.findall(r"^from passus\.kernels\.native\.(\w+) import", code, re.MULTILINE))
        assert names <= {source.stem for source in keeping.imported(code) if source.parent == keeping.HERE}, file
        assert code.count("kernels.native") >= len(names), file


def test_kernels_of_older_sources_are_cleared_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doubled()
    (old,) = files(folder)
    neighbour = old.with_name(f"other_{old.name}")
    neighbour.write_bytes(b"")
    keeping._clear.cache_clear()
    monkeypatch.setattr(keeping, "stamp", lambda source: "f" * 16)
    assert not was_kept(doubled())
    assert not old.exists()
    assert neighbour.exists()
    assert len(files(folder)) == 2


def test_compiling_has_a_time_limit_of_its_own(request: pytest.FixtureRequest) -> None:
    """A kernel that is compiled gives a test its time anew; one that starts processes has more of it."""
    limit = request.node.get_closest_marker("timeout")
    assert limit.args[0] > 120
    time.sleep(0.05)
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    notices.compiling()
    assert signal.getitimer(signal.ITIMER_REAL)[0] > left


# In processes of their own.

FIRST = """
import numpy as np
from passus.kernels import start_using
from passus.kernels.scatter import scatter_add
start_using()
def first_kernel():
    y = scatter_add((3, 1000), np.array([0, 2, 2]), np.ones((3, 1000), np.float32))
    assert y.sum(axis=1).tolist() == [1000, 0, 2000], y
"""


def run(text: str, limit: float = 600, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PASSUS_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-W", "error", "-c", FIRST + textwrap.dedent(text)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)


def test_one_line_says_that_kernels_are_compiled(folder: Path) -> None:
    first, second = run("first_kernel(); first_kernel()"), run("first_kernel()")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    (line,) = first.stderr.splitlines()
    assert line.startswith("passus: compiling kernels")
    assert second.stderr == ""
    for file in files(folder):
        file.unlink()
    assert run("first_kernel()", PASSUS_QUIET="1").stderr == ""


def test_kernels_of_formulas_are_found_by_the_next_process(folder: Path) -> None:
    text = """
        from passus.kernels.native.activations import _activation, _activation_gradient
        for make in (_activation, _activation_gradient):
            kernel = make("softsign")
            kernel.build()
            print(sum(kernel.stats.cache_hits.values()))
    """
    assert [run(text).stdout.split() for _ in range(2)] == [["0", "0"], ["1", "1"]]


def test_two_processes_compile_at_once(folder: Path) -> None:
    environment = os.environ | {"PASSUS_NUM_THREADS": "1", "PASSUS_QUIET": "1"}
    command = [sys.executable, "-W", "error", "-c", FIRST + "first_kernel()"]
    several = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=600)[1] for process in several] == ["", ""]
    assert run("first_kernel()").stderr == ""


@pytest.mark.parametrize("delay", [0.2, 1.0])
def test_ctrl_c_while_numba_and_kernels_are_loaded(folder: Path, delay: float) -> None:
    done = run(f"""
        import signal, threading, time
        interrupted = threading.Event()
        def press():
            # Pressed again: Python drops an interrupt that reaches a __del__.
            pause = {delay}
            while not interrupted.wait(pause):
                signal.raise_signal(signal.SIGINT)
                pause = 2
        threading.Thread(target=press, daemon=True).start()
        try:
            first_kernel()
            while True:  # A signal that another thread raises does not end signal.pause().
                time.sleep(0.05)
        except KeyboardInterrupt:
            interrupted.set()
        first_kernel()  # By the kernel, or its reference.
        first_kernel()
    """)
    assert done.returncode == 0, done.stderr
    assert run("first_kernel()").returncode == 0


def test_ctrl_c_between_a_module_and_its_owner_does_not_crash(folder: Path) -> None:
    """Right after LLVM has taken a module over: its wrapper would free it, too."""
    done = run("""
        import signal
        import llvmlite.binding.ffi as ffi
        pressed = []
        def pressing(function):
            def call(*args):
                result = function(*args)
                pressed.append(function)
                signal.raise_signal(signal.SIGINT)
                return result
            return call
        for name in ("LLVMPY_LinkModules", "LLVMPY_AddModule"):
            ffi.lib._fntab[name] = pressing(getattr(ffi.lib, name))
        for _ in range(5):
            try:
                first_kernel()
            except KeyboardInterrupt:
                print("interrupted")
        print(len(set(pressed)))
    """)
    assert (done.returncode, done.stdout.split()[-1]) == (0, "2"), done.stdout + done.stderr
    assert "interrupted" in done.stdout


def test_a_fork_while_another_thread_compiles(folder: Path) -> None:
    done = run(
        """
        import os, threading, time, warnings
        from passus.kernels.rows import softmax
        def compile_softmax():
            softmax(np.ones((100, 100), np.float32), 1)
        thread = threading.Thread(target=compile_softmax)
        thread.start()
        time.sleep(1.5)  # Numba is loaded, and kernels are being compiled.
        warnings.simplefilter("ignore", DeprecationWarning)  # That threads and forks do not go together.
        child = os.fork()
        if not child:
            first_kernel()
            compile_softmax()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        first_kernel()
        thread.join()
        """,
        limit=300,
    )
    assert done.returncode == 0, done.stderr


def test_kernels_that_cannot_be_loaded_are_done_without(folder: Path) -> None:
    done = run("""
        import sys, warnings
        sys.modules["passus.kernels.native.scatter"] = None
        with warnings.catch_warnings(record=True, action="always") as caught:
            first_kernel()
            first_kernel()
        (warning,) = caught
        assert "scatter with NumPy alone" in str(warning.message)
    """)
    assert done.returncode == 0, done.stderr


def test_the_compile_time_is_measured_in_a_folder_of_its_own(folder: Path) -> None:
    assert compiling.processor_seconds(f"{FIRST}first_kernel()", str(folder / "its own")) > 0
    assert files(folder / "its own") == files(folder) != []
    (line,) = compiling.table({"nothing": "pass"}).splitlines()[2:]
    assert re.fullmatch(r"\| nothing \| \d+\.\d s \| \d+\.\d s \|", line)


# python -m passus.kernels

AHEAD = """
import sys
from passus.kernels import warming
from passus.kernels.__main__ import main
warming.MODULES = ("scatter",)  # All of them would take minutes.
"""


def ahead(text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", f"{AHEAD}{textwrap.dedent(text)}\nsys.exit(main())"]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=600)


def test_kernels_are_compiled_ahead(folder: Path) -> None:
    first, second = ahead(), ahead(PASSUS_QUIET="1")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    count = len(files(folder))
    assert first.stdout.startswith(f"{count} kernels, of which {count} were compiled now, in ")
    assert second.stdout.startswith(f"{count} kernels, of which 0 were compiled now, in ")
    assert Path(first.stdout.strip().rpartition(" ")[2]) == files(folder)[0].parent
    assert first.stderr.startswith("passus: compiling kernels, once for this machine: ")
    assert second.stderr == run("first_kernel()").stderr == ""


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("sys.modules['numba'] = None", "Numba is not installed"),
        (
            """
            import os
            def refused(*args, **kwargs):
                raise OSError("no")
            os.makedirs = refused
            """,
            "no folder that compiled kernels can be written to",
        ),
        (
            """
            from passus.kernels.native.keeping import KernelFiles
            def full(*args):
                raise OSError(28, "No space left on device")
            KernelFiles.save = full
            """,
            "kernels cannot be written: [Errno 28] No space left on device",
        ),
    ],
)
def test_kernels_that_cannot_be_compiled_ahead(fault: str, reason: str, folder: Path) -> None:
    done = ahead(fault, PASSUS_QUIET="1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("passus.kernels: ")
    assert reason in line
    assert done.stdout == ""


VARIANTS = """
from passus.kernels.native.compiling import INTEGER, compiled

def variant(factor):
    @compiled(INTEGER(INTEGER), allocates=False)
    def multiply(x):
        return factor * x
    multiply.build()
    return multiply
"""


def test_variants_that_two_processes_have_compiled_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "variants.py").write_text(VARIANTS)

    def output(code: str) -> str:
        command = [sys.executable, "-c", f"from variants import variant; {code}"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "PASSUS_QUIET": "1"}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert [output(f"print(variant({i})(5))").strip() for i in (2, 3)] == ["10", "15"]
    # Numba gave both the same number, and finds code by its name.
    code = "a, b = variant(2), variant(3); print(a(5), b(5), a.was_compiled or b.was_compiled, a.address == b.address)"
    assert output(code).split() == ["10", "15", "False", "False"]
